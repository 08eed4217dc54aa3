package compare

import (
	"slices"
	"time"
)

// marks are what the system of one side was asked, and what came of it: up to which time
// everything that it stored was observed. Not for concurrent use.
type marks struct {
	open  []mark
	read  time.Duration
	given bool // one of this session was answered
}

// A mark is a question: has all been observed that was stored at that time?
type mark struct {
	asked time.Duration
	given func() bool
}

// mostMarks is how many questions are open at once. They are the further apart the longer
// ago they were asked, so that a reader that lags learns how far it is in time to its lag.
const mostMarks = 16

func (m *marks) add(asked time.Duration, given func() bool) {
	if n := len(m.open); n == mostMarks { // the one goes that the fewest would miss
		least, at := 0.0, 0
		for i := 1; i < n-1; i++ {
			gap := float64(m.open[i+1].asked-m.open[i-1].asked) / float64(asked-m.open[i].asked+1)
			if at == 0 || gap < least {
				least, at = gap, i
			}
		}
		m.open = slices.Delete(m.open, at, at+1)
	}
	m.open = append(m.open, mark{asked, given})
}

// look gives up to which time everything was observed.
func (m *marks) look() time.Duration {
	for i := len(m.open) - 1; i >= 0; i-- {
		if m.open[i].given() {
			m.read, m.given = max(m.read, m.open[i].asked), true
			m.open = append(m.open[:0], m.open[i+1:]...)
			break
		}
	}
	return m.read
}

// reset is called when a session begins: the questions of the one before it are void.
func (m *marks) reset() { m.open, m.given = m.open[:0], false }

// A bound says that what the incumbent's reader had from a time on was stored no earlier
// than another.
type bound struct{ from, stored time.Duration }

// bounds tell since when the candidate may hold the copies of what the incumbent's reader
// may be given again after a restart: the candidate's reader has to see those again too.
//
//	incumbent's reader   … │ unjudged ──►           from: when its oldest was observed
//	stored there         …│ not before `stored`     all before it had been observed by then
//	copies at candidate   └─► are observed later still
type bounds struct{ list []bound }

// add notes that at a time everything stored before another had been observed.
func (b *bounds) add(now, read time.Duration) {
	if n := len(b.list); n > 0 && b.list[n-1].stored >= read {
		return
	}
	b.list = append(b.list, bound{now, read})
}

// at gives since when copies of what was observed from a time on may be stored. Earlier
// bounds are forgotten: times do not fall.
func (b *bounds) at(from time.Duration) time.Duration {
	n := 0
	for n+1 < len(b.list) && b.list[n+1].from <= from {
		n++
	}
	b.list = append(b.list[:0], b.list[n:]...)
	if len(b.list) == 0 || b.list[0].from > from {
		return 0
	}
	return b.list[0].stored
}

// reach gives from when on what was observed was stored no earlier than a time; false if
// nothing is known to be.
func (b *bounds) reach(stored time.Duration) (from time.Duration, ok bool) {
	for i := range b.list {
		if b.list[i].stored >= stored {
			return b.list[i].from, true
		}
	}
	return 0, false
}
