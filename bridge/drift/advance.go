package drift

import "time"

// sweepEvery is how often all keys are looked at: for what only a watermark settles,
// for the oldest, and for what is stuck.
const sweepEvery = 250 * time.Millisecond

// Advance says what time it is and how far the readers have come. What can be judged by
// that is judged.
func (x *Exact) Advance(now time.Duration, w Watermarks) {
	x.now = max(x.now, now)
	for side := range x.marks.Read {
		x.marks.Read[side] = max(x.marks.Read[side], w.Read[side])
	}
	x.marks.Passed = max(x.marks.Passed, w.Passed)
	x.lag.rotate(x.now)
	grace := x.grace()
	for {
		h, ok := x.holes.expired(min(x.now, x.marks.Read[Candidate]) - grace)
		if !ok {
			break
		}
		x.pending[Incumbent]--
		x.absent(&h.was)
	}
	if x.now-x.swept >= sweepEvery {
		x.sweep(grace)
	}
}

// grace is how long what was passed may still come.
func (x *Exact) grace() time.Duration {
	return min(max(x.opts.Grace, 2*x.lag.percentile(0.999)), x.opts.GraceMost)
}

// absent judges a message of the incumbent that will not come any more.
func (x *Exact) absent(o *Observation) {
	switch {
	case !o.Anonymous && x.repeated(identity{o.Key, o.ID}):
	case o.Expires > 0 && o.Expires <= x.now:
		x.counts.Expired++
	case x.inGap(Candidate, o.At, x.now):
		x.counts.Incomparable[Incumbent]++
	default:
		x.found(Missing, Finding{Key: o.Key, ID: o.ID, Incumbent: o.At})
		if !o.Anonymous {
			x.holes.loses(identity{o.Key, o.ID})
		}
	}
}

// repeated counts a message of the incumbent as a repeat, if its ID was matched, or found
// missing, before. The candidate's may still come.
func (x *Exact) repeated(who identity) bool {
	if !x.window.Has(who.fingerprint()) && !x.holes.isLost(who) {
		return false
	}
	x.counts.Repeats[Incumbent]++
	x.repeats.add(who)
	return true
}

// sweep looks at every key.
func (x *Exact) sweep(grace time.Duration) {
	x.swept = x.now
	x.oldest = [sides]time.Duration{}
	x.beginStuck()
	for i := range x.table.slots {
		s := &x.table.slots[i]
		if s.judged == held {
			x.sweepHeld(s)
			continue
		}
		if s.waiting[Incumbent].head != 0 {
			x.sweepIncumbent(s, grace)
		}
		if s.waiting[Candidate].head != 0 {
			x.sweepCandidate(s)
		}
	}
	x.endStuck()
	for _, all := range x.holes.by {
		for i := range all {
			x.older(Incumbent, all[i].was.At)
		}
	}
	for key, jumps := range x.jumps {
		if jumps[len(jumps)-1].when < x.now-2*grace && x.holes.of(key) == 0 {
			delete(x.jumps, key)
		}
	}
}

// sweepIncumbent finds missing what the candidate has passed by some other proof than a
// later message of the key.
func (x *Exact) sweepIncumbent(s *slot, grace time.Duration) {
	for n := s.waiting[Incumbent].head; n != 0; n = s.waiting[Incumbent].head {
		at := x.time(s.oldest)
		if at >= x.marks.Passed && (x.now-at < grace || !x.isRepeat(s, n)) {
			x.older(Incumbent, at)
			x.mayBeStuck(s, n, at)
			return
		}
		o := x.observed(s.key, n, x.slab.at(n))
		x.pop(s, Incumbent)
		x.absent(&o)
	}
}

// isRepeat says that what waits was matched before.
func (x *Exact) isRepeat(s *slot, n uint32) bool {
	e := x.slab.at(n)
	who := identity{s.key, e.id}
	return e.flags&anonymous == 0 && (x.window.Has(who.fingerprint()) || x.holes.isLost(who))
}

// sweepCandidate finds extra what the incumbent would have shown by now.
func (x *Exact) sweepCandidate(s *slot) {
	for n := s.waiting[Candidate].head; n != 0; n = s.waiting[Candidate].head {
		e := x.slab.at(n)
		at := x.time(e.at)
		if at >= x.marks.Read[Incumbent] {
			x.older(Candidate, at)
			return
		}
		who, anon := identity{s.key, e.id}, e.flags&anonymous != 0
		x.pop(s, Candidate)
		switch {
		case !anon && x.window.Has(who.fingerprint()):
			x.found(Duplicate, Finding{Key: who.key, ID: who.id, Candidate: at})
		case at < x.begin && s.judged == 0:
			x.counts.Before[Candidate]++
		case x.inGap(Incumbent, 0, at):
			x.counts.Incomparable[Candidate]++
		default:
			x.found(Extra, Finding{Key: who.key, ID: who.id, Candidate: at})
		}
		x.settle(s)
	}
}

func (x *Exact) older(side Side, at time.Duration) {
	if x.oldest[side] == 0 || at < x.oldest[side] {
		x.oldest[side] = at
	}
}
