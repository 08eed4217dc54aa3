package drift

import (
	"math/bits"
	"time"
)

// A lastOf is what Constant keeps of a key: the newest ID of each side, cut to 48 bits,
// whether the candidate is behind, which it is until it has had the incumbent's newest,
// and since when without progress.
type lastOf struct {
	key    uint64
	ids    [2][3]uint16
	when   uint16 // seconds since the comparison's epoch, modulo 2^16
	behind bool
}

const lastSize = 24

const mask48 = 1<<48 - 1

func (l *lastOf) id(side Side) uint64 {
	v := &l.ids[side]
	return uint64(v[0]) | uint64(v[1])<<16 | uint64(v[2])<<32
}

// since is when the candidate made progress, or began to be behind; within nine hours of
// now.
func (l *lastOf) since(now time.Duration) time.Duration {
	return (now/time.Second + time.Duration(int16(l.when-uint16(now/time.Second)))) * time.Second
}

func (l *lastOf) set(side Side, id uint64) {
	l.ids[side] = [3]uint16{uint16(id), uint16(id >> 16), uint16(id >> 32)}
}

// A keyTable finds what is kept of keys. It grows by little, so that a key takes no more
// than 32 octets.
type keyTable struct {
	slots []lastOf
	used  int
}

func newKeyTable(keys int) keyTable {
	return keyTable{slots: make([]lastOf, max(leastSlots, keys+keys/7))}
}

func (t *keyTable) start(key uint64) int {
	hi, _ := bits.Mul64(key*0x9e3779b97f4a7c15, uint64(len(t.slots)))
	return int(hi)
}

func (t *keyTable) find(key uint64) *lastOf {
	for i := t.start(key); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		switch s := &t.slots[i]; s.key {
		case key:
			return s
		case 0:
			if t.used >= len(t.slots)-len(t.slots)/8 {
				t.grow()
				return t.find(key)
			}
			t.used++
			s.key = key
			return s
		}
	}
}

func (t *keyTable) grow() {
	old := t.slots
	size := len(old) + len(old)/7
	t.slots = make([]lastOf, size)
	for i := range old {
		if old[i].key == 0 {
			continue
		}
		j := t.start(old[i].key)
		for t.slots[j].key != 0 {
			if j++; j == size {
				j = 0
			}
		}
		t.slots[j] = old[i]
	}
}

func (t *keyTable) octets() int { return len(t.slots) * lastSize }
