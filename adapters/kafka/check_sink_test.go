package kafka

import (
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A preflight says what a target lacks before anything moves, each with a way out.
func TestSinkCheck(t *testing.T) {
	r := newSinkRig(t, 2)
	good := []string{"min.insync.replicas=2", "retention.ms=-1", "message.timestamp.after.max.ms=3600000"}
	for name, configs := range map[string][]string{
		"good": good, "append": append(good, "message.timestamp.type=LogAppendTime"), "short": {"min.insync.replicas=2", "retention.ms=60000"},
		"before": append(good, "message.timestamp.before.max.ms=60000"), "weak": {"retention.ms=-1"}, "strict": {"retention.ms=-1", "min.insync.replicas=3"},
		"packed": append(good, "compression.type=zstd"), "compacted": append(good, "cleanup.policy=compact"),
		"late": append(good, "cleanup.policy=compact", "min.compaction.lag.ms=7200000"),
	} {
		makeTopic(t, r.system, name, 3, configs...)
	}
	for _, c := range []struct {
		config SinkConfig
		level  bridge.Level
		text   string // of the worst finding
	}{
		{SinkConfig{Topic: "good"}, bridge.Pass, ""},
		{SinkConfig{Topic: "append"}, bridge.Warn, "LogAppendTime"},
		{SinkConfig{Topic: "append", Timestamp: timestampAppend}, bridge.Pass, ""},
		{SinkConfig{Topic: "short"}, bridge.Warn, "older than 1m0s are deleted"},
		{SinkConfig{Topic: "before"}, bridge.Warn, "more than 1m0s ago"},
		{SinkConfig{Topic: "weak"}, bridge.Warn, "min.insync.replicas is 1"},
		{SinkConfig{Topic: "strict"}, bridge.Warn, "min.insync.replicas is 3 of 3"},
		{SinkConfig{Topic: "packed"}, bridge.Warn, "compression.type"},
		{SinkConfig{Topic: "packed", Compression: "zstd"}, bridge.Pass, ""},
		{SinkConfig{Topic: "compacted"}, bridge.Fail, "is compacted at once"},
		{SinkConfig{Topic: "compacted", Accept: bridge.Accepts{acceptCompacted}}, bridge.Warn, "what was compacted is not read back"},
		{SinkConfig{Topic: "late"}, bridge.Warn, "what was compacted is not read back"},
		{SinkConfig{Topic: "none"}, bridge.Fail, "there is no such topic"},
		{SinkConfig{Topic: "none", Create: &CreateConfig{Partitions: 3, Replication: 3}}, bridge.Pass, ""},
		{SinkConfig{Topic: "none", Create: &CreateConfig{Partitions: 3, Replication: 1}}, bridge.Warn, "one replica"},
		{SinkConfig{Topic: "{topic}"}, bridge.Fail, "is compacted at once"},
	} {
		findings := r.sinkOf(t, c.config).Check(t.Context())
		worst := worstOf(findings)
		if worst.Level != c.level || !strings.Contains(worst.Text, c.text) || worst.Level > bridge.Pass && worst.Hint == "" {
			t.Errorf("%+v: the worst finding is %v %+v", c.config, worst.Level, worst)
		}
	}
	c := newCluster(r.system)
	defer c.close()
	if l, err := c.look(t.Context(), "none"); err != nil || l.topics["none"] != nil {
		t.Errorf("a check has made a topic: %v", err)
	}
	r.Fault(
		kfake.Fault{Keys: keysOf(protocol.FindCoordinator), Err: kerrOf(kafkago.TransactionalIDAuthorizationFailed), Count: 1},
		kfake.Fault{Keys: keysOf(protocol.DescribeConfigs), Err: kerrOf(kafkago.TopicAuthorizationFailed), Count: 1},
	)
	findings := r.sinkOf(t, SinkConfig{Topic: "good"}).Check(t.Context())
	for _, text := range []string{"may not use transactional IDs", "may not see its settings"} {
		found := false
		for _, f := range findings {
			found = found || strings.Contains(f.Text, text) && f.Level > bridge.Pass && f.Hint != ""
		}
		if !found {
			t.Errorf("no finding says %q: %+v", text, findings)
		}
	}
}

func worstOf(findings []bridge.Finding) (worst bridge.Finding) {
	for _, f := range findings {
		if f.Level > worst.Level {
			worst = f
		}
	}
	return worst
}
