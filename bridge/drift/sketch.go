package drift

import "math/bits"

// An edge says that a message came directly behind another of its key. All values are
// below 2^60, so that sums of a few of one edge can be told from all others.
type edge struct {
	key, prev, id uint64
	body, rest    uint64 // rest: Head and Place, 30 bits each
}

const mask60 = 1<<60 - 1

// A cell holds sums over the edges that fall into it.
type cell struct {
	n   int64
	sum edge
	chk uint64
}

const cellSize = 56

// A sketch is an additive invertible Bloom lookup table (Goodrich and Mitzenmacher,
// 2011): edges of the incumbent are added, those of the candidate taken away, and equal
// ones cancel whenever they come. What is left can be read out, with multiplicity, as
// long as it is not much more than two thirds of the cells.
type sketch struct{ cells []cell }

// hashes is how many cells an edge falls into, each in a quarter of its own.
const hashes = 4

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (e *edge) hash() uint64 {
	h := mix(e.key + 0x9e3779b97f4a7c15)
	h = mix(h ^ e.prev)
	h = mix(h ^ e.id)
	h = mix(h ^ e.body)
	return mix(h ^ e.rest)
}

// add adds an edge so many times.
func (s *sketch) add(e *edge, times int64) {
	h := e.hash()
	chk := h & mask60
	n := uint64(times)
	quarter := uint64(len(s.cells) / hashes)
	for i := range uint64(hashes) {
		at, _ := bits.Mul64(mix(h+i), quarter)
		c := &s.cells[i*quarter+at]
		c.n += times
		c.sum.key += n * e.key
		c.sum.prev += n * e.prev
		c.sum.id += n * e.id
		c.sum.body += n * e.body
		c.sum.rest += n * e.rest
		c.chk += n * chk
	}
}

// mostOfOne is how many of one edge can be told.
const mostOfOne = 15

// pure gives the edge of which alone the cell holds some, and how many.
func (c *cell) pure() (e edge, times int64, ok bool) {
	n, sign := c.n, uint64(1)
	if n < 0 {
		n, sign = -n, ^uint64(0)
	}
	if n == 0 || n > mostOfOne {
		return e, 0, false
	}
	d := uint64(n)
	for _, v := range [...]struct {
		to  *uint64
		sum uint64
	}{{&e.key, c.sum.key}, {&e.prev, c.sum.prev}, {&e.id, c.sum.id}, {&e.body, c.sum.body}, {&e.rest, c.sum.rest}} {
		sum := v.sum * sign
		if sum%d != 0 || sum/d > mask60 {
			return e, 0, false
		}
		*v.to = sum / d
	}
	return e, c.n, c.chk*sign == d*(e.hash()&mask60)
}

// A residue is an edge that one side has and the other has not, so many times more
// often; less than 0 is the candidate.
type residue struct {
	edge
	times int64
}

// empty says that everything has cancelled.
func (s *sketch) empty() bool {
	for i := range s.cells {
		if s.cells[i] != (cell{}) {
			return false
		}
	}
	return true
}

// decode takes the sketch apart, appended to dst. It is false if there is more in it
// than can be told; what it gave is right all the same.
func (s *sketch) decode(dst []residue) ([]residue, bool) {
	work := make([]int, 0, len(s.cells))
	for i := range s.cells {
		work = append(work, i)
	}
	quarter := uint64(len(s.cells) / hashes)
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		e, times, ok := s.cells[i].pure()
		if !ok {
			continue
		}
		dst = append(dst, residue{e, times})
		s.add(&e, -times)
		h := e.hash()
		for k := range uint64(hashes) {
			at, _ := bits.Mul64(mix(h+k), quarter)
			work = append(work, int(k*quarter+at))
		}
	}
	for i := range s.cells {
		if s.cells[i] != (cell{}) {
			return dst, false
		}
	}
	return dst, true
}
