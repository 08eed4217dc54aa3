package drift

import (
	"slices"
	"time"
)

// At the beginning the candidate's reader is given what the incumbent's is not: copies of
// messages that came before. Mostly they are in front of what both have, and are told by
// that. Not where a producer has repeated itself, once before the incumbent's reader began
// and once after:
//
//	incumbent:  a  b │ c  a           what its reader has begins at c
//	candidate:    a  b  c  a          its first a is none of what the incumbent's has
//	candidate:    a  b  c             likewise, if it leaves repeats out
//
// So while both are read up to where they are both there, keys are held: what comes of them
// waits, and is judged once all of it has come. What can be from before is, then.

// held is in the place of slot.judged while a key is held; slot.next counts what waits at
// the candidate's side then, and slot.ord at the incumbent's.
const held = ^uint32(0)

const (
	// enough is with how many messages on each side a key is held no more: a beginning
	// may take as long as it takes to read all that there is.
	enough = 64
	// view is how far into a key's messages one looks for what is repeated.
	view = 1024
)

// Hold says that keys that come up are held until Align.
func (x *Exact) Hold() { x.holding = true }

// Align says that both readers have read up to where both were there, and some more.
func (x *Exact) Align() {
	if !x.holding {
		return
	}
	x.holding = false
	for i := range x.table.slots {
		if s := &x.table.slots[i]; s.judged == held {
			x.align(s)
		}
	}
}

// hold takes in a message of a key that is held, or is new while keys are; false if it is
// neither.
func (x *Exact) hold(s *slot, side Side, o *Observation) bool {
	if s.judged != held {
		if !x.holding || s.judged != 0 || s.ord != 0 || s.next != 0 || !s.clean() {
			return false
		}
		s.judged = held
	}
	if side == Incumbent {
		if s.waiting[Candidate].head != 0 && x.search(s, Candidate, o.ID) != 0 {
			x.reached = max(x.reached, o.At)
		}
		s.ord++
		x.wait(s, Incumbent, o, s.ord, 0)
		s.seen |= bloom(o.ID)
	} else {
		s.next++
		if n := s.waiting[Incumbent].head; n != 0 {
			if n = x.search(s, Incumbent, o.ID); n != 0 {
				x.reached = max(x.reached, x.time(x.slab.at(n).at))
			}
		}
		x.wait(s, Candidate, o, 0, 0)
	}
	if s.ord >= enough && s.next >= enough {
		x.align(s)
	}
	return true
}

// align judges what was held of a key, but for what can be from before. While keys are
// held, so is this one, until enough of it is on both sides.
func (x *Exact) align(s *slot) {
	x.dropAlone(s)
	common := 0
	if s.waiting[Incumbent].head != 0 {
		common = x.dropRepeated(s)
	}
	if s.next = 0; x.holding && common < enough {
		return
	}
	all := [sides][]Observation{x.takeOut(s, Incumbent), x.takeOut(s, Candidate)}
	s.judged, s.ord = 0, 0
	for i := range all[Incumbent] {
		x.incumbent(s, &all[Incumbent][i])
	}
	for i := range all[Candidate] {
		x.candidate(s, &all[Candidate][i])
	}
}

// dropAlone drops what is in front at the candidate and not at the incumbent, whose reader
// would have shown it by now.
func (x *Exact) dropAlone(s *slot) {
	for n := s.waiting[Candidate].head; n != 0; n = s.waiting[Candidate].head {
		e := x.slab.at(n)
		if x.time(e.at) >= x.marks.Read[Incumbent] || s.waiting[Incumbent].head != 0 && x.search(s, Incumbent, e.id) != 0 {
			return
		}
		x.dropEarlier(s, e)
	}
}

// dropEarlier drops the candidate's first as one from before. If the incumbent shows it
// later, that is a repeat.
func (x *Exact) dropEarlier(s *slot, e *entry) {
	if e.flags&anonymous == 0 {
		x.window.Add(identity{s.key, e.id}.fingerprint())
	}
	x.pop(s, Candidate)
	x.counts.Before[Candidate]++
}

// What speaks for it that the candidate's messages up to one are from before, and what
// against it: how often they would be drift, and how often they match. A producer's repeat
// that the candidate leaves out makes one from before match.
const (
	forBefore     = 5
	againstBefore = 2
	againBefore   = 4 // of an ID that is from before already
)

// dropRepeated drops what is rather from before than drift, and gives how many are left
// that the incumbent has too.
func (x *Exact) dropRepeated(s *slot) (common int) {
	is, cs := x.ids(s, Incumbent, always), x.ids(s, Candidate, x.marks.Read[Incumbent])
	if len(is) == view { // of what is behind it nothing can be said
		for k, id := range cs {
			if !slices.Contains(is, id) && x.search(s, Incumbent, id) != 0 {
				cs = cs[:k]
				break
			}
		}
	}
	drop, common := cut(is, cs)
	for range drop {
		x.dropEarlier(s, x.slab.at(s.waiting[Candidate].head))
	}
	return common
}

// fewBefore is how many that the incumbent has too are dropped where less is left.
const fewBefore = 8

// cut says how many of the candidate's first are rather from before: that it is so costs
// what the incumbent has too, and that it is not what has to be drift then. What is behind
// the last match at the incumbent may still come.
func cut(is, cs []uint64) (drop, common int) {
	if len(cs) <= len(is) && slices.Equal(cs, is[:len(cs)]) {
		return 0, len(cs)
	}
	n, m := len(cs), len(is)
	there, here := map[uint64]bool{}, map[uint64]int{} // here: where last
	for _, id := range is {
		there[id] = true
	}
	for k, id := range cs {
		here[id] = k + 1
	}
	type cell struct{ cost, matches int32 }
	row := make([]cell, m+1) // of cs[k:] against is[j:]
	at := make([]cell, n+1)  // row[0] by k
	for k := n - 1; k >= 0; k-- {
		behind := row[m]
		row[m].cost += forBefore
		for j := m - 1; j >= 0; j-- {
			best := cell{row[j].cost + forBefore, row[j].matches} // extra
			skip := row[j+1]
			if here[is[j]] > k {
				skip.cost += forBefore
			}
			if skip.cost < best.cost {
				best = skip
			}
			if is[j] == cs[k] && behind.cost <= best.cost {
				best = cell{behind.cost, behind.matches + 1}
			}
			behind, row[j] = row[j], best
		}
		at[k] = row[0]
	}
	common = int(at[0].matches)
	best := at[0].cost
	cost, both := int32(0), int32(0)
	seen := map[uint64]bool{}
	for k, id := range cs {
		switch {
		case !there[id]:
		case seen[id]:
			cost, both = cost+againBefore, both+1
		default:
			cost, both = cost+againstBefore, both+1
		}
		seen[id] = true
		if c := cost + at[k+1].cost; c < best && both <= max(fewBefore, at[k+1].matches) {
			drop, common, best = k+1, int(at[k+1].matches), c
		}
	}
	return drop, common
}

// always is a time that does not come.
const always = time.Duration(1<<63 - 1)

// ids are those of the first that wait, observed before a time.
func (x *Exact) ids(s *slot, side Side, before time.Duration) (ids []uint64) {
	for n := s.waiting[side].head; n != 0 && len(ids) < view; {
		e := x.slab.at(n)
		if x.time(e.at) >= before {
			break
		}
		ids = append(ids, e.id)
		n = e.next
	}
	return ids
}

// takeOut takes out all that waits.
func (x *Exact) takeOut(s *slot, side Side) (all []Observation) {
	for n := s.waiting[side].head; n != 0; n = s.waiting[side].head {
		all = append(all, x.observed(s.key, n, x.slab.at(n)))
		x.pop(s, side)
	}
	return all
}

// sweepHeld looks at a key that is held.
func (x *Exact) sweepHeld(s *slot) {
	x.dropAlone(s)
	if s.waiting[Incumbent].head != 0 {
		x.older(Incumbent, x.time(s.oldest))
	}
	if n := s.waiting[Candidate].head; n != 0 {
		x.older(Candidate, x.time(x.slab.at(n).at))
	}
}
