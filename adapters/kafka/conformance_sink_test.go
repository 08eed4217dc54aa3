package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// The suite runs on the double, and on a broker of its own that is restarted, which
// takes its time.
func TestConformance(t *testing.T) {
	fake := startCluster(t, kfake.NumBrokers(2))
	fake.session = 2500 * time.Millisecond // on a machine that is busy with more than this
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, adaptertest.Harness{Name: "kafka", Background: background, New: fixture(fake)})
	})
	if testing.Short() {
		return
	}
	c := realCluster(t)
	t.Run("Apache Kafka", func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, adaptertest.Harness{Name: "kafka, Apache Kafka", Background: background, New: fixture(c), Patience: 20 * time.Second})
	})
}

// sinkLanes is how many partitions the targets of fixtures have, and lanes.
const sinkLanes = 4

// fixture adds a target to that of the source.
func fixture(c *testCluster) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		f := sourceFixture(c)(t)
		name := f.Identity.Bridge
		from, to, loop := name+"-from", name+"-to", name+"-loop"
		c.topic(t, to, sinkLanes)
		c.topic(t, loop, 1)
		cl := c.client(t)
		process := func(id bridge.Identity, from, to string) func(adaptertest.T) adaptertest.Process {
			return func(t adaptertest.T) adaptertest.Process {
				sys := c.system(t)
				t.Cleanup(sys.kill)
				source, err1 := sys.Source(id, decoded(SourceConfig{Topics: []string{from}}))
				sink, err2 := sys.Sink(id, decoded(SinkConfig{Topic: to}))
				if err := errors.Join(err1, err2); err != nil {
					t.Fatalf("source and sink: %v", err)
				}
				return adaptertest.Process{Source: source, Sink: sink, Kill: sys.kill}
			}
		}
		f.Start, f.Missing = process(f.Identity, from, to), process(f.Identity, "missing", "missing")
		f.Loop = process(bridge.Identity{Bridge: name, Relay: "loop"}, loop, loop)
		f.Other = process(bridge.Identity{Bridge: name, Relay: "relay_two"}, from, to)
		f.Read = func(ctx context.Context) ([]bridge.Message, error) { return consume(ctx, cl, to) }
		f.Repartition = func(ctx context.Context) error {
			_, err := kadm.NewClient(cl).CreatePartitions(ctx, sinkLanes-1, to) // twice as many would leave each key in its lane
			return err
		}
		return f
	}
}

// consume reads a topic to its end by franz-go.
func consume(ctx context.Context, cl *kgo.Client, topic string) ([]bridge.Message, error) {
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	left, from := map[int32]int64{}, map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition], from[o.Partition] = o.Offset, kgo.NewOffset().At(0)
		}
	})
	if len(from) == 0 {
		return nil, nil
	}
	reader, err := kgo.NewClient(append(cl.Opts(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	logs := map[int32][]*kgo.Record{}
	for len(left) > 0 {
		fs := reader.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return nil, err
		}
		fs.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				logs[r.Partition] = append(logs[r.Partition], r)
			}
		})
	}
	return merged(logs), nil
}

// merged gives the messages of all partitions, each in its order, and one partition
// before another by the time of what is next there: a key that has moved to another
// partition has its older messages first.
func merged(logs map[int32][]*kgo.Record) []bridge.Message {
	var all []bridge.Message
	for {
		next := int32(-1)
		for p, log := range logs {
			if len(log) > 0 && (next < 0 || log[0].Timestamp.Before(logs[next][0].Timestamp)) {
				next = p
			}
		}
		if next < 0 {
			return all
		}
		r := logs[next][0]
		logs[next] = logs[next][1:]
		m := bridge.Message{Key: string(r.Key), Body: r.Value}
		for _, h := range r.Headers {
			if h.Key == bridge.HopID {
				m.ID, m.Key, _ = bridge.ParseID(string(h.Value))
			}
		}
		all = append(all, m)
	}
}
