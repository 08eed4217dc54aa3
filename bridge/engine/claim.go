package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A claim keeps a relay's name for one source and one target, in a journal at the
// incumbent. Only who has the tap looks at it, so two never do at a time. Where the
// incumbent keeps no journals a name may come to stand for something else.
type claim struct {
	relay    *config.Relay
	journals bridge.JournalOpener // nil where there are none
	log      *slog.Logger
	turn     chan struct{} // holds one while nobody is at it
	latest   claimed       // guarded by turn
}

// claimed is a record of the journal; the last one holds.
type claimed struct {
	At   time.Time    `json:"at"`
	From *bridge.Site `json:"from,omitempty"`
	To   *bridge.Site `json:"to,omitempty"`
	// Pause is set in notes of an operator, which say nothing else.
	Pause *pauseNote `json:"pause,omitempty"`
}

// claimPurpose names the journal.
const claimPurpose = "relay"

func readClaimed(relay string, record []byte) (r claimed, err error) {
	if err = json.Unmarshal(record, &r); err != nil {
		err = bridge.Fatal(fmt.Errorf("relay %s: the journal %q holds a record that cannot be read: %w", relay, claimPurpose, err),
			"Something else writes to a journal of the bridge's own, or a later version of it does; find out what.")
	}
	return r, err
}

func newClaim(r *config.Relay, log *slog.Logger) *claim {
	c := &claim{relay: r, journals: journalsOf(r.Source), log: log.With("relay", r.Name), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// source is an error if the relay's name stands for another source, or if an operator
// has the relay stand still, which the same journal says: a PausedError.
func (c *claim) source(ctx context.Context) error {
	return c.with(ctx, c.relay.Source, func(j bridge.Journal, is *bridge.Site) error {
		c.latest = claimed{}
		var p relay.Pause
		err := j.Replay(ctx, func(record []byte) error {
			r, err := readClaimed(c.relay.Name, record)
			if err != nil {
				return err
			}
			if r.Pause == nil {
				c.latest = r
			} else {
				p = r.pause()
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("incumbent: read what the relay stands for: %w", err)
		}
		if was := c.latest.From; was != nil {
			if err := bridge.SiteError(c.relay.Name, "source", *was, *is); err != nil {
				return err
			}
			if err := c.anew(c.relay.Source, "from", "source", "positions in it mean something else, and what it held before may not have been copied", was, is); err != nil {
				return err
			}
		}
		if err := c.note(ctx, j, claimed{From: is, To: c.latest.To}); err != nil || !p.On {
			return err
		}
		return &relay.PausedError{Pause: p}
	})
}

// sink is an error if the relay's name stands for another target, or its target
// was made anew.
func (c *claim) sink(ctx context.Context) error {
	return c.with(ctx, c.relay.Sink, func(j bridge.Journal, is *bridge.Site) error {
		was := c.latest.To
		if was == nil {
			return c.note(ctx, j, claimed{From: c.latest.From, To: is})
		}
		if err := bridge.SiteError(c.relay.Name, "target", *was, *is); err != nil {
			return err
		}
		if err := c.anew(c.relay.Sink, "to", "target", "what was placed before is not in it", was, is); err != nil {
			return err
		}
		return c.note(ctx, j, claimed{From: c.latest.From, To: is})
	})
}

// anew is an error if a side was made anew, unless its block accepts that.
func (c *claim) anew(opener any, block, side, meaning string, was, is *bridge.Site) error {
	switch {
	case was.Incarnation == is.Incarnation:
		return nil
	case !acceptsRecreated(opener):
		return bridge.Fatal(fmt.Errorf("relay %s: its %s was %q, and is now %q: it was deleted and made anew; %s", c.relay.Name, side, was, is, meaning),
			"To go on from here write accept: [recreated] in "+block+", if it has that word. To copy anew what the incumbent still has, let the relay go with crossfade remove "+c.relay.Name+" and start it again.")
	}
	c.log.Warn("the "+side+" was made anew, and the relay goes on, as the configuration accepts; "+meaning, "was", was.String(), "is", is.String())
	return nil
}

// with asks for a site and opens the journal; one caller at a time.
func (c *claim) with(ctx context.Context, opener any, f func(bridge.Journal, *bridge.Site) error) error {
	if c.journals == nil {
		return nil
	}
	site, known, err := siteOf(ctx, opener)
	if err != nil || !known {
		return err
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { c.turn <- struct{}{} }()
	if was := c.latest.To; opener == any(c.relay.Sink) && was != nil && was.Equal(site) {
		return nil
	}
	j, err := c.journals.OpenJournal(ctx, claimPurpose)
	if err != nil {
		return fmt.Errorf("incumbent: open what the relay stands for: %w", err)
	}
	return errors.Join(f(j, &site), j.Close())
}

// note writes a record if it says something new.
func (c *claim) note(ctx context.Context, j bridge.Journal, now claimed) error {
	if sameSite(now.From, c.latest.From) && sameSite(now.To, c.latest.To) {
		return nil
	}
	now.At = time.Now().UTC()
	record, err := json.Marshal(now)
	if err == nil {
		err = j.Append(ctx, record)
	}
	if err != nil {
		return fmt.Errorf("incumbent: note what the relay stands for: %w", err)
	}
	c.latest = now
	return nil
}

func sameSite(a, b *bridge.Site) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
