package relay

// A fifo is a queue in a ring that grows by doubling and never shrinks, so that
// it allocates nothing once it is as large as the debt.
type fifo[T any] struct {
	ring []T
	head uint64 // the index of the first, modulo len(ring)
	tail uint64 // one behind the last
}

func (f *fifo[T]) len() int { return int(f.tail - f.head) }

func (f *fifo[T]) push(v T) {
	if f.len() == len(f.ring) {
		f.grow()
	}
	f.ring[f.tail&uint64(len(f.ring)-1)] = v
	f.tail++
}

func (f *fifo[T]) pop() T {
	i := f.head & uint64(len(f.ring)-1)
	v := f.ring[i]
	var zero T
	f.ring[i] = zero
	f.head++
	return v
}

// popBack removes the last.
func (f *fifo[T]) popBack() T {
	f.tail--
	i := f.tail & uint64(len(f.ring)-1)
	v := f.ring[i]
	var zero T
	f.ring[i] = zero
	return v
}

// at gives the i-th from the front.
func (f *fifo[T]) at(i int) *T { return &f.ring[(f.head+uint64(i))&uint64(len(f.ring)-1)] }

func (f *fifo[T]) grow() {
	bigger := make([]T, max(64, 2*len(f.ring)))
	n := f.len()
	for i := range n {
		bigger[i] = *f.at(i)
	}
	f.ring, f.head, f.tail = bigger, 0, uint64(n)
}
