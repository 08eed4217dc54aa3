package compare

import (
	"slices"
	"time"
)

// settling follows what a reader lets go, until its source has surely let go of it too:
// what a session was told last may be lost with it. Not for concurrent use.
//
//	let go, surely │ acknowledged, not for long enough │ not acknowledged
//	               └────── may come again ─────────────┴─►
type settling struct {
	surely time.Duration // what was observed before does not come again
	trials []trial
}

// A trial is an acknowledgement that may have taken effect.
type trial struct{ upTo, since time.Duration }

// surely is how long a session has to last behind an acknowledgement until that has taken
// effect, and the system has to have answered something since: adapters and brokers gather
// them for a moment, and a connection may be dead without anybody having noticed.
const surely = 300 * time.Millisecond

// acknowledged says that the session has acknowledged what was observed before a time.
func (s *settling) acknowledged(upTo, now time.Duration) {
	s.trials = append(s.trials, trial{upTo, now})
}

// look is called again and again. heard is the time of a question that the system has
// answered. whole says that the session is up and that everything that it gives again has
// come: what had come before and does not come again is let go.
func (s *settling) look(now, heard time.Duration, whole bool) {
	if !whole {
		s.reset()
		return
	}
	n := 0
	for n < len(s.trials) && now-s.trials[n].since >= surely && s.trials[n].since < heard {
		s.surely = max(s.surely, s.trials[n].upTo)
		n++
	}
	s.trials = slices.Delete(s.trials, 0, n)
}

// reset is called when a session begins: what the one before was told counts no more.
func (s *settling) reset() { s.trials = s.trials[:0] }
