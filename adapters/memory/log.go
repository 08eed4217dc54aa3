package memory

import (
	"math/bits"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An entry is a stored message.
type entry struct {
	bridge.Message
	lane  *laneState // who placed it; nil for Put
	shard int32
}

const chunkSize = 256

type chunk [chunkSize]entry

// A log holds the entries of positions first..last, in chunks that are used
// again once they have been dropped. Position 0 is never used.
type log struct {
	chunks  []*chunk // chunks[0] holds position base
	base    uint64   // a multiple of chunkSize
	first   uint64   // the oldest position held
	last    uint64   // the newest; first-1 when empty
	spare   []*chunk
	bodies  slab[byte]
	headers slab[bridge.Header]
	props   slab[bridge.Property]
}

func newLog() log { return log{first: 1} }

// keep stores m with its slices, and gives its entry.
func (l *log) keep(m *bridge.Message) *entry {
	l.last++
	i := int(l.last - l.base)
	if i/chunkSize == len(l.chunks) {
		l.grow()
	}
	e := &l.chunks[i/chunkSize][i%chunkSize]
	e.Message = *m
	return e
}

// add stores a copy of m, whose slices stay the caller's, and gives its entry.
func (l *log) add(m *bridge.Message) *entry {
	e := l.keep(m)
	e.Body = l.bodies.copy(m.Body, 1<<16)
	if len(m.Headers) > 0 {
		e.Headers = l.headers.copy(m.Headers, 512)
		for i := range e.Headers {
			e.Headers[i].Value = l.bodies.copy(e.Headers[i].Value, 1<<16)
		}
	}
	if len(m.Properties) > 0 {
		e.Properties = l.props.copy(m.Properties, 512)
	}
	return e
}

func (l *log) grow() {
	if n := len(l.spare); n > 0 {
		l.chunks = append(l.chunks, l.spare[n-1])
		l.spare = l.spare[:n-1]
		return
	}
	l.chunks = append(l.chunks, new(chunk))
}

// at gives the entry of a position that is held.
func (l *log) at(pos uint64) *entry {
	i := int(pos - l.base)
	return &l.chunks[i/chunkSize][i%chunkSize]
}

// dropBelow forgets the whole chunks in front of pos.
func (l *log) dropBelow(pos uint64) {
	n := int(min(pos, l.last+1)-l.base) / chunkSize
	if n <= 0 {
		return
	}
	for _, c := range l.chunks[:n] {
		if len(l.spare) < 4 {
			l.spare = append(l.spare, c)
		}
	}
	l.chunks = slices.Delete(l.chunks, 0, n)
	l.base += uint64(n) * chunkSize
	l.first = max(l.first, l.base)
}

// A slab hands out copies of small slices from large ones, so that storing a
// message does not allocate.
type slab[T any] struct{ free []T }

// copy gives a copy of v with no room to grow; nil stays nil and empty empty.
func (s *slab[T]) copy(v []T, size int) []T {
	switch {
	case len(v) == 0:
		if v == nil {
			return nil
		}
		return []T{}
	case len(v) > size/4:
		return slices.Clip(slices.Clone(v))
	case len(v) > len(s.free):
		s.free = make([]T, size)
	}
	c := s.free[:len(v):len(v)]
	s.free = s.free[len(v):]
	copy(c, v)
	return c
}

// A set holds which positions are acknowledged: all below base, and those whose
// bit is set.
type set struct {
	base  uint64 // a multiple of 64
	words []uint64
}

// newSet gives a set that holds every position below first.
func newSet(first uint64) set {
	return set{base: first &^ 63, words: []uint64{1<<(first&63) - 1}}
}

func (s *set) has(pos uint64) bool {
	if pos < s.base {
		return true
	}
	i := (pos - s.base) / 64
	return i < uint64(len(s.words)) && s.words[i]&(1<<(pos&63)) != 0
}

// add reports whether pos was not in the set before.
func (s *set) add(pos uint64) bool {
	if pos < s.base {
		return false
	}
	i := int(pos-s.base) / 64
	for i >= len(s.words) {
		s.words = append(s.words, 0)
	}
	bit := uint64(1) << (pos & 63)
	if s.words[i]&bit != 0 {
		return false
	}
	s.words[i] |= bit
	full := 0
	for full < len(s.words) && s.words[full] == ^uint64(0) {
		full++
	}
	s.words = s.words[full:]
	s.base += uint64(full) * 64
	return true
}

// remove takes pos out again.
func (s *set) remove(pos uint64) {
	if pos < s.base {
		n := int(s.base-pos&^63) / 64
		front := make([]uint64, n, n+len(s.words))
		for i := range front {
			front[i] = ^uint64(0)
		}
		s.words = append(front, s.words...)
		s.base = pos &^ 63
	}
	if i := int(pos-s.base) / 64; i < len(s.words) {
		s.words[i] &^= 1 << (pos & 63)
	}
}

// next gives the first position from pos on that is not in the set.
func (s *set) next(pos uint64) uint64 {
	pos = max(pos, s.base)
	for s.has(pos) {
		pos++
	}
	return pos
}

// from counts the positions from pos on that are in the set; pos is not.
func (s *set) from(pos uint64) int {
	n := 0
	for i, w := range s.words {
		if at := s.base + uint64(i)*64; pos > at {
			w &^= 1<<min(pos-at, 63) - 1
			if pos-at >= 64 {
				w = 0
			}
		}
		n += bits.OnesCount64(w)
	}
	return n
}
