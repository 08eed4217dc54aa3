package drift

// An indexOf names the index of one side of a key.
type indexOf struct {
	key  uint64
	side Side
}

// An index says of each ID which the first message is that waits for its counterpart. It
// goes when nobody has asked for as long as it is.
type index struct {
	of   map[uint64]place
	idle int
}

type place struct {
	first uint32
	more  bool // have the same ID
}

// fewSteps is how far a list is searched before an index of it is made.
const fewSteps = 32

// bloom are the two bits of an ID.
func bloom(id uint64) uint64 {
	id *= 0x9e3779b97f4a7c15
	return 1<<(id>>58) | 1<<(id>>52&63)
}

// search finds the first message of that ID that waits for its counterpart; 0 if none
// does.
func (x *Exact) search(s *slot, side Side, id uint64) uint32 {
	if side == Incumbent {
		if bits := bloom(id); s.seen&bits != bits {
			return 0
		}
	}
	if len(x.index) > 0 {
		if ix, ok := x.index[indexOf{s.key, side}]; ok {
			ix.idle = 0
			return ix.of[id].first
		}
	}
	n := s.waiting[side].head
	for range fewSteps {
		if n == 0 {
			return 0
		}
		e := x.slab.at(n)
		if e.id == id && e.flags&paired == 0 {
			return n
		}
		n = e.next
	}
	if n == 0 {
		return 0
	}
	return x.indexed(s, side).of[id].first
}

// indexed makes the index of a long list.
func (x *Exact) indexed(s *slot, side Side) *index {
	ix := &index{of: map[uint64]place{}}
	for n := s.waiting[side].head; n != 0; {
		e := x.slab.at(n)
		if e.flags&paired == 0 {
			ix.add(e.id, n)
		}
		n = e.next
	}
	x.index[indexOf{s.key, side}] = ix
	return ix
}

func (ix *index) add(id uint64, n uint32) {
	p, ok := ix.of[id]
	if !ok {
		p.first = n
	}
	p.more = ok
	ix.of[id] = p
}

// remember enters a message that waits into the index, if there is one.
func (x *Exact) remember(s *slot, side Side, id uint64, n uint32) {
	if len(x.index) == 0 {
		return
	}
	of := indexOf{s.key, side}
	ix, ok := x.index[of]
	if !ok {
		return
	}
	if ix.idle++; ix.idle > len(ix.of)+fewSteps {
		delete(x.index, of)
		return
	}
	ix.add(id, n)
}

// forget takes the first message of an ID out of the index, which ends where another has
// the same.
func (x *Exact) forget(s *slot, side Side, id uint64) {
	if len(x.index) == 0 {
		return
	}
	of := indexOf{s.key, side}
	ix, ok := x.index[of]
	if !ok {
		return
	}
	if p := ix.of[id]; p.more || len(ix.of) == 1 {
		delete(x.index, of)
		return
	}
	delete(ix.of, id)
}
