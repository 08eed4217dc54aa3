package memory

import (
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A routedSink dictates lanes by the partitions that the stream had when it was
// opened.
type routedSink struct {
	*sink
	partitions int
}

// Route is as bridge.Router says.
func (s routedSink) Route(m *bridge.Message, lanes int) int {
	return partitionOf(m.Key, s.partitions) % lanes
}

func partitionOf(key string, partitions int) int { return int(shardOf(key, partitions)) }

// Partitions is how many the stream has.
func (s *Stream) Partitions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partitions
}

// Repartition gives the stream another number of partitions, as an operator does.
// What is stored stays where it is; a lane that is sent what belongs to another by
// now ends with bridge.ErrRerouted.
func (s *Stream) Repartition(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions = max(n, 1)
}

// rerouted is an error if the message belongs to another lane. The stream's mutex is
// held.
func (l *lane) rerouted(m *bridge.Message) error {
	if !l.config.Routed {
		return nil
	}
	p := partitionOf(m.Key, l.stream.partitions)
	if own := p % l.config.Lanes; own != l.state.id.lane {
		return fmt.Errorf("%s: stream %s: lane %d: a message of partition %d of %d belongs to lane %d: %w",
			Kind, l.stream.config.Name, l.state.id.lane, p, l.stream.partitions, own, bridge.ErrRerouted)
	}
	return nil
}
