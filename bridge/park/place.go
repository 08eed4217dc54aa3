package park

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Open opens the journal in which a place keeps its records.
type Open func(context.Context) (bridge.Journal, error)

// A Place is where one relay parks. Several may be open on one journal; a single
// one is not safe for concurrent use.
type Place struct {
	open    Open
	journal bridge.Journal
}

// New builds a place. The journal is opened, and so created, with the first use.
func New(open Open) *Place { return &Place{open: open} }

// mostItems and enough bound what one record holds.
const (
	mostItems = 4096
	enough    = 1 << 20 // octets
)

// Park stores messages, in order, and sets their Ref. They are durable when nil is
// returned; after an error some may be. // I1
func (p *Place) Park(ctx context.Context, parked []bridge.Parked) error {
	for len(parked) > 0 {
		g, payload, n := newGroup(), []byte(nil), 0
		for n < min(len(parked), mostItems) && len(payload) < enough {
			var err error
			parked[n].Ref = g.ref(n)
			if payload, err = appendItem(payload, itemOf(&parked[n])); err != nil {
				return err
			}
			n++
		}
		if err := p.write(ctx, g, payload); err != nil {
			return err
		}
		parked = parked[n:]
	}
	return nil
}

// Placed notes that the candidate has confirmed parked messages, which are parked
// no more.
func (p *Place) Placed(ctx context.Context, refs []string) error {
	return p.note(ctx, &item{Note: notePlaced, Refs: refs})
}

// Refused notes that a message was sent again and refused again. It is not sent
// once more until an operator asks for it.
func (p *Place) Refused(ctx context.Context, ref string, reason bridge.Reason, cause string) error {
	return p.note(ctx, &item{Note: noteRefused, Refs: []string{ref}, Reason: reason, Cause: cause})
}

// Retry asks for messages to be sent again, with all that waits behind them.
func (p *Place) Retry(ctx context.Context, refs []string) error {
	return p.note(ctx, &item{Note: noteRetry, Refs: refs})
}

// Discard gives messages up for good.
func (p *Place) Discard(ctx context.Context, refs []string) error {
	return p.note(ctx, &item{Note: noteDiscarded, Refs: refs})
}

func (p *Place) note(ctx context.Context, in *item) error {
	if len(in.Refs) == 0 {
		return nil
	}
	in.At = time.Now().UTC()
	payload, err := appendItem(nil, in)
	if err != nil {
		return err
	}
	return p.write(ctx, newGroup(), payload)
}

func (p *Place) write(ctx context.Context, g group, payload []byte) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	records, err := split(g, payload, p.journal.MaxRecord())
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := p.journal.Append(ctx, r); err != nil {
			_ = p.Close() // the session may be dead: the next attempt opens another
			return fmt.Errorf("park: %w", err)
		}
	}
	return nil
}

// Each calls f with every message that is parked, oldest first, and those that are
// done with but were placed lately; it stops at the first error of f.
func (p *Place) Each(ctx context.Context, f func(*bridge.Parked) error) error {
	x := newIndex()
	if err := p.replay(ctx, func(ref string, in *item) error {
		x.apply(ref, in)
		return nil
	}); err != nil {
		return err
	}
	if len(x.waiting)+len(x.placed) == 0 {
		return nil
	}
	return p.replay(ctx, func(ref string, in *item) error {
		if in.Note != "" || x.waiting[ref] == nil && !x.placed[ref] {
			return nil
		}
		parked, err := in.parked()
		if err != nil {
			return err
		}
		x.complete(ref, parked)
		return f(parked)
	})
}

// Waiting calls f with every message that is parked and not done with.
func (p *Place) Waiting(ctx context.Context, f func(*bridge.Parked) error) error {
	return p.Each(ctx, func(m *bridge.Parked) error {
		if m.Done {
			return nil
		}
		return f(m)
	})
}

// replay calls f with every item of the journal.
func (p *Place) replay(ctx context.Context, f func(ref string, in *item) error) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	var j joiner
	var failed error // of f, which says nothing about the journal
	err := p.journal.Replay(ctx, func(record []byte) error {
		g, payload, err := j.add(record)
		if payload == nil && err == nil {
			return nil
		}
		var all []item
		if err == nil {
			all, err = items(payload)
		}
		if err != nil {
			return bridge.Fatal(err, "Something else writes to the bridge's journal of parked messages, or a later version of it does; find out what.")
		}
		for i := range all {
			if failed = f(g.ref(i), &all[i]); failed != nil {
				return failed
			}
		}
		return nil
	})
	if err != nil && failed == nil {
		_ = p.Close() // likewise
		return fmt.Errorf("park: %w", err)
	}
	return err
}

func (p *Place) ready(ctx context.Context) error {
	if p.journal != nil {
		return nil
	}
	j, err := p.open(ctx)
	if err != nil {
		return fmt.Errorf("park: open the journal: %w", err)
	}
	p.journal = j
	return nil
}

// Close releases the journal. What was parked stays.
func (p *Place) Close() error {
	if p.journal == nil {
		return nil
	}
	j := p.journal
	p.journal = nil
	return j.Close()
}
