package kafka

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// What runs beside the adapter in this process: the brokers and their clients.
var background = []string{"twmb/franz-go"}

var made atomic.Int64

// partitions is how many the topics of fixtures have.
const partitions = 3

// sourceFixture taps a topic of several partitions. A key's messages are in one.
func sourceFixture(c *testCluster) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		name := fmt.Sprint("c", made.Add(1))
		from := name + "-from"
		c.topic(t, from, partitions)
		cl := c.client(t)
		id := bridge.Identity{Bridge: name, Relay: "relay_one"}
		process := func(id bridge.Identity, from string) adaptertest.Process {
			sys := c.system(t)
			t.Cleanup(sys.kill)
			source, err := sys.Source(id, decoded(SourceConfig{Topics: []string{from}}))
			if err != nil {
				t.Fatalf("source: %v", err)
			}
			return adaptertest.Process{Source: source, Kill: sys.kill}
		}
		f := adaptertest.Fixture{
			Start:    func(adaptertest.T) adaptertest.Process { return process(id, from) },
			Keeper:   func(adaptertest.T) bridge.Keeper { return c.system(t) },
			Identity: id,
			Other: func(adaptertest.T) adaptertest.Process {
				return process(bridge.Identity{Bridge: name, Relay: "relay_two"}, from)
			},
			Inventory: func(ctx context.Context) ([]string, error) { return inventoryOf(ctx, kadm.NewClient(cl)) },
			Put:       func(ctx context.Context, msgs []bridge.Message) error { return produce(ctx, cl, from, msgs) },
			Identify: func(d *bridge.Delivery) {
				if h, ok := d.Header("id"); ok {
					d.ID = bridge.ID{Value: string(h.Value)}
				}
			},
			Missing: func(adaptertest.T) adaptertest.Process { return process(id, "missing") },
		}
		if c.server != nil {
			f.Restart = c.server.Restart
		}
		return f
	}
}

// produce writes messages as an application does: the ID in a header of its own.
func produce(ctx context.Context, cl *kgo.Client, topic string, msgs []bridge.Message) error {
	rs := make([]*kgo.Record, len(msgs))
	for i := range msgs {
		m := &msgs[i]
		partition := 0
		for _, c := range []byte(m.Key) {
			partition = (partition*31 + int(c)) % partitions
		}
		rs[i] = &kgo.Record{Topic: topic, Partition: int32(partition), Key: []byte(m.Key), Value: m.Body,
			Headers: []kgo.RecordHeader{{Key: "id", Value: []byte(m.ID.Value)}}}
	}
	return cl.ProduceSync(ctx, rs...).FirstErr()
}

// inventoryOf lists topics with what they hold, and groups with their offsets.
func inventoryOf(ctx context.Context, adm *kadm.Client) ([]string, error) {
	var all []string
	topics, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListEndOffsets(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range topics.Sorted() {
		text := fmt.Sprintf("topic %s\t%s %d partitions", t.Topic, t.ID, len(t.Partitions))
		for _, p := range t.Partitions.Sorted() {
			if o, ok := ends.Lookup(t.Topic, p.Partition); ok {
				text += fmt.Sprint(" ", o.Offset)
			}
		}
		all = append(all, text)
	}
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups.Sorted() {
		offsets, err := adm.FetchOffsets(ctx, g.Group)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("group %s\t%s", g.Group, g.ProtocolType)
		for _, o := range offsets.Sorted() {
			text += fmt.Sprintf(" %s/%d=%d", o.Topic, o.Partition, o.At)
		}
		all = append(all, text)
	}
	return all, nil
}
