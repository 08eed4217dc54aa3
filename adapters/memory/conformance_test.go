package memory_test

import (
	"context"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

var identity = bridge.Identity{Bridge: "conformance", Relay: "memory"}

// fixture gives places of a broker of its own.
// Its target has four partitions, as far as the sink is routed by them.
func fixture(source memory.SourceConfig, sink memory.SinkConfig, shards int) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		b := memory.NewBroker("mem")
		t.Cleanup(b.Disconnect)
		in, err := b.Create(memory.StreamConfig{Name: "in", Shards: shards})
		if err != nil {
			t.Fatalf("%v", err)
		}
		out, loop := b.Stream("out"), b.Stream("loop")
		out.Repartition(4)
		if loop.Len() != 0 {
			t.Fatalf("the broker is not empty")
		}
		process := func(identity bridge.Identity, from, to string) func(adaptertest.T) adaptertest.Process {
			return func(t adaptertest.T) adaptertest.Process {
				source.Stream, sink.Stream = from, to
				src, err := b.Source(identity, source)
				if err != nil {
					t.Fatalf("%v", err)
				}
				snk, err := b.Sink(identity, sink)
				if err != nil {
					t.Fatalf("%v", err)
				}
				return adaptertest.Process{Source: src, Sink: snk}
			}
		}
		return adaptertest.Fixture{
			Start:    process(identity, "in", "out"),
			Loop:     process(identity, "loop", "loop"),
			Missing:  process(identity, "none", "none"),
			Other:    process(bridge.Identity{Bridge: identity.Bridge, Relay: "other"}, "in", "out"),
			Identity: identity,
			Keeper:   func(adaptertest.T) bridge.Keeper { return b },
			Repartition: func(context.Context) error {
				out.Repartition(8)
				return nil
			},
			Put: func(_ context.Context, msgs []bridge.Message) error {
				in.Put(msgs...)
				return nil
			},
			Read: func(context.Context) ([]bridge.Message, error) {
				var msgs []bridge.Message
				for _, s := range out.All() {
					msgs = append(msgs, s.Message)
				}
				return msgs, nil
			},
			Restart: func(context.Context) error {
				b.Restart()
				return nil
			},
		}
	}
}

func TestConformance(t *testing.T) {
	for _, v := range []struct {
		name   string
		source memory.SourceConfig
		sink   memory.SinkConfig
		shards int
		waived int
	}{
		{"expected position", memory.SourceConfig{}, memory.SinkConfig{Fence: bridge.FenceExpect, Recall: 1 << 12, MaxBody: 1 << 17}, 1, 5},
		{"epoch, latency, shards", memory.SourceConfig{Unacked: 500}, memory.SinkConfig{
			Fence: bridge.FenceEpoch, Recall: 1 << 12, MaxBody: 1 << 17, Latency: time.Millisecond, Window: 50,
		}, 3, 4},
		{"shards in turns", memory.SourceConfig{Turn: 5}, memory.SinkConfig{Fence: bridge.FenceExpect, Recall: 1 << 12, MaxBody: 1 << 17}, 3, 4},
		{"routed by partitions", memory.SourceConfig{Unacked: 500}, memory.SinkConfig{
			Fence: bridge.FenceExpect, Recall: 1 << 12, MaxBody: 1 << 17, Latency: time.Millisecond, Routed: true,
		}, 3, 1},
		{"any subset, suppressing, slack", memory.SourceConfig{Slack: 5, Unacked: 64}, memory.SinkConfig{
			Fence: bridge.FenceExpect, Survives: bridge.SurvivesAny, Recall: 500, MaxBody: 1 << 18, Suppresses: time.Minute, Lanes: 1,
		}, 1, 6},
		{"no fence, no recall", memory.SourceConfig{}, memory.SinkConfig{Latency: 100 * time.Microsecond}, 1, 12},
	} {
		t.Run(v.name, func(t *testing.T) {
			r := adaptertest.Run(t, adaptertest.Harness{Name: "memory, " + v.name, New: fixture(v.source, v.sink, v.shards)})
			if n := r.Count(adaptertest.Waived); n != v.waived {
				t.Errorf("%d promises are waived, want %d", n, v.waived)
			}
		})
	}
}
