package compare

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// asked opens a question whose answer is given from when on reached says so.
func (m *marks) ask(at time.Duration, reached *time.Duration) {
	m.add(at, func() bool { return *reached >= at })
}

func (m *marks) times() (all []time.Duration) {
	for _, x := range m.open {
		all = append(all, x.asked)
	}
	return all
}

// The newest question that is answered counts; older ones are void with it, later ones
// stay.
func TestMarksGiveTheNewest(t *testing.T) {
	var m marks
	var reached time.Duration
	if at := m.look(); at != 0 {
		t.Errorf("of nothing: %v", at)
	}
	for at := time.Duration(1); at <= 5; at++ {
		m.ask(at*10, &reached)
	}
	for _, c := range []struct {
		reached, want time.Duration
		open          []time.Duration
	}{
		{9, 0, []time.Duration{10, 20, 30, 40, 50}}, {10, 10, []time.Duration{20, 30, 40, 50}}, {10, 10, []time.Duration{20, 30, 40, 50}},
		{39, 30, []time.Duration{40, 50}}, {100, 50, nil}, {100, 50, nil},
	} {
		reached = c.reached
		if got := m.look(); got != c.want || !slices.Equal(m.times(), c.open) {
			t.Errorf("%v is reached: %v is read, %v are open; want %v, %v", c.reached, got, m.times(), c.want, c.open)
		}
	}
}

// Not all answers come in the order of the questions, and how far a side was read does not
// fall, whatever becomes of its session.
func TestMarksDoNotFall(t *testing.T) {
	var m marks
	yes, no := func() bool { return true }, func() bool { return false }
	m.add(10, no)
	m.add(20, yes)
	m.add(30, no)
	if got := m.look(); got != 20 || !slices.Equal(m.times(), []time.Duration{30}) {
		t.Errorf("%v is read, %v are open", got, m.times())
	}
	m.reset()
	if got := m.look(); got != 20 || len(m.open) != 0 {
		t.Errorf("of a new session: %v is read, %v are open", got, m.times())
	}
	m.add(5, yes)
	if got := m.look(); got != 20 {
		t.Errorf("it fell to %v", got)
	}
}

// However long nothing is answered: few questions are open, the oldest among them, which is
// answered first, and the newest.
func TestMarksAreThinnedOut(t *testing.T) {
	var m marks
	var reached time.Duration
	for at := time.Duration(1); at <= 10_000; at++ {
		m.ask(at, &reached)
		open := m.times()
		if len(open) > mostMarks || open[0] != 1 || open[len(open)-1] != at || !slices.IsSorted(open) || len(slices.Compact(open)) != len(m.open) {
			t.Fatalf("%d asked: %v", at, open)
		}
		if at >= mostMarks && len(open) < mostMarks/2 {
			t.Fatalf("%d asked: only %v are open", at, open)
		}
	}
	reached = 1
	if got := m.look(); got != 1 || len(m.open) < mostMarks/2-1 {
		t.Errorf("%v is read, %v are open", got, m.times())
	}
	reached = 10_000
	if got := m.look(); got != 10_000 || len(m.open) != 0 {
		t.Errorf("%v is read, %v are open", got, m.times())
	}
}

// A reader that is always the same time behind is known to get on.
func TestMarksOfAReaderThatLags(t *testing.T) {
	for _, lag := range []time.Duration{0, 1, 7, 16, 100, 1000} {
		var m marks
		var reached, last time.Duration
		moved := 0
		for at := time.Duration(1); at <= 20_000; at++ {
			m.ask(at, &reached)
			reached = max(0, at-lag)
			got := m.look()
			if got < last || got > reached {
				t.Fatalf("lag %v: after %v, %v is read, and %v was reached", lag, last, got, reached)
			}
			if got > last {
				moved++
			}
			if at > 10*lag+20 && got < at-2*lag-1 { // one question is asked while another is open
				t.Fatalf("lag %v: at %v, %v is read", lag, at, got)
			}
			last = got
		}
		if moved == 0 {
			t.Errorf("lag %v: nothing is ever known", lag)
		}
	}
}

// Bounds against the same in a few words: of all that were ever noted.
func TestBounds(t *testing.T) {
	seed := seedOf(t)
	for round := range 300 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		var b bounds
		var all []bound
		now, judged, gone := time.Duration(0), time.Duration(0), time.Duration(0)
		for range 200 {
			now += time.Duration(rng.IntN(3))
			if rng.IntN(2) == 0 {
				judged = max(judged, now-time.Duration(rng.IntN(20)))
			}
			b.add(now, judged)
			all = append(all, bound{now, judged})
			if rng.IntN(4) > 0 {
				continue
			}
			gone = max(gone, now-time.Duration(rng.IntN(30)))
			want := time.Duration(0)
			for _, x := range all {
				if x.at <= gone {
					want = max(want, x.judged)
				}
			}
			if got := b.by(gone); got != want {
				t.Fatalf("round %d: by %v all was judged up to %v, want %v", round, gone, got, want)
			}
			// When all was judged up to a time.
			upTo, when := want+1+time.Duration(rng.IntN(20)), time.Duration(0)
			i := slices.IndexFunc(all, func(x bound) bool { return x.judged >= upTo })
			if i >= 0 {
				when = all[i].at
			}
			if got, known := b.reach(upTo); got != when || known != (i >= 0) {
				t.Fatalf("round %d: %v is reached at %v, %t; want %v, %t", round, upTo, got, known, when, i >= 0)
			}
			if got, known := b.reach(want); want > 0 && (!known || got > gone) {
				t.Fatalf("round %d: %v is reached at %v, %t, though it was by %v", round, want, got, known, gone)
			}
		}
	}
}

func TestBoundsOfNothing(t *testing.T) {
	var b bounds
	if upTo := b.by(10); upTo != 0 {
		t.Errorf("%v", upTo)
	}
	if at, ok := b.reach(0); ok {
		t.Errorf("%v", at)
	}
	b.add(5, 0) // nothing is judged yet
	b.add(10, 3)
	b.add(11, 3) // says nothing more
	if b.add(12, 2); len(b.list) != 2 {
		t.Errorf("%v", b.list)
	}
	if upTo := b.by(9); upTo != 0 {
		t.Errorf("before anything was judged: %v", upTo)
	}
	if upTo := b.by(10); upTo != 3 {
		t.Errorf("%v", upTo)
	}
	for judged, want := range map[time.Duration]time.Duration{1: 10, 3: 10} {
		if at, ok := b.reach(judged); at != want || !ok {
			t.Errorf("%v is reached at %v, %t", judged, at, ok)
		}
	}
	if at, ok := b.reach(4); ok {
		t.Errorf("4 is reached at %v", at)
	}
	// They do not grow while time goes on.
	for now := time.Duration(20); now < 10_000; now++ {
		b.add(now, now-3)
		b.by(now - 10)
	}
	if len(b.list) > 20 {
		t.Errorf("%d are kept", len(b.list))
	}
}

// At the end a side that cannot be read is waited for in vain, for a while; then it is said
// which one it is, and why. The incumbent's reader waits for the candidate's to open.
func TestWhoIsNotReadToTheEnd(t *testing.T) {
	for _, tc := range []struct {
		read [2]time.Duration
		down []drift.Side
		want string
	}{
		{[2]time.Duration{0, 0}, []drift.Side{drift.Candidate}, "the candidate was not read to the end: nothing more came for 32s: no route"},
		{[2]time.Duration{0, 0}, []drift.Side{drift.Incumbent, drift.Candidate}, "the candidate was not read to the end: nothing more came for 32s: no route"},
		{[2]time.Duration{0, time.Hour}, []drift.Side{drift.Incumbent}, "the incumbent was not read to the end: nothing more came for 32s: no route"},
		{[2]time.Duration{0, time.Hour}, nil, "the incumbent was not read to the end: nothing more came for 32s"},
	} {
		p := newPair(t, nil)
		cfg := p.config()
		cfg.Settle = 2 * time.Second
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.cfg.End = c.epoch.Add(time.Minute)
		for _, side := range tc.down {
			c.readers[side].link = link{err: errors.New("no\x1b route")}
		}
		w := drift.Watermarks{Read: tc.read}
		for _, now := range []time.Duration{time.Second, time.Minute + 31*time.Second} {
			if c.atEnd(now, w) || c.unread != "" {
				t.Errorf("%v: after %v it is over: %s", tc.read, now, c.unread)
			}
		}
		if !c.atEnd(time.Minute+32*time.Second, w) || strings.Replace(c.unread, `\x1B`, "", 1) != tc.want {
			t.Errorf("%v, %v down: %q, want %q", tc.read, tc.down, c.unread, tc.want)
		}
		if s := c.Snapshot(); s.Verdict != Pending || s.Why != c.unread || s.Unread != c.unread {
			t.Errorf("%s: %s", s.Verdict, s.Why)
		}
	}
}

// A side that was read to the end may go away before what is pending is judged: then it ends
// all the same.
func TestWhatIsPendingForEver(t *testing.T) {
	p := newPair(t, nil)
	cfg := p.config()
	cfg.Settle = 2 * time.Second
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.cfg.End = c.epoch.Add(time.Minute)
	c.lookedAt = drift.Report{Swept: time.Hour, Oldest: [2]time.Duration{time.Second, 0}, LagMost: 5 * time.Second}
	c.readers[drift.Candidate].link = link{err: errors.New("no route")}
	w := drift.Watermarks{Read: [2]time.Duration{time.Hour, time.Minute + time.Second}}
	c.atEnd(time.Minute, w)
	if c.atEnd(time.Minute+39*time.Second, w) || c.unread != "" || c.passed != 0 {
		t.Errorf("it is over too soon: %q", c.unread)
	}
	if !c.atEnd(time.Minute+40*time.Second, w) || c.unread != "what was pending at the end could not be judged within 40s; the candidate could not be read: no route" {
		t.Errorf("%q", c.unread)
	}

	o, err := NewOutputs(OutputsConfig{Name: "o", Streams: cfg.Streams[:], Join: Join{By: JoinID}, Settle: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.cfg.End = o.epoch.Add(time.Minute)
	o.readers[drift.Candidate].link = link{err: errors.New("no route")}
	o.readers[drift.Incumbent].marks.read = time.Hour
	for read, patience := range map[time.Duration]string{0: "32s", time.Minute + time.Second: "30s"} {
		o.unread, o.drained, o.readers[drift.Candidate].marks.read = "", 0, read
		if o.atEnd(time.Minute, read) || o.atEnd(time.Minute+31*time.Second, read) || o.unread != "" {
			t.Errorf("it is over too soon: %q", o.unread)
		}
		if !o.atEnd(time.Minute+32*time.Second, read) || o.unread != "the candidate was not read to the end: nothing more came for "+patience+": no route" {
			t.Errorf("%q", o.unread)
		}
	}
	for outcome, want := range map[Outcome]Verdict{OutcomeMatch: Incomparable, OutcomeMissing: Drift, OutcomeIncomparable: Incomparable, "": Pending} {
		o.joiner.tally.Outcomes = map[Outcome]uint64{outcome: 1}
		if s := o.Snapshot(); s.Verdict != want || s.Why != o.unread || s.AsDelivery().Unread != o.unread {
			t.Errorf("%s: %s, %s", outcome, s.Verdict, s.Why)
		}
	}
}

// What was stored by the end may be read long after it: then what is pending of it is waited
// for too, and a side of which something comes is not given up.
func TestTheEndWhileReadingLags(t *testing.T) {
	p := newPair(t, nil)
	cfg := p.config()
	cfg.Settle = 2 * time.Second
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const end = time.Minute
	c.cfg.End = c.epoch.Add(end)
	behind := drift.Watermarks{Read: [2]time.Duration{end, end - 1}}
	c.readers[drift.Candidate].last = 5 * time.Minute
	if c.atEnd(5*time.Minute+31*time.Second, behind) {
		t.Errorf("over while it is read: %s", c.unread)
	}
	if !c.atEnd(5*time.Minute+32*time.Second, behind) || c.unread != "the candidate was not read to the end: nothing more came for 32s" {
		t.Errorf("%q", c.unread)
	}
	// One that waits for the other is given up with it.
	c.unread, behind.Read = "", [2]time.Duration{end - 1, end - 1}
	c.lookedAt.Pending[drift.Incumbent] = uint64(c.cfg.Limits.Pending)
	if c.atEnd(5*time.Minute+31*time.Second, behind) {
		t.Errorf("over while the incumbent waits: %s", c.unread)
	}
	if c.lookedAt.Pending[drift.Incumbent]--; !c.atEnd(5*time.Minute+31*time.Second, behind) || c.unread != "the incumbent was not read to the end: nothing more came for 32s" {
		t.Errorf("%q", c.unread)
	}
	// What was observed after the end, but before all of it was, is judged.
	c.unread, c.lookedAt = "", drift.Report{Swept: 9 * time.Minute, Oldest: [2]time.Duration{5 * time.Minute, 0}}
	w := drift.Watermarks{Read: [2]time.Duration{end, end}}
	if c.atEnd(9*time.Minute, w) || c.passed != 0 {
		t.Errorf("over with what is pending: %s", c.unread)
	}
	if w.Read[drift.Candidate] = 9*time.Minute + 2*time.Second; c.atEnd(w.Read[drift.Candidate], w) || c.passed != 9*time.Minute {
		t.Errorf("what does not come any more is not said to: %v", c.passed)
	}
	c.lookedAt = drift.Report{Swept: w.Read[drift.Candidate]}
	if !c.atEnd(w.Read[drift.Candidate]+1, w) || c.unread != "" {
		t.Errorf("not over, %q", c.unread)
	}

	o, err := NewOutputs(OutputsConfig{Name: "o", Streams: cfg.Streams[:], Join: Join{By: JoinID}, Settle: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.cfg.End = o.epoch.Add(end)
	for _, r := range o.readers {
		r.last = 5 * time.Minute
	}
	if o.atEnd(5*time.Minute+31*time.Second, 0) || o.unread != "" {
		t.Errorf("over while it is read: %s", o.unread)
	}
	for _, at := range []struct {
		now, read time.Duration
		passed    time.Duration
		over      bool
	}{
		{9 * time.Minute, end, 0, false},
		{9*time.Minute + 2*time.Second, 9 * time.Minute, 0, false},
		{9*time.Minute + 3*time.Second, 9*time.Minute + 2*time.Second, 9*time.Minute + 2*time.Second, false},
		{9*time.Minute + 4*time.Second, 9*time.Minute + 3*time.Second, 9*time.Minute + 2*time.Second, true},
	} {
		if over := o.atEnd(at.now, at.read); over != at.over || o.passed != at.passed || o.unread != "" {
			t.Errorf("%+v: over %t, passed %v, %q", at, over, o.passed, o.unread)
		}
	}
}
