package dedupe

import "math/bits"

// A bucket of a Window has 7 slots and gets perBucket entries on average, so
// that few ever have more entries than slots.
const (
	slots     = 7
	perBucket = 3
)

// A bucket holds, for each slot, the number of an entry and one octet of its
// hash, by which most others are told from it without a look at the ring.
type bucket struct {
	tags    uint64
	numbers [slots]uint32
	passed  uint32 // the newest entry that found no slot here and went on
}

// tag is the octet of a hash that stands in its bucket: 1..255, 0 being that of
// a slot never used.
func tag(hash uint64) uint8 { return uint8(1 + hash&0xffff*255>>16) }

// match gives the slots with that tag, as the highest bits of their octets. It
// has no branches.
func (e *bucket) match(tag uint8) uint64 {
	const low7, slotBits = 0x7f7f7f7f7f7f7f7f, 0x0080808080808080
	x := e.tags ^ uint64(tag)*0x0101010101010101 // 0 where they are alike
	return ^(x&low7 + low7 | x) & slotBits
}

// slotOf is the lowest slot in what match gave.
func slotOf(m uint64) int { return bits.TrailingZeros64(m) / 8 }

// set puts an entry into a slot.
func (e *bucket) set(slot int, tag uint8, number uint32) {
	shift := 8 * slot
	e.tags = e.tags&^(0xff<<shift) | uint64(tag)<<shift
	e.numbers[slot] = number
}
