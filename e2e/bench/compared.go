package main

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

// crossfadeCompared copies with the relay while its work is compared in the same process:
// both streams are read once more and every message is judged. What is measured is the
// relay, until all is copied; what the comparison then has not judged yet is judged behind
// it.
func crossfadeCompared(ctx context.Context, j job, w *watch) error {
	c, err := comparisonOf(j)
	if err != nil {
		return err
	}
	comparing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(comparing) }()
	source, sink, err := openers(j)
	if err == nil {
		err = relayAll(ctx, j, w, source, sink, nil)
	}
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		s := c.Snapshot()
		for k, n := range s.Drift {
			if n > 0 {
				return fmt.Errorf("the comparison found %d %s", n, drift.Kind(k))
			}
		}
		if s.Matched == uint64(j.Messages) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the comparison matched %d of %d messages: %s", s.Matched, j.Messages, s.Why)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case err := <-ended:
			return fmt.Errorf("the comparison ended: %w", err)
		}
	}
	stop()
	return <-ended
}

// comparisonOf is that of a job's two ends, each read from its beginning.
func comparisonOf(j job) (*compare.Comparison, error) {
	from, to := ends(j)
	cfg := compare.Config{Name: "bench", Drift: drift.Options{Stuck: time.Hour}}
	for side, end := range []struct{ kind, name string }{{from, j.From}, {to, j.To}} {
		s, err := system(j, end.kind)
		if err != nil {
			return nil, err
		}
		settings := settingsOf("{stream: %q, start: first}", end.name)
		if end.kind == "kafka" {
			settings = settingsOf("{topics: [%q], start: first}", end.name)
		}
		o, err := s.Source(bridge.Identity{Bridge: j.Bridge, Relay: fmt.Sprint("compare-", side)}, settings)
		if err != nil {
			return nil, err
		}
		i, err := identify.New(specOf(j), o.Traits())
		if err != nil {
			return nil, err
		}
		cfg.Streams[side] = compare.Stream{Open: o.Open, Traits: o.Traits(), Identify: i.Identify}
		if side == int(drift.Candidate) {
			cfg.Streams[side].Identify = func(d *bridge.Delivery) {
				if d.ID.IsZero() {
					i.Identify(d)
				}
			}
		}
	}
	return compare.New(cfg)
}
