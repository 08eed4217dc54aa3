package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A bridge notes in a topic of its own what it makes at a cluster, before it makes it:
// by that, and not by names, it is known and removed. It notes too which lives of topics
// a relay reads, since a cluster forgets a group's offsets of a topic that is deleted,
// and those of a group that nobody is in for offsets.retention.minutes.

// An entry is one record of that topic.
type entry struct {
	Do    string `json:"do"`
	Relay string `json:"relay,omitempty"`
	Kind  string `json:"kind,omitempty"` // of what is made or gone: kindGroup, kindTopic
	Name  string `json:"name,omitempty"`
	Use   string `json:"use,omitempty"`   // what it is for
	Topic string `json:"topic,omitempty"` // of a life: its ID
}

// What entries say.
const (
	doMake = "make" // this is about to be made
	doGone = "gone" // this was removed
	doRead = "read" // the relay has positions in this life of a topic
)

// The kinds of what a bridge makes.
const (
	kindGroup = "consumer group"
	kindTopic = "topic"
)

// What things are for.
const (
	useTap     = "tap"
	useJournal = "journal "
)

// belongings are what a relay has.
type belongings struct {
	things []entry           // made, in that order
	reads  map[string]string // the ID of the life that is read of a topic
}

func (b *belongings) has(kind, name string) bool {
	return slices.ContainsFunc(b.things, func(e entry) bool { return e.Kind == kind && e.Name == name })
}

// notes are all that a bridge has noted at a cluster.
type notes struct {
	log    ownLog
	exists bool
	relays map[string]*belongings
}

// openNotes reads what a bridge has noted. It makes nothing.
func openNotes(ctx context.Context, c *cluster, bridgeName string) (*notes, error) {
	n := &notes{log: ownLog{cluster: c, topic: holdingsOf(bridgeName)}, relays: map[string]*belongings{}}
	var err error
	if n.exists, err = n.log.there(ctx); err != nil || !n.exists {
		return n, err
	}
	err = n.log.replay(ctx, func(record []byte) error {
		var e entry
		if err := json.Unmarshal(record, &e); err != nil {
			return bridge.Fatal(fmt.Errorf("%s: %s: topic %s: a record cannot be read: %w", Kind, c.system.name, n.log.topic, err),
				"Another program writes to the bridge's own topic, or a later version of it does; find out what.")
		}
		n.apply(&e)
		return nil
	})
	return n, err
}

func (n *notes) of(relay string) *belongings {
	b := n.relays[relay]
	if b == nil {
		b = &belongings{reads: map[string]string{}}
		n.relays[relay] = b
	}
	return b
}

func (n *notes) apply(e *entry) {
	b := n.of(e.Relay)
	switch e.Do {
	case doMake:
		if !b.has(e.Kind, e.Name) {
			b.things = append(b.things, *e)
		}
	case doGone:
		b.things = slices.DeleteFunc(b.things, func(t entry) bool { return t.Kind == e.Kind && t.Name == e.Name })
		if e.Kind == kindGroup {
			clear(b.reads)
		}
	case doRead:
		b.reads[e.Name] = e.Topic
	}
	if len(b.things)+len(b.reads) == 0 {
		delete(n.relays, e.Relay)
	}
}

// write notes something, and returns once that is durable.
func (n *notes) write(ctx context.Context, entries ...entry) error {
	for i := range entries {
		if !n.exists {
			if err := n.log.make(ctx); err != nil {
				return err
			}
			n.exists = true
		}
		b, err := json.Marshal(&entries[i])
		if err != nil {
			return err
		}
		if err := n.log.append(ctx, b); err != nil {
			return err
		}
		n.apply(&entries[i])
	}
	return nil
}

// makes notes that a thing is about to be made, unless that is noted already.
func (n *notes) makes(ctx context.Context, relay, kind, name, use string) error {
	if n.of(relay).has(kind, name) {
		return nil
	}
	return n.write(ctx, entry{Do: doMake, Relay: relay, Kind: kind, Name: name, Use: use})
}
