package dedupe

import "math/bits"

// A bucket of a Window has slots for 8 entries and gets perBucket of them on
// average, so that hardly any is ever full.
const (
	slots     = 8
	perBucket = 3
)

// A bucket holds, for each slot, the place of a fingerprint in the ring, and one
// octet of its hash by which it is told from the others; 0 is a free slot.
type bucket struct {
	tags   uint64
	places [slots]uint32
}

// tag is the octet of a hash that stands in its bucket: 1..255.
func tag(hash uint64) uint8 { return uint8(1 + hash&0xffff*255>>16) }

// match gives the slots with that tag, as the highest bits of their octets.
func (e *bucket) match(tag uint8) uint64 {
	const low7 = 0x7f7f7f7f7f7f7f7f
	x := e.tags ^ uint64(tag)*0x0101010101010101 // 0 where they are alike
	return ^(x&low7 + low7 | x | low7)
}

// slotOf is the lowest slot in what match gave.
func slotOf(m uint64) int { return bits.TrailingZeros64(m) / 8 }

// set fills a slot, or frees it with a tag of 0.
func (e *bucket) set(slot int, tag uint8, place uint32) {
	shift := 8 * slot
	e.tags = e.tags&^(0xff<<shift) | uint64(tag)<<shift
	e.places[slot] = place
}
