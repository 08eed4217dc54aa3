package ordering

import "math/bits"

// minRing is the smallest ring of a Tracker.
const minRing = 16

// A Tracker keeps values in the order in which they were started and gives them
// back in that order once they, and all before them, are done. Each started
// value has a ticket; tickets count up from 0 and are never used twice.
//
//	head        low               next
//	 ▼           ▼                 ▼
//	 ┌───┬───┬───┬───┬───┬───┬───┬ ─
//	 │ x │ x │ x │ . │ x │ . │ x │      x done, . not yet
//	 └───┴───┴───┴───┴───┴───┴───┴ ─
//	 └── Take ───┘
//
// Start, Done and Take cost amortised constant time for each value, and nothing
// is allocated while no more values are held at once than ever before.
type Tracker[T any] struct {
	values []T    // a ring, indexed by ticket & mask
	done   []bool // the same ring
	mask   uint64
	head   uint64 // the oldest ticket not yet taken
	low    uint64 // the oldest ticket not done; head ≤ low ≤ next
	next   uint64 // the next ticket
	ahead  uint64 // how many tickets from low on are done
}

// NewTracker makes a Tracker with room for capacity values. It grows by itself,
// so capacity is a hint.
func NewTracker[T any](capacity int) *Tracker[T] {
	size := minRing
	if capacity > minRing {
		size = 1 << bits.Len(uint(capacity-1))
	}
	return &Tracker[T]{values: make([]T, size), done: make([]bool, size), mask: uint64(size - 1)}
}

// Start appends v and gives its ticket.
func (t *Tracker[T]) Start(v T) (ticket uint64) {
	if t.next-t.head == uint64(len(t.values)) {
		t.grow()
	}
	ticket = t.next
	t.values[ticket&t.mask] = v
	t.next++
	return ticket
}

// grow doubles the ring and puts each ticket at its place in the larger one.
func (t *Tracker[T]) grow() {
	size := 2 * len(t.values)
	values, done, mask := make([]T, size), make([]bool, size), uint64(size-1)
	for i := t.head; i != t.next; i++ {
		values[i&mask], done[i&mask] = t.values[i&t.mask], t.done[i&t.mask]
	}
	t.values, t.done, t.mask = values, done, mask
}

// Done says that the value of that ticket has ended. Tickets may be done in any
// order. A ticket that is done already, that was forgotten by Reset or that was
// never given is ignored.
func (t *Tracker[T]) Done(ticket uint64) {
	if ticket-t.low >= t.next-t.low || t.done[ticket&t.mask] {
		return
	}
	t.done[ticket&t.mask] = true
	t.ahead++
	for t.low != t.next && t.done[t.low&t.mask] {
		t.done[t.low&t.mask] = false // the ring is clean where no ticket is
		t.low++
		t.ahead--
	}
}

// Take appends to dst, in the order of Start, the values that came under the low
// watermark since the last Take: each is done, and so are all before it. // I1
// The Tracker keeps no reference to them.
func (t *Tracker[T]) Take(dst []T) []T {
	for t.head != t.low {
		from := t.head & t.mask
		run := t.values[from:min(from+t.low-t.head, uint64(len(t.values)))]
		dst = append(dst, run...)
		clear(run)
		t.head += uint64(len(run))
	}
	return dst
}

// Len is how many values were started and not yet taken.
func (t *Tracker[T]) Len() int { return int(t.next - t.head) }

// Waiting is how many values were started and are not done.
func (t *Tracker[T]) Waiting() int { return int(t.next - t.low - t.ahead) }

// Ahead calls each with the first and the last value of every run of values that are
// done and wait for one before them, in the order of Start. It costs time for every
// value above the low watermark.
func (t *Tracker[T]) Ahead(each func(first, last T)) {
	if t.ahead == 0 {
		return
	}
	for i := t.low; i != t.next; i++ {
		if !t.done[i&t.mask] {
			continue
		}
		first := i
		for i+1 != t.next && t.done[(i+1)&t.mask] {
			i++
		}
		each(t.values[first&t.mask], t.values[i&t.mask])
	}
}

// Oldest is the value at the low watermark: the oldest one not done. It is what
// all later ones wait for. ok is false if there is none.
func (t *Tracker[T]) Oldest() (v T, ok bool) {
	if t.low == t.next {
		return v, false
	}
	return t.values[t.low&t.mask], true
}

// Reset forgets all values, done or not. Tickets go on counting up, so a late
// Done of an earlier ticket is ignored.
func (t *Tracker[T]) Reset() {
	clear(t.values)
	clear(t.done)
	t.head, t.low, t.ahead = t.next, t.next, 0
}
