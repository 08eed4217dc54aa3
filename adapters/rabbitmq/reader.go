package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A streamReader reads a stream from some place on. Acknowledging is only how
// the broker is given credit: no position is kept there.
type streamReader struct {
	session  *session
	stream   string
	ch       *amqp.Channel
	channel  uint16
	intake   *intake
	prefetch int
	credited uint64
	out      []byte
}

// readStream subscribes to a stream. from is an offset (int64), "first", "last"
// (the beginning of the newest chunk) or "next".
func (n *session) readStream(stream string, from any, prefetch int) (*streamReader, error) {
	r := &streamReader{session: n, stream: stream, intake: newIntake(), prefetch: prefetch}
	var err error
	if r.ch, r.channel, err = n.channel(r.intake); err != nil {
		return nil, setupError("read "+stream, err)
	}
	n.watch(r.ch, r.intake.end)
	if err := r.ch.Qos(prefetch, 0, false); err != nil {
		return nil, setupError("read "+stream, err)
	}
	_, err = r.ch.Consume(stream, "crossfade", false, false, false, false, amqp.Table{"x-stream-offset": from})
	if err != nil {
		return nil, setupError("read "+stream, err)
	}
	return r, nil
}

// next gives up to limit messages, and waits for the first.
func (r *streamReader) next(ctx context.Context, limit int) ([]delivery, error) {
	batch, err := r.intake.next(ctx, limit)
	if err != nil {
		return nil, err
	}
	return batch, r.credit(batch[len(batch)-1].tag)
}

// soon is next where there has to be a message: not having one is an error.
func (r *streamReader) soon(ctx context.Context, limit int) ([]delivery, error) {
	ctx, cancel := r.session.within(ctx)
	defer cancel()
	return r.next(ctx, limit)
}

// credit acknowledges in steps, so that the broker never waits for it, and at
// once when nothing more has come, so that nothing is left un-acknowledged until
// the broker's own time-out.
func (r *streamReader) credit(tag uint64) error {
	if tag-r.credited < uint64(max(1, r.prefetch/4)) && !r.intake.idle() {
		return nil
	}
	return r.ack(tag)
}

// ack acknowledges all up to tag, each tag once.
func (r *streamReader) ack(tag uint64) error {
	if tag == r.credited {
		return nil
	}
	r.credited = tag
	r.out = appendAck(r.out[:0], r.channel, tag, true)
	if _, err := r.session.sock.push(r.out); err != nil {
		return r.session.why(err)
	}
	return nil
}

// sync makes sure that all that the broker sent before has come.
func (r *streamReader) sync() error {
	if err := r.ch.Qos(r.prefetch, 0, false); err != nil {
		return runError("read "+r.stream, err)
	}
	return nil
}

func (r *streamReader) close() { _ = r.ch.Close() }

// offsetOf is the stream's offset of a message.
func offsetOf(d *delivery) (uint64, error) {
	if offset, ok := peekOffset(d); ok {
		return offset, nil
	}
	return 0, errors.New("rabbitmq: a message of a stream has no x-stream-offset")
}

// tail finds the offset of a stream's newest message. The broker's own count is
// stale for seconds, so the newest chunk is read until a synchronous call
// brings nothing more. An empty stream gives no sign of itself: one that says
// nothing for as long as patience and counts nothing is taken as empty.
// Where messages come all the time, no call brings nothing: after tailMost the newest
// that has come is it.
func (n *session) tail(ctx context.Context, stream string, patience time.Duration) (offset uint64, empty bool, err error) {
	offset, empty, _, err = n.tailUntil(ctx, stream, patience, math.MaxUint64)
	return offset, empty, err
}

// tailMost is longer than a chunk takes to read.
const tailMost = 2 * time.Second

// tailUntil is tail, and returns as soon as it has seen the offset until: with 0, an
// offset of the newest chunk. calm says that what it gives is the end, and not just what
// came while more was coming.
func (n *session) tailUntil(ctx context.Context, stream string, patience time.Duration, until uint64) (offset uint64, empty, calm bool, err error) {
	r, err := n.readStream(stream, "last", 1024)
	if err != nil {
		return 0, false, false, err
	}
	defer r.close()
	if empty, err := r.waitFirst(ctx, patience); err != nil || empty {
		return 0, empty, empty, err
	}
	began := time.Now()
	for r.intake.pending() {
		batch, err := r.next(ctx, 1024)
		if err != nil {
			return 0, false, false, err
		}
		newest := &batch[len(batch)-1]
		tag := newest.tag // the batch is void once pending is asked
		if offset, err = offsetOf(newest); err != nil {
			return 0, false, false, err
		}
		if offset >= until || time.Since(began) > tailMost {
			return offset, false, false, nil
		}
		if r.intake.pending() {
			continue
		}
		if err := r.ack(tag); err != nil {
			return 0, false, false, err
		}
		if err := r.sync(); err != nil {
			return 0, false, false, err
		}
	}
	return offset, false, true, nil
}

// waitFirst waits for the first delivery, or until the stream has been silent for as
// long as patience with a count of nothing. That wait does not count as setting up.
func (r *streamReader) waitFirst(ctx context.Context, patience time.Duration) (empty bool, err error) {
	step := min(patience, time.Second)
	for silent := step; ; silent += step {
		waiting, cancel := context.WithTimeout(ctx, step)
		err := r.intake.await(waiting)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return false, err
		}
		if err := r.sync(); err != nil { // a broker that is only slow has sent by then
			return false, err
		}
		state, err := r.session.passive(r.stream)
		switch {
		case err != nil:
			return false, runError("look at "+r.stream, err)
		case state.Messages > 0 || r.intake.pending():
		case silent >= patience:
			return true, nil
		default:
			limitOf(ctx).allow(step)
		}
	}
}

// first finds the offset of the oldest message that is kept; the stream is not
// empty.
func (n *session) first(ctx context.Context, stream string) (uint64, error) {
	r, err := n.readStream(stream, "first", 1)
	if err != nil {
		return 0, err
	}
	defer r.close()
	batch, err := r.soon(ctx, 1)
	if err != nil {
		return 0, fmt.Errorf("first offset of %s: %w", stream, err)
	}
	return offsetOf(&batch[0])
}
