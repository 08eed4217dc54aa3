package ordering_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/ordering"
)

// naiveTracker is what a Tracker promises, said as simply as possible: a list.
type naiveTracker struct {
	next uint64
	held []naiveStart
}

type naiveStart struct {
	ticket uint64
	value  int
	done   bool
}

func (n *naiveTracker) start(v int) uint64 {
	n.held = append(n.held, naiveStart{ticket: n.next, value: v})
	n.next++
	return n.next - 1
}

func (n *naiveTracker) finish(ticket uint64) {
	for i := range n.held {
		if n.held[i].ticket == ticket {
			n.held[i].done = true
		}
	}
}

func (n *naiveTracker) take() (taken []int) {
	for len(n.held) > 0 && n.held[0].done {
		taken = append(taken, n.held[0].value)
		n.held = n.held[1:]
	}
	return taken
}

func (n *naiveTracker) oldest() (int, bool) {
	for _, h := range n.held {
		if !h.done {
			return h.value, true
		}
	}
	return 0, false
}

// waiting counts what is not done, and gives the runs of what is done behind the oldest
// of that.
func (n *naiveTracker) waiting() (count int, runs [][2]int) {
	after := false
	for _, h := range n.held {
		switch {
		case !h.done:
			count++
			after = false
		case count == 0:
		case after:
			runs[len(runs)-1][1] = h.value
		default:
			runs = append(runs, [2]int{h.value, h.value})
			after = true
		}
	}
	return count, runs
}

// trackers does everything to a Tracker and to its model, and compares.
type trackers struct {
	t     rapid.TB
	real  *ordering.Tracker[int]
	model naiveTracker
	value int
}

func newTrackers(t rapid.TB, capacity int) *trackers {
	return &trackers{t: t, real: ordering.NewTracker[int](capacity)}
}

func (p *trackers) start() {
	p.value++
	if got, want := p.real.Start(p.value), p.model.start(p.value); got != want {
		p.t.Fatalf("Start = %d, want %d", got, want)
	}
}

func (p *trackers) done(ticket uint64) {
	p.real.Done(ticket)
	p.model.finish(ticket)
}

func (p *trackers) take() {
	if got, want := p.real.Take(nil), p.model.take(); !slices.Equal(got, want) {
		p.t.Fatalf("Take = %v, want %v", got, want)
	}
}

func (p *trackers) reset() {
	p.real.Reset()
	p.model.held = nil
}

func (p *trackers) compare() {
	if got, want := p.real.Len(), len(p.model.held); got != want {
		p.t.Fatalf("Len = %d, want %d", got, want)
	}
	got, gotOK := p.real.Oldest()
	want, wantOK := p.model.oldest()
	if got != want || gotOK != wantOK {
		p.t.Fatalf("Oldest = %d, %v, want %d, %v", got, gotOK, want, wantOK)
	}
	waiting, runs := p.model.waiting()
	if got := p.real.Waiting(); got != waiting {
		p.t.Fatalf("Waiting = %d, want %d", got, waiting)
	}
	var ahead [][2]int
	p.real.Ahead(func(first, last int) { ahead = append(ahead, [2]int{first, last}) })
	if !slices.Equal(ahead, runs) {
		p.t.Fatalf("Ahead = %v, want %v", ahead, runs)
	}
}

func TestTrackerAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newTrackers(t, rapid.IntRange(-1, 70).Draw(t, "capacity"))
		t.Repeat(map[string]func(*rapid.T){
			"start": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					p.start()
				}
			},
			"done": func(t *rapid.T) {
				for _, ticket := range rapid.SliceOfN(rapid.Uint64Range(0, p.model.next+2), 1, 40).Draw(t, "tickets") {
					p.done(ticket)
				}
			},
			"done low": func(t *rapid.T) { // a run from the watermark, so that much is taken
				n := rapid.IntRange(1, 40).Draw(t, "n")
				for _, h := range slices.Clone(p.model.held[:min(n, len(p.model.held))]) {
					p.done(h.ticket)
				}
			},
			"take": func(*rapid.T) { p.take() },
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "dice") == 0 {
					p.reset()
				}
			},
			"": func(*rapid.T) { p.compare() },
		})
	})
}

// Whatever the order of Done, everything comes out once and in order, and
// nothing before all in front of it is done.
func TestTrackerPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		tickets := make([]uint64, n)
		tr := ordering.NewTracker[int](rapid.IntRange(0, 64).Draw(t, "capacity"))
		for i := range tickets {
			tickets[i] = tr.Start(i)
		}
		done := make([]bool, n)
		var all []int
		for _, ticket := range rapid.Permutation(tickets).Draw(t, "order") {
			tr.Done(ticket)
			done[ticket] = true
			all = tr.Take(all)
			prefix := slices.Index(done, false)
			if prefix < 0 {
				prefix = n
			}
			if len(all) != prefix {
				t.Fatalf("%d taken, want %d", len(all), prefix)
			}
		}
		for i, v := range all {
			if v != i {
				t.Fatalf("value %d came at place %d", v, i)
			}
		}
	})
}

// FuzzTracker reads each octet as an operation: two bits say which, six bits are
// its number.
func FuzzTracker(f *testing.F) {
	f.Add(byte(0), []byte{0x3f, 0x40, 0x41, 0x80, 0xc0, 0x05, 0x42})
	f.Add(byte(17), []byte{0x10, 0x45, 0x44, 0x43, 0x42, 0x41, 0x40, 0x80})
	f.Fuzz(func(t *testing.T, capacity byte, ops []byte) {
		p := newTrackers(t, int(capacity))
		for _, op := range ops[:min(len(ops), 500)] {
			n := uint64(op & 63)
			switch op >> 6 {
			case 0:
				for range n%20 + 1 {
					p.start()
				}
			case 1: // counted from the oldest that is held
				p.done(p.model.next - uint64(len(p.model.held)) + n)
			case 2:
				p.take()
			case 3:
				if n == 0 {
					p.reset()
				} else {
					p.done(p.model.next - n)
				}
			}
			p.compare()
		}
	})
}
