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
		return
	}
	for i := range os {
		fp := identity{keyOf(&os[i]), os[i].ID}.fingerprint()
		x.window.Prefetch(&fp)
		if at[i] >= 0 {
			if n := x.table.slots[at[i]].waiting[Incumbent].head; n != 0 {
				x.fetched += x.slab.at(n).id
			}
		}
	}
}
