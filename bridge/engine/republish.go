package engine

import (
	"context"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Republish sends messages to a target, in order, and returns once all are durable there.
func Republish(ctx context.Context, target bridge.SinkOpener, msgs []*bridge.Message) error {
	sink, err := target.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = sink.Close() }() // all that counts is durable by then
	lanes := max(1, target.Traits().Lanes)
	router, routed := sink.(bridge.Router)
	for len(msgs) > 0 {
		lane, n := 0, len(msgs)
		if routed { // what one lane takes goes at once, so that all stay in order
			lane, n = router.Route(msgs[0], lanes), 1
			for n < len(msgs) && router.Route(msgs[n], lanes) == lane {
				n++
			}
		}
		if err := send(ctx, sink, lane, msgs[:n]); err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

// send sends messages through one lane and waits until they are settled.
func send(ctx context.Context, sink bridge.Sink, lane int, msgs []*bridge.Message) error {
	type outcome struct {
		n   int
		err error
	}
	settled := make(chan outcome, len(msgs)+1)
	l, err := sink.Open(ctx, lane, func(n int, placements []bridge.Placement, err error) {
		for i := range placements {
			if placements[i].Refused != nil && err == nil {
				err = placements[i].Refused
			}
		}
		settled <- outcome{n, err}
	})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if n, err := l.Send(ctx, msgs); err != nil {
		return fmt.Errorf("message %s: %w", msgs[n].ID.Value, err)
	}
	for left := len(msgs); left > 0; {
		select {
		case o := <-settled:
			if o.err != nil {
				return o.err
			}
			left -= o.n
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
