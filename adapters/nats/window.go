package nats

import (
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/ordering"
)

// A place is a sequence of the stream and the time of its message.
type place struct {
	seq  uint64
	time int64
}

// A window is what a session has received and not acknowledged up to the low
// watermark. Not safe for concurrent use.
//
//	taken                     started
//	 ▼                           ▼
//	 │ x │ . │ x │ x │ . │ . │ x │      x acknowledged, . not yet
//	       ▲   └early┘       └early┘
//	     oldest
type window struct {
	tracker *ordering.Tracker[place]
	places  []place // places[head:] are those of the tickets from taken on
	head    int
	taken   uint64              // the first ticket that was not taken
	ahead   map[uint64]struct{} // tickets that are done above one that is not
	scratch []place
}

func newWindow() *window {
	return &window{tracker: ordering.NewTracker[place](0), ahead: map[uint64]struct{}{}}
}

// start begins a delivery and gives its ticket.
func (w *window) start(p place) uint64 {
	w.places = append(w.places, p)
	return w.tracker.Start(p)
}

// skip ends a delivery that is done before it began.
func (w *window) skip(ticket uint64) {
	w.tracker.Done(ticket)
	w.ahead[ticket] = struct{}{}
}

// ack acknowledges deliveries and gives the newest place below which everything
// is done, or the zero place if that has not moved. Repeats, and receipts that
// were never given, do nothing.
func (w *window) ack(receipts []bridge.Receipt) place {
	for i := range receipts {
		w.tracker.Done(receipts[i].Seq)
	}
	floor := w.take()
	for i := range receipts {
		if t := receipts[i].Seq; t-w.taken < uint64(w.len()) {
			w.ahead[t] = struct{}{}
		}
	}
	return floor
}

func (w *window) take() place {
	w.scratch = w.tracker.Take(w.scratch[:0])
	n := len(w.scratch)
	if n == 0 {
		return place{}
	}
	for i := range uint64(n) {
		if len(w.ahead) == 0 {
			break
		}
		delete(w.ahead, w.taken+i)
	}
	w.taken += uint64(n)
	if w.head += n; w.head == len(w.places) {
		w.places, w.head = w.places[:0], 0
	} else if w.head > 1024 && w.head > len(w.places)/2 {
		w.places = w.places[:copy(w.places, w.places[w.head:])]
		w.head = 0
	}
	return w.scratch[n-1]
}

// len is how many are not taken.
func (w *window) len() int { return len(w.places) - w.head }

// oldest is the oldest that is not acknowledged.
func (w *window) oldest() (place, bool) { return w.tracker.Oldest() }

// early gives what is done above the low watermark as runs of sequences. Between
// the messages of a run there is none that this tap would get.
func (w *window) early() []run {
	tickets := make([]uint64, 0, len(w.ahead))
	for t := range w.ahead {
		tickets = append(tickets, t)
	}
	slices.Sort(tickets)
	var runs []run
	for i, t := range tickets {
		seq := w.places[uint64(w.head)+t-w.taken].seq
		if i > 0 && tickets[i-1] == t-1 {
			runs[len(runs)-1][1] = seq
		} else {
			runs = append(runs, run{seq, seq})
		}
	}
	return runs
}

// above leaves out the runs that end at or below floor.
func above(runs []run, floor uint64) []run {
	var left []run
	for _, r := range runs {
		if r[1] > floor {
			left = append(left, r)
		}
	}
	return left
}
