package park

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Open opens the journal in which a place keeps its records.
type Open func(context.Context) (bridge.Journal, error)

// A Place is where one relay parks. Not safe for concurrent use.
type Place struct {
	open    Open
	journal bridge.Journal
}

// New builds a place. The journal is opened, and so created, with the first
// message that needs it.
func New(open Open) *Place { return &Place{open: open} }

// Park stores a message. It is durable when nil is returned. // I1
func (p *Place) Park(ctx context.Context, m *bridge.Message, reason bridge.Reason, cause error) error {
	payload, err := encode(&Parked{At: time.Now().UTC(), Reason: reason, Cause: cause.Error(), Message: *m})
	if err != nil {
		return err
	}
	if err := p.ready(ctx); err != nil {
		return err
	}
	records, err := split(payload, p.journal.MaxRecord())
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

// Each calls f with every parked message, oldest first, and stops at its first
// error.
func (p *Place) Each(ctx context.Context, f func(*Parked) error) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	var j joiner
	return p.journal.Replay(ctx, func(record []byte) error {
		payload, err := j.add(record)
		if err != nil || payload == nil {
			return err
		}
		parked, err := decode(payload)
		if err != nil {
			return err
		}
		return f(parked)
	})
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
