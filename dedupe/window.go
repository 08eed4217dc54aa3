package dedupe

import "fmt"

// maxWindow is the largest capacity of a Window: places are numbered with 32
// bits, and 32 hash bits have to spread over the buckets.
const maxWindow = 1 << 30

// A Window remembers the newest fingerprints, up to its capacity. Adding one to
// a full Window forgets exactly the oldest.
//
//	ring    │ f5 │ f6 │ f2 │ f3 │ f4 │       fingerprints in the order of Add;
//	                    next                 the next one takes the place of f2
//
//	table   │ 3 0 · · · · · · │ 1 4 2 · · · · · │   places in the ring, in buckets of
//	                                                8 by hash; · is free
//
// An entry whose bucket is full goes to the next one, so a search ends at the
// first bucket with a free slot: 99 times in 100 the first. The processor can
// rely on that, and reads for one message what it needs for the next, which
// counts where each search has to wait for memory.
//
// The ring takes 16 octets an entry and the table 13⅓, all of them from the
// beginning. Add and Has take constant time: nothing is ever rehashed, rotated
// or cleared as a whole, and nothing is allocated.
type Window struct {
	ring  []Fingerprint // grows within its capacity, then turns
	next  int           // the place of the oldest once the ring is full
	table []bucket
	seed  seed
}

// NewWindow makes a Window for capacity fingerprints, at most 1<<30. One of
// capacity 0 remembers nothing. A negative or larger capacity is a mistake in
// the program and panics.
func NewWindow(capacity int) *Window {
	if capacity < 0 || capacity > maxWindow {
		panic(fmt.Sprintf("dedupe: window: capacity %d is not in 0..%d", capacity, maxWindow))
	}
	return &Window{
		ring:  make([]Fingerprint, 0, capacity),
		table: make([]bucket, capacity/perBucket+1),
		seed:  newSeed(),
	}
}

// Add enters fp and says whether it is fresh. One that is there already stays as
// old as it is. Enter an identity when its message is confirmed; ask with Has
// before that. // I1
func (w *Window) Add(fp Fingerprint) (fresh bool) {
	hash := w.seed.mix(&fp)
	e, free, found := w.find(hash, &fp)
	if found {
		return false
	}
	place := len(w.ring)
	switch {
	case place < cap(w.ring):
		w.ring = append(w.ring, fp)
	case place == 0: // capacity 0
		return true
	default:
		place = w.next
		if w.forget(place) {
			e, free, _ = w.find(hash, &fp) // there may be room nearer by now
		}
		w.ring[place] = fp
		if w.next++; w.next == len(w.ring) {
			w.next = 0
		}
	}
	e.set(free, tag(hash), uint32(place))
	return true
}

// Has says whether fp is remembered.
func (w *Window) Has(fp Fingerprint) bool {
	_, _, found := w.find(w.seed.mix(&fp), &fp)
	return found
}

// Len is how many fingerprints are remembered.
func (w *Window) Len() int { return len(w.ring) }

// Cap is how many can be remembered.
func (w *Window) Cap() int { return cap(w.ring) }

// home is the bucket where the search for a hash begins.
func (w *Window) home(hash uint64) int {
	return int(hash >> 32 * uint64(len(w.table)) >> 32)
}

// after is the bucket behind b.
func (w *Window) after(b int) int {
	if b++; b == len(w.table) {
		b = 0
	}
	return b
}

// find gives the bucket and slot of fp, or the free one where it belongs.
func (w *Window) find(hash uint64, fp *Fingerprint) (e *bucket, slot int, found bool) {
	for b := w.home(hash); ; b = w.after(b) {
		e = &w.table[b]
		for m := e.match(tag(hash)); m != 0; m &= m - 1 {
			slot = slotOf(m)
			if w.ring[e.places[slot]] == *fp {
				return e, slot, true
			}
		}
		if free := e.match(0); free != 0 {
			return e, slotOf(free), false
		}
	}
}

// forget frees the slot of a place in the ring. If its bucket was full, others
// may have gone on from there: they move back into the hole, so that they are
// still found. It says whether that was so.
func (w *Window) forget(place int) (wasFull bool) {
	hash := w.seed.mix(&w.ring[place])
	for b := w.home(hash); ; b = w.after(b) {
		e := &w.table[b]
		for m := e.match(tag(hash)); m != 0; m &= m - 1 {
			slot := slotOf(m)
			if e.places[slot] != uint32(place) {
				continue
			}
			wasFull = e.match(0) == 0
			e.set(slot, 0, 0)
			if wasFull {
				w.pull(b, slot)
			}
			return wasFull
		}
	}
}

// pull fills a hole in bucket b, which was full, from those behind it.
func (w *Window) pull(b, slot int) {
	for j := w.after(b); ; j = w.after(j) {
		e := &w.table[j]
		full := e.match(0) == 0
		for i := range slots {
			t := uint8(e.tags >> (8 * i))
			if t == 0 {
				continue
			}
			home := w.home(w.seed.mix(&w.ring[e.places[i]]))
			if w.distance(home, j) >= w.distance(b, j) {
				w.table[b].set(slot, t, e.places[i])
				e.set(i, 0, 0)
				b, slot = j, i
				break
			}
		}
		if !full {
			return
		}
	}
}

// distance is how many buckets j is behind i.
func (w *Window) distance(i, j int) int {
	if j < i {
		j += len(w.table)
	}
	return j - i
}
