package drift

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A naive model: both streams whole, sorted by key, compared.
type model struct {
	drift     [Kinds]uint64
	matched   uint64
	repeats   [2]uint64
	extents   []uint32
	corrupted []uint64
}

type event struct {
	key, id, body uint64
	head          uint32
	anonymous     bool
}

func judgeNaively(incumbent, candidate []event) model {
	var m model
	byKey := map[uint64][2][]event{}
	for side, events := range [2][]event{incumbent, candidate} {
		for _, e := range events {
			k := byKey[e.key]
			k[side] = append(k[side], e)
			byKey[e.key] = k
		}
	}
	for _, streams := range byKey {
		m.judge(streams[0], streams[1])
	}
	sort.Slice(m.extents, func(i, j int) bool { return m.extents[i] < m.extents[j] })
	sort.Slice(m.corrupted, func(i, j int) bool { return m.corrupted[i] < m.corrupted[j] })
	return m
}

func (m *model) judge(incumbent, candidate []event) {
	at := map[uint64][]int{} // where an ID is, not yet paired
	known := map[uint64]bool{}
	for i, e := range incumbent {
		known[e.id] = true
		at[e.id] = append(at[e.id], i)
	}
	var ords []int
	paired := map[uint64]bool{}
	for _, c := range candidate {
		switch free := at[c.id]; {
		case len(free) > 0:
			at[c.id] = free[1:]
			m.matched++
			paired[c.id] = true
			i := incumbent[free[0]]
			if i.body != c.body {
				m.drift[Corrupted]++
				m.corrupted = append(m.corrupted, c.id)
			} else if i.head != c.head {
				m.drift[HeaderLossy]++
			}
			ords = append(ords, free[0])
		case known[c.id] && !c.anonymous:
			m.drift[Duplicate]++
		default:
			m.drift[Extra]++
		}
	}
	for id, free := range at {
		n := uint64(len(free))
		switch {
		case n == 0:
		case incumbent[free[0]].anonymous:
			m.drift[Missing] += n
		case paired[id]:
			m.repeats[Incumbent] += n
		default:
			m.drift[Missing]++
			m.repeats[Incumbent] += n - 1
		}
	}
	for i, ord := range ords {
		for j, before := range ords[:i] {
			if before > ord {
				m.drift[Reordered]++
				m.extents = append(m.extents, uint32(i-j))
				break
			}
		}
	}
}

// mutate makes of the incumbent's stream a candidate's, with faults as dense as chance
// makes them.
func mutate(t *rapid.T, in []event, faults int) []event {
	out := append([]event(nil), in...)
	for range rapid.IntRange(0, faults).Draw(t, "faults") {
		if len(out) == 0 {
			break
		}
		i := rapid.IntRange(0, len(out)-1).Draw(t, "at")
		switch rapid.IntRange(0, 5).Draw(t, "fault") {
		case 0:
			out = append(out[:i], out[i+1:]...)
		case 1: // twice, some places apart
			j := min(i+rapid.IntRange(1, 8).Draw(t, "behind"), len(out))
			out = append(out[:j], append([]event{out[i]}, out[j:]...)...)
		case 2:
			j := min(i+rapid.IntRange(1, 8).Draw(t, "behind"), len(out)-1)
			e := out[i]
			copy(out[i:], out[i+1:j+1])
			out[j] = e
		case 3:
			out[i].body ^= 1
		case 4:
			out[i].head ^= 1
		case 5:
			out = append(out[:i], append([]event{{key: out[i].key, id: 1<<40 + uint64(i), body: 9}}, out[i:]...)...)
		}
	}
	return out
}

func observe(x *Exact, side Side, e event, at time.Duration) {
	x.Observe(side, &Observation{Key: e.key, ID: e.id, Body: e.body, Head: e.head, Anonymous: e.anonymous, At: at})
}

// finish says that both readers have come to the end.
func finish(x *Exact, at time.Duration) {
	end := at + time.Hour
	x.Advance(end, Watermarks{Read: [2]time.Duration{end, end}, Passed: end})
}

// However the readers' messages interleave, and whatever is wrong with the candidate,
// the comparison comes to what sorting and comparing both whole streams does.
func TestExactAgreesWithSortAndCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 4).Draw(t, "keys")
		n := rapid.IntRange(0, 120).Draw(t, "messages")
		var in []event
		for i := range n {
			e := event{key: uint64(1 + rapid.IntRange(0, keys-1).Draw(t, "key")), id: uint64(i), body: 5}
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // the producer repeats itself
				if len(in) > 0 {
					if was := in[rapid.IntRange(max(0, len(in)-6), len(in)-1).Draw(t, "which")]; !was.anonymous {
						e = was
					}
				}
			case 1: // an ID of the content
				e.anonymous, e.id = true, 1<<50+uint64(i)
			}
			in = append(in, e)
		}
		out := mutate(t, in, 12)
		x := NewExact(Options{Remember: 1 << 12})
		at := interleave(t, x, in, out)
		finish(x, at)
		agree(t, x, judgeNaively(in, out))
	})
}

// Messages of equal content that have no ID are told apart by nothing: of a stream that
// is the same on both sides none is blamed, and of one that lacks some as many are
// missing, whichever those are.
func TestEqualContentsPairInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, out []event
		lost := rapid.Bool().Draw(t, "lost")
		missing := uint64(0)
		for i := range rapid.IntRange(0, 200).Draw(t, "messages") {
			e := event{key: uint64(1 + i%2), id: uint64(rapid.IntRange(0, 3).Draw(t, "content")), anonymous: true}
			in = append(in, e)
			if lost && rapid.IntRange(0, 20).Draw(t, "fate") == 0 {
				missing++
			} else {
				out = append(out, e)
			}
		}
		x := NewExact(Options{Remember: 1 << 12})
		end := interleave(t, x, in, out)
		finish(x, end)
		r := x.Report()
		if r.Drift[Missing] != missing || r.Drift[Extra]+r.Drift[Duplicate]+r.Drift[Corrupted] > 0 || missing == 0 && r.Drift != [Kinds]uint64{} || !r.Balanced() {
			t.Fatalf("of %d, %d are missing: %s", len(in), missing, named(r.Drift))
		}
	})
}

// interleave has the readers take turns of any length, and gives the time when they are
// through.
func interleave(t *rapid.T, x *Exact, in, out []event) time.Duration {
	at := time.Duration(0)
	for i, j := 0, 0; i < len(in) || j < len(out); {
		run := rapid.IntRange(1, 20).Draw(t, "run")
		incumbent := rapid.Bool().Draw(t, "side")
		for range run {
			at += time.Millisecond
			switch {
			case incumbent && i < len(in):
				observe(x, Incumbent, in[i], at)
				i++
			case !incumbent && j < len(out):
				observe(x, Candidate, out[j], at)
				j++
			}
		}
		x.Advance(at, Watermarks{})
	}
	return at
}

func agree(t rapid.TB, x *Exact, want model) {
	r := x.Report()
	pairs := r.Repeats[Candidate] // which came long after
	r.Matched, r.Repeats[Incumbent], r.Repeats[Candidate] = r.Matched+pairs, r.Repeats[Incumbent]-pairs, 0
	if r.Drift != want.drift || r.Matched != want.matched || r.Repeats != want.repeats {
		t.Fatalf("got %v, %d matched, repeats %v;\nwant %v, %d matched, repeats %v", named(r.Drift), r.Matched, r.Repeats, named(want.drift), want.matched, want.repeats)
	}
	if !r.Balanced() || r.Pending != [2]uint64{} {
		t.Fatalf("not accounted for: %+v", r)
	}
	var extents []uint32
	var corrupted []uint64
	for _, f := range x.Findings(nil) {
		switch f.Kind {
		case Reordered:
			extents = append(extents, f.Extent)
		case Corrupted:
			corrupted = append(corrupted, f.ID)
		}
	}
	sort.Slice(extents, func(i, j int) bool { return extents[i] < extents[j] })
	sort.Slice(corrupted, func(i, j int) bool { return corrupted[i] < corrupted[j] })
	if fmt.Sprint(extents, corrupted) != fmt.Sprint(want.extents, want.corrupted) {
		t.Fatalf("extents %v of reordered and %v corrupted, want %v and %v", extents, corrupted, want.extents, want.corrupted)
	}
}

func named(drift [Kinds]uint64) string {
	s := ""
	for k := range Kinds {
		if drift[k] > 0 {
			s += fmt.Sprintf(" %s %d", k, drift[k])
		}
	}
	return "[" + s + " ]"
}

// A comparison that begins, or begins anew, in the middle of two healthy streams blames
// nobody; and what is lost behind the first message that both have of a key is found.
func TestABeginningInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []event
		for i := range rapid.IntRange(1, 150).Draw(t, "messages") {
			in = append(in, event{key: uint64(1 + rapid.IntRange(0, 5).Draw(t, "key")), id: uint64(i), body: 5})
		}
		out := in // keys may overtake each other
		if rapid.Bool().Draw(t, "mixed") {
			out = overtaken(t, in)
		}
		from := rapid.IntRange(0, len(in)-1).Draw(t, "from")
		first := len(out) // of what the incumbent's reader has
		for i := range out {
			if out[i].id >= uint64(from) {
				first = min(first, i)
			}
		}
		early := max(0, first-rapid.IntRange(0, 40).Draw(t, "early"))
		in, out = in[from:], append([]event(nil), out[early:]...)
		lost := -1 // one that has one of its key in front and one behind
		if rapid.Bool().Draw(t, "loss") {
			for i := range out {
				if before, behind := ofKey(in, out[i]); before && behind {
					lost = i
					out = append(out[:i], out[i+1:]...)
					break
				}
			}
		}
		x := NewExact(Options{Remember: 1 << 12})
		x.Begin(time.Hour)
		end := interleave(t, x, in, out)
		finish(x, end)
		r := x.Report()
		want := [Kinds]uint64{}
		if lost >= 0 {
			want[Missing] = 1
		}
		if r.Drift != want || !r.Balanced() || r.Matched+want[Missing] != uint64(len(in)) {
			t.Fatalf("found %s, want %s: %+v", named(r.Drift), named(want), r)
		}
	})
}

// ofKey says whether in has messages of e's key in front of it and behind it.
func ofKey(in []event, e event) (before, behind bool) {
	at := -1
	for i := range in {
		if in[i].id == e.id {
			at = i
		}
	}
	for i := range in {
		if at >= 0 && in[i].key == e.key && i != at {
			before, behind = before || i < at, behind || i > at
		}
	}
	return before, behind
}

// overtaken is in with keys that overtake each other.
func overtaken(t *rapid.T, in []event) []event {
	out := append([]event(nil), in...)
	for range rapid.IntRange(0, 60).Draw(t, "swaps") {
		if i := rapid.IntRange(1, max(1, len(out)-1)).Draw(t, "swap"); i < len(out) && out[i].key != out[i-1].key {
			out[i], out[i-1] = out[i-1], out[i]
		}
	}
	return out
}
