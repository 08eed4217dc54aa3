package drift

// A chain is what is known of the order of a key's messages around its differences: of
// each message the one before it, on both sides. IDs are cut to 48 bits, as lastOf has
// them.
type chain struct {
	before [sides]map[uint64]uint64
	// gone are messages that only one side has: what came behind one came behind what
	// was before it.
	gone  [sides]map[uint64]uint64
	whole map[uint64]uint64 // IDs that are cut
	age   int               // windows that were judged since it changed
}

func newChain() *chain {
	c := &chain{whole: map[uint64]uint64{}}
	for side := range sides {
		c.before[side], c.gone[side] = map[uint64]uint64{}, map[uint64]uint64{}
	}
	return c
}

const (
	// mostAge is for how many windows a chain is kept: a message's successor may be in
	// a later one.
	mostAge = 64
	// moveAge is for how many the place of a message may stay unexplained.
	moveAge = 2
)

// resolve names the differences of a window, and gives how many messages only the
// incumbent has.
func (x *Constant) resolve(w *span, residues []residue) (missing uint64) {
	byKey := map[uint64][]residue{}
	for _, r := range residues {
		byKey[r.key] = append(byKey[r.key], r)
	}
	for key, rs := range byKey {
		c := x.chains[key]
		if c == nil {
			c = newChain()
			x.chains[key] = c
		}
		c.age = 0
		byID := map[uint64][]residue{}
		for _, r := range rs {
			byID[r.id] = append(byID[r.id], r)
		}
		for id, rs := range byID {
			missing += x.compare(w, c, identity{key, id}, rs)
		}
		x.order(key, c)
		x.catchUp(key, byID)
	}
	return missing
}

// compare judges one message by its edges, and notes its place.
func (x *Constant) compare(w *span, c *chain, who identity, rs []residue) (missing uint64) {
	var have [sides][]residue
	var n [sides]uint64
	for _, r := range rs {
		side, times := Incumbent, r.times
		if times < 0 {
			side, times = Candidate, -times
		}
		have[side] = append(have[side], r)
		n[side] += uint64(times)
	}
	id := who.id & mask48
	switch i, c2 := n[Incumbent], n[Candidate]; {
	case c2 == 0:
		c.gone[Incumbent][id] = have[Incumbent][0].prev
		x.absent(w, who, i)
		return i
	case i == 0:
		c.gone[Candidate][id] = have[Candidate][0].prev
		for range c2 {
			x.found(Extra, Finding{Key: who.key, ID: who.id})
		}
		return 0
	case i > c2:
		x.absent(w, who, i-c2)
		missing = i - c2
	case c2 > i:
		for range c2 - i {
			x.found(Extra, Finding{Key: who.key, ID: who.id})
		}
	}
	if n[Incumbent] > 1 || n[Candidate] > 1 {
		x.counts.Unordered += min(n[Incumbent], n[Candidate])
		return missing
	}
	i, k := &have[Incumbent][0], &have[Candidate][0]
	f := Finding{Key: who.key, ID: who.id}
	switch {
	case i.body != k.body:
		x.found(Corrupted, f)
	case i.rest>>30 != k.rest>>30:
		x.found(HeaderLossy, f)
	}
	if p, q := i.rest&mask30, k.rest&mask30; p != q && p != 0 && q != 0 {
		x.found(Misrouted, f)
	}
	c.before[Incumbent][id], c.before[Candidate][id] = i.prev, k.prev
	c.whole[id] = who.id
	return missing
}

// absent judges messages that only the incumbent has.
func (x *Constant) absent(w *span, who identity, times uint64) {
	at, known := w.expires[who]
	switch {
	case known && at <= x.now:
		x.counts.Expired += times
		return
	case !known && w.more:
		x.counts.Incomparable[Incumbent] += times
		return
	}
	for range times {
		x.found(Missing, Finding{Key: who.key, ID: who.id})
	}
}

// order names what changed its place. What only one side has is passed over, and what
// then is behind the same on both sides is in its place. Of the others it takes those
// that explain most: without them their neighbours are in place.
func (x *Constant) order(key uint64, c *chain) {
	for id := range c.before[Incumbent] {
		for side := range sides {
			for {
				prev, ok := c.gone[side][c.before[side][id]]
				if !ok {
					break
				}
				c.before[side][id] = prev
			}
		}
	}
	c.cancel()
	for len(c.before[Incumbent]) > 0 {
		best, most := uint64(0), 0
		for id := range c.before[Incumbent] {
			if n := c.explains(id); n > most || n == most && c.follows(id) && (!c.follows(best) || id < best) {
				best, most = id, n
			}
		}
		if most < 2 {
			return
		}
		c.remove(best)
		c.cancel()
		x.found(Reordered, Finding{Key: key, ID: c.whole[best]})
	}
}

// cancel forgets what is behind the same on both sides.
func (c *chain) cancel() {
	for id, prev := range c.before[Incumbent] {
		if c.before[Candidate][id] == prev {
			delete(c.before[Incumbent], id)
			delete(c.before[Candidate], id)
		}
	}
}

// explains is how many would be in their place without a message.
func (c *chain) explains(id uint64) (n int) {
	for s, i := range c.before[Incumbent] {
		if s == id {
			n++
			continue
		}
		k := c.before[Candidate][s]
		if i == id {
			i = c.before[Incumbent][id]
		}
		if k == id {
			k = c.before[Candidate][id]
		}
		if i == k {
			n++
		}
	}
	return n
}

// follows says that a message comes, at the candidate, behind the one that it should
// come before.
func (c *chain) follows(id uint64) bool {
	prev, ok := c.before[Candidate][id]
	if !ok {
		return false
	}
	before, ok := c.before[Incumbent][prev]
	return ok && before == id
}

func (c *chain) remove(id uint64) {
	for side := range sides {
		prev := c.before[side][id]
		delete(c.before[side], id)
		for s, p := range c.before[side] {
			if p == id {
				c.before[side][s] = prev
			}
		}
		c.gone[side][id] = prev
	}
}

// catchUp has the candidate's side of a key begin anew behind the incumbent's where the
// newest messages of the key are among the differences: what follows is then behind the
// same on both.
func (x *Constant) catchUp(key uint64, byID map[uint64][]residue) {
	k := x.keys.find(key)
	if k.id(Incumbent) == k.id(Candidate) {
		return
	}
	about := map[uint64]bool{}
	for id, rs := range byID {
		about[id&mask48] = true
		for _, r := range rs {
			about[r.prev] = true
		}
	}
	if about[k.id(Incumbent)] && about[k.id(Candidate)] {
		k.set(Candidate, k.id(Incumbent))
		k.behind = false
	}
}

// age forgets chains that nothing was added to for long.
func (x *Constant) age() {
	for key, c := range x.chains {
		if c.age++; c.age > moveAge && len(c.before[Incumbent]) > 0 {
			x.counts.Unordered += uint64(len(c.before[Incumbent]))
			clear(c.before[Incumbent])
			clear(c.before[Candidate])
		}
		if c.age > mostAge {
			delete(x.chains, key)
		}
	}
}
