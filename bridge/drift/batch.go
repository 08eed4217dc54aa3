package drift

// few is how many observations are looked up together: their waits for memory overlap.
const few = 16

// ObserveAll is Observe for several messages of one side, in order, and faster.
func (x *Exact) ObserveAll(side Side, os []Observation) {
	for len(os) > 0 {
		n := min(few, len(os))
		x.fetch(side, os[:n])
		for i := range os[:n] {
			x.Observe(side, &os[i])
		}
		os = os[n:]
	}
}

// fetch reads what the observations will have to wait for.
func (x *Exact) fetch(side Side, os []Observation) {
	var at [few]int
	for i := range os {
		j, _ := x.table.start(keyOf(&os[i]))
		x.fetched += uint64(x.table.tags[j]) + x.table.slots[j].key
	}
	for i := range os {
		at[i] = x.table.look(keyOf(&os[i]))
	}
	if side == Incumbent {
		for _, j := range at[:len(os)] {
			if j >= 0 {
				x.touch(x.table.slots[j].waiting[Incumbent].tail)
			}
		}
		return
	}
	var next [few]uint32
	for i := range os {
		fp := identity{keyOf(&os[i]), os[i].ID}.fingerprint()
		x.window.Prefetch(&fp)
		if at[i] >= 0 {
			next[i] = x.touch(x.table.slots[at[i]].waiting[Incumbent].head)
		}
	}
	for _, n := range next[:len(os)] {
		x.touch(n)
	}
}

// touch reads an entry, and gives the one behind it.
func (x *Exact) touch(n uint32) uint32 {
	if n == 0 {
		return 0
	}
	e := x.slab.at(n)
	x.fetched += e.id
	return e.next
}
