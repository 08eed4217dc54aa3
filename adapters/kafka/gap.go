package kafka

import (
	"context"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

// outside finds out why a leader does not hold the offset that was asked for: retention
// was faster than the relay, the cluster has lost records, or the topic is another one.
// With gaps accepted the part goes on at the first record that is held. It is called
// by the part's fetcher.
func (s *source) outside(ctx context.Context, p *part) error {
	l, topics, err := s.opener.look(ctx, s.asks)
	if err != nil {
		return err
	}
	if err := s.changed(topics); err != nil {
		return err
	}
	first, last, err := s.held(ctx, l, p.spot)
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	next := p.feed.next
	switch {
	case err != nil && bridge.ClassOf(err) == bridge.Transient:
		s.reader.loses(p, err) // a leader that moves
		return nil
	case err != nil:
		return err
	case next < first && s.opener.config.Accept.Has(acceptGaps):
		s.reader.jump(p, first)
		return nil
	case next < first:
		return s.gapError(p.spot, next, first)
	case next > last:
		return s.lostError(p.spot, next, last)
	}
	s.reader.loses(p, nil) // a leader that was behind
	return nil
}

// held asks what a partition holds: from first up to what is in front of last.
func (s *source) held(ctx context.Context, l *layout, at spot) (first, last int64, err error) {
	firsts, err := s.asks.positions(ctx, l, atEarliest, false, at)
	if err != nil {
		return 0, 0, err
	}
	lasts, err := s.asks.positions(ctx, l, atLatest, false, at)
	return firsts[at], lasts[at], err
}

// jump has a part go on at another offset, behind all of it that is in the queue; mu
// is held.
func (r *reader) jump(p *part, to int64) {
	b := &body{chunks: 1}
	r.queue = append(r.queue, &chunk{part: p, from: to, next: to, epoch: -1, body: b, gap: true})
	p.feed.next, p.feed.last = to, -1
	signal(r.arrived)
}

func (s *source) wrong(at spot, format string, args ...any) error {
	return fmt.Errorf("%s: %s: topic %s: partition %d: %s", Kind, s.opener.system.name, at.topic, at.partition, fmt.Sprintf(format, args...))
}

func (s *source) gapError(at spot, next, first int64) error {
	return bridge.Fatal(s.wrong(at, "the records from offset %d to %d were removed before the relay read them", next, first-1),
		"Retention was faster than the relay; widen it (retention.ms, retention.bytes). To go on behind the gap write accept: ["+acceptGaps+"], or move this partition alone: "+s.reset(at, "--to-earliest")+".")
}

func (s *source) lostError(at spot, next, last int64) error {
	return bridge.Fatal(s.wrong(at, "it ends at offset %d, but the relay has copied up to %d", last, next),
		"The cluster has lost records that it had confirmed (see unclean.leader.election.enable and min.insync.replicas). To go on with what comes from now on: "+s.reset(at, "--to-latest")+".")
}

// reset is the command that moves the relay's position in a partition.
func (s *source) reset(at spot, to string) string {
	return fmt.Sprintf("kafka-consumer-groups --bootstrap-server %s --group %s --topic %s:%d --reset-offsets %s --execute",
		s.opener.system.config.Brokers[0], groupOf(s.opener.id), at.topic, at.partition, to)
}
