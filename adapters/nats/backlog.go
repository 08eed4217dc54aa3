package nats

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Backlog is as bridge.Backlogger says.
func (s *source) Backlog(ctx context.Context) (bridge.Backlog, error) {
	info, err := s.reader.info(ctx)
	if err != nil {
		return bridge.Backlog{}, s.ended(ctx, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := bridge.Backlog{Bytes: -1, Messages: max(0, int64(info.NumPending)+int64(info.Delivered.Consumer)-int64(s.unacked.taken))}
	if p, ok := s.unacked.oldest(); ok {
		b.Oldest = time.Unix(0, p.time)
	}
	return b, nil
}

// Mark is as bridge.Backlogger says. What the stream has confirmed is at its newest
// sequence or in front of it, whichever subjects the tap is of.
func (s *source) Mark(ctx context.Context) (given func() bool, err error) {
	state, err := s.state(ctx)
	if err == nil && !state.created.Equal(s.info.Created) {
		err = fmt.Errorf("%s: %s: stream %s: it was deleted and made again", Kind, s.conn.system.name, s.cfg.Stream)
	}
	if err != nil {
		return nil, s.ended(ctx, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marked = max(s.marked, state.last)
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.given > state.last
	}, nil
}

// handled notes that whoever calls Receive is done with what it gave before.
func (s *source) handled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.closed {
		s.given = s.scanned.seq + 1
	}
}

// awaits says that a mark asks of more than what the stream was searched for.
func (s *source) awaits(searched uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marked > searched
}

// passed notes, while Receive has nothing in hand, that nothing matches up to a place.
func (s *source) passed(p place) {
	s.mu.Lock()
	s.scanned = p
	s.mu.Unlock()
	s.handled()
}
