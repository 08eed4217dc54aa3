package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A watchedSource is the source's only session. It is opened once the target is
// ready, so that both sides are connected when the watch starts, as those of the
// loop are. The watch starts at the first delivery and stops when all messages are
// acknowledged.
type watchedSource struct {
	open  func(context.Context) (bridge.Source, error)
	watch *watch
	want  int
	acked int // the relay acknowledges from one goroutine
	done  func()

	once  sync.Once
	ready chan struct{} // closed when the first lane is open

	mu      sync.Mutex
	session bridge.Source
}

func newWatchedSource(open func(context.Context) (bridge.Source, error), w *watch, want int, done func()) *watchedSource {
	return &watchedSource{open: open, watch: w, want: want, done: done, ready: make(chan struct{})}
}

// Hold is what the relay asks when a lane is open and has read back what is there.
func (s *watchedSource) Hold(ctx context.Context) error {
	s.once.Do(func() { close(s.ready) })
	if h, ok := s.current().(bridge.Holder); ok {
		return h.Hold(ctx)
	}
	return nil
}

func (s *watchedSource) current() bridge.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

func (s *watchedSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if s.current() == nil {
		if err := s.begin(ctx); err != nil {
			return 0, err
		}
	}
	n, err := s.session.Receive(ctx, into)
	s.watch.begin()
	return n, err
}

func (s *watchedSource) begin(ctx context.Context) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	session, err := s.open(ctx)
	if err != nil {
		return bridge.Fatal(err, "A benchmark goes through without a failure.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
	return nil
}

func (s *watchedSource) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if err := s.current().Ack(ctx, receipts); err != nil {
		return err
	}
	if s.acked += len(receipts); s.acked == s.want {
		s.watch.end(s.want)
		s.done()
	}
	return nil
}

func (s *watchedSource) Close() error {
	if session := s.current(); session != nil {
		return session.Close()
	}
	return nil
}

// specOf says where IDs are: where each system has them by default, and at Kafka, which
// has no such place, in a header.
func specOf(j job) (s identify.Spec) {
	if strings.HasPrefix(j.Route, "kafka-") {
		s.ID.Header = idHeader
	}
	return s
}

// relayAll runs a relay as the engine assembles it until all messages are placed
// and acknowledged. bend, if not nil, may change its settings.
func relayAll(ctx context.Context, j job, w *watch, source bridge.SourceOpener, sink bridge.SinkOpener, bend func(*relay.Config)) error {
	identifier, err := identify.New(specOf(j), source.Traits())
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	sessions := 0
	cfg := relay.Config{
		Identity: bridge.Identity{Bridge: j.Bridge, Relay: j.Relay},
		Source: func(context.Context) (bridge.Source, error) {
			if sessions++; sessions > 1 {
				return nil, bridge.Fatal(errors.New("the source's session ended"), "A benchmark goes through without an end.")
			}
			return newWatchedSource(source.Open, w, j.Messages, stop), nil
		},
		SourceTraits: source.Traits(),
		Sink:         sink.Open,
		SinkTraits:   sink.Traits(),
		Identify:     identifier.Identify,
	}
	if bend != nil {
		bend(&cfg)
	}
	r, err := relay.New(cfg)
	if err != nil {
		return err
	}
	if err := r.Run(running); err != nil {
		return err
	}
	if c := r.Snapshot().Counts; !w.ended || c.Placed != uint64(j.Messages) || !c.Balanced() {
		return fmt.Errorf("the relay stopped before its end: %+v", c)
	}
	return nil
}
