package kafka

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"

	"github.com/crossfade-mq/crossfade/bridge"
)

// topicSettings are those of a topic that matter to who writes to it, by their names
// in Kafka's configuration. A limit of 0 is none, or not known.
type topicSettings struct {
	known            bool // this user may see them
	appendTime       bool // message.timestamp.type=LogAppendTime
	compacted        bool // cleanup.policy has compact
	maxMessage       int  // max.message.bytes: of a batch, compressed
	minInSync        int  // min.insync.replicas
	retention        time.Duration
	compactionLag    time.Duration // min.compaction.lag.ms
	before, after    time.Duration // message.timestamp.before.max.ms, …after…
	compression      string        // compression.type
	retentionDeletes bool          // cleanup.policy has delete
}

const resourceTopic int8 = 2 // of DescribeConfigs

// settingNames are what is asked for.
var settingNames = []string{
	"message.timestamp.type", "cleanup.policy", "max.message.bytes", "min.insync.replicas", "retention.ms",
	"min.compaction.lag.ms", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
	"message.timestamp.difference.max.ms", "compression.type",
}

// settingsOf asks for topics' settings. A topic whose settings this user may not see
// is not in the answer.
func (c *cluster) settingsOf(ctx context.Context, topics []string) (map[string]topicSettings, error) {
	found := map[string]topicSettings{}
	for some := range slices.Chunk(topics, 200) {
		k, err := c.any(ctx)
		if err != nil {
			return nil, err
		}
		req := &describeconfigs.Request{}
		for _, t := range some {
			req.Resources = append(req.Resources, describeconfigs.RequestResource{ResourceType: resourceTopic, ResourceName: t, ConfigNames: settingNames})
		}
		if _, err := k.version(protocol.DescribeConfigs, 0, 3); err != nil {
			return found, nil //nolint:nilerr // a broker that does not tell is as good as one that may not
		}
		m, err := k.ask(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, r := range m.(*describeconfigs.Response).Resources {
			switch e := kafkago.Error(r.ErrorCode); e {
			case 0:
				found[r.ResourceName] = parseSettings(r.ConfigEntries)
			case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.UnknownTopicOrPartition:
			default:
				return nil, k.refused("DescribeConfigs of topic "+bridge.Printable(r.ResourceName, 100), e)
			}
		}
	}
	return found, nil
}

func parseSettings(entries []describeconfigs.ResponseConfigEntry) topicSettings {
	s := topicSettings{known: true}
	for _, e := range entries {
		v := e.ConfigValue
		n, _ := strconv.ParseInt(v, 10, 64)
		switch e.ConfigName {
		case "message.timestamp.type":
			s.appendTime = v == "LogAppendTime"
		case "cleanup.policy":
			s.compacted, s.retentionDeletes = strings.Contains(v, "compact"), strings.Contains(v, "delete")
		case "max.message.bytes":
			s.maxMessage = int(max(n, 0))
		case "min.insync.replicas":
			s.minInSync = int(n)
		case "retention.ms":
			s.retention = milliseconds(n)
		case "min.compaction.lag.ms":
			s.compactionLag = milliseconds(n)
		case "message.timestamp.before.max.ms":
			s.before = milliseconds(n)
		case "message.timestamp.after.max.ms":
			s.after = milliseconds(n)
		case "message.timestamp.difference.max.ms": // before 3.6: both (KIP-937)
			if s.before == 0 && s.after == 0 {
				s.before, s.after = milliseconds(n), milliseconds(n)
			}
		case "compression.type":
			s.compression = v
		}
	}
	return s
}

func (s *topicSettings) takes() times { return times{before: s.before, after: s.after} }

// milliseconds is a duration of a setting; none where it is negative or more than
// durations can say.
func milliseconds(n int64) time.Duration {
	if n < 0 || n > int64(100*365*24*time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// readSettings fills in the topics' settings.
func (o *SinkOpener) readSettings(ctx context.Context, c *cluster, t *target) error {
	topics := make([]string, 0, len(t.topics))
	for name := range t.topics {
		topics = append(topics, name)
	}
	found, err := c.settingsOf(ctx, topics)
	if err != nil {
		return err
	}
	for name, topic := range t.topics {
		topic.settings = found[name]
	}
	return nil
}
