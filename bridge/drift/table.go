package drift

import "math/bits"

// A list is a queue of entries.
type list struct{ head, tail uint32 }

// A slot is a key that has messages waiting, or had lately.
type slot struct {
	key     uint64
	seen    uint64 // which IDs may wait at the incumbent's side: a Bloom filter of 64 bits
	waiting [sides]list
	ord     uint32 // of the newest message of the incumbent
	next    uint32 // one behind the highest that the candidate has had
	judged  uint32 // messages of the candidate
	oldest  uint32 // when the first that waits at the incumbent's side was observed
}

const slotSize = 48 + 4

func (s *slot) clean() bool {
	return s.waiting[Incumbent].head == 0 && s.waiting[Candidate].head == 0
}

// A table finds the slots of keys: open addressing with linear probing over small tags,
// so that a search waits for memory once, and once more for its slot.
type table struct {
	tags  []uint32 // of the slots' keys; 0 is none
	slots []slot
	used  int
}

const leastSlots = 1 << 10

func newTable(keys int) table {
	n := max(leastSlots, keys+keys/5)
	return table{tags: make([]uint32, n), slots: make([]slot, n)}
}

// start is where the search for a key begins, and its tag.
func (t *table) start(key uint64) (i int, tag uint32) {
	h := key * 0x9e3779b97f4a7c15
	hi, lo := bits.Mul64(h, uint64(len(t.slots)))
	return int(hi), uint32(lo>>32) | 1
}

// look gives the key's slot; -1 if it has none.
func (t *table) look(key uint64) int {
	for i, tag := t.start(key); ; i++ {
		if i == len(t.tags) {
			i = 0
		}
		switch t.tags[i] {
		case tag:
			if t.slots[i].key == key {
				return i
			}
		case 0:
			return -1
		}
	}
}

// find gives the key's slot, and makes one if it has none. keep says of a slot whether
// it is of use still, where room has to be made. Slots given before are void then.
func (t *table) find(key uint64, keep func(*slot) bool) *slot {
	if i := t.look(key); i >= 0 {
		return &t.slots[i]
	}
	if t.used >= len(t.slots)-len(t.slots)/8 {
		t.rebuild(keep)
	}
	t.used++
	s := t.free(key)
	s.key = key
	return s
}

// free takes a slot for a key that has none.
func (t *table) free(key uint64) *slot {
	for i, tag := t.start(key); ; i++ {
		if i == len(t.tags) {
			i = 0
		}
		if t.tags[i] == 0 {
			t.tags[i] = tag
			return &t.slots[i]
		}
	}
}

// rebuild leaves out what is of no use any more, and grows if that is not enough.
func (t *table) rebuild(keep func(*slot) bool) {
	kept := 0
	for i := range t.slots {
		if t.tags[i] != 0 && keep(&t.slots[i]) {
			kept++
		}
	}
	old := *t
	size := len(old.slots)
	if kept > size/2 {
		size += size / 2
	}
	*t = table{tags: make([]uint32, size), slots: make([]slot, size)}
	for i := range old.slots {
		if s := &old.slots[i]; old.tags[i] != 0 && keep(s) {
			*t.free(s.key) = *s
			t.used++
		}
	}
}

func (t *table) octets() int { return len(t.slots) * slotSize }
