package dedupe

import (
	"fmt"
	"math/bits"
)

// maxWindow is the largest capacity of a Window: places are numbered with 32
// bits, and hash bits have to number the slots, of which there are more.
const maxWindow = 1 << 30

// A Window remembers the newest fingerprints, up to its capacity. Adding one to
// a full Window forgets exactly the oldest.
//
//	ring   │ f5 │ f6 │ f2 │ f3 │ f4 │        fingerprints in the order of Add;
//	                   next                  the next one takes the place of f2
//	table  │ 3 │ · │ 1 │ · │ 0 │ 4 │ 2 │ · │ places in the ring, each beside 32 bits
//	                                         of its fingerprint's hash; · is free
//
// The ring takes 16 octets an entry and the table between 10⅔ and 21⅓, so a
// Window takes at most 38 octets for each entry of its capacity, all of them
// from the beginning. Add and Has take constant time: nothing is ever rehashed,
// rotated or cleared as a whole, and nothing is allocated.
type Window struct {
	ring  []Fingerprint // grows within its capacity, then turns
	next  int           // the place of the oldest once the ring is full
	table []uint64      // hash bits << 32 | place+1, 0 where free; linear probing
	shift uint          // 32 − log2(len(table))
	seed  seed
}

// NewWindow makes a Window for capacity fingerprints, at most 1<<30. One of
// capacity 0 remembers nothing. A negative or larger capacity is a mistake in
// the program and panics.
func NewWindow(capacity int) *Window {
	if capacity < 0 || capacity > maxWindow {
		panic(fmt.Sprintf("dedupe: window: capacity %d is not in 0..%d", capacity, maxWindow))
	}
	log := bits.Len(uint(max(0, 4*capacity-1) / 3)) // the least for which capacity ≤ ¾ of 1<<log
	return &Window{
		ring:  make([]Fingerprint, 0, capacity),
		table: make([]uint64, 1<<log),
		shift: uint(32 - log),
		seed:  newSeed(),
	}
}

// Add enters fp and says whether it is fresh. One that is there already stays as
// old as it is. Enter an identity when its message is confirmed; ask with Has
// before that. // I1
func (w *Window) Add(fp Fingerprint) (fresh bool) {
	hash := w.hash(&fp)
	slot, found := w.find(hash, &fp)
	if found {
		return false
	}
	switch {
	case len(w.ring) < cap(w.ring):
		w.ring = append(w.ring, fp)
		w.table[slot] = uint64(hash)<<32 | uint64(len(w.ring))
	case cap(w.ring) > 0:
		w.forget(w.next)
		w.ring[w.next] = fp
		w.table[w.vacant(hash)] = uint64(hash)<<32 | uint64(w.next+1)
		if w.next++; w.next == len(w.ring) {
			w.next = 0
		}
	}
	return true
}

// Has says whether fp is remembered.
func (w *Window) Has(fp Fingerprint) bool {
	_, found := w.find(w.hash(&fp), &fp)
	return found
}

// Len is how many fingerprints are remembered.
func (w *Window) Len() int { return len(w.ring) }

// Cap is how many can be remembered.
func (w *Window) Cap() int { return cap(w.ring) }

func (w *Window) hash(fp *Fingerprint) uint32 { return uint32(w.seed.mix(fp) >> 32) }

// home is where the probing for a hash begins: its high bits.
func (w *Window) home(hash uint32) int { return int(hash >> w.shift) }

// find gives the slot of fp, or the free one where it belongs.
func (w *Window) find(hash uint32, fp *Fingerprint) (slot int, found bool) {
	mask := len(w.table) - 1
	for i := w.home(hash) & mask; ; i = (i + 1) & mask {
		e := w.table[i]
		if e == 0 {
			return i, false
		}
		if uint32(e>>32) == hash && w.ring[uint32(e)-1] == *fp {
			return i, true
		}
	}
}

// vacant gives the free slot where hash belongs.
func (w *Window) vacant(hash uint32) int {
	mask := len(w.table) - 1
	i := w.home(hash) & mask
	for w.table[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

// forget frees the slot of a place in the ring, and moves back those behind it
// that would not be found any more, so that no tombstones pile up.
func (w *Window) forget(place int) {
	mask := len(w.table) - 1
	i := w.home(w.hash(&w.ring[place])) & mask
	for uint32(w.table[i]) != uint32(place+1) {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; w.table[j] != 0; j = (j + 1) & mask {
		if (j-w.home(uint32(w.table[j]>>32)))&mask >= (j-i)&mask {
			w.table[i] = w.table[j]
			i = j
		}
	}
	w.table[i] = 0
}
