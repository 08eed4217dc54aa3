package relay

import (
	"context"
	"errors"
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

// A PausedError is what Config.Source gives, with no session, where an operator has
// the relay stand still.
type PausedError struct{ Pause Pause }

func (e *PausedError) Error() string { return "the relay is paused" }

// pauseEvery is how often a relay that stands still asks whether it still is to: it
// may have been told to go on while nobody could tell this process. To ask may leave
// a mark at the incumbent, so it is not often.
const pauseEvery = time.Minute

// told says that a session ended, or did not begin, since there is an operator's word
// to be heard, and what of it is known.
func told(err error) (known Pause, is bool) {
	var paused *PausedError
	if errors.As(err, &paused) {
		return paused.Pause, true
	}
	return known, errors.Is(err, errLook)
}

// standStill waits, with no session open, for as long as an operator has the relay
// paused. The tap stays, and with it the position. It returns an error of ctx when
// that ends.
func (r *Relay) standStill(ctx context.Context, p Pause) (err error) {
	if r.cfg.Paused == nil {
		return nil
	}
	if !p.On {
		if p, err = r.cfg.Paused(ctx); err != nil || !p.On {
			return err
		}
	}
	r.log.Info("paused", "since", p.Since, "why", p.Why)
	for p.On {
		r.setPause(p)
		if !r.awaitLook(ctx, pauseEvery) {
			return context.Cause(ctx)
		}
		now, err := r.cfg.Paused(ctx)
		switch {
		case err != nil && bridge.ClassOf(err) == bridge.Stopping:
			return err
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
