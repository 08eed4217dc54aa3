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

// since says that a question of then or earlier is open.
func (m *marks) since(at time.Duration) bool { return len(m.open) > 0 && m.open[0].asked <= at }

// reset is called when a session begins: the questions of the one before it are void.
func (m *marks) reset() { m.open, m.given = m.open[:0], false }

// A bound says that at a time everything was judged that the candidate's reader had
// observed before another.
type bound struct{ at, judged time.Duration }

// bounds tell what of the candidate's may be let go, when of the incumbent's what was
// observed before a time is: it was judged by then, so what it was compared with was
// observed by then. What the incumbent's reader may be given again after a restart has its
// copies given again.
//
//	incumbent's reader   … let go │ may come again ──►
//	candidate's reader   … judged by then: let go │ kept ──►
type bounds struct{ list []bound }

// add notes what was judged at a time. Times do not fall.
func (b *bounds) add(at, judged time.Duration) {
	if n := len(b.list); n > 0 && b.list[n-1].judged >= judged {
		return
	}
	b.list = append(b.list, bound{at, judged})
}

// by gives up to when all was judged by a time. What was judged earlier is forgotten: times
// do not fall.
func (b *bounds) by(at time.Duration) time.Duration {
	n := 0
	for n+1 < len(b.list) && b.list[n+1].at <= at {
		n++
	}
	b.list = append(b.list[:0], b.list[n:]...)
	if len(b.list) == 0 || b.list[0].at > at {
		return 0
	}
	return b.list[0].judged
}

// reach gives when all was judged up to a time; false if it is not.
func (b *bounds) reach(judged time.Duration) (at time.Duration, ok bool) {
	for i := range b.list {
		if b.list[i].judged >= judged {
			return b.list[i].at, true
		}
	}
	return 0, false
}
