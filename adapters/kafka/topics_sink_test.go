package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// addressed are messages for topics of those names, in turn.
func addressed(from, to int, names ...string) []*bridge.Message {
	msgs := numbered(from, to, 4)
	for i, m := range msgs {
		m.Address.Name = names[i%len(names)]
	}
	return msgs
}

// The shape of a template matches all that it makes, and nothing that belongs to the
// bridge or has another number of tokens.
func TestShapes(t *testing.T) {
	for _, c := range []struct{ template, yes, no string }{
		{"copy.{topic}", "copy.a copy.a.b copy.x_2F", "copy copy. copied.a other"},
		{"{exchange}.{key}.x", "a.b.x a_.b-1.x", "a.b a.b.c.x .b.x"},
		{"{header:h}", "a a-b", "a.b"},
		{"a+b.{key}", "", "aab.x a+b.x"},
	} {
		shape := shapeOf(testTemplate(t, c.template))
		for _, name := range strings.Fields(c.yes) {
			if !shape.MatchString(name) {
				t.Errorf("%s does not match %s", c.template, name)
			}
		}
		for _, name := range strings.Fields(c.no) {
			if shape.MatchString(name) && validTopic(name) {
				t.Errorf("%s matches %s", c.template, name)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		tm := testTemplate(t, rapid.SampledFrom([]string{"{address}", "x.{key}.y.{topic}", "{exchange}.{token:1}", "{key}"}).Draw(t, "template"))
		m := &bridge.Message{Key: rapid.String().Draw(t, "key"), Address: bridge.Address{Space: rapid.String().Draw(t, "space"), Name: rapid.String().Draw(t, "name")}}
		name, err := tm.Append(nil, m, appendTopic)
		if err == nil && !shapeOf(tm).Match(name) {
			t.Fatalf("%s made %q, which its shape does not match", tm, name)
		}
	})
}

// A template writes to all topics that it can make; one that is made meanwhile has
// all lanes begin anew, and without it a message is refused.
func TestSinkTemplate(t *testing.T) {
	r := newSinkRig(t, 1)
	for _, name := range []string{"copy.a", "copy.b", "other", ownPrefix + "x"} {
		makeTopic(t, r.system, name, 3)
	}
	o := r.sinkOf(t, SinkConfig{Topic: "copy.{topic}"})
	s := openSession(t, o, 0)
	if n := len(laneOf(s).parts); n != 6 {
		t.Errorf("the lane has %d partitions; want those of copy.a and copy.b", n)
	}
	s.deliver(t, addressed(0, 100, "a", "b"))
	n, err := s.Send(t.Context(), addressed(100, 103, "a", "c", "b"))
	if n != 1 || bridge.ReasonOf(err) != bridge.ReasonUnroutable {
		t.Errorf("a topic that is not there: sent %d, %v", n, err)
	}
	s.deliver(t, addressed(103, 105, "b"))
	makeTopic(t, r.system, "copy.c", 2)
	eventually(t, "the topic that was made is seen", func() bool {
		_, err = s.Send(t.Context(), addressed(105, 106, "c"))
		return bridge.ClassOf(err) != bridge.Rejected
	})
	if !errors.Is(err, bridge.ErrRerouted) || bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("a topic that was made: %v", err)
	}
	openSession(t, o, 0).deliver(t, addressed(106, 107, "c"))
}

// With create a topic is made as the settings say, at Open or when a message wants it.
func TestSinkCreates(t *testing.T) {
	t.Parallel()
	r := newSinkRig(t, 1)
	create := &CreateConfig{Partitions: 5, Replication: 3, Configs: []string{"retention.ms=3600000", "min.insync.replicas=2"}}
	s := openSession(t, r.sinkOf(t, SinkConfig{Topic: "fresh", Create: create}), 0)
	s.deliver(t, numbered(0, 50, 10))
	many := r.sinkOf(t, SinkConfig{Topic: "made.{topic}", Create: create})
	m := openSession(t, many, 0)
	if _, err := m.Send(t.Context(), addressed(0, 1, "x")); !errors.Is(err, bridge.ErrRerouted) {
		t.Errorf("a topic that was made for a message: %v", err)
	}
	openSession(t, many, 0).deliver(t, addressed(0, 10, "x"))
	adm := kadm.NewClient((&testCluster{Cluster: r.Cluster, addrs: r.ListenAddrs()}).client(t))
	topics, err := adm.ListTopics(t.Context(), "fresh", "made.x")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range topics.Sorted() {
		if len(d.Partitions) != 5 || len(d.Partitions[0].Replicas) != 3 {
			t.Errorf("topic %s has %d partitions with %d replicas", d.Topic, len(d.Partitions), len(d.Partitions[0].Replicas))
		}
	}
	r.Fault(kfake.Fault{Keys: keysOf(protocol.CreateTopics), Err: kerrOf(kafkago.InvalidReplicationFactor)})
	if _, err := tryOpen(r.sinkOf(t, SinkConfig{Topic: "never", Create: create}), 0); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Errorf("a topic that cannot be made: %v", err)
	}
	if _, err := tryOpen(r.sinkOf(t, SinkConfig{Topic: "never"}), 0); bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), "kafka-topics.sh") {
		t.Errorf("a topic that is not there: %v", err)
	}
}

// The partition is Java's for the key, or the source's number.
func TestPartitions(t *testing.T) {
	byKey, bySource := &SinkConfig{Partition: partitionByKey}, &SinkConfig{Partition: partitionBySource}
	for _, c := range []struct {
		config *SinkConfig
		key    string
		at     int32
		want   int32
	}{
		{byKey, "key-1", 0, partitionOf([]byte("key-1"), 7)},
		{byKey, "key-1", 3, partitionOf([]byte("key-1"), 7)},
		{byKey, "", 3, 2},
		{byKey, "", 0, partitionOf(nil, 7)},
		{byKey, "", -1, partitionOf(nil, 7)},
		{bySource, "key-1", 3, 2},
		{bySource, "key-1", 10, 2},
		{bySource, "key-1", 0, partitionOf([]byte("key-1"), 7)},
	} {
		m := &bridge.Message{Key: c.key, Address: bridge.Address{Partition: c.at}}
		if got := c.config.partition(m, 7); got != c.want {
			t.Errorf("%s: key %q of partition %d goes to %d, want %d", c.config.Partition, c.key, c.at, got, c.want)
		}
	}
}

// Records have the message's time where the topic keeps it, and a header has it where
// it does not.
func TestSinkTimes(t *testing.T) {
	r := newSinkRig(t, 1)
	makeTopic(t, r.system, "append", 1, "message.timestamp.type=LogAppendTime")
	for _, c := range []struct {
		topic, timestamp string
		native           bool
	}{{"t", "original", true}, {"append", "original", false}, {"t", "append", false}} {
		s := openSession(t, r.sinkOf(t, SinkConfig{Topic: c.topic, Timestamp: c.timestamp}), 0)
		m := numbered(0, 1, 1)
		place := s.deliver(t, m)[0]
		at, header := placedTime(t, r.system, s, place)
		if at.Equal(m[0].Time) != c.native || (header != "") == c.native {
			t.Errorf("%+v: the record's time is %v, a header has it: %q", c, at, header)
		}
	}
}

// placedTime gives the time of the record that a message became, and what its header
// for the message's says.
func placedTime(t *testing.T, sys *system, s *session, place bridge.Placement) (at time.Time, header string) {
	t.Helper()
	look := &lookback{cluster: newCluster(sys), layout: s.sink.(*sink).target.layout}
	defer look.cluster.close()
	err := look.between(t.Context(), laneOf(s).parts[0], int64(place.Position), int64(place.Position)+1, func(rec *record) {
		at = time.UnixMilli(rec.timestamp)
		for _, h := range rec.headers {
			if string(h.key) == bridge.HopTime {
				header = string(h.value)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return at, header
}

// A time that the topic does not take is no reason to refuse a message: it travels in a
// header.
func TestTimesThatATopicRefuses(t *testing.T) {
	sys := realSystem(t)
	topic := fmt.Sprintf("times-%x", time.Now().UnixNano())
	makeTopic(t, sys, topic, 1, "message.timestamp.before.max.ms=3600000", "message.timestamp.after.max.ms=3600000", "retention.ms=-1")
	s := openSession(t, openerOf(t, sys, SinkConfig{Topic: topic}), 0)
	now := time.Now().Truncate(time.Millisecond)
	for ago, native := range map[time.Duration]bool{
		0: true, 50 * time.Minute: true, -50 * time.Minute: true, time.Hour + time.Second: false, -time.Hour - 10*time.Second: false,
		300_000 * time.Hour: false, -70_000 * time.Hour: false,
	} {
		m := numbered(0, 1, 1)
		m[0].Time = now.Add(-ago)
		at, header := placedTime(t, sys, s, s.deliver(t, m)[0])
		if at.Equal(m[0].Time) != native || (header != "") == native {
			t.Errorf("%v ago: the record's time is %v, a header has it: %q", ago, at, header)
		}
		if header != "" {
			var back bridge.Message
			if err := back.Restore(bridge.HopTime, header); err != nil || !back.Time.Equal(m[0].Time) {
				t.Errorf("%v ago: %q is %v: %v", ago, header, back.Time, err)
			}
		}
	}
}

// A compacted topic is refused unless what has to be read back stays long enough, or
// the risk is accepted.
func TestSinkCompacted(t *testing.T) {
	r := newSinkRig(t, 1)
	makeTopic(t, r.system, "compacted", 1, "cleanup.policy=compact")
	makeTopic(t, r.system, "late", 1, "cleanup.policy=compact", "min.compaction.lag.ms=7200000")
	if _, err := tryOpen(r.sinkOf(t, SinkConfig{Topic: "compacted"}), 0); bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), acceptCompacted) {
		t.Errorf("compacted at once: %v", err)
	}
	openSession(t, r.sinkOf(t, SinkConfig{Topic: "compacted", Accept: bridge.Accepts{acceptCompacted}}), 0)
	openSession(t, r.sinkOf(t, SinkConfig{Topic: "late"}), 0)
}

// A topic's settings are read as the broker has them.
func TestTopicSettings(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, s *system, topic string) {
		makeTopic(t, s, topic+"-set", 1, "message.timestamp.type=LogAppendTime", "cleanup.policy=compact,delete", "max.message.bytes=12345",
			"min.insync.replicas=1", "retention.ms=86400000", "min.compaction.lag.ms=7200000", "compression.type=lz4",
			"message.timestamp.before.max.ms=60000", "message.timestamp.after.max.ms=120000")
		c := newCluster(s)
		defer c.close()
		found, err := c.settingsOf(t.Context(), []string{topic, topic + "-set"})
		if err != nil {
			t.Fatal(err)
		}
		want := topicSettings{
			known: true, appendTime: true, compacted: true, retentionDeletes: true, maxMessage: 12345, minInSync: 1, retention: 24 * time.Hour,
			compactionLag: 2 * time.Hour, compression: "lz4", before: time.Minute, after: 2 * time.Minute,
		}
		if got := found[topic+"-set"]; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got := found[topic]; !got.known || got.appendTime || got.compacted || got.maxMessage < 1<<20 || got.retention != 7*24*time.Hour {
			t.Errorf("the settings by default are %+v", got)
		}
	})
}

// Older brokers are written to as well.
func TestSinkOldBrokers(t *testing.T) {
	for _, v := range []struct {
		name string
		of   *kversion.Versions
	}{{"2.1", kversion.V2_1_0()}, {"2.4", kversion.V2_4_0()}, {"2.8", kversion.V2_8_0()}, {"3.6", kversion.V3_6_0()}} {
		t.Run(v.name, func(t *testing.T) {
			r := newSinkRig(t, 2, kfake.MaxVersions(v.of))
			msgs := numbered(0, 100, 9)
			o := r.sinkOf(t, SinkConfig{Compression: "lz4"})
			openSession(t, o, 0).deliver(t, msgs[:50])
			s := openSession(t, o, 0)
			if got := s.recall(t, 0, 100); len(got) != 50 {
				t.Errorf("recalled %d of 50", len(got))
			}
			s.deliver(t, msgs[50:])
			wantTopic(t, r.system, "t", msgs, 2)
			if p := laneOf(s).parts[0]; !p.keepTime || p.topic.settings.maxMessage == 0 {
				t.Errorf("the topic's settings are %+v", p.topic.settings)
			}
		})
	}
}
