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

const slotSize = 48

func (s *slot) clean() bool { return s.waiting[Incumbent].head == 0 && s.waiting[Candidate].head == 0 }

// A table finds the slots of keys: open addressing with linear probing, over any number
// of slots. Key 0 is none.
type table struct {
	slots []slot
	used  int
}

const leastSlots = 1 << 10

func newTable(keys int) table {
	return table{slots: make([]slot, max(leastSlots, keys+keys/5))}
}

func (t *table) start(key uint64) int {
	hi, _ := bits.Mul64(key*0x9e3779b97f4a7c15, uint64(len(t.slots)))
	return int(hi)
}

// find gives the key's slot, and makes one if it has none. keep says of a slot whether
// it is of use still, where room has to be made. Slots given before are void then.
func (t *table) find(key uint64, keep func(*slot) bool) *slot {
	for i := t.start(key); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		switch s := &t.slots[i]; s.key {
		case key:
			return s
		case 0:
			if t.used >= len(t.slots)-len(t.slots)/8 {
				t.rebuild(keep)
				return t.find(key, keep)
			}
			t.used++
			s.key = key
			return s
		}
	}
}

// rebuild leaves out what is of no use any more, and grows if that is not enough.
func (t *table) rebuild(keep func(*slot) bool) {
	kept := 0
	for i := range t.slots {
		if t.slots[i].key != 0 && keep(&t.slots[i]) {
			kept++
		}
	}
	old := t.slots
	size := len(old)
	if kept > size/2 {
		size += size / 2
	}
	t.slots, t.used = make([]slot, size), 0
	for i := range old {
		if old[i].key == 0 || !keep(&old[i]) {
			continue
		}
		for j := t.start(old[i].key); ; j++ {
			if j == size {
				j = 0
			}
			if t.slots[j].key == 0 {
				t.slots[j] = old[i]
				t.used++
				break
			}
		}
	}
}

func (t *table) octets() int { return len(t.slots) * slotSize }
