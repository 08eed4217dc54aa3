package nats

import (
	"context"
	"fmt"
	"time"
)

// idleLook is how often an idle source looks how far the stream was searched.
const idleLook = 250 * time.Millisecond

// A gapWatch tells holes, which streams have by deletes and filters, from gaps:
// messages that the stream's limits removed before they were read. The proof is
// the first sequence that the stream holds: while it has not passed the place up
// to which the tap has come, nothing ahead of the tap was removed by limits on
// the whole stream. The tap asks once for each batch with a jump, before the batch
// is given: a gap is never passed, and where holes are the rule, as for a tap of
// some subjects, what arrives during one question is answered by the next. The
// limit per subject removes messages in the midst of a stream; nothing can tell
// that from a delete.
type gapWatch struct {
	at   uint64 // up to here the tap has come
	jump bool   // there was a jump since the latest proof
	from uint64 // where the first of them began
	to   uint64 // and ended
}

// step is called with each message in turn.
func (g *gapWatch) step(pos position) {
	if pos.stream != g.at+1 && !g.jump {
		g.jump, g.from, g.to = true, g.at, pos.stream
	}
	g.at = pos.stream
}

// prove is called behind the messages of a batch, before they are given away.
// The first jump stands for all: what limits removed ahead of a later one is
// behind the stream's first sequence too.
func (g *gapWatch) prove(ctx context.Context, s *source) error {
	if !g.jump {
		return nil
	}
	g.jump = false
	state, err := s.state(ctx)
	if err != nil {
		return err
	}
	if g.from+1 < state.first {
		return gapError(fmt.Errorf("%s: %s: stream %s: the messages from %d to %d were removed before the relay read them",
			Kind, s.conn.system.name, s.cfg.Stream, g.from+1, min(state.first, g.to)-1), s.point)
	}
	return nil
}

type streamState struct {
	first, last uint64
	created     time.Time
}

// state asks what the stream holds.
func (s *source) state(ctx context.Context) (streamState, error) {
	stream, err := s.conn.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return streamState{}, s.conn.failed(ctx, "stream "+s.cfg.Stream, err)
	}
	info := stream.CachedInfo()
	return streamState{info.State.FirstSeq, info.State.LastSeq, info.Created}, nil
}

// look is called while nothing comes. The server's heartbeats say how far it has
// searched the stream; if a mark is further, it is made to search once more. With
// nothing in flight what was searched is as good as acknowledged, and goes into the
// checkpoint.
func (s *source) look(ctx context.Context) error {
	to := s.reader.searched
	if s.awaits(to) {
		if err := s.reader.probe(); err != nil {
			return err
		}
	}
	if to <= s.gaps.at {
		return nil
	}
	s.gaps.at = to
	s.passed(place{seq: to})
	return s.Ack(context.WithoutCancel(ctx), nil) // a write whose outcome is unknown would end the session
}
