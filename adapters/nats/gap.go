package nats

import (
	"context"
	"fmt"
	"time"
)

const (
	// idleLook is how often an idle source asks how far the stream was searched.
	idleLook = 2 * time.Second
	// gapEvery is how often a tap of some subjects, of which nearly every message
	// comes behind a jump, asks whether the stream's limits have overtaken it.
	gapEvery = time.Second
)

// A gapWatch tells holes, which streams have by deletes and filters, from gaps:
// messages that the stream's limits removed before they were read. The proof is
// the first sequence that the stream holds: while it has not passed the place up
// to which the tap has come, nothing ahead of the tap was removed by limits on
// the whole stream. A tap of all subjects asks at each jump. A tap of some asks
// at jumps once in gapEvery, so limits that overtake it and are overtaken again
// within that time may stay unseen. The limit per subject removes messages in
// the midst of a stream; nothing can tell that from a delete.
type gapWatch struct {
	at   uint64    // up to here the tap has come
	next time.Time // before this a tap of some subjects does not ask
}

// check is called with each message in turn.
func (g *gapWatch) check(ctx context.Context, s *source, pos position) error {
	from := g.at
	g.at = pos.stream
	if pos.stream == from+1 {
		return nil
	}
	if len(s.cfg.Subjects) > 0 {
		now := time.Now()
		if now.Before(g.next) {
			return nil
		}
		g.next = now.Add(gapEvery)
	}
	state, err := s.state(ctx)
	if err != nil {
		return err
	}
	if from+1 < state.first {
		return gapError(fmt.Errorf("%s: %s: stream %s: the messages from %d to %d were removed before the relay read them",
			Kind, s.conn.system.name, s.cfg.Stream, from+1, min(state.first, pos.stream)-1), s.point)
	}
	return nil
}

type streamState struct{ first, last uint64 }

// state asks what the stream holds.
func (s *source) state(ctx context.Context) (streamState, error) {
	stream, err := s.conn.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return streamState{}, s.conn.failed(ctx, "stream "+s.cfg.Stream, err)
	}
	state := &stream.CachedInfo().State
	return streamState{state.FirstSeq, state.LastSeq}, nil
}

// look finds out how far the stream was searched while nothing came: if the
// consumer has nothing left, and everything it delivered has arrived, then what
// the stream held just before holds nothing more for this tap. With nothing in
// flight that is as good as acknowledged, and goes into the checkpoint.
func (s *source) look(ctx context.Context) error {
	state, err := s.state(ctx)
	if err != nil {
		return err
	}
	done, err := s.reader.caughtUp(ctx)
	if err != nil || !done || state.last <= s.gaps.at {
		return err
	}
	s.gaps.at = state.last
	s.mu.Lock()
	s.scanned = place{seq: state.last}
	s.mu.Unlock()
	return s.Ack(context.WithoutCancel(ctx), nil) // a write whose outcome is unknown would end the session
}
