package kafka

import (
	"slices"

	"github.com/crossfade-mq/crossfade/ordering"
)

// A point is an offset of a partition and the time of its record.
type point struct {
	offset int64
	time   int64 // milliseconds since 1970
}

// A window is what a session has received of one partition and not acknowledged up to
// the low watermark. Not safe for concurrent use.
//
//	taken                     started
//	 ▼                           ▼
//	 │ x │ . │ x │ x │ . │ . │ x │      x acknowledged, . not yet
//	       ▲   └early┘       └early┘
//	     oldest
type window struct {
	tracker *ordering.Tracker[point]
	points  []point // points[head:] are those of the tickets from taken on
	head    int
	taken   uint64              // the first ticket that was not taken
	ahead   map[uint64]struct{} // tickets that are done above one that is not
	scratch []point
}

func newWindow() window {
	return window{tracker: ordering.NewTracker[point](0), ahead: map[uint64]struct{}{}}
}

// start begins a delivery and gives its ticket.
func (w *window) start(p point) uint64 {
	w.points = append(w.points, p)
	return w.tracker.Start(p)
}

// done acknowledges a delivery. Repeats, and tickets that were never given, do
// nothing. settle comes before the next start.
func (w *window) done(ticket uint64) {
	w.tracker.Done(ticket)
	if ticket-w.taken < uint64(w.len()) {
		w.ahead[ticket] = struct{}{}
	}
}

// settle gives the newest offset below which everything is done, once that has moved.
func (w *window) settle() (newest int64, moved bool) {
	w.scratch = w.tracker.Take(w.scratch[:0])
	n := len(w.scratch)
	if n == 0 {
		return 0, false
	}
	for i := range uint64(n) {
		if len(w.ahead) == 0 {
			break
		}
		delete(w.ahead, w.taken+i)
	}
	w.taken += uint64(n)
	if w.head += n; w.head == len(w.points) {
		w.points, w.head = w.points[:0], 0
	} else if w.head > 1024 && w.head > len(w.points)/2 {
		w.points = w.points[:copy(w.points, w.points[w.head:])]
		w.head = 0
	}
	return w.scratch[n-1].offset, true
}

// len is how many are not taken.
func (w *window) len() int { return len(w.points) - w.head }

// waiting is how many are not acknowledged.
func (w *window) waiting() int { return w.tracker.Len() - len(w.ahead) }

// oldest is the oldest that is not acknowledged.
func (w *window) oldest() (point, bool) { return w.tracker.Oldest() }

// early gives what is done above the low watermark as runs of offsets. Between the
// records of a run there is none that this tap would get.
func (w *window) early() []run {
	tickets := make([]uint64, 0, len(w.ahead))
	for t := range w.ahead {
		tickets = append(tickets, t)
	}
	slices.Sort(tickets)
	var runs []run
	for i, t := range tickets {
		offset := w.points[uint64(w.head)+t-w.taken].offset
		if i > 0 && tickets[i-1] == t-1 {
			runs[len(runs)-1][1] = offset
		} else {
			runs = append(runs, run{offset, offset})
		}
	}
	return runs
}

// A run is a run of offsets, both ends included.
type run [2]int64

// above leaves out the runs that end below floor.
func above(runs []run, floor int64) []run {
	var left []run
	for _, r := range runs {
		if r[1] >= floor {
			left = append(left, r)
		}
	}
	return left
}
