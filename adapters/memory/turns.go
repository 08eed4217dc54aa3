package memory

import "github.com/crossfade-mq/crossfade/bridge"

// Resumes is as bridge.Resumer says.
func (s *source) Resumes(each func(bridge.Origin)) {
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	known := map[int32]bool{}
	for pos := s.tap.acked.next(0); pos <= st.log.last; pos = s.tap.acked.next(pos + 1) {
		if e := st.log.at(pos); !known[e.shard] {
			known[e.shard] = true
			each(bridge.Origin{Stream: st.origin, Shard: e.shard, Offset: pos})
		}
	}
}

// First is as bridge.Resumer says.
func (s *source) First(upTo []bridge.Origin) {
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.turn == 0 {
		return // the stored order over all has them first
	}
	s.first = make([]uint64, len(s.cursors))
	for _, o := range upTo {
		if *o.Stream == *st.origin && o.Shard >= 0 && int(o.Shard) < len(s.cursors) {
			s.first[o.Shard] = o.Offset
		}
	}
}

// begin sets the session at the first position that is not acknowledged.
func (s *source) begin(first uint64, turn int) {
	s.turn, s.cursors = turn, []uint64{first}
	if turn > 0 {
		s.cursors = make([]uint64, max(1, s.tap.stream.config.Shards))
		for i := range s.cursors {
			s.cursors[i] = first
		}
		s.at, s.left = s.tap.sessions%len(s.cursors), turn
	}
	s.tap.sessions++
}

// pick takes the position that is delivered next. The stream's mutex is held.
func (s *source) pick() (pos uint64, ok bool) {
	if s.turn == 0 {
		return s.advance(0)
	}
	for cursor, last := range s.first {
		if s.cursors[cursor] > last {
			continue
		}
		if pos, ok = s.advance(cursor); ok && pos <= last {
			return pos, true
		}
		if ok {
			s.cursors[cursor] = pos // it waits for its turn
		}
		s.first[cursor] = 0
	}
	for range len(s.cursors) + 1 {
		if s.left > 0 {
			if pos, ok = s.advance(s.at); ok {
				s.left--
				return pos, true
			}
		}
		s.at, s.left = (s.at+1)%len(s.cursors), s.turn
	}
	return 0, false
}

// advance moves a cursor over the next message that it is for and that is not
// acknowledged.
func (s *source) advance(cursor int) (pos uint64, ok bool) {
	t, log, next := s.tap, &s.tap.stream.log, &s.cursors[cursor]
	for {
		*next = t.acked.next(*next)
		if *next > log.last {
			return 0, false
		}
		pos = *next
		*next++
		if s.turn == 0 || int(log.at(pos).shard) == cursor {
			return pos, true
		}
	}
}

// delivered says that the session has delivered what a receipt is of.
func (s *source) delivered(r *bridge.Receipt) bool {
	if s.turn == 0 {
		return r.Seq < s.cursors[0]
	}
	return r.Shard >= 0 && int(r.Shard) < len(s.cursors) && r.Seq < s.cursors[r.Shard]
}

// passed is the position below which nothing waits for the session.
func (s *source) passed() uint64 {
	low := s.tap.stream.log.last + 1
	for cursor := range s.cursors {
		if pos, ok := s.advance(cursor); ok {
			s.cursors[cursor] = pos
			low = min(low, pos)
		}
	}
	return low
}
