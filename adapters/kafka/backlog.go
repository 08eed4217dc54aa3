package kafka

import (
	"context"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Backlog is as bridge.Backlogger says. Offsets are not a count: markers of transactions,
// records of aborted ones and what compaction took have some, so there may be fewer.
func (s *source) Backlog(ctx context.Context) (bridge.Backlog, error) {
	l, err := s.asks.look(ctx, s.topics()...)
	if err != nil {
		return bridge.Backlog{}, s.ended(ctx, err)
	}
	ends, err := s.asks.positions(ctx, l, atLatest, !s.opener.config.Uncommitted, spotsOf(s.parts)...)
	if err != nil {
		return bridge.Backlog{}, s.ended(ctx, err)
	}
	b := bridge.Backlog{Bytes: -1, Bound: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		b.Messages += max(0, ends[p.spot]-p.scanned) + int64(p.window.Waiting())
		if oldest, ok := p.window.Oldest(); ok && oldest.time >= 0 {
			if at := time.UnixMilli(oldest.time); b.Oldest.IsZero() || at.Before(b.Oldest) {
				b.Oldest = at
			}
		}
	}
	return b, nil
}

// topics are the names of what the session reads.
func (s *source) topics() []string {
	var names []string
	for _, parts := range topicsOf(s.parts) {
		names = append(names, parts[0].topic)
	}
	return names
}
