package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The kinds of objects at NATS. Buckets are streams, which clients use as something
// else.
const (
	kindStream   = "stream"
	kindConsumer = "consumer"
	kindBucket   = "key-value bucket"
	kindObjects  = "object store"
)

// Survey is as bridge.Surveyor says: all streams of the account, with the durable
// consumers of those that are asked for; of all if nothing is.
func (s *system) Survey(ctx context.Context, asked []bridge.Object) (bridge.Topology, error) {
	t := bridge.Topology{Kind: Kind}
	conn, err := s.connect(ctx, "crossfade survey")
	if err != nil {
		return t, err
	}
	defer conn.Close()
	t.System, t.Version = siteSystem(conn.ConnectedClusterName()), conn.ConnectedServerVersion()
	if conn.ConnectedClusterName() == "" {
		t.System, t.Nodes = Kind+" server "+conn.ConnectedServerId(), 1
	}
	list := conn.js.ListStreams(ctx)
	var streams []*jetstream.StreamInfo
	for info := range list.Info() {
		streams = append(streams, info)
	}
	if err := list.Err(); err != nil {
		return t, conn.failed(ctx, "list the streams", err)
	}
	for _, info := range streams {
		t.Objects = append(t.Objects, streamObject(info))
		name := info.Config.Name
		if len(asked) > 0 && !slices.ContainsFunc(asked, func(o bridge.Object) bool { return o.Name == name || o.From == name }) {
			continue
		}
		readers, err := conn.readers(ctx, name)
		if err != nil {
			return t, err
		}
		t.Objects = append(t.Objects, readers...)
	}
	slices.SortFunc(t.Objects, func(a, b bridge.Object) int { return a.Compare(&b) })
	return t, nil
}

// readers are the durable consumers of a stream. Others go when nobody reads.
func (c *connection) readers(ctx context.Context, stream string) (out []bridge.Object, err error) {
	s, err := c.js.Stream(ctx, stream)
	if err == nil {
		list := s.ListConsumers(ctx)
		for info := range list.Info() {
			if info.Config.Durable != "" {
				out = append(out, consumerObject(info))
			}
		}
		err = list.Err()
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // gone in the meantime
	}
	if err != nil {
		return nil, c.failed(ctx, "list the consumers of stream "+stream, err)
	}
	return out, nil
}

// A settingList collects the settings of an object.
type settingList []bridge.Setting

func (l *settingList) add(is bool, m bridge.Meaning, name string, value any, n int64) {
	if is {
		*l = append(*l, bridge.Setting{Meaning: m, Name: name, Value: value, N: n})
	}
}

func (l *settingList) count(m bridge.Meaning, name string, n int64) {
	l.add(n > 0, m, name, n, n)
}

func (l *settingList) time(m bridge.Meaning, name string, d time.Duration) {
	l.add(d > 0, m, name, d.String(), int64(d))
}

func (l settingList) sorted() []bridge.Setting {
	bridge.SortSettings(l)
	return l
}

// streamObject says what a stream is. What is as every stream is by itself is left
// out, but for the duplicates window, whose length matters here.
func streamObject(info *jetstream.StreamInfo) bridge.Object {
	c := &info.Config
	o := bridge.Object{Role: bridge.RoleLog, Kind: kindStream, Name: c.Name, Own: c.Metadata[metaBridge] != ""}
	switch {
	case strings.HasPrefix(c.Name, "KV_"):
		o.Kind = kindBucket
	case strings.HasPrefix(c.Name, "OBJ_"):
		o.Kind = kindObjects
	}
	for _, subject := range c.Subjects {
		o.Takes = append(o.Takes, bridge.SubjectPattern(subject))
	}
	slices.Sort(o.Takes)
	var l settingList
	l.time(bridge.MeaningAge, "max_age", c.MaxAge)
	l.count(bridge.MeaningMessages, "max_msgs", c.MaxMsgs)
	l.count(bridge.MeaningBytes, "max_bytes", c.MaxBytes)
	l.count(bridge.MeaningPerKey, "max_msgs_per_subject", c.MaxMsgsPerSubject)
	l.count(bridge.MeaningSize, "max_msg_size", int64(c.MaxMsgSize))
	l.count(bridge.MeaningReaders, "max_consumers", int64(c.MaxConsumers))
	l.time(bridge.MeaningWindow, "duplicate_window", c.Duplicates)
	l.add(c.Replicas > 1, bridge.MeaningReplicas, "num_replicas", int64(c.Replicas), int64(c.Replicas))
	l.add(c.Discard == jetstream.DiscardNew, bridge.MeaningFull, "discard", "new", 0)
	l.add(c.Retention != jetstream.LimitsPolicy, bridge.MeaningRemoved, "retention", retention(c.Retention), 0)
	l.add(c.Storage == jetstream.MemoryStorage, bridge.MeaningTransient, "storage", "memory", 0)
	l.add(c.Compression != jetstream.NoCompression, bridge.MeaningTuning, "compression", c.Compression.String(), 0)
	l.add(c.Mirror != nil, bridge.MeaningFlow, "mirror", nameOfSource(c.Mirror), 0)
	for _, source := range c.Sources {
		l.add(true, bridge.MeaningFlow, "sources", nameOfSource(source), 0)
	}
	if r := c.RePublish; r != nil {
		l.add(true, bridge.MeaningFlow, "republish", r.Destination, 0)
	}
	if x := c.SubjectTransform; x != nil {
		l.add(true, bridge.MeaningFlow, "subject_transform", x.Source+" to "+x.Destination, 0)
	}
	l.add(c.AllowMsgTTL, bridge.MeaningExpiry, "allow_msg_ttl", true, 0)
	l.add(c.AllowMsgSchedules, bridge.MeaningOther, "allow_msg_schedules", true, 0)
	l.add(c.AllowMsgCounter, bridge.MeaningOther, "allow_msg_counter", true, 0)
	o.Settings = l.sorted()
	switch {
	case c.Retention != jetstream.LimitsPolicy:
		o.Refusal = "its retention is " + retention(c.Retention) + ": a reader of its own would keep what the application has acknowledged; let it republish into another stream, and tap that"
	case c.MaxConsumers > 0:
		o.Refusal = fmt.Sprintf("it takes %d consumers at most and has %d: the tap would be one more, which accept: [%s] in from takes on", c.MaxConsumers, info.State.Consumers, acceptConsumers)
	}
	return o
}

func nameOfSource(s *jetstream.StreamSource) string {
	if s == nil {
		return ""
	}
	return s.Name
}

// consumerObject says what a durable consumer is.
func consumerObject(info *jetstream.ConsumerInfo) bridge.Object {
	c := &info.Config
	o := bridge.Object{Role: bridge.RoleReader, Kind: kindConsumer, Name: info.Name, From: info.Stream, Own: c.Metadata[metaBridge] != ""}
	filters := c.FilterSubjects
	if c.FilterSubject != "" {
		filters = []string{c.FilterSubject}
	}
	for _, f := range filters {
		o.Takes = append(o.Takes, bridge.SubjectPattern(f))
	}
	slices.Sort(o.Takes)
	var l settingList
	l.count(bridge.MeaningDeliveries, "max_deliver", int64(c.MaxDeliver))
	l.time(bridge.MeaningIdle, "inactive_threshold", c.InactiveThreshold)
	if c.AckPolicy == jetstream.AckExplicitPolicy {
		l.add(c.AckWait > 0 && c.AckWait != 30*time.Second, bridge.MeaningUnacked, "ack_wait", c.AckWait.String(), int64(c.AckWait))
		l.add(c.MaxAckPending != 0 && c.MaxAckPending != 1000, bridge.MeaningUnacked, "max_ack_pending", int64(c.MaxAckPending), int64(c.MaxAckPending))
	} else {
		l.add(true, bridge.MeaningUnacked, "ack_policy", c.AckPolicy.String(), 0)
	}
	l.add(c.DeliverPolicy != jetstream.DeliverAllPolicy, bridge.MeaningStart, "deliver_policy", c.DeliverPolicy.String(), 0)
	l.add(c.Replicas > 1, bridge.MeaningReplicas, "num_replicas", int64(c.Replicas), int64(c.Replicas))
	l.add(c.MemoryStorage, bridge.MeaningTransient, "mem_storage", true, 0)
	l.add(c.PriorityPolicy == jetstream.PriorityPolicyPinned, bridge.MeaningSingle, "priority_policy", "pinned_client", 0)
	l.add(c.DeliverSubject != "", bridge.MeaningOther, "deliver_subject", c.DeliverSubject, 0)
	l.add(len(c.BackOff) > 0, bridge.MeaningOther, "backoff", fmt.Sprint(c.BackOff), 0)
	l.add(c.HeadersOnly, bridge.MeaningOther, "headers_only", true, 0)
	o.Settings = l.sorted()
	return o
}

// Taps is as bridge.Tapping says.
func (o *SourceOpener) Taps() []bridge.Tap {
	t := bridge.Tap{Role: bridge.RoleLog, Name: o.config.Stream}
	for _, s := range o.config.Subjects {
		t.Takes = append(t.Takes, bridge.SubjectPattern(s))
	}
	return []bridge.Tap{t}
}

// Taps is as bridge.Tapping says: subjects are of no object.
func (o *coreSourceOpener) Taps() []bridge.Tap {
	t := bridge.Tap{}
	for _, s := range o.config.Subjects {
		t.Takes = append(t.Takes, bridge.SubjectPattern(s))
	}
	return []bridge.Tap{t}
}

// Target is as bridge.Targeting says.
func (o *SinkOpener) Target() bridge.Target {
	return bridge.Target{
		Object: bridge.Object{Role: bridge.RoleLog, Kind: kindStream, Name: o.config.Stream},
		Names:  o.config.template, Encode: appendSubject,
	}
}

// Target is as bridge.Targeting says: subjects are of no object.
func (o *coreSinkOpener) Target() bridge.Target {
	return bridge.Target{Names: o.config.template, Encode: appendSubject}
}
