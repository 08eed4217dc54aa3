package kafka

import (
	"context"
	"slices"
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

// Mark is as bridge.Backlogger says. A part is given when Receive has come to the end
// that its partition has now, over what is there and not for the relay.
func (s *source) Mark(ctx context.Context) (given func() bool, err error) {
	ends, err := s.storedEnds(ctx)
	if err != nil {
		return nil, s.ended(ctx, err)
	}
	if why := s.why(); why != nil {
		return nil, why
	}
	left := slices.Clone(s.parts)
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for len(left) > 0 && left[0].given >= ends[left[0].spot] {
			left = left[1:]
		}
		return len(left) == 0
	}, nil
}

// storedEnds asks where the partitions of the tap end: of all records, also for a reader
// of committed ones. Behind the first record of an open transaction there may be others
// that are confirmed, and for a moment a transaction is open whose commit is confirmed.
// What only the leader has (acks=1) nobody can read, and is behind the end.
func (s *source) storedEnds(ctx context.Context) (map[spot]int64, error) {
	l, topics, err := s.opener.look(ctx, s.asks)
	if err != nil {
		return nil, err
	}
	if err := s.changed(topics); err != nil { // the next session has more to read
		return nil, err
	}
	return s.asks.positions(ctx, l, atLatest, false, spotsOf(s.parts)...)
}

// topics are the names of what the session reads.
func (s *source) topics() []string {
	var names []string
	for _, parts := range topicsOf(s.parts) {
		names = append(names, parts[0].topic)
	}
	return names
}
