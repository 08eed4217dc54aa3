package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Counts are the terms of the law of conservation, since the process started:
// Received = Placed + Suppressed + Parked + Expired + Looped + GivenBack + InFlight. // I5
type Counts struct {
	Received, Placed, Suppressed, Parked, Expired, Looped, GivenBack, InFlight uint64
}

// Balanced says whether the law holds.
func (c Counts) Balanced() bool {
	return c.Received == c.Placed+c.Suppressed+c.Parked+c.Expired+c.Looped+c.GivenBack+c.InFlight
}

// A State is what a relay is doing.
type State string

// The states of a relay.
const (
	StateStarting State = "starting" // Run has not opened the source yet
	StateRunning  State = "running"  // messages are in flight and moving
	StateIdle     State = "idle"     // nothing is in flight and both sides are connected
	StateWaiting  State = "waiting"  // something does not answer; Why says what
	StateDraining State = "draining" // asked to stop, finishing what is in flight
	StatePaused   State = "paused"   // it stands still by an operator's word
	StateStopped  State = "stopped"
	StateFailed   State = "failed" // nothing mends it; Why says what to do
)

// A Snapshot is what a relay knows of itself at one moment.
type Snapshot struct {
	Counts Counts
	State  State
	// Why says in words what the state is due to; Since when.
	Why   string
	Since time.Time
	// OldestUnsettled is the source's time (or that of receipt) of the oldest
	// message that is received and not acknowledgeable; zero if there is none.
	OldestUnsettled time.Time
	// Entered is how many messages have come since the start, those sent again included, and
	// Through up to how many of them, in the order in which they came, all are settled.
	Entered, Through uint64
	// LastPlaced is when the candidate last confirmed something.
	LastPlaced time.Time
	// Debt is how many messages the source may deliver again; DebtLimit its bound.
	Debt, DebtLimit int
	// Bytes is the size of the bodies in flight.
	Bytes int
	// ParkedNow is how many messages are parked and neither placed nor discarded,
	// and ParkedSince when the oldest was; HeldKeys is how many keys wait behind
	// some of them, and Retrying whether some are being sent again.
	ParkedNow   int
	ParkedSince time.Time
	HeldKeys    int
	Retrying    bool
	// Retries counts failed attempts at either side since the start; Reconnects
	// those of them after which the side came back.
	Retries, Reconnects uint64
}

// A link is what is known of the connection to one side.
type link struct {
	up      bool
	since   time.Time
	err     error
	attempt int
	next    time.Time
}

func (r *Relay) linkUp(k *link) {
	r.mu.Lock()
	back := k.err != nil
	down := time.Since(k.since)
	*k = link{up: true, since: time.Now()}
	if back {
		r.ledger.reconnects++
	}
	r.mu.Unlock()
	if back {
		r.log.Info("resumed", "after", down.Round(time.Millisecond))
	}
}

func (r *Relay) linkDown(k *link, err error, attempt int, wait time.Duration) {
	r.mu.Lock()
	first := k.up || k.err == nil
	if first {
		k.since = time.Now()
	}
	k.up, k.err, k.attempt, k.next = false, orEnded(err), attempt, time.Now().Add(wait)
	r.ledger.retries++
	r.mu.Unlock()
	if first {
		r.log.Warn("waiting", "why", bridge.Printable(orEnded(err).Error(), 400), "next_attempt_in", wait)
	}
}

func (r *Relay) setState(s State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.failed = s, err
	r.stateSince = time.Now()
}

// stuckAfter is how long a message may be unsettled before the status calls it
// waiting.
const stuckAfter = 2 * time.Second

// Snapshot reads everything at one moment.
func (r *Relay) Snapshot() Snapshot {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.ledger
	s := Snapshot{
		Counts: l.counts, OldestUnsettled: l.oldest(), Entered: l.seq, Through: l.through(), LastPlaced: l.lastPlaced,
		Debt: l.debt, DebtLimit: r.debtLimit, Bytes: l.bytes, Retries: l.retries, Reconnects: l.reconnects,
	}
	s.ParkedNow, s.ParkedSince, s.HeldKeys, s.Retrying = r.lot.waiting, r.lot.oldest, len(r.lot.holds), r.lot.reserve > 0
	s.State, s.Why, s.Since = r.why(now)
	s.Why += r.lot.words(r.cfg.Identity.Relay)
	return s
}

// why says what the relay is doing, and since when.
func (r *Relay) why(now time.Time) (State, string, time.Time) {
	switch r.state {
	case StateFailed:
		why := bridge.Printable(r.failed.Error(), 600)
		if hint := bridge.HintOf(r.failed); hint != "" {
			why += " — " + hint
		}
		return r.state, why, r.stateSince
	case StatePaused:
		return r.state, r.pause.words(r.cfg.Identity.Relay), r.stateSince
	case StateStopped, StateStarting:
		if (r.source.err != nil || r.routing.err != nil) && r.state == StateStarting {
			break
		}
		return r.state, "", r.stateSince
	}
	for _, k := range []*link{&r.source, &r.routing} {
		if !k.up && k.err != nil {
			return StateWaiting, k.describe(now), k.since
		}
	}
	if k, opening := r.laneDown(); k != nil {
		return StateWaiting, k.describe(now), k.since
	} else if opening {
		return StateWaiting, "opening the candidate: fencing and recalling what it holds", r.source.since
	}
	if r.state == StateDraining {
		return r.state, fmt.Sprintf("%d in flight", r.ledger.counts.InFlight), r.stateSince
	}
	return r.progress(now)
}

// laneDown gives the link of the first lane that has failed, and says whether any is
// not up.
func (r *Relay) laneDown() (failed *link, opening bool) {
	for _, l := range r.lanes {
		if l.link.up {
			continue
		}
		if l.link.err != nil {
			return &l.link, true
		}
		opening = true
	}
	return nil, opening
}

func (r *Relay) progress(now time.Time) (State, string, time.Time) {
	c := &r.ledger.counts
	if c.InFlight == 0 {
		return StateIdle, "everything received is settled", r.ledger.lastSettled
	}
	if last := r.ledger.lastSettled; now.Sub(last) > stuckAfter && now.Sub(r.ledger.busySince) > stuckAfter {
		since := last
		if r.ledger.busySince.After(since) {
			since = r.ledger.busySince
		}
		return StateWaiting, fmt.Sprintf("waiting for the candidate to confirm %d messages since %s", c.InFlight, now.Sub(since).Round(time.Second)), since
	}
	return StateRunning, fmt.Sprintf("%d in flight", c.InFlight), r.ledger.busySince
}

func (k *link) describe(now time.Time) string {
	in := max(0, k.next.Sub(now)).Round(100 * time.Millisecond)
	return fmt.Sprintf("%s (for %s, attempt %d, next in %s)",
		bridge.Printable(oneLine(k.err), 400), now.Sub(k.since).Round(time.Second), k.attempt, in)
}

// oneLine joins what errors.Join put on several lines.
func oneLine(err error) string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		if es := joined.Unwrap(); len(es) > 0 {
			return es[0].Error()
		}
	}
	return err.Error()
}

// words say what is parked, behind why the relay does what it does; nothing if
// nothing is.
func (p *parkingLot) words(relay string) string {
	switch {
	case p.waiting == 0:
		return ""
	case p.reserve > 0:
		return fmt.Sprintf("; sending again what was parked, %d left", p.waiting)
	case len(p.holds) > 0:
		keys := "keys"
		if len(p.holds) == 1 {
			keys = "key"
		}
		return fmt.Sprintf("; %d parked, %d %s held (crossfade parked list %s)", p.waiting, len(p.holds), keys, relay)
	}
	return fmt.Sprintf("; %d parked (crossfade parked list %s)", p.waiting, relay)
}
