package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// maxRecall is how many of a relay's messages can be read back from each
	// partition; it bounds the debt.
	maxRecall = 1 << 16
	// maxScan is how many offsets of a partition are looked at for them, among those
	// of other writers.
	maxScan = 1 << 20
	// defaultLanes is how many slices a target has: a partition without a leader
	// stalls those that share its own.
	defaultLanes = 4
)

// A SinkOpener opens sessions with a topic, or with those that a template makes.
type SinkOpener struct {
	system *system
	id     bridge.Identity
	config SinkConfig
	lanes  int

	placing placing // Placed's

	mu    sync.Mutex
	lives map[string]string // topic → the ID that it had when it was first seen; guarded by mu
}

// Sink is as bridge.System says.
func (s *system) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	o := &SinkOpener{system: s, id: id, lanes: defaultLanes, lives: map[string]string{}}
	if err := settings(&o.config); err != nil {
		return nil, err
	}
	if err := o.config.finish(); err != nil {
		return nil, err
	}
	return o, nil
}

// Traits are what the target promises as configured. MaxBody is known per topic and
// only at Open.
func (o *SinkOpener) Traits() bridge.SinkTraits {
	return bridge.SinkTraits{
		Durable: true, Fence: bridge.FenceEpoch, Survives: bridge.SurvivesPrefix, Recall: maxRecall, Lanes: o.lanes, Routed: true,
		Notes: []string{
			"What is kept in order is a partition: of a lane's partitions any may be ahead of the others, and each is a prefix of its own.",
			"Order per key holds while the topic keeps its number of partitions: an application that adds some moves keys, and what is behind the change may be read before what is in front of it.",
			"An earlier session is refused for as long as the brokers remember its producer (producer.id.expiration.ms, a day, behind its last record; transactional.id.expiration.ms, a week, behind the relay's last session): a process must not wake up later than that.",
			"Behind its last record means by that record's own time: of a producer of messages that are a day old already the brokers know nothing any more some ten minutes later, or after their next start. Where the past is copied, timestamp: append keeps the fence.",
			"A process that dies in the milliseconds in which a lane is opened leaves a transaction with nothing in it, behind which read-committed consumers wait until the relay is started again, a minute at most.",
			fmt.Sprintf("After a crash the relay's own messages are looked for among the newest %d offsets of each partition: behind more of other writers' they are not found, and what was on its way may be there twice.", maxScan),
		},
	}
}

// Describe names the target.
func (o *SinkOpener) Describe() string { return o.config.what() }

// what names the topics in a few words.
func (c *SinkConfig) what() string {
	if name, literal := c.template.Literal(); literal {
		return "topic " + name
	}
	return "topics " + c.Topic
}

// Open connects, looks at the topics, and makes the one that the settings name, if
// it is not there and they say so.
func (o *SinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	s := &sink{opener: o, cluster: newCluster(o.system), lanes: map[int]*lane{}}
	var err error
	if s.target, err = o.look(ctx, s.cluster); err != nil {
		s.cluster.close()
		return nil, err
	}
	return s, nil
}

// A sink opens lanes, each with connections of its own.
type sink struct {
	opener  *SinkOpener
	cluster *cluster
	target  *target

	mu    sync.Mutex
	lanes map[int]*lane // the newest session of each; guarded by mu
}

var (
	_ bridge.SinkOpener = (*SinkOpener)(nil)
	_ bridge.Checker    = (*SinkOpener)(nil)
	_ bridge.Sited      = (*SinkOpener)(nil)
	_ bridge.Placer     = (*SinkOpener)(nil)
	_ bridge.Sink       = (*sink)(nil)
	_ bridge.Router     = (*sink)(nil)
	_ bridge.Recaller   = (*sink)(nil)
	_ bridge.Looper     = (*sink)(nil)
	_ bridge.Locator    = (*sink)(nil)
	_ bridge.Lane       = (*lane)(nil)
)

// Open fences every partition of the lane, side by side. // I2 I6
func (s *sink) Open(ctx context.Context, index int, settled bridge.Settled) (bridge.Lane, error) {
	parts := s.target.of(index, s.opener.lanes)
	if err := s.fence(ctx, parts); err != nil {
		return nil, err
	}
	l := startLane(s, index, parts, settled)
	s.mu.Lock()
	s.lanes[index] = l
	s.mu.Unlock()
	return l, nil
}

// lane gives the newest session of a lane.
func (s *sink) lane(index int) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[index]
}

// Close is as bridge.Sink says.
func (s *sink) Close() error {
	s.cluster.close()
	return nil
}

// of gives the partitions of a lane, as a session of it has them.
func (t *target) of(lane, lanes int) []*partition {
	var parts []*partition
	for _, topic := range t.topics {
		for p := range topic.partitions {
			if topic.lane(p, lanes) == lane {
				parts = append(parts, &partition{topic: topic, index: p})
			}
		}
	}
	slices.SortFunc(parts, (*partition).compare)
	return parts
}
