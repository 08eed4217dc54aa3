package drift

import (
	"testing"
	"time"
)

// A window of which nothing is left is judged as soon as the incumbent's reader has seen
// all of it, and others wait for the candidate's.
func TestWhatCancelsIsJudgedAtOnce(t *testing.T) {
	x := NewConstant(ConstantOptions{})
	at := time.Second
	put := func(side Side, id uint64, window int64) {
		at += time.Millisecond
		x.Observe(side, &Observation{Key: 7, ID: id, Body: id, Window: window, At: at})
	}
	x.Advance(at, Watermarks{Windows: [2]int64{4, 4}})
	for id := uint64(1); id < 30; id++ {
		put(Incumbent, id, int64(4+id/5))
	}
	for id := uint64(1); id < 22; id++ {
		if id != 17 {
			put(Candidate, id, int64(4+id/5))
		}
	}
	x.Advance(at, Watermarks{Windows: [2]int64{9, 4}})
	r := x.Report()
	if r.Windows.Same != 3 || r.Windows.Open != 3 || r.Matched != 14 || r.Drift != [Kinds]uint64{} {
		t.Errorf("%+v", r)
	}
	if r.Oldest[Incumbent] != time.Second+15*time.Millisecond {
		t.Errorf("the oldest that is pending is of %v", r.Oldest)
	}
	x.Advance(at, Watermarks{Windows: [2]int64{9, 8}})
	if r := x.Report(); r.Drift[Missing] != 1 || r.Windows.Different != 1 {
		t.Errorf("%+v", r)
	}
}
