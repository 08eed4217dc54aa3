package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// memoryRelay moves messages between two streams of adapters/memory.
func memoryRelay(lanes int, survives bridge.Survivors) func(context.Context, job, *watch) error {
	return func(ctx context.Context, j job, w *watch) error {
		b := memory.NewBroker("bench")
		fillMemory(b.Stream("in"), j.Messages)
		if _, err := b.Create(memory.StreamConfig{Name: "out", Keep: 1 << 17}); err != nil {
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
	s.End()
}

func sample(l *load, i int) bridge.Message {
	return bridge.Message{
		Key: l.key(i), ID: bridge.ID{Value: l.id(i)}, Address: bridge.Address{Name: l.key(i)}, Body: l.body(i),
	}
}

// bareRelay moves messages from a source that has them all ready to a sink that
// settles at once: what is left is the relay itself.
func bareRelay(ctx context.Context, j job, w *watch) error {
	id := bridge.Identity{Bridge: "bench", Relay: "bare"}
	src := &readySource{stream: &bridge.Stream{System: "bench", Name: "in", Replayable: true}, n: j.Messages}
	l := newLoad(j.Messages, uniform, "m", "")
	for i := range j.Messages {
		src.msgs = append(src.msgs, sample(l, i))
	}
	traits := bridge.SinkTraits{Durable: true, Fence: bridge.FenceExpect, Lanes: 1}
	r, err := relay.New(relay.Config{
		Identity:     id,
		Source:       func(context.Context) (bridge.Source, error) { return watched(src, w, j.Messages, nil), nil },
		SourceTraits: bridge.SourceTraits{Ordered: true, Durable: true, Replayable: true},
		Sink:         func(context.Context) (bridge.Sink, error) { return readySink{}, nil },
		SinkTraits:   traits,
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// A readySource delivers messages that it holds ready.
type readySource struct {
	stream *bridge.Stream
	msgs   []bridge.Message
	n      int
	mu     sync.Mutex
	acked  int
	next   int
	ended  chan struct{}
	once   sync.Once
}

func (s *readySource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n := min(len(into), s.n-s.next)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		d := &into[i]
		d.Message = s.msgs[s.next+i]
		d.Origin = bridge.Origin{Stream: s.stream, Offset: uint64(s.next + i)}
		d.Receipt = bridge.Receipt{Seq: uint64(s.next + i)}
	}
	s.next += n
	return n, nil
}

func (s *readySource) Ack(context.Context, []bridge.Receipt) error { return nil }
func (s *readySource) Close() error                                { return nil }

// A readySink settles within Send.
type readySink struct{}

func (readySink) Open(_ context.Context, _ int, settled bridge.Settled) (bridge.Lane, error) {
	return &readyLane{settled: settled}, nil
}
func (readySink) Close() error { return nil }

type readyLane struct{ settled bridge.Settled }

func (l *readyLane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	l.settled(len(msgs), nil, nil)
	return len(msgs), nil
}
func (l *readyLane) Close() error { return nil }

