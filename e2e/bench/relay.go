package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A watchedSource starts the watch at the first delivery and stops it when all
// messages are acknowledged.
type watchedSource struct {
	bridge.Source
	watch *watch
	want  int
	acked int // the relay acknowledges from one goroutine
	done  func()
}

func watched(s bridge.Source, w *watch, want int, done func()) *watchedSource {
	return &watchedSource{Source: s, watch: w, want: want, done: done}
}

func (s *watchedSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n, err := s.Source.Receive(ctx, into)
	s.watch.begin()
	return n, err
}

func (s *watchedSource) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	err := s.Source.Ack(ctx, receipts)
	if err == nil {
		if s.acked += len(receipts); s.acked == s.want {
			s.watch.end(s.want)
			if s.done != nil {
				s.done()
			}
		}
	}
	return err
}

// Hold passes on what the relay asks a source that can be held.
func (s *watchedSource) Hold(ctx context.Context) error {
	if h, ok := s.Source.(bridge.Holder); ok {
		return h.Hold(ctx)
	}
	return nil
}

// relayAll runs a relay as the engine assembles it until all messages are placed
// and acknowledged. bend, if not nil, may change its settings.
func relayAll(ctx context.Context, j job, w *watch, source bridge.SourceOpener, sink bridge.SinkOpener, bend func(*relay.Config)) error {
	identifier, err := identify.New(identify.Spec{}, source.Traits())
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	sessions := 0
	cfg := relay.Config{
		Identity: bridge.Identity{Bridge: j.Bridge, Relay: j.Relay},
		Source: func(ctx context.Context) (bridge.Source, error) {
			if sessions++; sessions > 1 {
				return nil, bridge.Fatal(errors.New("the source's session ended"), "A benchmark goes through without an end.")
			}
			s, err := source.Open(ctx)
			if err != nil {
				return nil, err
			}
			return watched(s, w, j.Messages, stop), nil
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
