package dedupe

import (
	"fmt"
	"math"
)

// maxWindow is the largest capacity of a Window, so that 32 bits number many
// times as many entries.
const maxWindow = 1 << 28

// A Window remembers the newest fingerprints, up to its capacity. Adding one to
// a full Window forgets exactly the oldest.
//
//	ring    │ f5 │ f6 │ f2 │ f3 │ f4 │      fingerprints in the order of Add; number
//	                    ▲                   n is at n modulo the capacity, and the
//	                    now = 7             next one, number 7, takes the place of f2
//
//	table   │ 3 6 · · · · · │ 5 1 4 2 · · · │   numbers, in buckets of 7 by hash;
//	                                            1 is out of date, · unused
//
// What is forgotten stays in the table, out of date, until an entry needs the
// slot; its age tells it. So Add and Has wait for memory once, for one bucket, 19
// times in 20. An entry that finds its bucket full of what is remembered goes on
// to the next one, and leaves its number, so that searches go on as well for as
// long as it is remembered itself.
//
// The ring takes 16 octets an entry and the table 13⅓, all of them from the
// beginning. Add and Has take constant time: nothing is ever rehashed, rotated
// or cleared as a whole, and nothing is allocated.
type Window struct {
	ring  []Fingerprint // grows within its capacity, then turns
	next  int           // the place of number now
	table []bucket
	seed  seed

	fetched     uint64 // what Prefetch has read: it has to be of use
	now         uint32 // the number of the next entry: first, first+1, …, last-1, first, …
	first, last uint32 // multiples of the capacity
}

// NewWindow makes a Window for capacity fingerprints, at most 1<<28. One of
// capacity 0 remembers nothing. A negative or larger capacity is a mistake in
// the program and panics.
func NewWindow(capacity int) *Window {
	if capacity < 0 || capacity > maxWindow {
		panic(fmt.Sprintf("dedupe: window: capacity %d is not in 0..%d", capacity, maxWindow))
	}
	w := &Window{
		ring:  make([]Fingerprint, 0, capacity),
		table: make([]bucket, capacity/perBucket+1),
		seed:  newSeed(),
	}
	if n := uint32(capacity); n > 0 {
		w.first, w.last = 2*n, math.MaxUint32/n*n // 0, which is in unused slots, is always out of date
		w.now = w.first
	}
	return w
}

// Add enters fp and says whether it is fresh. One that is there already stays as
// old as it is. Enter an identity when its message is confirmed; ask with Has
// before that. // I1
func (w *Window) Add(fp Fingerprint) (fresh bool) {
	if cap(w.ring) == 0 {
		return true
	}
	hash := w.seed.mix(&fp)
	if w.find(hash, &fp) {
		return false
	}
	if len(w.ring) < cap(w.ring) {
		w.ring = append(w.ring, fp)
	} else {
		w.ring[w.next] = fp
	}
	w.enter(hash)
	if w.next++; w.next == cap(w.ring) {
		w.next = 0
	}
	if w.now++; w.now == w.last {
		w.now = w.first
	}
	return true
}

// Has says whether fp is remembered.
func (w *Window) Has(fp Fingerprint) bool {
	return cap(w.ring) > 0 && w.find(w.seed.mix(&fp), &fp)
}

// Prefetch reads what Has and Add of fp will have to wait for, so that it is in
// the processor's cache by then. Called for many fingerprints one after the other
// it waits for them together; it changes nothing that can be seen.
func (w *Window) Prefetch(fp *Fingerprint) {
	w.fetched += w.table[w.home(w.seed.mix(fp))].tags
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

// age is how many entries ago a number was given: 1 for the newest. Numbers come
// round again, so one that is long out of date may look young. That costs a slot
// or a step, and nothing else: the ring has the last word.
func (w *Window) age(number uint32) uint32 {
	age := w.now - number
	if number > w.now {
		age += w.last - w.first
	}
	return age
}

// find says whether fp is in the ring.
func (w *Window) find(hash uint64, fp *Fingerprint) bool {
	capacity := uint32(cap(w.ring))
	for b := w.home(hash); ; b = w.after(b) {
		e := &w.table[b]
		for m := e.match(tag(hash)); m != 0; m &= m - 1 {
			n := e.numbers[slotOf(m)]
			if w.age(n) <= capacity && w.ring[n%capacity] == *fp {
				return true
			}
		}
		if w.age(e.passed) > capacity {
			return false
		}
	}
}

// enter gives number now the first slot from its home whose entry is out of date
// or becomes so with this Add. There is one: the table has more slots than there
// are entries. Nor does find go round for ever: that every bucket was full of what
// was remembered, within as many entries as the capacity, takes more than twice
// the capacity.
func (w *Window) enter(hash uint64) {
	for b := w.home(hash); ; b = w.after(b) {
		e := &w.table[b]
		oldest := uint64(0)
		for i, n := range e.numbers {
			oldest = max(oldest, uint64(w.age(n))<<3|uint64(i))
		}
		if oldest>>3 >= uint64(cap(w.ring)) {
			e.set(int(oldest&7), tag(hash), w.now)
			return
		}
		e.passed = w.now
	}
}
