package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/deletegroups"
	"github.com/segmentio/kafka-go/protocol/deletetopics"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Holdings is as bridge.Keeper says: what is noted and still there.
func (s *system) Holdings(ctx context.Context, of string) ([]bridge.Holding, error) {
	c := newCluster(s)
	defer c.close()
	n, err := openNotes(ctx, c, of)
	if err != nil || !n.exists {
		return nil, err
	}
	var all []bridge.Holding
	for _, relay := range slices.Sorted(maps.Keys(n.relays)) {
		for _, e := range n.relays[relay].inOrder() {
			h, there, err := c.holding(ctx, relay, &e)
			if err != nil {
				return nil, err
			}
			if there {
				all = append(all, h)
			}
		}
	}
	return append(all, bridge.Holding{Kind: kindTopic, Name: n.log.topic, Text: "record of what the bridge made here"}), nil
}

// inOrder gives a relay's things in the order in which they are removed: the group first,
// which cannot be removed while a process is in it.
func (b *belongings) inOrder() []entry {
	all := slices.Clone(b.things)
	slices.SortStableFunc(all, func(x, y entry) int {
		if x.Kind != y.Kind {
			return strings.Compare(x.Kind, y.Kind)
		}
		return strings.Compare(x.Name, y.Name)
	})
	return all
}

// holding looks whether a thing is there, and what it holds.
func (c *cluster) holding(ctx context.Context, relay string, e *entry) (h bridge.Holding, there bool, err error) {
	h = bridge.Holding{Relay: relay, Kind: e.Kind, Name: e.Name, Text: e.Use}
	if e.Kind == kindGroup {
		k := coordinator{cluster: c, group: e.Name}
		marks, err := k.marks(ctx)
		h.Text = fmt.Sprintf("%s, %d positions", e.Use, len(marks))
		return h, len(marks) > 0, err
	}
	l, err := c.look(ctx, e.Name)
	if err != nil || l.topics[e.Name] == nil {
		return h, false, err
	}
	at := spot{e.Name, 0}
	firsts, err := c.positions(ctx, l, atEarliest, false, at)
	if err != nil {
		return h, false, err
	}
	lasts, err := c.positions(ctx, l, atLatest, false, at)
	if err != nil {
		return h, false, err
	}
	h.Text = fmt.Sprintf("%s, %d records", e.Use, lasts[at]-firsts[at])
	return h, true, nil
}

// Remove is as bridge.Keeper says. The group goes first; while a process is in it the
// cluster refuses that, and nothing is removed.
func (s *system) Remove(ctx context.Context, of, relay string) error {
	c := newCluster(s)
	defer c.close()
	n, err := openNotes(ctx, c, of)
	if err != nil || !n.exists {
		return err
	}
	if relay == "" {
		return s.removeNotes(ctx, c, n)
	}
	b := n.relays[relay]
	if b == nil {
		return nil
	}
	if err := c.unowned(ctx, bridge.Identity{Bridge: of, Relay: relay}); err != nil {
		return err
	}
	for _, e := range b.inOrder() {
		if e.Kind == kindGroup {
			err = c.removeGroup(ctx, e.Name)
		} else {
			err = c.removeTopic(ctx, e.Name)
		}
		if err != nil {
			return err
		}
		if err := n.write(ctx, entry{Do: doGone, Relay: relay, Kind: e.Kind, Name: e.Name}); err != nil {
			return err
		}
	}
	return nil
}

// unowned refuses if a process is in the relay's group.
func (c *cluster) unowned(ctx context.Context, id bridge.Identity) error {
	m := newMember(c, groupOf(id), nil)
	m.self.Process = "" // a session of this process counts too
	who, err := m.occupied(ctx)
	if err == nil && who != "" {
		err = bridge.Fatal(m.says(fmt.Errorf("%s runs relay %s", who, id)), fmt.Sprintf("Stop that process first. One that has died is given up %v later.", m.session))
	}
	return err
}

func (c *cluster) removeGroup(ctx context.Context, group string) error {
	k := coordinator{cluster: c, group: group}
	_, e, err := k.ask(ctx, 0, &deletegroups.Request{GroupIDs: []string{group}}, func(r protocol.Message) int16 {
		for _, g := range r.(*deletegroups.Response).Responses {
			return g.ErrorCode
		}
		return 0
	})
	switch {
	case err != nil || e == 0 || e == kafkago.GroupIdNotFound:
		return err
	case e == kafkago.NonEmptyGroup:
		return bridge.Fatal(k.failed("DeleteGroups", e), "A process has just started the relay: stop it first.")
	}
	return k.failed("DeleteGroups", e)
}

func (c *cluster) removeTopic(ctx context.Context, topic string) error {
	l, err := c.look(ctx, topic)
	if err != nil {
		return err
	}
	k, err := c.controller(ctx, l)
	if err != nil {
		return err
	}
	m, err := k.ask(ctx, &deletetopics.Request{TopicNames: []string{topic}, TimeoutMs: millis(c.system.config.RequestTimeout)})
	if err != nil {
		return err
	}
	for _, t := range m.(*deletetopics.Response).Responses {
		if e := kafkago.Error(t.ErrorCode); e != 0 && e != kafkago.UnknownTopicOrPartition {
			return k.refused("DeleteTopics of "+topic, e)
		}
	}
	return c.vanishes(ctx, topic)
}

// vanishes waits until the brokers know that a topic is gone.
func (c *cluster) vanishes(ctx context.Context, topic string) error {
	deadline := time.Now().Add(c.system.config.RequestTimeout)
	for {
		l, err := c.look(ctx, topic)
		if err != nil || l.topics[topic] == nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %s: topic %s: it was deleted %v ago and is still there", Kind, c.system.name, topic, c.system.config.RequestTimeout)
		}
		if !pause(ctx, lookPause) {
			return context.Cause(ctx)
		}
	}
}

// removeNotes deletes the topic of notes, unless relays still have something.
func (s *system) removeNotes(ctx context.Context, c *cluster, n *notes) error {
	if len(n.relays) > 0 {
		relays := slices.Sorted(maps.Keys(n.relays))
		return bridge.Fatal(fmt.Errorf("%s: %s: topic %s: relays still have something here: %s", Kind, s.name, n.log.topic, bridge.Printable(strings.Join(relays, ", "), 200)),
			"Remove those relays first.")
	}
	return c.removeTopic(ctx, n.log.topic)
}
