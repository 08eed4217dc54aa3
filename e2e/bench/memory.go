package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// The contestants in memory.
const (
	bare       = "relay, bare"
	memoryOne  = "relay, adapters/memory"
	memoryFour = "relay, adapters/memory, 4 lanes"
	memoryGate = "relay, adapters/memory, one of a key in flight"
)

// memoryRelay moves messages between two streams of adapters/memory.
func memoryRelay(lanes int, survives bridge.Survivors) func(context.Context, job, *watch) error {
	return func(ctx context.Context, j job, w *watch) error {
		b := memory.NewBroker("bench")
		fillMemory(b.Stream("in"), j.Messages)
		runtime.GC() // so that what filling left to collect is not collected on the clock
		if _, err := b.Create(memory.StreamConfig{Name: "out", Keep: 1 << 17, Borrows: true}); err != nil {
			return err
		}
		id := bridge.Identity{Bridge: "bench", Relay: "memory"}
		source, err := b.Source(id, memory.SourceConfig{Stream: "in"})
		if err != nil {
			return err
		}
		c := memory.Reliable("out")
		c.Lanes, c.Survives = lanes, survives
		sink, err := b.Sink(id, c)
		if err != nil {
			return err
		}
		if err := relayAll(ctx, j, w, source, sink, nil); err != nil {
			return err
		}
		if last := b.Stream("out").Last(); last != uint64(j.Messages) {
			return fmt.Errorf("%d messages arrived, want %d", last, j.Messages)
		}
		return nil
	}
}

func fillMemory(s *memory.Stream, n int) {
	l := newLoad(n, uniform, "m", "")
	batch := make([]bridge.Message, 0, 512)
	for i := range n {
		batch = append(batch, sample(l, i))
		if len(batch) == cap(batch) || i == n-1 {
			s.Put(batch...)
			batch = batch[:0]
		}
	}
}

func sample(l *load, i int) bridge.Message {
	return bridge.Message{
		Key: l.key(i), ID: bridge.ID{Value: l.id(i)}, Address: bridge.Address{Name: l.key(i)}, Body: l.body(i),
	}
}

// bareRelay moves messages from a source that has them all ready to a sink that
// settles at once: what is left is the relay itself.
func bareRelay(ctx context.Context, j job, w *watch) error {
	l := newLoad(j.Messages, uniform, "m", "")
	src := &readySource{stream: &bridge.Stream{System: "bench", Name: "in", Replayable: true}}
	for i := range j.Messages {
		src.messages = append(src.messages, sample(l, i))
	}
	return relayAll(ctx, j, w, src, readySink{}, nil)
}

// A readySource delivers messages that it holds ready. It is its own opener.
type readySource struct {
	stream   *bridge.Stream
	messages []bridge.Message
	next     int
}

func (s *readySource) Traits() bridge.SourceTraits {
	return bridge.SourceTraits{Ordered: true, Durable: true, Replayable: true}
}
func (s *readySource) Open(context.Context) (bridge.Source, error) { return s, nil }
func (s *readySource) Describe() string                            { return "messages held ready" }
func (s *readySource) Ack(context.Context, []bridge.Receipt) error { return nil }
func (s *readySource) Close() error                                { return nil }

func (s *readySource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n := copyDeliveries(into, s)
	if n > 0 {
		return n, nil
	}
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func copyDeliveries(into []bridge.Delivery, s *readySource) int {
	n := min(len(into), len(s.messages)-s.next)
	for i := range n {
		d := &into[i]
		d.Message = s.messages[s.next]
		d.Origin = bridge.Origin{Stream: s.stream, Offset: uint64(s.next)}
		d.Receipt = bridge.Receipt{Seq: uint64(s.next)}
		s.next++
	}
	return n
}

// A readySink settles within Send. It is its own opener and its own sink.
type readySink struct{}

func (readySink) Traits() bridge.SinkTraits {
	return bridge.SinkTraits{Durable: true, Fence: bridge.FenceExpect, Lanes: 1}
}
func (readySink) Open(context.Context) (bridge.Sink, error) { return readySession{}, nil }
func (readySink) Describe() string                          { return "nowhere" }

type readySession struct{}

func (readySession) Open(_ context.Context, _ int, settled bridge.Settled) (bridge.Lane, error) {
	return &readyLane{settled}, nil
}
func (readySession) Close() error { return nil }

type readyLane struct{ settled bridge.Settled }

func (l *readyLane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	l.settled(len(msgs), nil, nil)
	return len(msgs), nil
}

func (l *readyLane) Close() error { return nil }
