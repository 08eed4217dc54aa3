package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/ordering"
)

// routes are by what a session goes where the sink dictates the lane of a message.
type routes struct {
	bridge.Router
	sink bridge.Sink
}

// openRoutes opens a sink for its routes, as often as it takes, before anything is
// received. It is nil where the relay chooses lanes itself.
func (r *Relay) openRoutes(ctx context.Context) (*routes, error) {
	if !r.cfg.SinkTraits.Routed || r.cfg.SinkTraits.Lanes == 1 {
		return nil, nil
	}
	for attempt := 1; ; attempt++ {
		sink, err := r.cfg.Sink(ctx)
		if err == nil {
			return r.routesOf(sink)
		}
		err = fmt.Errorf("candidate: %w", aboutNothing(err))
		if bridge.ClassOf(err) == bridge.Stopping || ctx.Err() != nil {
			return nil, err
		}
		wait := r.backoff(attempt)
		r.linkDown(&r.routing, err, attempt, wait)
		select {
		case <-r.look: // the candidate may stay away for long
			return nil, errLook
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (r *Relay) routesOf(sink bridge.Sink) (*routes, error) {
	router, ok := sink.(bridge.Router)
	if !ok {
		err := bridge.Fatal(errors.New("candidate: the adapter's traits say that it dictates lanes, and its sink does not"),
			"This is a mistake in the adapter; nothing was received. Report it.")
		return nil, errors.Join(err, closed(sink.Close()))
	}
	r.linkUp(&r.routing)
	return &routes{Router: router, sink: sink}, nil
}

// close ends the sink of the routes, once no lane is left.
func (x *routes) close() error {
	if x == nil {
		return nil
	}
	return closed(x.sink.Close())
}

// laneOf is the lane of an entry; negative where the sink names none that there is.
func (r *Relay) laneOf(e *entry) int16 {
	lanes := len(r.lanes)
	switch {
	case lanes == 1:
		return 0
	case bridge.Planted(bridge.BugLaneByID):
		return int16(ordering.Lane(e.d.ID.Value, 0, lanes))
	case r.routes == nil:
		return int16(ordering.Lane(e.d.Key, e.shard, lanes))
	}
	if lane := r.routes.Route(&e.d.Message, lanes); 0 <= lane && lane < lanes {
		return int16(lane)
	}
	return -1
}

// misrouted is what is wrong with a lane that there is not.
func (r *Relay) misrouted(m *bridge.Message) error {
	return bridge.Fatal(fmt.Errorf("candidate: message of key %q is routed to lane %d of %d", bridge.Printable(m.Key, 64), r.routes.Route(m, len(r.lanes)), len(r.lanes)),
		"This is a mistake in the adapter; the message was not acknowledged. Report it.")
}

// together waits, where the sink dictates the lanes, until every lane has kept
// earlier sessions off and read back what they placed. Those may have gone by other
// routes: what this session sends through one lane they may have placed, or may yet
// be sending, through another. // I2, I6
func (l *lane) together(ctx context.Context) error {
	if l.r.routes == nil || bridge.Planted(bridge.BugLanesApart) {
		return nil
	}
	select {
	case <-l.r.resumption.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
