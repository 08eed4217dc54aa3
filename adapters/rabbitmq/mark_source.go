package rabbitmq

import (
	"context"
	"errors"
	"math"
	"time"
)

// Mark writes a mark into a tap of the bridge's own. Into an application's queue nothing
// is written, and what it gives to others is not known.
func (s *queueSource) Mark(ctx context.Context) (given func() bool, err error) {
	if err := s.intake.failure(); err != nil {
		return nil, err
	}
	switch {
	case s.marks.tap == "":
		return nil, errors.ErrUnsupported
	case s.next != nil: // where all that is published waits
		return s.marks.upTo(never), nil
	}
	return s.marks.mark(ctx)
}

// Mark writes a mark into a tap of the bridge's own. Into an application's stream nothing
// is written: its end is looked for.
func (s *streamSource) Mark(ctx context.Context) (given func() bool, err error) {
	if err := s.reader.intake.failure(); err != nil {
		return nil, err
	}
	switch {
	case s.marks.tap == "":
		end, err := inTurn(ctx, s.session, s.marks.turn, func() (uint64, error) { return s.session.behindAll(ctx, s.reader.stream) })
		if err != nil {
			return nil, err
		}
		return s.marks.upTo(end + 1), nil
	case s.next != nil: // where all that is published waits
		return s.marks.upTo(never), nil
	}
	return s.marks.mark(ctx)
}

// keepEvery is behind how many marks the position is kept: they fit into any segment.
const keepEvery = 100

// pass passes over a mark. A tap in which nothing else comes is cut off behind the reader
// as any, and the position must not stay there: it would be a gap.
func (s *streamSource) pass(offset uint64) {
	s.mu.Lock()
	s.pos.pass(offset)
	s.mu.Unlock()
	if s.passed++; s.passed%keepEvery == 0 {
		s.offsets.log.session.start(func() { _ = s.Ack(context.Background(), nil) }) // a failure ends the session
	}
}

// come is what Receive has given, as marks count it: an application's stream has none, and
// there it is one more than the offset before which all was.
func (s *streamSource) come() uint64 {
	if s.marks.tap == "" {
		return s.expected + 1
	}
	return s.marks.come
}

// nextPause is how long the next message of a stream is waited for before its newest is
// looked at.
const nextPause = 20 * time.Millisecond

// behindAll gives an offset before which all lies that a stream held when it was asked, or
// rather the replica beside the connection, which in a cluster may be behind the leader's.
// Where messages come all the time it is that of one that has come since. 0 is an empty
// stream's.
func (n *session) behindAll(ctx context.Context, stream string) (uint64, error) {
	r, err := n.readStream(stream, "next", 1)
	if err != nil {
		return 0, err
	}
	defer r.close()
	for {
		waiting, cancel := context.WithTimeout(ctx, nextPause)
		batch, err := r.next(waiting, 1)
		cancel()
		switch {
		case err == nil:
			return offsetOf(&batch[0])
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return 0, err
		}
		last, empty, calm, err := n.tailUntil(ctx, stream, n.broker.emptyPatience(), math.MaxUint64)
		switch {
		case err != nil || empty:
			return 0, err
		case calm:
			return last + 1, nil
		}
	}
}
