package ordering_test

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/ordering"
)

func TestTrackerTakesContiguousPrefix(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  int
		done   []uint64
		taken  []int
		len    int
		oldest int // -1 for none
	}{
		{"nothing started", 0, nil, nil, 0, -1},
		{"nothing done", 3, nil, nil, 3, 0},
		{"first", 3, []uint64{0}, []int{0}, 2, 1},
		{"gap", 3, []uint64{1, 2}, nil, 3, 0},
		{"gap in the middle", 5, []uint64{0, 1, 3, 4}, []int{0, 1}, 3, 2},
		{"all in order", 3, []uint64{0, 1, 2}, []int{0, 1, 2}, 0, -1},
		{"all backwards", 3, []uint64{2, 1, 0}, []int{0, 1, 2}, 0, -1},
		{"repeats", 3, []uint64{1, 1, 0, 0, 1}, []int{0, 1}, 1, 2},
		{"never given", 2, []uint64{2, 3, math.MaxUint64, 1 << 63}, nil, 2, 0},
		{"never given, one ring ahead", 2, []uint64{16, 17, 32}, nil, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := ordering.NewTracker[int](0)
			for i := range c.start {
				if ticket := tr.Start(i); ticket != uint64(i) {
					t.Fatalf("Start(%d) = %d", i, ticket)
				}
			}
			for _, ticket := range c.done {
				tr.Done(ticket)
			}
			wantOldest(t, tr, c.oldest)
			if tr.Len() != c.start {
				t.Errorf("Len before Take = %d, want %d: done is not taken", tr.Len(), c.start)
			}
			if got := tr.Take(nil); !slices.Equal(got, c.taken) {
				t.Errorf("Take = %v, want %v", got, c.taken)
			}
			if got := tr.Take(nil); len(got) != 0 {
				t.Errorf("second Take = %v, want nothing", got)
			}
			if tr.Len() != c.len {
				t.Errorf("Len = %d, want %d", tr.Len(), c.len)
			}
			wantOldest(t, tr, c.oldest)
		})
	}
}

func wantOldest(t *testing.T, tr *ordering.Tracker[int], want int) {
	t.Helper()
	got, ok := tr.Oldest()
	if ok != (want >= 0) || ok && got != want {
		t.Errorf("Oldest = %d, %v, want %d", got, ok, want)
	}
}

func TestTrackerTakeAppends(t *testing.T) {
	tr := ordering.NewTracker[string](2)
	tr.Done(tr.Start("a"))
	tr.Done(tr.Start("b"))
	dst := append(make([]string, 0, 8), "before")
	got := tr.Take(dst)
	if !slices.Equal(got, []string{"before", "a", "b"}) {
		t.Fatalf("Take = %v", got)
	}
	if &got[0] != &dst[0] {
		t.Error("Take did not use the room in dst")
	}
}

// Capacities of all kinds have to work the same: too small, odd, negative.
func TestTrackerGrowsAtAnyPhase(t *testing.T) {
	for _, capacity := range []int{math.MinInt, -1, 0, 1, 15, 16, 17, 100} {
		for phase := range 40 { // where head and low stand in the ring when it grows
			tr := ordering.NewTracker[int](capacity)
			for i := range phase {
				tr.Done(tr.Start(i))
			}
			tr.Take(nil)
			var tickets []uint64
			for i := range 300 {
				tickets = append(tickets, tr.Start(i))
				if i%3 == 1 {
					tr.Done(tickets[i])
				}
				if i == 4 {
					tr.Done(tickets[0]) // low is ahead of head while it grows
				}
			}
			for i, ticket := range tickets {
				if want := uint64(phase + i); ticket != want {
					t.Fatalf("capacity %d, phase %d: ticket %d, want %d", capacity, phase, ticket, want)
				}
				tr.Done(ticket)
			}
			got := tr.Take(nil)
			if len(got) != 300 || !slices.IsSorted(got) || got[0] != 0 {
				t.Fatalf("capacity %d, phase %d: Take gave %d values: %v", capacity, phase, len(got), got)
			}
		}
	}
}

func TestTrackerReset(t *testing.T) {
	tr := ordering.NewTracker[int](4)
	var old []uint64
	for i := range 10 {
		old = append(old, tr.Start(i))
	}
	tr.Done(old[0])
	tr.Done(old[5])
	tr.Reset()
	if got := tr.Take(nil); len(got) != 0 || tr.Len() != 0 {
		t.Fatalf("after Reset: Take = %v, Len = %d", got, tr.Len())
	}
	wantOldest(t, tr, -1)

	fresh := tr.Start(100)
	if fresh != 10 {
		t.Fatalf("first ticket after Reset = %d, want 10: it must not be an old one", fresh)
	}
	tr.Start(101)
	for _, ticket := range old {
		tr.Done(ticket)
	}
	if got := tr.Take(nil); len(got) != 0 {
		t.Fatalf("late Done of forgotten tickets released %v", got)
	}
	tr.Done(fresh)
	if got := tr.Take(nil); !slices.Equal(got, []int{100}) {
		t.Fatalf("Take = %v, want [100]", got)
	}
	// Ticket 21 has the place in the ring of ticket 5, which was done out of turn
	// and is forgotten.
	for tr.Start(200) < 21 {
	}
	for ticket := range uint64(21) {
		tr.Done(ticket)
	}
	if got := tr.Take(nil); len(got) != 10 || tr.Len() != 1 {
		t.Fatalf("Take gave %d values and left %d, want the 10 from ticket 11 to 20 and 1: a forgotten Done was remembered", len(got), tr.Len())
	}
}

// A late Done of a ticket that was taken must not touch the ticket that has its
// place in the ring now.
func TestTrackerIgnoresTakenTickets(t *testing.T) {
	tr := ordering.NewTracker[int](16)
	for round := range 10 {
		var tickets []uint64
		for i := range 16 {
			tickets = append(tickets, tr.Start(i))
		}
		for _, ticket := range tickets {
			for back := range uint64(3) {
				tr.Done(ticket - 16*(back+1))
			}
		}
		if got := tr.Take(nil); len(got) != 0 {
			t.Fatalf("round %d: late Done released %v", round, got)
		}
		for _, ticket := range tickets {
			tr.Done(ticket)
		}
		if got := tr.Take(nil); len(got) != 16 {
			t.Fatalf("round %d: Take gave %d values, want 16", round, len(got))
		}
	}
}

func TestTrackerKeepsNoReference(t *testing.T) {
	for name, release := range map[string]func(*ordering.Tracker[*[64]byte]){
		"Take":  func(tr *ordering.Tracker[*[64]byte]) { tr.Done(0); tr.Take(nil) },
		"Reset": func(tr *ordering.Tracker[*[64]byte]) { tr.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			tr := ordering.NewTracker[*[64]byte](4)
			freed := make(chan struct{})
			tr.Start(watched(freed))
			release(tr)
			waitFreed(t, freed)
			runtime.KeepAlive(tr)
		})
	}
}

// watched gives a pointer to memory whose end closes freed.
func watched(freed chan struct{}) *[64]byte {
	p := new([64]byte)
	runtime.AddCleanup(p, func(c chan struct{}) { close(c) }, freed)
	return p
}

func waitFreed(t *testing.T, freed chan struct{}) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		runtime.GC()
		select {
		case <-freed:
			return
		case <-deadline:
			t.Fatal("a value that was given back is still referred to")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestTrackerAllocatesNothingInSteadyState(t *testing.T) {
	tr := ordering.NewTracker[[4]uint64](0)
	var dst [][4]uint64
	var tickets []uint64
	round := func() {
		for range 100 {
			tickets = append(tickets, tr.Start([4]uint64{}))
		}
		for _, ticket := range slices.Backward(tickets) {
			tr.Done(ticket)
			dst = tr.Take(dst[:0])
		}
		if tickets = tickets[:0]; len(dst) != 100 {
			t.Fatalf("the last Take gave %d values, want all 100", len(dst))
		}
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for 100 messages, want none", n)
	}
}
