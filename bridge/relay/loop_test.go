package relay_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// loop runs a relay over what was put until it is through, and gives the IDs of what
// was placed.
func (b *bench) loop(t *testing.T) (ids []string, c relay.Counts) {
	t.Helper()
	b.in.End()
	r := b.relay(t)
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range b.out.All() {
		if m.Key != "probe" {
			ids = append(ids, m.ID.Value)
		}
	}
	c = r.Snapshot().Counts
	if !c.Balanced() || c.InFlight > 0 {
		t.Errorf("%+v", c)
	}
	return ids, c
}

// What comes from the target is settled without being sent, by whichever sign it is
// known, and nothing else is.
func TestLoopsAreSuppressedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(memory.Reliable("target"))
		b.config.Reverse = []string{"test/forth", "test/also"}
		target := originOf(t, b.candidate, "target")
		source := originOf(t, b.incumbent, "source")
		message := func(id string, from *bridge.Stream, via string) bridge.Message {
			return bridge.Message{Key: "k", ID: producerID(id), Body: []byte(id), Origin: bridge.Origin{Stream: from, Offset: 1}, Via: via}
		}
		past := *target
		past.Incarnation = "before"
		b.in.Put(
			message("first", nil, ""),
			message("its origin is the target", target, "x/y"),
			message("its origin is here", source, "x/y z/r"),
			message("by the one that leads the other way", nil, "x/y test/forth"),
			message("by one of a longer name", nil, "x/y test/forth-2"),
			message("by the other that does", nil, "test/also"),
			message("by this very relay", nil, "test/r x/y"),
			message("its origin is a target of the past", &past, "x/y"),
			message("last", nil, ""),
		)
		ids, c := b.loop(t)
		want := []string{"first", "its origin is here", "by one of a longer name", "its origin is a target of the past", "last"}
		if len(ids) != len(want) || c.Looped != 5 || c.Placed != 5 || c.Received != 10 {
			t.Fatalf("placed %q, %+v", ids, c)
		}
		for i := range want {
			if ids[i] != want[i] {
				t.Errorf("number %d is %q, want %q", i, ids[i], want[i])
			}
		}
		for _, m := range b.out.All() {
			if !m.Passed("test/r") {
				t.Errorf("%q says that %q carried it", m.ID.Value, m.Via)
			}
		}
	})
}

// originOf is what the messages of a stream name as their origin. It leaves one there,
// of the key "probe", which loops.
func originOf(t *testing.T, b *memory.Broker, stream string) *bridge.Stream {
	t.Helper()
	from := b.Stream(stream)
	o, err := b.Source(bridge.Identity{Bridge: "probe", Relay: stream}, memory.SourceConfig{Stream: stream})
	if err != nil {
		t.Fatal(err)
	}
	from.Put(bridge.Message{Key: "probe", ID: producerID("probe"), Via: "test/r"})
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	into := make([]bridge.Delivery, 1)
	if _, err := s.Receive(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return into[0].Origin.Stream
}

// A looped message is no obstacle: it is acknowledged, does not hold its key, and a
// message with its ID that does not loop is sent.
func TestLoopsHoldNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Survives, c.Latency = bridge.SurvivesAny, 5*time.Millisecond
		b := newBench(c)
		for i := range 300 {
			m := bridge.Message{Key: "k", ID: producerID("one"), Body: []byte("x")}
			if i != 150 {
				m.Via = "a/b test/r"
			}
			b.in.Put(m)
		}
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute)
		if s := r.Snapshot(); s.Counts.Looped != 299 || s.Counts.Placed != 1 || s.Debt != 0 || s.State != relay.StateIdle {
			t.Errorf("%+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// ring runs relays from each stream of a broker to the next and from the last to the
// first, of bridges that know nothing of each other, and puts 50 messages into the
// first and 30 into the second. It gives how many each stream has after that time.
func ring(t *testing.T, d time.Duration, streams ...string) (lens []int, looped uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker("one")
		for _, name := range streams {
			b.Stream(name)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var relays []*relay.Relay
		for i, name := range streams {
			id := bridge.Identity{Bridge: "bridge-" + name, Relay: "r"}
			src, err := b.Source(id, memory.SourceConfig{Stream: name})
			if err != nil {
				t.Fatal(err)
			}
			c := memory.Reliable(streams[(i+1)%len(streams)])
			c.Latency = time.Millisecond
			dst, err := b.Sink(id, c)
			if err != nil {
				t.Fatal(err)
			}
			r, err := relay.New(relay.Config{Identity: id, Source: src.Open, SourceTraits: src.Traits(), Sink: dst.Open, SinkTraits: dst.Traits()})
			if err != nil {
				t.Fatal(err)
			}
			relays = append(relays, r)
			wg.Go(func() {
				if err := r.Run(ctx); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		for i, n := range []int{50, 30} {
			for j := range n {
				// The same ID comes round: only its way tells that it has been here.
				b.Stream(streams[i]).Put(bridge.Message{Key: "k", ID: bridge.ID{Value: fmt.Sprint(i, j), From: bridge.FromContent}})
			}
		}
		time.Sleep(d)
		stop()
		wg.Wait()
		for i, name := range streams {
			lens = append(lens, b.Stream(name).Len())
			c := relays[i].Snapshot().Counts
			if looped += c.Looped; !c.Balanced() {
				t.Errorf("%+v", c)
			}
		}
	})
	return lens, looped
}

// Where relays lead round, each message comes to each stream once.
func TestWhereRelaysLeadRound(t *testing.T) {
	for _, streams := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		lens, looped := ring(t, time.Minute, streams...)
		for i, n := range lens {
			if n != 80 {
				t.Errorf("stream %s of %q has %d messages, want 80", streams[i], streams, n)
			}
		}
		if looped != 80 {
			t.Errorf("%q: %d looped, want 80", streams, looped)
		}
	}
}
