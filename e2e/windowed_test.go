package e2e

import (
	"fmt"
	"time"
)

// The windows by which a candidate with planted faults is compared a second time. The
// candidate may be further behind than a key is stalled.
const (
	windowEvery  = time.Second
	windowLate   = 3 * time.Second
	windowBehind = stallFor + 3*time.Second
	ahead        = 3 // windows after the first is judged for sure
)

// windowKinds are what is told by windows alone.
var windowKinds = []string{"missing", "duplicate", "reordered", "corrupted", "header_lossy", "extra", "misrouted"}

// awaitWindows waits until both sides are read for so long.
func (f *faulty) awaitWindows(long time.Duration, what string) (c comparisonStatus) {
	f.t.Helper()
	if !f.windows {
		return c
	}
	began := time.Now()
	await(f.t, long+patience, what, func() bool {
		st, err := f.bridge.status()
		if err != nil || len(st.Comparisons) != 2 {
			return false
		}
		c = st.Comparisons[1]
		return c.Incumbent.Read.Sub(began) > long && c.Candidate.Read.Sub(began) > long
	})
	return c
}

// judgeWindows wants what was planted to be counted by windows as it is message by message,
// and nothing else, once all windows are over.
func (f *faulty) judgeWindows() {
	f.t.Helper()
	if !f.windows {
		return
	}
	c := f.awaitWindows(windowBehind+windowLate+2*windowEvery, "windows to be over")
	planted := map[string]uint64{}
	for _, w := range f.wrong {
		for _, kind := range w.found {
			planted[kind]++
		}
	}
	for _, kind := range windowKinds {
		if c.Drift[kind] != planted[kind] {
			f.t.Errorf("by windows: %s: planted %d, counted %d", kind, planted[kind], c.Drift[kind])
		}
	}
	if n := c.Incumbent.Incomparable + c.Candidate.Incomparable; n > 0 || f.t.Failed() {
		f.t.Errorf("by windows: %+v", c)
	}
	f.notes = append(f.notes, fmt.Sprintf("by windows of %s, in constant memory: the same counts; %d messages matched", windowEvery, c.Matched))
}
