package drift

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However dense the faults: what differs in content, and what only one side has, is as
// sorting and comparing both whole streams has it. Of order constant memory keeps what
// is next to what.
func TestConstantAgreesWithSortAndCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []event
		for i := range rapid.IntRange(0, 150).Draw(t, "messages") {
			in = append(in, event{key: uint64(1 + rapid.IntRange(0, 3).Draw(t, "key")), id: uint64(i + 1), body: 5})
		}
		out := mutate(t, in, 15)
		x := NewConstant(ConstantOptions{Remember: 1 << 12, Cells: 2048})
		see := func(side Side, e event, at time.Duration) {
			x.Observe(side, &Observation{Key: e.key, ID: e.id, Body: e.body, Head: e.head, At: at, Window: int64(e.id&0xffff) / 30})
		}
		at := time.Duration(0)
		for i, j := 0, 0; i < len(in) || j < len(out); at += time.Millisecond {
			if j == len(out) || i < len(in) && rapid.Bool().Draw(t, "side") {
				see(Incumbent, in[i], at)
				i++
			} else {
				see(Candidate, out[j], at)
				j++
			}
		}
		x.Advance(at, Watermarks{Windows: [2]int64{1 << 40, 1 << 40}})
		want := judgeNaively(in, out)
		r := x.Report()
		more, wantMore := r.Drift[Extra]+r.Drift[Duplicate], want.drift[Extra]+want.drift[Duplicate] // of an extra message too
		if r.Drift[Missing] != want.drift[Missing] || more != wantMore || r.Drift[Corrupted] != want.drift[Corrupted] || r.Drift[HeaderLossy] != want.drift[HeaderLossy] {
			t.Fatalf("got %s, want %s", named(r.Drift), named(want.drift))
		}
		if want.drift[Reordered] > 0 && r.Drift[Reordered]+r.Unordered == 0 {
			t.Fatalf("nothing is out of order; want %s", named(want.drift))
		}
		if !r.Balanced() || r.Pending != [2]uint64{} {
			t.Fatalf("not accounted for: %+v", r)
		}
	})
}

// What is in the sketch can be told, with how often it is there, up to two thirds of its
// cells; and what is more is said.
func TestSketchTellsWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sketch{make([]cell, 512)}
		want := map[edge]int64{}
		seed := rapid.Uint64().Draw(t, "seed")
		n := rapid.IntRange(0, 300).Draw(t, "edges")
		for i := range n {
			h := mix(seed + uint64(i))
			e := edge{key: h & mask60, prev: mix(h) & mask48, id: mix(h+1) & mask60, body: mix(h+2) & mask60, rest: mix(h+3) & mask60}
			times := int64(h%9) - 4
			if i%3 > 0 {
				times = 1 - 2*int64(i%2)
			}
			if times != 0 {
				want[e] = times
			}
			s.add(&e, times)
		}
		for i := range 1000 { // what both sides have leaves nothing
			h := mix(seed ^ uint64(i+1)<<32)
			e := edge{key: h & mask60, id: mix(h) & mask60}
			s.add(&e, 1)
			s.add(&e, -1)
		}
		got, ok := s.decode(nil)
		if !ok {
			t.Fatalf("%d edges are too many for 512 cells", len(want))
		}
		for _, r := range got {
			if want[r.edge] != r.times {
				t.Fatalf("%+v is there %d times, want %d", r.edge, r.times, want[r.edge])
			}
			delete(want, r.edge)
		}
		if len(want) > 0 {
			t.Fatalf("%d edges were not told", len(want))
		}
	})
}

// More than a window can tell is said to be, and nothing of it is guessed.
func TestOverflowIsSaid(t *testing.T) {
	x := NewConstant(ConstantOptions{Remember: 1 << 14, Cells: 256})
	const n = 5000
	for i := range uint64(n) {
		x.Observe(Incumbent, &Observation{Key: i%50 + 1, ID: mix(i), Body: 1})
	}
	x.Observe(Incumbent, &Observation{Key: 1, ID: 7, Body: 1, Window: 1})
	x.Observe(Candidate, &Observation{Key: 1, ID: 7, Body: 2, Window: 1})
	x.Advance(time.Minute, Watermarks{Windows: [2]int64{2, 2}})
	r := x.Report()
	if r.Windows.Overflown != 1 || r.Incomparable[Incumbent] != n || r.Drift[Missing] != 0 {
		t.Errorf("%+v", r)
	}
	if r.Drift[Corrupted] != 1 || !r.Balanced() {
		t.Errorf("the window behind it: %+v", r)
	}
}

// Windows of which one reader has seen only a part are not judged, and the order of
// their keys goes on behind them.
func TestConstantBeginsWithAWholeWindow(t *testing.T) {
	x := NewConstant(ConstantOptions{Remember: 1 << 12, Cells: 512})
	x.Begin(2)
	for i := range uint64(3000) {
		o := Observation{Key: i%20 + 1, ID: i + 1, Body: i, Window: int64(i / 500)}
		if i >= 700 { // the incumbent's reader begins in the middle of a window
			x.Observe(Incumbent, &o)
		}
		if i >= 650 && i != 2222 {
			x.Observe(Candidate, &o)
		}
	}
	x.Advance(time.Minute, Watermarks{Windows: [2]int64{6, 6}})
	r := x.Report()
	want := [Kinds]uint64{Missing: 1}
	if r.Drift != want || r.Unordered != 0 || r.Before != [2]uint64{300, 350} || r.Windows.Same != 3 || r.Windows.Different != 1 || !r.Balanced() {
		t.Errorf("%+v", r)
	}
}

// What belongs to a window that is judged already is said to, and its repeats are known.
func TestTooLateForItsWindow(t *testing.T) {
	x := NewConstant(ConstantOptions{Remember: 1 << 12})
	for _, side := range []Side{Incumbent, Candidate} {
		x.Observe(side, &Observation{Key: 1, ID: 1, Window: 5})
	}
	x.Advance(time.Minute, Watermarks{Windows: [2]int64{6, 6}})
	x.Observe(Candidate, &Observation{Key: 1, ID: 1, Window: 5})
	x.Observe(Candidate, &Observation{Key: 1, ID: 2, Window: 5})
	x.Observe(Incumbent, &Observation{Key: 1, ID: 1, Window: 5})
	r := x.Report()
	if r.Drift != ([Kinds]uint64{Duplicate: 1}) || r.Incomparable != [2]uint64{0, 1} || r.Repeats != [2]uint64{1, 0} || !r.Balanced() {
		t.Errorf("%+v", r)
	}
}

// A window in a reader's gap is incomparable, and its neighbours are not.
func TestAGapIsIncomparableByWindows(t *testing.T) {
	x := NewConstant(ConstantOptions{Remember: 1 << 12})
	for i := range uint64(300) {
		o := Observation{Key: i%3 + 1, ID: i + 1, Window: int64(i / 100)}
		x.Observe(Incumbent, &o)
		if i < 110 || i >= 150 {
			x.Observe(Candidate, &o)
		}
	}
	x.Gap(Candidate, 1, 1)
	x.Advance(time.Minute, Watermarks{Windows: [2]int64{3, 3}})
	r := x.Report()
	if r.Drift != ([Kinds]uint64{}) || r.Incomparable != [2]uint64{100, 60} || r.Windows.Gapped != 1 || r.Windows.Same != 2 || !r.Balanced() {
		t.Errorf("%+v", r)
	}
}
