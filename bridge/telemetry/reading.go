package telemetry

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A Side is one end of a relay, in the configuration's words.
type Side struct {
	System string
	Kind   string
	// What is read or written there: "stream TELEMETRY".
	What string
}

// A Reading is everything that is shown of one relay at one moment.
type Reading struct {
	Relay    string
	From, To Side
	At       time.Time
	relay.Snapshot
	// Missing counts messages without what the settings name.
	Missing identify.Counts
	// Backlog is what the incumbent said last; BacklogAt when, zero if it never
	// did. BacklogError is why it did not answer since.
	Backlog      bridge.Backlog
	BacklogAt    time.Time
	BacklogError string
	Lag          Lag
	// Rate is how many messages a second were settled over the last seconds.
	Rate float64
	// Stalled says in words why what looks quiet is not healthy; empty if it is.
	Stalled string
}

// A Bound says how a figure is to be read.
type Bound string

// The kinds of bounds.
const (
	Exact   Bound = ""
	AtMost  Bound = "at most"
	AtLeast Bound = "at least"
)

// A Lag is how far a relay is behind its incumbent.
type Lag struct {
	// Messages wait at the incumbent for this relay, delivered or not.
	Messages      int64
	MessagesBound Bound
	// Seconds since the source's time of the oldest of them; where there is no
	// such time, since nothing was waiting last, as a bound.
	Seconds      float64
	SecondsBound Bound
}

// State is the relay's state in one word, "stalled" included.
func (r *Reading) State() string {
	if r.Stalled != "" && (r.Snapshot.State == relay.StateIdle || r.Snapshot.State == relay.StateRunning) {
		return "stalled"
	}
	return string(r.Snapshot.State)
}

// Why says in words what the state is due to.
func (r *Reading) Why() string {
	if r.Stalled == "" {
		return r.Snapshot.Why
	}
	if r.Snapshot.Why == "" || r.State() == "stalled" {
		return r.Stalled
	}
	return r.Snapshot.Why + "; " + r.Stalled
}

// Ready says that the relay makes progress, or has nothing to do and could. A
// connection alone is not progress, and a side that does not answer for long is
// not ready for what will come.
func (r *Reading) Ready() bool {
	switch r.Snapshot.State {
	case relay.StateRunning, relay.StateIdle, relay.StateDraining:
		return r.Stalled == ""
	case relay.StatePaused: // by an operator's word
		return true
	case relay.StateWaiting:
		return r.Stalled == "" && r.At.Sub(r.Since) <= StalledAfter
	}
	return false
}

// The limits of patience.
const (
	// StalledAfter is how long nothing may settle while something waits.
	StalledAfter = 10 * time.Second
	// backlogValid is how long an answer of the incumbent is good.
	backlogValid = 10 * time.Second
	// rateOver is how far back a rate looks.
	rateOver = 5
)

// Progress follows one relay over time. It has no clock of its own: the times of
// its calls do not go back. Not safe for concurrent use.
type Progress struct {
	// SourceTime says that the source's messages carry a time of their own.
	SourceTime bool
	// Answers says that the incumbent can say how much waits.
	Answers bool

	start      time.Time
	backlog    bridge.Backlog
	backlogAt  time.Time
	backlogErr error
	settled    uint64
	movedAt    time.Time // something was settled, or nothing waited
	emptyAt    time.Time // nothing waited, and the incumbent said so
	rates      [rateOver + 1]mark
	marks      int
}

type mark struct {
	at      time.Time
	settled uint64
}

func settled(c relay.Counts) uint64 { return c.Placed + c.Suppressed + c.Parked + c.Expired + c.Looped }

// Observe takes in a moment: a snapshot, and what the incumbent said or why it
// did not. Call it about once a second.
func (p *Progress) Observe(at time.Time, s *relay.Snapshot, b bridge.Backlog, err error) {
	if p.start.IsZero() {
		p.start, p.movedAt = at, at
	}
	if s.State == relay.StatePaused { // nothing is to move, and nobody asks the incumbent
		p.movedAt, p.backlogErr = at, nil
		p.mark(at)
		return
	}
	p.backlogErr = err
	if err == nil && p.Answers {
		p.backlog, p.backlogAt = b, at
	}
	if n := settled(s.Counts); n != p.settled {
		p.settled, p.movedAt = n, at
	}
	switch {
	case s.Debt > 0:
	case !p.Answers:
		p.movedAt = at
	case err == nil && b.Messages == 0:
		p.movedAt, p.emptyAt = at, at
	}
	p.mark(at)
}

func (p *Progress) mark(at time.Time) {
	p.rates[p.marks%len(p.rates)] = mark{at, p.settled}
	p.marks++
}

// known says that the incumbent's last answer is still good.
func (p *Progress) known(at time.Time) bool {
	return !p.backlogAt.IsZero() && at.Sub(p.backlogAt) <= backlogValid
}

// Reading is what there is to show at that moment. The names of relay and sides
// are left to the caller.
func (p *Progress) Reading(at time.Time, s relay.Snapshot) Reading {
	r := Reading{At: at, Snapshot: s, Backlog: p.backlog, BacklogAt: p.backlogAt, Rate: p.rate()}
	if p.backlogErr != nil {
		r.BacklogError = bridge.Printable(p.backlogErr.Error(), 300)
	}
	r.Lag = p.lag(at, &s)
	r.Stalled = p.stalled(at, &s, &r)
	return r
}

func (p *Progress) lag(at time.Time, s *relay.Snapshot) Lag {
	l := Lag{Messages: int64(s.Debt), MessagesBound: AtLeast}
	known := p.known(at)
	if s.State == relay.StatePaused { // what waited then waits still, and more has come
		l.Messages = max(l.Messages, p.backlog.Messages)
		l.Seconds, l.SecondsBound = p.age(at), AtLeast
		return l
	}
	if known {
		l.Messages, l.MessagesBound = p.backlog.Messages, Exact
		if p.backlog.Bound {
			l.MessagesBound = AtMost
		}
	}
	if s.Debt == 0 && known && p.backlog.Messages == 0 {
		return l
	}
	oldest := s.OldestUnsettled
	if b := p.backlog.Oldest; known && !b.IsZero() && (oldest.IsZero() || b.Before(oldest)) {
		oldest = b
	}
	switch {
	case p.SourceTime && !oldest.IsZero():
		l.Seconds = at.Sub(oldest).Seconds()
	case !p.emptyAt.IsZero():
		l.Seconds, l.SecondsBound = at.Sub(p.emptyAt).Seconds(), AtMost
	case !oldest.IsZero():
		l.Seconds, l.SecondsBound = at.Sub(oldest).Seconds(), AtLeast
	case known && !p.start.IsZero():
		l.Seconds, l.SecondsBound = at.Sub(p.start).Seconds(), AtLeast
	default:
		l.SecondsBound = AtLeast
	}
	l.Seconds = max(l.Seconds, 0) // clocks differ
	return l
}

// age is how long the oldest has waited that waited when the incumbent was asked last.
func (p *Progress) age(at time.Time) float64 {
	if !p.SourceTime || p.backlog.Messages == 0 || p.backlog.Oldest.IsZero() {
		return 0
	}
	return max(0, at.Sub(p.backlog.Oldest).Seconds())
}

// stalled says why a relay that may look quiet is not healthy: something waits
// and nothing settles, or nobody knows whether something waits.
func (p *Progress) stalled(at time.Time, s *relay.Snapshot, r *Reading) string {
	switch s.State {
	case relay.StateFailed, relay.StateStopped, relay.StatePaused:
		return ""
	}
	quiet := at.Sub(p.movedAt)
	if p.start.IsZero() || quiet <= StalledAfter {
		return ""
	}
	quiet = quiet.Round(time.Second)
	switch {
	case p.Answers && !p.known(at) && s.Debt == 0:
		return fmt.Sprintf("the incumbent has not said for %s how much waits", quiet)
	case r.Lag.Messages == 0:
		return ""
	}
	return fmt.Sprintf("%d wait at the incumbent and nothing was settled for %s", r.Lag.Messages, quiet)
}

// rate is over the marks of the last seconds.
func (p *Progress) rate() float64 {
	if p.marks < 2 {
		return 0
	}
	last := p.rates[(p.marks-1)%len(p.rates)]
	first := p.rates[max(0, p.marks-len(p.rates))%len(p.rates)]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(last.settled-first.settled) / seconds
}
