package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Pause is an operator's word that a relay is to stand still, or that it may go on.
type Pause struct {
	// On says which; Since when; Why is what the operator had to say, if anything.
	On    bool
	Since time.Time
	Why   string
	// Said is false where nobody ever said either.
	Said bool
}

// pauseEvery is how often a relay that stands still asks whether it still is to: it
// may have been told to go on while nobody could tell this process.
const pauseEvery = 30 * time.Second

// errPaused ends the attempt of a session, because the relay stands still by now.
var errPaused = errors.New("an operator paused the relay")

// standStill waits, with no session open, for as long as an operator has the relay
// paused. The tap stays, and with it the position.
func (r *Relay) standStill(ctx context.Context) error {
	select {
	case <-r.look: // answered by what follows
	default:
	}
	if r.cfg.Paused == nil {
		return nil
	}
	p, err := r.cfg.Paused(ctx)
	if err != nil {
		return fmt.Errorf("incumbent: read whether the relay is paused: %w", err)
	}
	if !p.On {
		return nil
	}
	r.log.Info("paused", "since", p.Since, "why", p.Why)
	for p.On {
		r.setPause(p)
		if !r.awaitLook(ctx, pauseEvery) {
			return errPaused
		}
		now, err := r.cfg.Paused(ctx)
		switch {
		case err != nil && bridge.ClassOf(err) == bridge.Stopping:
			return fmt.Errorf("incumbent: read whether the relay is paused: %w", err)
		case err != nil: // it was, and nobody has said otherwise
		case !now.Said:
			return bridge.Fatal(errors.New("incumbent: the note that the relay is paused is gone, as if it had been removed"),
				"If it was removed, take it out of the configuration; to begin anew with what comes from now on, start the bridge again.")
		default:
			p = now
		}
	}
	r.setState(StateStarting, nil)
	r.log.Info("goes on, by an operator's word")
	return nil
}

func (r *Relay) setPause(p Pause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.failed = StatePaused, nil
	r.pause, r.stateSince = p, p.Since
}

// awaitLook waits until somebody says that there is something to look at, or for that
// long; it is false if ctx ends before.
func (r *Relay) awaitLook(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.look:
		return true
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// words say that the relay is paused, and what to do about it.
func (p *Pause) words(relay string) string {
	why := "by an operator"
	if p.Why != "" {
		why += ", " + bridge.Printable(p.Why, 300)
	}
	return why + "; crossfade resume " + relay + " lets it go on"
}
