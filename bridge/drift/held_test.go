package drift

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// begins has what both sides show before keys are judged, the candidate's first.
func begins(t *testing.T, incumbent, candidate []uint64) *stage {
	s := newStage(t, Options{Grace: 2 * time.Second})
	s.x.Begin(1 << 62)
	s.x.Hold()
	s.sees(Candidate, time.Second, 1, candidate...)
	s.sees(Incumbent, time.Second, 1, incumbent...)
	s.at(2 * time.Second)
	s.x.Align()
	return s
}

// count are the numbers from one to another.
func count(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

// What the candidate's reader has from before the incumbent's began is told from what both
// have, also where a producer repeats itself.
func TestTheBeginningBesideRepeats(t *testing.T) {
	for _, tc := range []struct {
		what                 string
		incumbent, candidate []uint64
		want                 Counts
	}{
		{"nothing from before", []uint64{1, 2}, []uint64{1, 2}, Counts{Matched: 2}},
		{"all from before", nil, []uint64{1, 2}, Counts{Before: [2]uint64{0, 2}}},
		{"in front", []uint64{3}, []uint64{1, 2, 3}, Counts{Matched: 1, Before: [2]uint64{0, 2}}},
		{"a repeat of what is before", []uint64{2, 1}, []uint64{1, 2, 1}, Counts{Matched: 2, Before: [2]uint64{0, 1}}},
		{"a repeat at once", []uint64{1}, []uint64{1, 1}, Counts{Matched: 1, Before: [2]uint64{0, 1}}},
		{"a repeat of both", []uint64{1, 1}, []uint64{1, 1}, Counts{Matched: 2}},
		{"a repeated batch", []uint64{1, 2, 3}, []uint64{1, 2, 1, 2, 3}, Counts{Matched: 3, Before: [2]uint64{0, 2}}},
		{"a batch repeated once begun", []uint64{2, 3, 1, 2, 3}, []uint64{1, 2, 3, 1, 2, 3}, Counts{Matched: 5, Before: [2]uint64{0, 1}}},
		{"a repeat that the candidate leaves out", []uint64{2, 1}, []uint64{1, 2}, Counts{Matched: 1, Before: [2]uint64{0, 1}, Repeats: [2]uint64{1, 0}}},
		{"a batch that it leaves out", []uint64{3, 1, 2, 3}, []uint64{1, 2, 3}, Counts{Matched: 1, Before: [2]uint64{0, 2}, Repeats: [2]uint64{3, 0}}},
		{"what is missing is", []uint64{1, 2, 3}, []uint64{9, 1, 3}, Counts{Matched: 2, Before: [2]uint64{0, 1}, Drift: [Kinds]uint64{Missing: 1}}},
		{"what comes twice later is", []uint64{1, 2, 3, 4, 5, 6}, []uint64{9, 1, 2, 3, 4, 5, 6, 6}, Counts{Matched: 6, Before: [2]uint64{0, 1}, Drift: [Kinds]uint64{Duplicate: 1}}},
		{"what is nowhere is", []uint64{1, 2, 3, 4}, []uint64{9, 1, 2, 3, 8, 4}, Counts{Matched: 4, Before: [2]uint64{0, 1}, Drift: [Kinds]uint64{Extra: 1}}},
		{"what changed places later has", []uint64{1, 2, 3, 4, 5}, []uint64{9, 1, 2, 3, 5, 4}, Counts{Matched: 5, Before: [2]uint64{0, 1}, Drift: [Kinds]uint64{Reordered: 1}}},
		{"what comes late of many has changed its place", count(1, 50), append(count(2, 50), 1), Counts{Matched: 50, Drift: [Kinds]uint64{Reordered: 1}}},
		{"what comes again behind many does", count(1, 500), append(count(1, 500), 1), Counts{Matched: 500, Drift: [Kinds]uint64{Duplicate: 1}}},
		{"more than is looked at is missing in front", count(1, 3*view), count(2*view, 3*view), Counts{Matched: view + 1, Drift: [Kinds]uint64{Missing: 2*view - 1}}},
	} {
		s := begins(t, tc.incumbent, tc.candidate)
		s.at(3 * time.Second)
		s.at(10 * time.Second)
		s.counts(tc.what, tc.want)
		if r := s.x.Report(); r.Pending != [2]uint64{} {
			t.Errorf("%s: %v pending", tc.what, r.Pending)
		}
	}
}

// A beginning may take as long as it takes to read all that there is: a key of which enough
// has come is judged.
func TestALongBeginning(t *testing.T) {
	const before, both = 3*enough + 7, 10 * enough
	for _, first := range []Side{Incumbent, Candidate} {
		s := newStage(t, Options{Grace: 2 * time.Second})
		s.x.Begin(1 << 62)
		s.x.Hold()
		all := func(side Side, from, to uint64) {
			for id := from; id < to; id++ {
				if side == Candidate || id >= before {
					s.sees(side, time.Second, 1, id)
				}
			}
		}
		all(first, 0, before+both)
		if first == Incumbent {
			s.at(2 * time.Second)
		}
		all(1-first, 0, before+both)
		s.at(3 * time.Second)
		for _, side := range []Side{Incumbent, Candidate} {
			all(side, before+both, before+both+enough)
		}
		s.counts(fmt.Sprint(first, " first"), Counts{Matched: both + enough, Before: [2]uint64{0, before}})
		if s.x.Align(); s.x.Report().Pending != [2]uint64{} {
			t.Errorf("%s first: %v pending", first, s.x.Report().Pending)
		}
	}
}

// A life is what two readers are given after a restart: the candidate's begins further back,
// each reads in steps of its own, and producers go on.
type life struct {
	rng    *rand.Rand
	stored []Observation // At is when
	now    time.Duration
	next   [sides]int
	leaves bool // the candidate leaves out repeats
}

// grow has producers store messages until now, some of them repeats of the last few.
func (l *life) grow() {
	at := time.Duration(0)
	if n := len(l.stored); n > 0 {
		at = l.stored[n-1].At
	}
	for at += time.Duration(l.rng.IntN(20)) * time.Millisecond; at < l.now; at += time.Duration(l.rng.IntN(20)) * time.Millisecond {
		o := Observation{Key: 1 + l.rng.Uint64N(3), ID: uint64(len(l.stored)), Body: 1, Head: 1, At: at}
		if back := 1 + l.rng.IntN(12); l.rng.IntN(15) == 0 && back <= len(l.stored) {
			o.Key, o.ID = l.stored[len(l.stored)-back].Key, l.stored[len(l.stored)-back].ID
		}
		l.stored = append(l.stored, o)
	}
}

// read has a side observe some more, and says up to when it has all.
func (l *life) read(x *Exact, side Side, most int) time.Duration {
	for ; l.next[side] < len(l.stored) && most > 0; most-- {
		o := l.stored[l.next[side]]
		o.At = l.now
		if side == Incumbent || !l.leaves || !l.repeat(l.next[side]) {
			x.Observe(side, &o)
		}
		l.next[side]++
	}
	if l.next[side] == len(l.stored) {
		return l.now
	}
	return l.stored[l.next[side]].At
}

func (l *life) repeat(n int) bool {
	for i := max(0, n-100); i < n; i++ {
		if l.stored[i].ID == l.stored[n].ID {
			return true
		}
	}
	return false
}

// Wherever a life begins, between whatever a producer sent twice, and whether or not the
// candidate leaves out repeats: nothing is found.
func TestABeginningAnywhere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("SEED=%d", seed)
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		l := &life{rng: rng, now: 3 * time.Second, leaves: round%2 == 1}
		l.grow()
		l.next[Incumbent] = rng.IntN(len(l.stored))
		l.next[Candidate] = rng.IntN(l.next[Incumbent] + 1)
		if l.leaves { // what the incumbent has behind its beginning was at the candidate once
			l.next[Candidate] = max(0, l.next[Candidate]-150)
		}
		x := NewExact(Options{Grace: 2 * time.Second})
		x.Begin(1 << 62)
		x.Hold()
		opened, aligned := l.now, false
		for l.now < 8*time.Second {
			l.now += 50 * time.Millisecond
			l.grow()
			var w Watermarks
			for _, side := range []Side{Candidate, Incumbent} {
				w.Read[side] = l.read(x, side, rng.IntN(40))
			}
			x.Advance(l.now, w)
			if both := opened + time.Second; !aligned && w.Read[Incumbent] >= both && w.Read[Candidate] >= both {
				x.Align()
				aligned = true
			}
		}
		for _, wait := range []time.Duration{0, 3 * time.Second, 3 * time.Second} {
			l.now += wait
			x.Advance(l.now, Watermarks{Read: [2]time.Duration{l.read(x, Incumbent, 1<<20), l.read(x, Candidate, 1<<20)}})
		}
		r := x.Report()
		if r.Drift != [Kinds]uint64{} || r.Pending != [2]uint64{} || !r.Balanced() || r.Matched == 0 {
			t.Fatalf("round %d, repeats left out %t: %+v", round, l.leaves, r)
		}
	}
}
