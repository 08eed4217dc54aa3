package drift

import (
	"testing"
	"time"
)

// A stage is a comparison with a clock.
type stage struct {
	t *testing.T
	x *Exact
}

func (s *stage) sees(side Side, at time.Duration, key uint64, ids ...uint64) {
	for _, id := range ids {
		s.x.Observe(side, &Observation{Key: key, ID: id, Body: 1, Head: 1, At: at})
	}
}

// at says what time it is; both readers have come so far.
func (s *stage) at(now time.Duration) {
	s.x.Advance(now, Watermarks{Read: [2]time.Duration{now, now}})
}

func (s *stage) counts(what string, want Counts) {
	s.t.Helper()
	r := s.x.Report()
	want.Observed = r.Observed
	if r.Counts != want || !r.Balanced() {
		s.t.Errorf("%s: %+v\nwant %+v", what, r.Counts, want)
	}
}

func newStage(t *testing.T, o Options) *stage {
	o.Remember = 1 << 10
	return &stage{t, NewExact(o)}
}

// A message that the candidate has passed by is missing when the grace is over, and not
// before; and if it comes after all it was late.
func TestMissingTakesItsGrace(t *testing.T) {
	s := newStage(t, Options{Grace: 2 * time.Second})
	s.sees(Incumbent, time.Second, 1, 10, 11, 12)
	s.sees(Candidate, time.Second, 1, 10, 12)
	s.at(2900 * time.Millisecond)
	s.counts("within the grace", Counts{Matched: 2})
	s.at(3100 * time.Millisecond)
	s.counts("after it", Counts{Matched: 2, Drift: [Kinds]uint64{Missing: 1}})
	s.sees(Candidate, 4*time.Second, 1, 11)
	s.at(5 * time.Second)
	s.counts("come after all", Counts{Matched: 2, Drift: [Kinds]uint64{Missing: 1}, Recovered: 1})
	if fs := s.x.Findings(nil); len(fs) != 1 || fs[0].Kind != Missing || fs[0].ID != 11 || fs[0].Found != 3100*time.Millisecond {
		t.Errorf("findings: %+v", fs)
	}
}

// What was passed may come for as long as the grace of the candidate's own: the time in which
// its reader sees nothing does not count.
func TestTheGraceWaitsForTheCandidatesReader(t *testing.T) {
	for _, comes := range []bool{true, false} {
		s := newStage(t, Options{Grace: 5 * time.Second})
		s.sees(Incumbent, 9*time.Second, 1, 1, 2)
		s.sees(Candidate, 10*time.Second, 1, 2)
		down := Watermarks{Read: [2]time.Duration{time.Minute, 10 * time.Second}}
		s.x.Advance(time.Minute, down)
		s.counts("while it is down", Counts{Matched: 1})
		want := Counts{Matched: 1, Drift: [Kinds]uint64{Missing: 1}}
		if comes {
			s.sees(Candidate, time.Minute, 1, 1)
			want = Counts{Matched: 2, Drift: [Kinds]uint64{Reordered: 1}}
		}
		down.Read[Candidate] = 14 * time.Second
		s.x.Advance(time.Minute+time.Second, down)
		if !comes {
			s.counts("within the grace", Counts{Matched: 1})
		}
		down.Read[Candidate] = 16 * time.Second
		s.x.Advance(time.Minute+2*time.Second, down)
		s.counts("after it", want)
	}
}

// The grace grows with the lag that was seen, up to its bound.
func TestGraceFollowsTheLag(t *testing.T) {
	s := newStage(t, Options{Grace: time.Second, GraceMost: 8 * time.Second})
	for i := range uint64(1000) {
		s.sees(Incumbent, time.Duration(i)*time.Millisecond, 1, i)
		s.x.Observe(Candidate, &Observation{Key: 1, ID: i, Body: 1, Head: 1, At: time.Duration(i)*time.Millisecond + 3*time.Second})
	}
	if g := s.x.Report().Grace; g < 6*time.Second || g > 7*time.Second {
		t.Errorf("the grace is %v after a lag of 3s", g)
	}
	s.x.Observe(Incumbent, &Observation{Key: 2, ID: 1, At: time.Second})
	for range 10 {
		s.x.lag.add(time.Minute)
	}
	if g := s.x.Report().Grace; g != 8*time.Second {
		t.Errorf("the grace is %v; at most 8s", g)
	}
}

// The last message of a key is pending until there is a proof that all has come.
func TestTheLastOfAKeyNeedsAProof(t *testing.T) {
	s := newStage(t, Options{Grace: time.Second})
	s.sees(Incumbent, time.Second, 1, 10, 11)
	s.sees(Candidate, time.Second, 1, 10)
	s.at(time.Hour)
	if r := s.x.Report(); r.Pending[Incumbent] != 1 || r.Drift[Missing] != 0 || r.Oldest[Incumbent] != time.Second {
		t.Errorf("without a proof: %+v", r)
	}
	s.x.Advance(time.Hour+time.Second, Watermarks{Passed: 2 * time.Second})
	s.counts("with one", Counts{Matched: 1, Drift: [Kinds]uint64{Missing: 1}})
}

// What only the candidate has is extra once the incumbent's reader has come as far.
func TestExtraNeedsTheIncumbentsReader(t *testing.T) {
	s := newStage(t, Options{})
	s.sees(Candidate, 5*time.Second, 1, 10, 11)
	s.x.Advance(time.Hour, Watermarks{Read: [2]time.Duration{Incumbent: 5 * time.Second}})
	s.counts("before", Counts{})
	s.sees(Incumbent, 6*time.Second, 1, 11)
	s.x.Advance(2*time.Hour, Watermarks{Read: [2]time.Duration{Incumbent: 6 * time.Second}})
	s.counts("after", Counts{Matched: 1, Drift: [Kinds]uint64{Extra: 1}})
}

// Absence is no drift where a reader has seen nothing, nor of what has expired.
func TestAbsenceIsNotAlwaysDrift(t *testing.T) {
	s := newStage(t, Options{Grace: time.Second})
	s.x.Gap(Candidate, 10*time.Second, 11*time.Second)
	s.x.Gap(Incumbent, 20*time.Second, 21*time.Second)
	s.sees(Incumbent, 9*time.Second, 1, 1, 2)
	s.sees(Candidate, 12*time.Second, 1, 2)
	s.sees(Candidate, 22*time.Second, 1, 3) // the incumbent's may have been in its gap
	s.x.Observe(Incumbent, &Observation{Key: 2, ID: 1, Body: 1, At: 30 * time.Second, Expires: 31 * time.Second})
	s.sees(Incumbent, 30*time.Second, 2, 2)
	s.sees(Candidate, 30*time.Second, 2, 2)
	s.at(40 * time.Second)
	s.at(50 * time.Second)
	r := s.x.Report()
	if r.Matched != 2 || r.Incomparable != [2]uint64{1, 1} || r.Expired != 1 || r.Drift[Missing]+r.Drift[Extra] != 0 {
		t.Errorf("%+v", r.Counts)
	}
}

// A key is stuck while others of its shard go on, once, and is not any more when it does.
func TestAStuckKeyIsFoundOnce(t *testing.T) {
	s := newStage(t, Options{Grace: time.Second, Stuck: 10 * time.Second})
	s.sees(Incumbent, time.Second, 1, 1)
	for i := range uint64(100) {
		at := time.Second + time.Duration(i)*time.Second
		s.sees(Incumbent, at, 2, 100+i)
		s.sees(Candidate, at, 2, 100+i)
		s.at(at)
		if r := s.x.Report(); i > 12 && (r.Stuck != 1 || r.Drift[StuckKey] != 1) || i < 9 && r.Stuck != 0 {
			t.Fatalf("after %v: %+v", at, r)
		}
	}
	s.sees(Candidate, 101*time.Second, 1, 1)
	s.at(102 * time.Second)
	if r := s.x.Report(); r.Stuck != 0 || r.Drift[StuckKey] != 1 {
		t.Errorf("%+v", r)
	}
}

// A candidate that is far behind with all keys alike is stuck with none.
func TestWhereAllAreFarBehindNobodyIsStuck(t *testing.T) {
	const behind = 60
	c := NewConstant(ConstantOptions{Stuck: 10 * time.Second})
	x := newStage(t, Options{Grace: time.Second, Stuck: 10 * time.Second})
	for i := range time.Duration(200) {
		now := (i + 1) * time.Second
		for _, side := range []Side{Incumbent, Candidate} {
			n := i
			if side == Candidate {
				n -= behind
			}
			for key := uint64(1); n >= 0 && key < 20; key++ {
				o := Observation{Key: key, ID: uint64(n)*100 + key, Body: 1, Head: 1, At: now, Time: (n + 1) * time.Second, Window: int64(n)}
				x.x.Observe(side, &o)
				c.Observe(side, &o)
			}
		}
		x.at(now)
		c.Advance(now, Watermarks{Windows: [2]int64{int64(i), int64(i) - behind}})
	}
	for _, r := range []Report{x.x.Report(), c.Report()} {
		if r.Drift != [Kinds]uint64{} || r.Matched == 0 {
			t.Errorf("%+v", r)
		}
	}
}

// Where nothing goes on, nothing is stuck: the candidate is behind.
func TestWhereAllWaitNobodyIsStuck(t *testing.T) {
	s := newStage(t, Options{Stuck: 10 * time.Second})
	for i := range uint64(100) {
		s.sees(Incumbent, time.Duration(i)*time.Second, i%5+1, i)
		s.at(time.Duration(i) * time.Second)
	}
	if r := s.x.Report(); r.Drift[StuckKey] != 0 || r.Pending[Incumbent] != 100 {
		t.Errorf("%+v", r)
	}
}

// A repeat that the relay does not send on is no loss, nor is it one when it comes late.
func TestARepeatIsNoDrift(t *testing.T) {
	s := newStage(t, Options{Grace: time.Second, Stuck: 5 * time.Second})
	s.sees(Incumbent, time.Second, 1, 1, 2, 1)
	s.sees(Candidate, time.Second, 1, 1, 2)
	s.sees(Incumbent, 9*time.Second, 2, 7)
	s.sees(Candidate, 9*time.Second, 2, 7)
	s.at(10 * time.Second)
	s.counts("not sent on", Counts{Matched: 3, Repeats: [2]uint64{1, 0}})
	s.sees(Candidate, 11*time.Second, 1, 1)
	s.at(12 * time.Second)
	s.counts("sent on, late", Counts{Matched: 3, Repeats: [2]uint64{1, 1}})
	s.sees(Candidate, 13*time.Second, 1, 1)
	s.at(14 * time.Second)
	s.counts("and once more", Counts{Matched: 3, Repeats: [2]uint64{1, 1}, Drift: [Kinds]uint64{Duplicate: 1}})
}

// Findings that nobody takes are counted, and no more are held than there is room for.
func TestFindingsAreBounded(t *testing.T) {
	s := newStage(t, Options{})
	for i := range uint64(mostFindings + 10) {
		s.x.Observe(Incumbent, &Observation{Key: 1, ID: i, Body: 1})
		s.x.Observe(Candidate, &Observation{Key: 1, ID: i, Body: 2})
	}
	r := s.x.Report()
	if r.Drift[Corrupted] != mostFindings+10 || r.Unlisted != 10 || len(s.x.Findings(nil)) != mostFindings {
		t.Errorf("%+v", r)
	}
}

// Keys that have nothing waiting take no room for ever.
func TestKeysThatAreDoneGo(t *testing.T) {
	s := newStage(t, Options{})
	for i := range uint64(1 << 20) {
		s.sees(Incumbent, 0, i+1, i)
		s.sees(Candidate, 0, i+1, i)
	}
	if n := len(s.x.table.slots); n > 1<<12 {
		t.Errorf("%d slots for no key", n)
	}
	if r := s.x.Report(); r.Matched != 1<<20 || r.Drift != [Kinds]uint64{} {
		t.Errorf("%+v", r)
	}
}
