package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// safeLag is the least min.compaction.lag.ms at which a compacted topic holds what a
// relay has to read back, if it is started again within that time.
const safeLag = time.Hour

// unfit refuses a topic that cannot be a target.
func (o *SinkOpener) unfit(t *topic) error {
	if !t.settings.compacted || t.settings.compactionLag >= safeLag || o.config.Accept.Has(acceptCompacted) {
		return nil
	}
	// What compaction removed is not recalled, so a crash sends it again, behind newer
	// messages of its key, and the older value stays. // I2
	return bridge.Fatal(fmt.Errorf("%s: %s: topic %s is compacted at once (cleanup.policy, min.compaction.lag.ms %d): after a crash an older value may take the place of a newer one of its key", Kind, o.system.name, t.name, t.settings.compactionLag.Milliseconds()),
		fmt.Sprintf("Set min.compaction.lag.ms of the topic to %d or more, longer than the bridge may be down; or write accept: [%s].", safeLag.Milliseconds(), acceptCompacted))
}

// A targetReport collects what a check of a target finds.
type targetReport struct {
	opener   *SinkOpener
	findings []bridge.Finding
}

func (r *targetReport) add(level bridge.Level, subject, text, hint string) {
	r.findings = append(r.findings, bridge.Finding{Level: level, Subject: subject, Text: text, Hint: hint})
}

func (r *targetReport) fail(subject string, err error) {
	hint := bridge.HintOf(err)
	if hint == "" {
		hint = "Make sure that the cluster runs and can be reached from here, and try again."
	}
	r.add(bridge.Fail, subject, err.Error(), hint)
}

// Check is as bridge.Checker says. It makes no topic.
func (o *SinkOpener) Check(ctx context.Context) []bridge.Finding {
	r := &targetReport{opener: o}
	c := newCluster(o.system)
	defer c.close()
	var names []string
	name, literal := o.config.template.Literal()
	if literal {
		names = []string{name}
	}
	l, err := c.look(ctx, names...)
	if err != nil {
		r.fail("cluster "+o.system.name, err)
		return r.findings
	}
	r.add(bridge.Pass, "cluster "+o.system.name, fmt.Sprintf("%s, %d brokers", l.cluster, len(l.brokers)), "")
	r.transactions(ctx, c)
	t := o.targetOf(l)
	if literal && t.only == nil {
		r.absent(name)
		return r.findings
	}
	if err := o.readSettings(ctx, c, t); err != nil {
		r.fail(o.Describe(), err)
		return r.findings
	}
	r.topics(t)
	return r.findings
}

// transactions sees whether this user may have transactional IDs.
func (r *targetReport) transactions(ctx context.Context, c *cluster) {
	const subject = "fence"
	name := transactionalID(r.opener.id, "topic", 0)
	_, err := c.coordinator(ctx, transactionCoordinator, name)
	switch {
	case errors.Is(err, kafkago.TransactionalIDAuthorizationFailed):
		r.add(bridge.Fail, subject, "this user may not use transactional IDs, by which earlier sessions are kept out: "+err.Error(),
			"Grant Describe and Write on transactional IDs with the prefix "+ownPrefix+" (kafka-acls.sh --transactional-id "+ownPrefix+" --resource-pattern-type prefixed).")
	case errors.Is(err, kafkago.GroupCoordinatorNotAvailable):
		r.add(bridge.Fail, subject, "the cluster has no coordinator of transactions, by which earlier sessions are kept out: "+err.Error(),
			"A cluster of fewer than three brokers needs transaction.state.log.replication.factor and transaction.state.log.min.isr to be smaller.")
	case err != nil:
		r.fail(subject, err)
	default:
		r.add(bridge.Pass, subject, "transactional IDs "+groupOf(r.opener.id)+".TOPIC.PARTITION, one for each partition", "")
	}
}

// absent is said of the topic that the settings name and that is not there.
func (r *targetReport) absent(name string) {
	subject := "topic " + name
	if c := r.opener.config.Create; c != nil {
		r.add(bridge.Pass, subject, fmt.Sprintf("is not there, and will be made with %d partitions", c.Partitions), "")
		if c.Replication == 1 {
			r.add(bridge.Warn, subject, "one replica: what is placed is lost with the broker that has it", "Write replication: 3 and configs: [min.insync.replicas=2].")
		}
		return
	}
	r.fail(subject, r.opener.missing(name))
}

// manyTopics is of how many topics of a template a report speaks one by one.
const manyTopics = 20

func (r *targetReport) topics(t *target) {
	if t.only == nil {
		r.add(bridge.Pass, r.opener.Describe(), fmt.Sprintf("%d topics are there, with %d partitions; %s", len(t.topics), len(t.of(0, 1)), r.others()), "")
	}
	names := make([]string, 0, len(t.topics))
	for name := range t.topics {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i == manyTopics {
			r.add(bridge.Warn, r.opener.Describe(), fmt.Sprintf("%d more topics were not looked at one by one", len(names)-i), "See to it that their settings are alike.")
			return
		}
		r.topic(t.topics[name], t.layout.topics[name])
	}
}

// others says what becomes of messages for topics that are not there.
func (r *targetReport) others() string {
	if r.opener.config.Create != nil {
		return "others are made when a message is for them"
	}
	return "messages for others are parked"
}

// topic looks at one.
func (r *targetReport) topic(t *topic, at *topicLayout) {
	subject, s := "topic "+t.name, &t.settings
	if wrong := r.opener.unfit(t); wrong != nil {
		r.fail(subject, wrong)
		return
	}
	r.add(bridge.Pass, subject, fmt.Sprintf("%d partitions; order is kept within each, and the partition follows from the %s", t.partitions, r.by()), "")
	r.durability(subject, t, at)
	if !s.known {
		r.add(bridge.Warn, subject, "this user may not see its settings: what is too large is found out by sending it, and messages' own times travel in headers",
			"Grant DescribeConfigs on the topic.")
		return
	}
	if s.compacted {
		r.add(bridge.Warn, subject, fmt.Sprintf("it is compacted (min.compaction.lag.ms %d): what was compacted is not read back, and messages without a key are refused", s.compactionLag.Milliseconds()),
			"Start the bridge again within that time after a crash.")
	}
	r.times(subject, s)
	if s.maxMessage > 0 {
		r.add(bridge.Pass, subject, fmt.Sprintf("messages up to %d octets with headers (max.message.bytes); what is larger is parked", s.maxMessage), "")
	}
	if c := r.opener.config.Compression; s.recompresses(c) {
		r.add(bridge.Warn, subject, fmt.Sprintf("the brokers compress what arrives as %q once more as %q (compression.type)", c, s.compression), "Write compression: "+s.compression+", or set compression.type=producer.")
	}
}

// recompresses says that the brokers do not keep batches as they are sent.
func (s *topicSettings) recompresses(as string) bool {
	switch s.compression {
	case "", "producer", as:
		return false
	case "uncompressed":
		return as != "none"
	}
	return true
}

// by is what chooses the partition.
func (r *targetReport) by() string {
	if r.opener.config.Partition == partitionBySource {
		return "partition that the message had"
	}
	return "key, as Java's producers have it"
}

// durability says what a broker's death may take away.
func (r *targetReport) durability(subject string, t *topic, at *topicLayout) {
	least := t.settings.minInSync
	replicas, leaderless := at.partitions[0].replicas, 0
	for _, p := range at.partitions {
		replicas = min(replicas, p.replicas)
		if p.leader < 0 {
			leaderless++
		}
	}
	switch {
	case replicas < 2:
		r.add(bridge.Warn, subject, "one replica: what is placed is lost with the broker that has it", "Let it have three, with min.insync.replicas=2.")
	case t.settings.known && least < 2:
		r.add(bridge.Warn, subject, fmt.Sprintf("%d replicas, but min.insync.replicas is %d: when the others are behind, what one broker has counts as placed", replicas, least), "Set min.insync.replicas=2.")
	case t.settings.known && least >= replicas:
		r.add(bridge.Warn, subject, fmt.Sprintf("min.insync.replicas is %d of %d replicas: while one broker is away nothing can be placed", least, replicas), "Set it to one less than there are replicas.")
	}
	if leaderless > 0 {
		r.add(bridge.Warn, subject, fmt.Sprintf("%d partitions have no leader at the moment; their lanes wait", leaderless), "Bring their brokers back.")
	}
}

// times says what becomes of messages' own times.
func (r *targetReport) times(subject string, s *topicSettings) {
	switch {
	case r.opener.config.Timestamp == timestampAppend:
		r.add(bridge.Pass, subject, "records get the time at which they are placed; the message's own travels in a header", "")
		return
	case s.appendTime:
		r.add(bridge.Warn, subject, "the brokers replace records' times (message.timestamp.type=LogAppendTime); the message's own travels in a header",
			"Set message.timestamp.type=CreateTime if consumers need the times, or write timestamp: append.")
		return
	}
	if s.retentionDeletes && s.retention > 0 {
		r.add(bridge.Warn, subject, fmt.Sprintf("records keep the message's time, and those older than %v are deleted (retention.ms): older messages go as soon as they are placed", s.retention),
			"Write timestamp: append if the past is to be kept, or set a longer retention.ms.")
	}
	if s.before > 0 {
		r.add(bridge.Warn, subject, fmt.Sprintf("the time of messages from more than %v ago travels in a header, and their records get that at which they are placed (message.timestamp.before.max.ms)", s.before), "Raise it if consumers need the times.")
	}
	if s.after > 0 {
		r.add(bridge.Pass, subject, fmt.Sprintf("the time of messages that are more than %v ahead travels in a header, and their records get that at which they are placed (message.timestamp.after.max.ms)", s.after), "")
	}
}
