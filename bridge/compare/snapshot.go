package compare

import (
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A State says what a comparison is doing.
type State string

// The states.
const (
	StateStarting  State = "starting"
	StateComparing State = "comparing"
	StateWaiting   State = "waiting" // a side cannot be read; it goes on when it can
	StateStopped   State = "stopped"
	StateFailed    State = "failed"
)

// A Verdict is what a comparison has come to.
type Verdict string

// The verdicts. What is pending is no drift, and no match.
const (
	Match        Verdict = "match"        // everything that is judged is the same on both sides
	Drift        Verdict = "drift"        // something differs
	Pending      Verdict = "pending"      // nothing is judged yet
	Incomparable Verdict = "incomparable" // something could not be judged, and nothing else differs
)

// VerdictOf is the verdict on what a report counts.
func VerdictOf(r *drift.Report) Verdict {
	for _, n := range r.Drift {
		if n > 0 {
			return Drift
		}
	}
	switch {
	case r.Incomparable[0]+r.Incomparable[1]+r.Windows.Gapped+r.Windows.Overflown > 0:
		return Incomparable
	case r.Matched == 0:
		return Pending
	}
	return Match
}

// A Snapshot is a comparison at one moment.
type Snapshot struct {
	Name    string
	State   State
	Why     string // in words for a person
	Unread  string // why not all was read that there was by the end; empty if it was
	Since   time.Time
	Verdict Verdict
	drift.Report
	// Begun says that the beginning is over: from then on what only the candidate has is
	// extra, whatever its key.
	Begun bool
	// Sides are the incumbent's reader and the candidate's.
	Sides [2]Side
	// Judged is up to when, by the readers, everything is judged or was let go.
	Judged time.Time
	// Confidence is what the verdict is worth.
	Confidence Confidence
	// Untold is how many findings there is no evidence of.
	Untold uint64
	// Flight is how many octets of messages the recorder holds.
	Flight int
}

// A Side is the reader of one side.
type Side struct {
	// Up says that its session is open.
	Up bool
	// Read is up to when everything that the side had stored was observed; zero is not
	// known yet.
	Read time.Time
	// Last is when something was observed last.
	Last time.Time
	// Unjudged is how many messages its source keeps for it.
	Unjudged int
}

// Snapshot reads everything at one moment.
func (c *Comparison) Snapshot() Snapshot {
	now := time.Now()
	s, spans := c.snapshot(now)
	s.Confidence = spans.confidence(&s.Report)
	return s
}

func (c *Comparison) snapshot(now time.Time) (Snapshot, trials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Snapshot{
		Name: c.cfg.Name, Report: c.engine.Report(), Begun: c.begun, Judged: c.at(c.judged),
		Untold: c.sampler.untold, Flight: c.recorder.Octets(),
	}
	s.Verdict = VerdictOf(&s.Report)
	for side, r := range c.readers {
		s.Sides[side] = Side{Up: r.link.up, Read: c.at(r.marks.read), Last: c.at(r.last), Unjudged: r.unjudged.n}
	}
	s.State, s.Why, s.Since = c.why(now, &s)
	if s.Unread = c.unread; s.Unread != "" {
		s.Why = s.Unread
		if s.Verdict == Match {
			s.Verdict = Incomparable
		}
	}
	return s, c.trials
}

// Coverage says what was seen, and what not. It takes longer than Snapshot.
func (c *Comparison) Coverage() Coverage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.coverage.report()
}

// why says what the comparison is doing, and since when.
func (c *Comparison) why(now time.Time, s *Snapshot) (State, string, time.Time) {
	switch c.state {
	case StateFailed:
		why := bridge.Printable(c.failed.Error(), 600)
		if hint := bridge.HintOf(c.failed); hint != "" {
			why += " — " + hint
		}
		return c.state, why, c.since
	case StateStopped:
		return c.state, c.progress(s), c.since
	}
	for side, r := range c.readers {
		if !r.link.up && r.link.err != nil {
			return StateWaiting, fmt.Sprintf("%s: %s (for %s, attempt %d, next in %s)", drift.Side(side), bridge.Printable(oneLine(r.link.err), 400),
				now.Sub(r.link.since).Round(time.Second), r.link.attempt, max(0, r.link.next.Sub(now)).Round(100*time.Millisecond)), r.link.since
		}
	}
	for side, r := range c.readers {
		if r.opened == 0 {
			return StateStarting, "opening the " + drift.Side(side).String() + "'s stream", c.since
		}
		if s.Pending[side] >= uint64(c.cfg.Limits.Pending) {
			return StateWaiting, fmt.Sprintf("the %s is not read on: %d of its messages wait for their counterparts, as many as may", drift.Side(side), s.Pending[side]), c.since
		}
	}
	for _, r := range c.readers {
		if r.mute != "" && c.now()-r.asked >= unasked {
			return StateComparing, fmt.Sprintf("the %s does not tell what it holds, so what is missing or extra cannot be: %s", r.name, r.mute), c.since
		}
	}
	return StateComparing, c.progress(s), c.since
}

// unreadable says why there is no session, where an attempt to open one failed; the desk's
// mutex is held.
func (r *reader) unreadable() string {
	if r.link.up || r.link.err == nil {
		return ""
	}
	return bridge.Printable(oneLine(r.link.err), 400)
}

// unreadable names the first reader without a session; empty if all have one.
func unreadable(readers []*reader) string {
	for _, r := range readers {
		if why := r.unreadable(); why != "" {
			return "the " + r.name + " could not be read: " + why
		}
	}
	return ""
}

// progress is what there is to say while both sides are read.
func (c *Comparison) progress(s *Snapshot) string {
	switch {
	case s.Matched == 0 && s.Observed[drift.Incumbent] == 0:
		return "nothing has come from the incumbent yet"
	case s.Matched == 0 && s.Observed[drift.Candidate] == 0:
		return "nothing has come from the candidate yet"
	case s.Matched == 0 && c.cfg.Windows != nil && s.Before[drift.Incumbent] == s.Observed[drift.Incumbent]:
		return "by their own times, all messages so far are from before the first window that is compared, which began after both sides were read; if that lasts, look at producers' clocks, or compare without windows"
	case s.Matched == 0:
		return "no message was found on both sides yet"
	case s.Verdict == Incomparable:
		return "some messages could not be judged, since a reader may have missed their counterparts"
	case !c.begun:
		return "what the candidate held at the beginning, or was on its way, is passed over"
	}
	return ""
}

// oneLine is the first of what errors.Join put on several lines.
func oneLine(err error) string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		if all := joined.Unwrap(); len(all) > 0 {
			return all[0].Error()
		}
	}
	return err.Error()
}
