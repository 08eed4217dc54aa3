package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/listgroups"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Surveyor  = (*system)(nil)
	_ bridge.Tapping   = (*SourceOpener)(nil)
	_ bridge.Targeting = (*SinkOpener)(nil)
)

// Survey is as bridge.Surveyor says: all topics that this user may see, with the
// settings that are their own, and the groups that have committed offsets of them.
func (s *system) Survey(ctx context.Context, _ []bridge.Object) (bridge.Topology, error) {
	t := bridge.Topology{Kind: Kind}
	c := newCluster(s)
	defer c.close()
	l, err := c.look(ctx)
	if err != nil {
		return t, err
	}
	t.System, t.Nodes = siteSystem(l), len(l.brokers)
	topics, err := c.described(ctx, l)
	if err != nil {
		return t, err
	}
	hidden, err := c.configured(ctx, topics)
	if err != nil {
		return t, err
	}
	if hidden > 0 {
		t.Unseen = append(t.Unseen, fmt.Sprintf("the settings of %d topics are not known: this user may not see them, which takes DescribeConfigs on the topics", hidden))
	}
	groups, unseen, err := c.groups(ctx, l)
	if err != nil {
		return t, err
	}
	t.Unseen = append(t.Unseen, unseen...)
	t.Objects = append(topics, groups...)
	slices.SortFunc(t.Objects, func(a, b bridge.Object) int { return a.Compare(&b) })
	return t, nil
}

// ownTopic says that a topic is the cluster's or a bridge's own.
func ownTopic(t *topicLayout) bool {
	return t.internal || strings.HasPrefix(t.name, "__") || strings.HasPrefix(t.name, ownPrefix)
}

// described gives the topics with their partitions and replicas, of which a layout
// does not tell.
func (c *cluster) described(ctx context.Context, l *layout) ([]bridge.Object, error) {
	k, err := c.any(ctx)
	if err != nil {
		return nil, err
	}
	m, err := k.ask(ctx, &metadata.Request{})
	if err != nil {
		return nil, err
	}
	var out []bridge.Object
	for _, found := range m.(*metadata.Response).Topics {
		t := l.topics[found.Name]
		if found.ErrorCode != 0 && kafkago.Error(found.ErrorCode) != kafkago.LeaderNotAvailable || t == nil || len(found.Partitions) == 0 {
			continue // it has come or gone between the two questions
		}
		o := bridge.Object{Role: bridge.RoleLog, Kind: kindTopic, Name: found.Name, Takes: []bridge.Pattern{bridge.ExactPattern(found.Name)}, Own: ownTopic(t)}
		partitions, replicas := int64(len(found.Partitions)), int64(len(found.Partitions[0].ReplicaNodes))
		o.Settings = append(o.Settings, bridge.Setting{Meaning: bridge.MeaningPartitions, Name: "partitions", Value: partitions, N: partitions})
		if replicas > 1 {
			o.Settings = append(o.Settings, bridge.Setting{Meaning: bridge.MeaningReplicas, Name: "replication", Value: replicas, N: replicas})
		}
		out = append(out, o)
	}
	return out, nil
}

// ofTopic is the source of a setting that is the topic's own (KIP-226).
const ofTopic int8 = 1

// configured adds to topics the settings that are their own, and says how many
// topics tell none.
func (c *cluster) configured(ctx context.Context, topics []bridge.Object) (hidden int, err error) {
	byName := map[string]*bridge.Object{}
	for i := range topics {
		byName[topics[i].Name] = &topics[i]
	}
	for some := range slices.Chunk(topics, 200) {
		k, err := c.any(ctx)
		if err != nil {
			return 0, err
		}
		req := &describeconfigs.Request{}
		for _, t := range some {
			req.Resources = append(req.Resources, describeconfigs.RequestResource{ResourceType: resourceTopic, ResourceName: t.Name})
		}
		m, err := k.ask(ctx, req)
		if err != nil {
			return 0, err
		}
		for _, r := range m.(*describeconfigs.Response).Resources {
			t := byName[r.ResourceName]
			switch e := kafkago.Error(r.ErrorCode); {
			case t == nil || e == kafkago.UnknownTopicOrPartition:
			case e == kafkago.TopicAuthorizationFailed || e == kafkago.ClusterAuthorizationFailed:
				t.Partly = true
				hidden++
			case e != 0:
				return 0, k.refused("DescribeConfigs of topic "+bridge.Printable(r.ResourceName, 100), e)
			}
			for _, x := range r.ConfigEntries {
				if t != nil && x.ConfigSource == ofTopic {
					t.Settings = append(t.Settings, configSetting(t, x.ConfigName, x.ConfigValue))
				}
			}
			if t != nil {
				bridge.SortSettings(t.Settings)
			}
		}
	}
	return hidden, nil
}

// meanings are those of topics' settings. A name that ends with a dot stands for
// all that begin with it.
var meanings = map[string]bridge.Meaning{
	"retention.ms": bridge.MeaningAge, "retention.bytes": bridge.MeaningBytes, "max.message.bytes": bridge.MeaningSize,
	"cleanup.policy": bridge.MeaningPerKey, "compression.type": bridge.MeaningTuning, "file.delete.delay.ms": bridge.MeaningTuning,
	"flush.messages": bridge.MeaningTuning, "flush.ms": bridge.MeaningTuning, "index.interval.bytes": bridge.MeaningTuning,
	"preallocate": bridge.MeaningTuning, "min.cleanable.dirty.ratio": bridge.MeaningTuning, "segment.bytes": bridge.MeaningTuning,
	"segment.ms": bridge.MeaningTuning, "segment.index.bytes": bridge.MeaningTuning, "segment.jitter.ms": bridge.MeaningTuning,
	"delete.retention.ms": bridge.MeaningTuning, "max.compaction.lag.ms": bridge.MeaningTuning, "min.compaction.lag.ms": bridge.MeaningTuning,
	"unclean.leader.election.enable": bridge.MeaningTuning, "remote.storage.enable": bridge.MeaningTuning, "local.retention.ms": bridge.MeaningTuning, "local.retention.bytes": bridge.MeaningTuning,
	"leader.replication.throttled.replicas": bridge.MeaningTuning, "follower.replication.throttled.replicas": bridge.MeaningTuning,
}

// configSetting is one setting of a topic. A bound of each partition counts for all
// of them.
func configSetting(t *bridge.Object, name, value string) bridge.Setting {
	s := bridge.Setting{Meaning: meanings[name], Name: name, Value: value}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case name == "cleanup.policy" && !strings.Contains(value, "compact"):
		s.Meaning = bridge.MeaningTuning
	case err != nil || n < 0:
	case s.Meaning == bridge.MeaningAge:
		s.N = int64(milliseconds(n))
	case s.Meaning == bridge.MeaningBytes:
		if partitions, ok := t.Setting(bridge.MeaningPartitions); ok && n < 1<<62/partitions.N {
			s.N = n * partitions.N
		}
	default:
		s.N = n
	}
	return s
}

// groups gives what has committed offsets, one object for each topic of a group.
func (c *cluster) groups(ctx context.Context, l *layout) (out []bridge.Object, unseen []string, err error) {
	hidden := 0
	for node, address := range l.brokers {
		k, err := c.at(ctx, node, address)
		if err != nil {
			return nil, nil, err
		}
		listed, e, err := k.listGroups(ctx)
		switch {
		case err != nil:
			return nil, nil, err
		case e == kafkago.ClusterAuthorizationFailed:
			return nil, []string{"which groups there are is not known: this user may not see them, which takes Describe on the cluster or on the groups"}, nil
		case e != 0:
			return nil, nil, k.refused("ListGroups", e)
		}
		for _, g := range listed {
			topics, seen, err := k.reads(ctx, g.GroupID)
			if err != nil {
				return nil, nil, err
			}
			if !seen {
				hidden++
			}
			for _, topic := range topics {
				out = append(out, bridge.Object{Role: bridge.RoleReader, Kind: kindGroup, Name: g.GroupID, From: topic, Own: strings.HasPrefix(g.GroupID, ownPrefix)})
			}
		}
	}
	if hidden > 0 {
		unseen = []string{fmt.Sprintf("what %d groups read is not known: this user may not see it, which takes Describe on the groups", hidden)}
	}
	return out, unseen, nil
}

// listGroups asks one broker for the groups that it coordinates. One that has just
// started reads its records of them first, so it is asked again for a while.
func (c *conn) listGroups(ctx context.Context) ([]listgroups.ResponseGroup, kafkago.Error, error) {
	deadline := time.Now().Add(c.system.config.RequestTimeout)
	for {
		m, err := c.ask(ctx, &listgroups.Request{})
		if err != nil {
			return nil, 0, err
		}
		res := m.(*listgroups.Response)
		e := kafkago.Error(res.ErrorCode)
		starting := e == kafkago.GroupLoadInProgress || e == kafkago.GroupCoordinatorNotAvailable
		if !starting || time.Now().After(deadline) {
			return res.Groups, e, nil
		}
		if !pause(ctx, coordinatorPause) {
			return nil, 0, context.Cause(ctx)
		}
	}
}

// reads gives the topics of which a group has committed offsets; false where this
// user may not see that.
func (c *conn) reads(ctx context.Context, group string) (topics []string, seen bool, err error) {
	m, err := c.ask(ctx, &offsetfetch.Request{GroupID: group})
	if err != nil {
		return nil, false, err
	}
	res := m.(*offsetfetch.Response)
	switch e := kafkago.Error(res.ErrorCode); e {
	case 0:
	case kafkago.GroupAuthorizationFailed:
		return nil, false, nil
	case kafkago.NotCoordinatorForGroup, kafkago.GroupCoordinatorNotAvailable, kafkago.GroupLoadInProgress:
		return nil, false, nil // it moves at this moment
	default:
		return nil, false, c.refused("OffsetFetch of group "+bridge.Printable(group, 100), e)
	}
	for _, t := range res.Topics {
		if slices.ContainsFunc(t.Partitions, func(p offsetfetch.ResponsePartition) bool { return p.CommittedOffset >= 0 }) {
			topics = append(topics, t.Name)
		}
	}
	return topics, true, nil
}

// Taps is as bridge.Tapping says.
func (o *SourceOpener) Taps() (out []bridge.Tap) {
	if o.config.pattern != nil {
		return []bridge.Tap{{Role: bridge.RoleLog, Match: func(t *bridge.Object) bool { return !t.Own && o.config.pattern.MatchString(t.Name) }}}
	}
	for _, t := range o.config.Topics {
		out = append(out, bridge.Tap{Role: bridge.RoleLog, Name: t})
	}
	return out
}

// Target is as bridge.Targeting says, with what create says of partitions,
// replication and settings.
func (o *SinkOpener) Target() bridge.Target {
	t := bridge.Target{Object: bridge.Object{Role: bridge.RoleLog, Kind: kindTopic}, Names: o.config.template, Encode: appendTopic}
	t.Object.Name, _ = o.config.template.Literal()
	create := o.config.Create
	if create == nil {
		return t
	}
	number := func(m bridge.Meaning, name string, n int) {
		if n > 0 {
			t.Object.Settings = append(t.Object.Settings, bridge.Setting{Meaning: m, Name: name, Value: int64(n), N: int64(n)})
		}
	}
	number(bridge.MeaningPartitions, "partitions", create.Partitions)
	number(bridge.MeaningReplicas, "replication", create.Replication)
	for _, kv := range create.Configs {
		name, value, _ := strings.Cut(kv, "=")
		t.Object.Settings = append(t.Object.Settings, configSetting(&t.Object, name, value))
	}
	bridge.SortSettings(t.Object.Settings)
	return t
}
