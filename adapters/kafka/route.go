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

// names lends memory for topics' names.
var names = sync.Pool{New: func() any { return new([]byte) }}

// Route is as bridge.Router says. What is for a topic that is not known goes to any
// lane, which finds out about it.
func (s *sink) Route(m *bridge.Message, lanes int) int {
	t, hash := s.topicOf(m)
	if t == nil {
		return int(hash % uint32(lanes))
	}
	return t.lane(s.opener.config.partition(m, t.partitions), lanes)
}

// topicOf gives the topic that a message goes to; nil, with a hash of its name, where
// that is not known, or the message has none.
func (s *sink) topicOf(m *bridge.Message) (*topic, uint32) {
	if s.target.only != nil {
		return s.target.only, 0
	}
	buf := names.Get().(*[]byte)
	defer names.Put(buf)
	name, err := s.opener.config.template.Append((*buf)[:0], m, appendTopic)
	*buf = name
	if err != nil {
		return nil, 0 // the lane says what is wrong
	}
	return s.target.topics[string(name)], hashOf(name)
}

// Loops is as bridge.Looper says: the message was read from the topic that it would be
// written to, in this life of it.
func (s *sink) Loops(m *bridge.Message) bool {
	from := m.Origin.Stream
	if from == nil || from.System != Kind || from.Cluster != s.target.layout.cluster {
		return false
	}
	t, _ := s.topicOf(m)
	return t != nil && from.Name == t.name && from.Incarnation == incarnationOf(s.target.layout.topics[t.name])
}

// hashOf spreads topics over lanes.
func hashOf(name []byte) uint32 { return murmur2(name) }
