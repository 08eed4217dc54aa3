package kafka

import (
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// partition is the one of n that a message belongs to. // I2
func (c *SinkConfig) partition(m *bridge.Message, n int32) int32 {
	if m.Address.Partition > 0 && (c.Partition == partitionBySource || m.Key == "") {
		return (m.Address.Partition - 1) % n
	}
	return partitionOf(octets(m.Key), n)
}

// lane is that of one of the topic's partitions. It does not depend on how many
// partitions there are, so a partition never changes its lane.
func (t *topic) lane(partition int32, lanes int) int {
	return int((uint64(t.hash) + uint64(partition)) % uint64(lanes))
}

// names lends memory for topics' names to Route.
var names = sync.Pool{New: func() any { return new([]byte) }}

// Route is as bridge.Router says. What is for a topic that is not known goes to any
// lane, which finds out about it.
func (s *sink) Route(m *bridge.Message, lanes int) int {
	t := s.target.only
	if t == nil {
		buf := names.Get().(*[]byte)
		defer names.Put(buf)
		name, err := s.opener.config.template.Append((*buf)[:0], m, appendTopic)
		*buf = name
		if err != nil {
			return 0 // the lane says what is wrong
		}
		if t = s.target.topics[string(name)]; t == nil {
			return int(hashOf(name) % uint32(lanes))
		}
	}
	return t.lane(s.opener.config.partition(m, t.partitions), lanes)
}

// hashOf spreads topics over lanes.
func hashOf(name []byte) uint32 { return murmur2(name) }
