package kafka

import "github.com/crossfade-mq/crossfade/ordering"

// A point is an offset of a partition and the time of its record.
type point struct {
	offset int64
	time   int64 // milliseconds since 1970
}

// A window is what a session has received of one partition and not acknowledged up to
// the low watermark. Not safe for concurrent use.
type window struct {
	*ordering.Tracker[point]
	scratch []point
}

func newWindow() window { return window{Tracker: ordering.NewTracker[point](0)} }

// settle gives the newest offset below which everything is done, if that has moved.
func (w *window) settle() (newest int64, moved bool) {
	w.scratch = w.Take(w.scratch[:0])
	if len(w.scratch) == 0 {
		return 0, false
	}
	return w.scratch[len(w.scratch)-1].offset, true
}

// early gives what is done above the low watermark as runs of offsets. Between the
// records of a run there is none that this tap would get.
func (w *window) early() (runs []run) {
	w.Ahead(func(first, last point) { runs = append(runs, run{first.offset, last.offset}) })
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
