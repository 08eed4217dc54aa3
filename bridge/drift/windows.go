package drift

import (
	"slices"
	"time"
)

// Advance says what time it is and which windows are over on both sides: those are
// judged.
func (x *Constant) Advance(now time.Duration, w Watermarks) {
	x.now = max(x.now, now)
	x.lag.rotate(x.now)
	if done := min(w.Windows[Incumbent], w.Windows[Candidate]); !x.begun || done > x.done {
		var over []int64
		for n := range x.windows {
			if n < done {
				over = append(over, n)
			}
		}
		slices.Sort(over)
		for _, n := range over {
			x.judge(n, x.windows[n])
		}
		x.done, x.begun = done, true
	}
	x.cancelled(w.Windows[Incumbent])
	if x.now-x.swept >= max(time.Second, x.opts.Stuck/16) {
		x.sweep()
	}
}

// cancelled judges windows of which nothing is left, from the first on: what cancels is the
// same, however far behind the candidate's reader is with others.
func (x *Constant) cancelled(before int64) {
	for x.begun {
		first, some := int64(0), false
		for n := range x.windows {
			if !some || n < first {
				first, some = n, true
			}
		}
		if !some || first >= before || !x.windows[first].cancels() {
			return
		}
		x.judge(first, x.windows[first])
		x.done = max(x.done, first+1)
	}
}

// cancels says that nothing is left of a window of which the incumbent's reader has seen
// all: the candidate has the same.
func (w *span) cancels() bool {
	return w.n[Incumbent] == w.n[Candidate] && w.sketch.empty()
}

// Gap says that a side's reader has not seen everything of the windows between two,
// these included. They are incomparable: absence of evidence is no drift.
func (x *Constant) Gap(_ Side, from, to int64) {
	x.gaps = append(x.gaps, [2]int64{from, to})
	if len(x.gaps) > mostGaps {
		x.gaps[1] = [2]int64{min(x.gaps[0][0], x.gaps[1][0]), max(x.gaps[0][1], x.gaps[1][1])}
		x.gaps = x.gaps[1:]
	}
}

func (x *Constant) gapped(n int64) bool {
	return slices.ContainsFunc(x.gaps, func(g [2]int64) bool { return g[0] <= n && n <= g[1] })
}

// judge takes a window apart.
func (x *Constant) judge(n int64, w *span) {
	delete(x.windows, n)
	var ok bool
	x.scratch, ok = w.sketch.decode(x.scratch[:0])
	clear(w.sketch.cells)
	x.spare = append(x.spare, w.sketch)
	for who, times := range w.again {
		x.judgeAgain(who, times)
	}
	switch {
	case x.gapped(n):
		x.tally.Gapped++
		x.unknown(w)
		return
	case !ok:
		x.tally.Overflown++
		x.unknown(w)
		return
	case len(x.scratch) == 0:
		x.tally.Same++
	default:
		x.tally.Different++
	}
	x.counts.Matched += w.n[Incumbent] - x.resolve(w, x.scratch)
	x.age()
}

// unknown counts a window of which nothing can be said.
func (x *Constant) unknown(w *span) {
	for side, n := range w.n {
		x.counts.Incomparable[side] += n
	}
	x.blind = x.now
}

// judgeAgain judges what each side had more than once.
func (x *Constant) judgeAgain(who identity, n [sides]uint64) {
	more := n[Candidate] - min(n[Incumbent], n[Candidate])
	x.counts.Repeats[Incumbent] += n[Incumbent]
	x.counts.Repeats[Candidate] += n[Candidate] - more
	for range more {
		x.found(Duplicate, Finding{Key: who.key, ID: who.id})
	}
}

// sweep finds keys stuck, and those that are not any more.
func (x *Constant) sweep() {
	x.swept = x.now
	for i := range x.keys.slots {
		k := &x.keys.slots[i]
		if k.key == 0 || !k.behind {
			continue
		}
		since := k.since(x.now)
		if x.now-since < x.opts.Stuck || x.moved < since+x.opts.Stuck/2 || since < x.blind {
			continue
		}
		if _, known := x.stuck[k.key]; !known {
			x.found(StuckKey, Finding{Key: k.key, Incumbent: since})
		}
		x.stuck[k.key] = true
	}
	for key, now := range x.stuck {
		if !now {
			delete(x.stuck, key)
		} else {
			x.stuck[key] = false
		}
	}
}

// Report is the state of the comparison.
func (x *Constant) Report() Report {
	r := Report{
		Counts: x.counts, Stuck: len(x.stuck), Windows: x.tally, Unlisted: x.unlisted,
		Lag: x.lag.percentile(0.5), LagMost: x.lag.percentile(0.999),
		Octets: x.keys.octets() + (len(x.windows)+len(x.spare))*x.opts.Cells*cellSize + 2*30*x.opts.Remember,
	}
	r.Windows.Open, r.Swept = len(x.windows), x.now
	for _, w := range x.windows {
		for side, at := range w.since {
			if at > 0 && (r.Oldest[side] == 0 || at < r.Oldest[side]) {
				r.Oldest[side] = at
			}
		}
	}
	for _, c := range x.chains { // not explained yet
		r.Unordered += uint64(len(c.before[Incumbent]))
	}
	for _, w := range x.windows {
		for side := range w.n {
			r.Pending[side] += w.n[side]
			for _, n := range w.again {
				r.Pending[side] += n[side]
			}
		}
	}
	return r
}
