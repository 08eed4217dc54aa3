package faulty_test

import (
	"context"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/adapters/faulty"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Where nothing fails but deliveries repeat themselves and calls take their time,
// every promise still holds; and so the decorators add no fault of their own.
func TestConformance(t *testing.T) {
	for _, v := range []struct {
		name string
		sink memory.SinkConfig
	}{
		{"a prefix survives", memory.Reliable("")},
		{"routed by partitions", memory.SinkConfig{Fence: bridge.FenceExpect, Recall: 1 << 12, Routed: true}},
		{"any subset survives", memory.SinkConfig{Fence: bridge.FenceEpoch, Survives: bridge.SurvivesAny, Recall: 1 << 12, Latency: 100 * time.Microsecond}},
	} {
		t.Run(v.name, func(t *testing.T) {
			f := faulty.New(faulty.Plan{
				Seed:  7,
				Rates: map[faulty.Kind]float64{faulty.Duplicate: 0.2, faulty.Delay: 0.05},
				Delay: 300 * time.Microsecond,
				// Refuses nothing, but goes the ways of refusals.
				Refuse: func(*bridge.Message) error { return nil },
			})
			v.sink.MaxBody = 1 << 17
			adaptertest.Run(t, adaptertest.Harness{Name: "faulty memory, " + v.name, New: fixture(f, v.sink)})
			for _, k := range []faulty.Kind{faulty.Duplicate, faulty.Delay} {
				if f.Count(k) < 50 {
					t.Errorf("too little went wrong: %s", f)
				}
			}
		})
	}
}

func fixture(f *faulty.Faults, c memory.SinkConfig) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		b := memory.NewBroker("mem")
		t.Cleanup(b.Disconnect)
		in, out := b.Stream("in"), b.Stream("out")
		b.Stream("loop")
		out.Repartition(4)
		process := func(identity bridge.Identity, from, to string) func(adaptertest.T) adaptertest.Process {
			return func(t adaptertest.T) adaptertest.Process {
				c := c
				c.Stream = to
				src, err := b.Source(identity, memory.SourceConfig{Stream: from, Unacked: 200})
				if err != nil {
					t.Fatalf("%v", err)
				}
				snk, err := b.Sink(identity, c)
				if err != nil {
					t.Fatalf("%v", err)
				}
				return adaptertest.Process{Source: f.Source(src), Sink: f.Sink(snk)}
			}
		}
		return adaptertest.Fixture{
			Start:    process(identity, "in", "out"),
			Loop:     process(identity, "loop", "loop"),
			Missing:  process(identity, "none", "none"),
			Other:    process(bridge.Identity{Bridge: identity.Bridge, Relay: "other"}, "in", "out"),
			Identity: identity,
			Keeper:   func(adaptertest.T) bridge.Keeper { return b },
			Put: func(_ context.Context, msgs []bridge.Message) error {
				in.Put(msgs...)
				return nil
			},
			Read: func(context.Context) (msgs []bridge.Message, err error) {
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
