package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// look asks for the layout, and picks the topics of it that are tapped, by name. A broker
// hears of a topic a moment after it was made, so one that is not there is asked for
// again.
func (o *SourceOpener) look(ctx context.Context, c *cluster) (*layout, []*topicLayout, error) {
	deadline := time.Now().Add(missingFor)
	for {
		l, err := c.look(ctx, o.config.Topics...) // all for a pattern
		if err != nil {
			return nil, nil, err
		}
		topics, err := o.pick(l)
		if err == nil || time.Now().After(deadline) {
			return l, topics, err
		}
		if !pause(ctx, lookPause) {
			return nil, nil, context.Cause(ctx)
		}
	}
}

// missingFor is how long a topic has to be missing until it is taken for not there.
const missingFor = 2 * time.Second

// pick gives the topics of a layout that are tapped, by name. One that is named and
// not there is a Fatal.
func (o *SourceOpener) pick(l *layout) ([]*topicLayout, error) {
	var picked []*topicLayout
	for name, t := range l.topics {
		if o.config.matches(name, t.internal) {
			picked = append(picked, t)
		}
	}
	slices.SortFunc(picked, func(a, b *topicLayout) int { return strings.Compare(a.name, b.name) })
	for _, name := range o.config.Topics {
		if l.topics[name] == nil {
			return nil, bridge.Fatal(fmt.Errorf("%s: %s: topic %s: %w", Kind, o.system.name, name, errNoTopic),
				"Is the name right? kafka-topics --list shows those of the cluster; the bridge's user needs Describe and Read on the topic.")
		}
	}
	return picked, nil
}

// matches says that a topic is tapped. A pattern takes no topic that is the cluster's
// or the bridge's own.
func (c *SourceConfig) matches(name string, internal bool) bool {
	if c.pattern == nil {
		return slices.Contains(c.Topics, name)
	}
	return !internal && !strings.HasPrefix(name, ownPrefix) && !strings.HasPrefix(name, "__") && c.pattern.MatchString(name)
}

// changed says what is different from what the session has begun with; nil if nothing
// is. Whatever it is, the next session begins with it.
func (s *source) changed(topics []*topicLayout) error {
	was := map[string]*bridge.Stream{}
	count := map[string]int{}
	for _, p := range s.parts {
		was[p.topic] = p.place.stream
		count[p.topic]++
	}
	differs := func(name, format string, args ...any) error {
		return fmt.Errorf("%s: %s: topic %s: %s; the session begins anew with that", Kind, s.opener.system.name, name, fmt.Sprintf(format, args...))
	}
	for _, t := range topics {
		stream := was[t.name]
		switch {
		case stream == nil:
			return differs(t.name, "it is new, and matches")
		case stream.Incarnation != incarnationOf(t):
			return differs(t.name, "it was deleted and made again")
		case count[t.name] != len(t.partitions):
			return differs(t.name, "it has %d partitions, and had %d", len(t.partitions), count[t.name])
		}
		delete(was, t.name)
	}
	for name := range was {
		return differs(name, "it is gone")
	}
	return nil
}
