package rabbitmq

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// beginning is where a new relay begins to read an application's stream.
//
//	now     behind the newest message; the default
//	first   at the oldest that is kept
//	a time  at the first chunk that the broker wrote at or after it: never later
//	        than the first message that came by then, and up to a chunk's
//	        messages earlier, whose own times do not count
//	offset  exactly there, if it is kept; origin the same, of this stream
//
// A stream that is empty has never had a message: retention keeps the newest
// segment.
func (o *sourceOpener) beginning(ctx context.Context, n *session) (uint64, error) {
	found, err := n.queueArguments(o.tap)
	if err != nil {
		return 0, setupError(o.Describe(), err)
	}
	if kind := found.kind(); kind != typeStream && kind != "" {
		return 0, bridge.Fatal(fmt.Errorf("rabbitmq: %s is a %s queue", o.tap, kind), "Read a queue with tap: queue, or by bindings of a tap of the bridge's own.")
	}
	start := o.settings.Start
	if start.Kind == bridge.StartOrigin {
		if err := o.ofThisStream(n, start); err != nil {
			return 0, err
		}
	}
	last, empty, err := n.tail(ctx, o.tap, n.broker.emptyPatience())
	if err != nil {
		return 0, err
	}
	end := last + 1
	if empty {
		end = 0
	}
	switch start.Kind {
	case bridge.StartOffset, bridge.StartOrigin:
		return o.exactly(ctx, n, start.Offset, end)
	case bridge.StartFirst:
		if empty {
			return 0, nil
		}
		return n.first(ctx, o.tap)
	case bridge.StartTime:
		if empty {
			return 0, nil
		}
		return n.at(ctx, o.tap, start.Time, end)
	}
	return end, nil
}

// exactly makes sure that an offset can be read from: the broker would begin at
// the oldest that is left, or wait for it to come, in silence.
func (o *sourceOpener) exactly(ctx context.Context, n *session, offset, end uint64) (uint64, error) {
	if offset > end {
		return 0, bridge.Fatal(fmt.Errorf("rabbitmq: start: %s ends before offset %d: the next message is at %d", o.Describe(), offset, end),
			"Write start: now to begin with the next message.")
	}
	if offset == end {
		return offset, nil
	}
	first, err := n.first(ctx, o.tap)
	if err != nil {
		return 0, err
	}
	if offset+1 < first { // one offset may be the stream's own entry
		return 0, bridge.Fatal(fmt.Errorf("rabbitmq: start: %s was cut off before offset %d: %d to %d are not there any more", o.Describe(), first, offset, first-1),
			"Write start: first to begin with the oldest that is left.")
	}
	return offset, nil
}

// ofThisStream makes sure that an origin is of the stream that is read. Its
// incarnation is a relay's own word for it, so it does not count.
func (o *sourceOpener) ofThisStream(n *session, start bridge.Start) error {
	if s := start.Stream; s.System == Kind && s.Cluster == n.broker.origin && s.Name == o.tap {
		return nil
	}
	return bridge.Fatal(fmt.Errorf("rabbitmq: start: %s names a message of %s %s, %s; this is rabbitmq %s, %s",
		printable(start.String()), start.Stream.System, printable(start.Stream.Cluster), printable(start.Stream.Name), n.broker.origin, o.tap),
		"An origin is a position in the stream that it names, and in no copy of it.")
}

// at finds the offset of the first message of the first chunk that the broker
// wrote at that time or after it. A time after the newest message is the end,
// where the broker says nothing.
func (n *session) at(ctx context.Context, stream string, t time.Time, end uint64) (uint64, error) {
	r, err := n.readStream(stream, t, 1)
	if err != nil {
		return 0, err
	}
	defer r.close()
	if err := r.sync(); err != nil {
		return 0, err
	}
	limitOf(ctx).allow(n.broker.emptyPatience())
	waiting, cancel := context.WithTimeout(ctx, n.broker.emptyPatience())
	defer cancel()
	batch, err := r.next(waiting, 1)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return end, nil
		}
		return 0, err
	}
	return offsetOf(&batch[0])
}

// validateStart refuses what a source has not, with what will not be copied.
func (c *sourceSettings) validateStart() error {
	switch k := c.Start.Kind; {
	case c.Stream != "" || c.Shared != "" || k == bridge.StartDefault || k == bridge.StartNow:
		return nil
	case c.Tap == tapQueue:
		return fmt.Errorf("start: %s: a queue has no positions: it is read from its oldest message on, and what its consumers have taken is not copied; only now or nothing can be said", c.Start)
	}
	return fmt.Errorf("start: %s: a tap begins when it is made: what was published before, and what waits in the application's queues then, is not copied; only now can be said", c.Start)
}
