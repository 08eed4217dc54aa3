package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Check is as bridge.Checker says. It joins no group and makes no topic.
func (o *SourceOpener) Check(ctx context.Context) []bridge.Finding {
	r := &tapReport{opener: o, cluster: newCluster(o.system)}
	defer r.cluster.close()
	l, topics, err := o.look(ctx, r.cluster)
	if err != nil {
		r.fail("cluster "+o.system.name, err)
		return r.findings
	}
	r.add(bridge.Pass, "cluster "+o.system.name, fmt.Sprintf("%s, %d brokers", l.cluster, len(l.brokers)), "")
	if !r.speaks(ctx) {
		return r.findings
	}
	r.topics(ctx, l, topics)
	n, ok := r.own(ctx, l)
	if !ok || !r.group(ctx) {
		return r.findings
	}
	r.progress(ctx, l, topics, n)
	return r.findings
}

// A tapReport collects what a check of a tap finds.
type tapReport struct {
	opener   *SourceOpener
	cluster  *cluster
	findings []bridge.Finding
}

func (r *tapReport) add(level bridge.Level, subject, text, hint string) {
	r.findings = append(r.findings, bridge.Finding{Level: level, Subject: subject, Text: text, Hint: hint})
}

func (r *tapReport) fail(subject string, err error) {
	hint := bridge.HintOf(err)
	if hint == "" {
		hint = "Make sure that the cluster runs and can be reached from here, and try again."
	}
	r.add(bridge.Fail, subject, err.Error(), hint)
}

// speaks sees whether the brokers have what a tap needs.
func (r *tapReport) speaks(ctx context.Context) bool {
	k, err := r.cluster.any(ctx)
	if err != nil {
		r.fail("cluster "+r.opener.system.name, err)
		return false
	}
	for _, key := range []protocol.ApiKey{protocol.JoinGroup, protocol.SyncGroup, protocol.OffsetFetch, protocol.OffsetCommit, protocol.DescribeGroups, protocol.ListOffsets, protocol.CreateTopics} {
		if _, err := k.version(key, key.MinVersion(), key.MaxVersion()); err != nil {
			r.fail("protocol", err)
			return false
		}
	}
	return true
}

// topics looks at what is tapped.
func (r *tapReport) topics(ctx context.Context, l *layout, topics []*topicLayout) {
	if len(topics) == 0 {
		r.add(bridge.Warn, r.opener.Describe(), "no topic matches; the relay waits for the first one", "Is the pattern right? It is for the whole name.")
		return
	}
	if len(topics) > manyTopics {
		r.add(bridge.Pass, r.opener.Describe(), fmt.Sprintf("%d topics match, of which %d are looked at here", len(topics), manyTopics), "")
		topics = topics[:manyTopics]
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.name
	}
	settings, err := r.cluster.settingsOf(ctx, names)
	if err != nil {
		r.fail(r.opener.Describe(), err)
		return
	}
	for _, t := range topics {
		r.topic(t, l, settings[t.name])
	}
}

func (r *tapReport) topic(t *topicLayout, l *layout, s topicSettings) {
	subject := "topic " + t.name
	text := fmt.Sprintf("%d partitions", len(t.partitions))
	if s.known && s.retentionDeletes && s.retention > 0 {
		text += fmt.Sprintf("; a relay that lags behind its retention of %v stops at the gap and says so", s.retention)
	}
	r.add(bridge.Pass, subject, text, "")
	leaderless := 0
	for _, p := range t.partitions {
		if _, ok := l.brokers[p.leader]; !ok {
			leaderless++
		}
	}
	if leaderless > 0 {
		r.add(bridge.Warn, subject, fmt.Sprintf("%d of its partitions have no leader at the moment", leaderless), "Their records wait, until a broker that has them is back.")
	}
	if s.known && s.compacted {
		r.add(bridge.Warn, subject, "it is compacted (cleanup.policy): what is overwritten before the relay reads it is not copied, and nothing can tell",
			"Raise min.compaction.lag.ms while you migrate if every record counts.")
	}
	if t.id == "" {
		r.add(bridge.Warn, subject, "the brokers give topics no ID (they are older than 2.8): one that is deleted and made again is told only where it is shorter than what was read",
			"Stop the relay before you make the topic anew.")
	}
}

// own looks at the topic of notes. Where it is not there, it asks whether this user could
// make it.
func (r *tapReport) own(ctx context.Context, l *layout) (n *notes, ok bool) {
	n, err := openNotes(ctx, r.cluster, r.opener.id.Bridge)
	subject := "topic " + holdingsOf(r.opener.id.Bridge)
	switch {
	case err != nil:
	case n.exists:
		r.add(bridge.Pass, subject, "notes what the bridge has made here", "")
	default:
		if err = n.log.create(ctx, l, true); err == nil {
			r.add(bridge.Pass, subject, "is not there yet, and can be made", "")
		}
	}
	if err != nil {
		r.fail(subject, err)
	}
	return n, err == nil
}

// group sees whether this user may use the relay's group, and who is in it.
func (r *tapReport) group(ctx context.Context) bool {
	m := newMember(r.cluster, groupOf(r.opener.id), nil)
	subject := "group " + m.coordinator.group
	g, err := m.describe(ctx)
	if errors.Is(err, kafkago.GroupAuthorizationFailed) {
		err = bridge.Fatal(err, "Grant the bridge's user Read, Describe and Delete on groups with the prefix "+ownPrefix+" (kafka-acls.sh --group "+ownPrefix+" --resource-pattern-type prefixed).")
	}
	if err != nil {
		r.fail(subject, err)
		return false
	}
	if n := len(g.Members); n > 0 {
		who := "a process at " + g.Members[0].ClientHost
		if o, ok := subscriber(g.Members[0].MemberMetadata); ok {
			who = o.String()
		}
		r.add(bridge.Pass, subject, who+" has the tap; another one stands by", "")
	}
	return true
}

// progress says where the relay goes on or begins, without moving it.
func (r *tapReport) progress(ctx context.Context, l *layout, topics []*topicLayout, n *notes) {
	o := r.opener
	s := &source{opener: o, asks: r.cluster}
	s.partition(l, topics)
	k := coordinator{cluster: r.cluster, group: groupOf(o.id)}
	marks, err := k.marks(ctx)
	if err != nil {
		r.fail("group "+k.group, err)
		return
	}
	for _, parts := range topicsOf(s.parts) {
		subject := "position in topic " + parts[0].topic
		var known []*part
		for _, p := range parts {
			if _, ok := marks[p.spot]; ok {
				known = append(known, p)
			}
		}
		if err := s.resume(ctx, l, parts, marks, n.of(o.id.Relay)); err != nil {
			r.fail(subject, err)
			continue
		}
		if err := r.position(ctx, s, l, subject, parts, len(known)); err != nil {
			r.fail(subject, err)
		}
	}
}

// position compares the floors of one topic with what it holds.
func (r *tapReport) position(ctx context.Context, s *source, l *layout, subject string, parts []*part, known int) error {
	firsts, err := r.cluster.positions(ctx, l, atEarliest, false, spotsOf(parts)...)
	if err != nil {
		return err
	}
	lasts, err := r.cluster.positions(ctx, l, atLatest, false, spotsOf(parts)...)
	if err != nil {
		return err
	}
	var passed, behind int64
	for _, p := range parts {
		first, last := firsts[p.spot], lasts[p.spot]
		switch {
		case p.floor < first && r.opener.config.Accept.Has(acceptGaps):
			r.add(bridge.Warn, subject, s.gapError(p.spot, p.floor, first).Error()+", as accepted", "")
			behind += last - first
			continue
		case p.floor < first:
			return s.gapError(p.spot, p.floor, first)
		case p.floor > last:
			return s.lostError(p.spot, p.floor, last)
		}
		passed, behind = passed+p.floor-first, behind+last-p.floor
	}
	switch {
	case known > 0:
		r.add(bridge.Pass, subject, fmt.Sprintf("the relay goes on; it is %d offsets behind", behind), "")
		if held := passed + behind; behind > 0 && passed < held/10 {
			r.add(bridge.Warn, subject, fmt.Sprintf("nine tenths of what the topic holds are still to be read: retention removes the oldest of it, %d offsets away, next", passed), "Raise retention.ms and retention.bytes until the relay has caught up.")
		}
	case passed > 0:
		r.add(bridge.Warn, subject, fmt.Sprintf("none yet; the relay will begin with %s: of what the topic holds, %d offsets are not copied", r.begin(), passed), "Write start: first to copy them.")
	default:
		r.add(bridge.Pass, subject, fmt.Sprintf("none yet; the relay will begin with %s, %d offsets behind", r.begin(), behind), "")
	}
	return nil
}

// begin names the start of the settings.
func (r *tapReport) begin() string {
	switch s := &r.opener.config.Start; s.Kind {
	case bridge.StartNow:
		return "what comes from then on"
	case bridge.StartTime:
		return "the first record at or after " + s.Time.Format(time.RFC3339Nano)
	case bridge.StartOrigin:
		return "offset " + fmt.Sprint(s.Offset) + fmt.Sprintf(" of partition %d, and the first record of the others", s.Shard)
	}
	return "the first record that is held"
}
