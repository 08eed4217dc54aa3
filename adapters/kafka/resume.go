package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// endsPatience is how long the answer may take: a partition without a leader does not
// keep the others waiting.
const endsPatience = 2 * time.Second

// learnEnds asks where the partitions end. If nobody says, any may hold something.
func (s *source) learnEnds(ctx context.Context, l *layout) {
	ctx, cancel := context.WithTimeout(ctx, endsPatience)
	defer cancel()
	ends, err := s.asks.positionsOnce(ctx, l, atLatest, !s.opener.config.Uncommitted, spotsOf(s.parts))
	if err == nil {
		s.ends = ends
	}
}

// Resumes is as bridge.Resumer says.
func (s *source) Resumes(each func(bridge.Origin)) {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	for _, p := range s.parts {
		if end, known := s.ends[p.spot]; !known || p.floor < end {
			each(bridge.Origin{Stream: p.place.stream, Shard: p.partition, Offset: uint64(p.floor)})
		}
	}
}

// First is as bridge.Resumer says.
func (s *source) First(upTo []bridge.Origin) {
	s.intake.first = map[*part]int64{}
	for _, p := range s.parts {
		for _, o := range upTo {
			if o.Shard == p.partition && o.Stream != nil && *o.Stream == *p.place.stream {
				s.intake.first[p] = int64(o.Offset)
			}
		}
	}
}

// waits says that the record at hand, which is behind what comes first of its
// partition, waits until that of the others has come. The chunk goes back to the
// front of the queue.
func (s *source) waits() bool {
	t := &s.intake
	p := t.chunk.part
	last, ok := t.first[p]
	if !ok || t.record.offset <= last {
		return false
	}
	delete(t.first, p)
	if len(t.first) == 0 {
		return false
	}
	t.chunk.from = t.record.offset
	s.reader.giveBack(t.chunk)
	t.chunk = nil
	return true
}

// giveBack puts a chunk in front of the queue.
func (r *reader) giveBack(c *chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = slices.Insert(r.queue, 0, c)
}
