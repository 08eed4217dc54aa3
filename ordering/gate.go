package ordering

import "math/bits"

// none is the end of a list in a Gate.
const none = -1

// minSlots is the smallest table of a Gate.
const minSlots = 16

// A Gate lets at most one value of a key be in flight; the others of that key
// wait and follow in order.
//
//	Enter a1 ─► true            in flight a1     Leave a ─► a2    in flight a2
//	Enter a2 ─► false           waiting  a2 a3                    waiting  a3
//	Enter b1 ─► true            in flight b1     Leave b ─► none  b is forgotten
//	Enter a3 ─► false
//
// Keys are hashes, as of Hash. Two keys with the same hash take turns with each
// other, which keeps the order of both. A key that has nothing in flight takes
// no memory, so the memory is that of what is in flight and waiting. Nothing is
// allocated while no more of either is held than ever before.
type Gate[T any] struct {
	slots []slot // open addressing, linear probing; a power of two, at most half in use
	used  int
	shift uint // 64 − log2(len(slots))

	nodes       []node[T] // the waiting values, and the free nodes
	free        int32     // head of the free nodes
	first, last int32     // all waiting values in the order of Enter
	waiting     int
}

// A slot holds a key that has a value in flight and the list of those waiting.
type slot struct {
	key        uint64
	head, tail int32 // indices of nodes, none if nobody waits
	taken      bool
}

// A node is one waiting value in two lists: those of its key, and all.
type node[T any] struct {
	value      T
	behind     int32 // the next of the key; the next free node
	prev, next int32 // among all, in the order of Enter
}

// NewGate makes an empty Gate.
func NewGate[T any]() *Gate[T] {
	g := &Gate[T]{free: none, first: none, last: none}
	g.table(minSlots)
	return g
}

func (g *Gate[T]) table(size int) {
	g.slots = make([]slot, size)
	g.shift = uint(64 - bits.Len(uint(size-1)))
}

// home is where the probing for a key begins. Multiplying spreads keys that are
// no hashes, such as small numbers.
func (g *Gate[T]) home(key uint64) int { return int(key * shardSeed >> g.shift) }

// find gives the slot of a key, or the free one where it belongs.
func (g *Gate[T]) find(key uint64) int {
	i := g.home(key)
	for g.slots[i].taken && g.slots[i].key != key {
		i = (i + 1) & (len(g.slots) - 1)
	}
	return i
}

// Enter brings v to the gate. True means that v is the one in flight of its key,
// until Leave; false means that it waits behind others.
func (g *Gate[T]) Enter(key uint64, v T) bool {
	i := g.find(key)
	s := &g.slots[i]
	if !s.taken {
		if 2*(g.used+1) > len(g.slots) {
			g.grow()
			s = &g.slots[g.find(key)]
		}
		*s = slot{key: key, head: none, tail: none, taken: true}
		g.used++
		return true
	}
	n := g.push(v)
	if s.head == none {
		s.head = n
	} else {
		g.nodes[s.tail].behind = n
	}
	s.tail = n
	return false
}

// Leave says that the value in flight of that key is settled. If one waits, it
// is the one in flight now and is returned. A key that has nothing in flight is
// ignored.
func (g *Gate[T]) Leave(key uint64) (next T, ok bool) {
	i := g.find(key)
	s := &g.slots[i]
	if !s.taken {
		return next, false
	}
	if s.head == none {
		g.erase(i)
		return next, false
	}
	n := s.head
	s.head = g.nodes[n].behind
	return g.pop(n), true
}

// Len is how many values wait. Those in flight are not counted.
func (g *Gate[T]) Len() int { return g.waiting }

// Drain hands over all waiting values in the order in which they came, and
// leaves the gate empty: nothing waits and nothing is in flight. f must not use
// the gate.
func (g *Gate[T]) Drain(f func(v T)) {
	for n := g.first; n != none; n = g.nodes[n].next {
		f(g.nodes[n].value)
	}
	g.Reset()
}

// Reset forgets all, in flight and waiting, and keeps the memory for reuse.
func (g *Gate[T]) Reset() {
	clear(g.slots)
	clear(g.nodes)
	g.nodes = g.nodes[:0]
	g.free, g.first, g.last = none, none, none
	g.used, g.waiting = 0, 0
}

// push puts v at the end of all waiting values and gives its node.
func (g *Gate[T]) push(v T) int32 {
	n := g.free
	if n == none {
		n = int32(len(g.nodes))
		g.nodes = append(g.nodes, node[T]{})
	} else {
		g.free = g.nodes[n].behind
	}
	g.nodes[n] = node[T]{value: v, behind: none, prev: g.last, next: none}
	if g.last == none {
		g.first = n
	} else {
		g.nodes[g.last].next = n
	}
	g.last = n
	g.waiting++
	return n
}

// pop takes a node out of all waiting values and frees it.
func (g *Gate[T]) pop(n int32) T {
	e := g.nodes[n]
	if e.prev == none {
		g.first = e.next
	} else {
		g.nodes[e.prev].next = e.next
	}
	if e.next == none {
		g.last = e.prev
	} else {
		g.nodes[e.next].prev = e.prev
	}
	g.nodes[n] = node[T]{behind: g.free}
	g.free = n
	g.waiting--
	return e.value
}

// erase frees slot i and moves back those behind it that would not be found
// any more, so that no tombstones pile up.
func (g *Gate[T]) erase(i int) {
	mask := len(g.slots) - 1
	for j := (i + 1) & mask; g.slots[j].taken; j = (j + 1) & mask {
		if (j-g.home(g.slots[j].key))&mask >= (j-i)&mask {
			g.slots[i] = g.slots[j]
			i = j
		}
	}
	g.slots[i] = slot{}
	g.used--
}

// grow doubles the table.
func (g *Gate[T]) grow() {
	old := g.slots
	g.table(2 * len(old))
	for _, s := range old {
		if s.taken {
			g.slots[g.find(s.key)] = s
		}
	}
}
