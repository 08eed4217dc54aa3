package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// recallReach is how many offsets back Recall looks among messages of other
	// writers. It begins with recallStep and goes on in larger steps where few of them
	// are the relay's, so that a long way back takes few questions.
	recallReach = 1 << 20
	recallStep  = 1 << 13
	recallMost  = 1 << 15
)

// Recall reads the stream's newest messages and reports those of this relay. It
// runs on a connection of its own and moves nothing. // I6
func (s *streamSink) Recall(ctx context.Context, lane, n int, each func(bridge.Placed) bool) error {
	o := s.opener
	stream := o.target.queue
	var conn *session
	var last uint64
	var empty bool
	err := o.system.setUp(ctx, fmt.Sprintf("%s recall from %s", o.id, stream), func(ctx context.Context, n *session) (err error) {
		conn = n
		last, empty, err = n.end(ctx, stream)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.close()
	if empty || n <= 0 {
		return nil
	}
	return conn.newest(ctx, stream, o.id.String(), last, n, each)
}

// A stream's end has to stay where it is for calmLeast, or for as long as a look at
// it takes; others who write to it may keep it moving for calmMost.
const (
	calmLeast = 50 * time.Millisecond
	calmMost  = 2 * time.Second
)

// end is tail for a stream whose earlier owner may just have gone: what his channel
// had handed over may still be on its way to the stream when his lock is free, and
// no call waits for it. // I6
func (n *session) end(ctx context.Context, stream string) (last uint64, empty bool, err error) {
	began := time.Now()
	last, empty, err = n.tail(ctx, stream, n.broker.emptyPatience())
	for took := time.Since(began); err == nil && !empty && time.Since(began) < calmMost; {
		t := time.NewTimer(max(calmLeast, took))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return 0, false, context.Cause(ctx)
		}
		was, look := last, time.Now()
		if last, empty, err = n.tail(ctx, stream, n.broker.emptyPatience()); last == was {
			break
		}
		took = time.Since(look)
	}
	return last, empty, err
}

// newest calls each with up to count of the newest messages of a relay, of those up
// to last, the newest first, until it wants no more.
func (n *session) newest(ctx context.Context, stream, relay string, last uint64, count int, each func(bridge.Placed) bool) error {
	for to, step := last, uint64(recallStep); last-to < recallReach; {
		from := to - min(to, step-1)
		block, err := n.placed(ctx, stream, relay, from, to)
		if err != nil {
			return err
		}
		for _, p := range slices.Backward(block) {
			if count--; !each(p) || count == 0 {
				return nil
			}
		}
		if from == 0 {
			return nil
		}
		if to = from - 1; uint64(len(block)) < step/2 {
			step = min(2*step, recallMost)
		}
	}
	return nil
}

// placed reads a range of offsets and gives what the relay of that name placed.
// Where the range has been cut off, it is what is left of it.
func (n *session) placed(ctx context.Context, stream, relay string, from, to uint64) ([]bridge.Placed, error) {
	var r *streamReader
	err := n.bounded(ctx, "recall from "+stream, func(context.Context) (err error) {
		r, err = n.readStream(stream, int64(from), 4096)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = n.bounded(ctx, "recall from "+stream, func(context.Context) error { r.close(); return nil }) // it has been read
	}()
	var found []bridge.Placed
	next := from // where a message is that does not say so
	for {
		batch, err := r.soon(ctx, 1024)
		if err != nil {
			return nil, err
		}
		for i := range batch {
			p, ours := readPlaced(&batch[i], next, relay)
			next = p.Position + 1
			if p.Position > to {
				return found, nil
			}
			if ours {
				found = append(found, p)
			}
			if p.Position == to {
				return found, nil
			}
		}
	}
}

// readPlaced reads the ID and position of a message, and whether the relay
// placed it. One that cannot be read is not the relay's, which writes what can be,
// and is behind the one before it.
func readPlaced(d *delivery, next uint64, relay string) (p bridge.Placed, ours bool) {
	if offset, err := offsetOf(d); err == nil {
		next = offset
	}
	p.Position = next
	id := ""
	err := eachHeader(d, func(name []byte, _ bridge.Type, value []byte) {
		switch string(name) {
		case bridge.HopRelay:
			ours = string(value) == relay
		case bridge.HopID:
			id = string(value)
		case bridge.HopOrigin:
			p.Origin, _ = bridge.ParseOrigin(string(value))
		}
	})
	if err != nil || !ours || id == "" {
		return p, false
	}
	p.ID, p.Key, err = bridge.ParseID(id)
	return p, err == nil // if it is, not written by this relay after all
}
