package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// Options are what does not stand in the configuration.
type Options struct {
	Log   *slog.Logger
	Build telemetry.Build
	// Listening is called with the console's address once it listens; nil is
	// not called.
	Listening func(net.Addr)
}

// An Engine is a bridge. Run it once; Status and Readings are safe at any time.
type Engine struct {
	config  *config.Config
	options Options
	log     *slog.Logger
	relays  []*running
	// comparisons run beside the relays.
	comparisons []*Comparing
	started     time.Time
}

// New makes everything out of a checked configuration and starts nothing. It
// connects to nothing either. A configuration that promises what it cannot hold
// is a Refusal.
func New(c *config.Config, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{config: c, options: o, log: o.Log, started: time.Now()}
	var refused Refusal
	for _, r := range c.Relays {
		for _, f := range promises(r) {
			if f.Level == bridge.Fail {
				refused = append(refused, f)
			}
		}
	}
	for _, f := range loops(c) {
		if f.Level == bridge.Fail {
			refused = append(refused, f)
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	kinds := map[string]string{}
	for _, s := range c.Systems {
		kinds[s.Name] = s.Kind
	}
	for _, r := range c.Relays {
		x, err := assemble(r, kinds, reversed(c, r), o.Log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Place, err)
		}
		e.relays = append(e.relays, x)
	}
	var err error
	e.comparisons, err = comparisons(c, o, e.passed)
	return e, err
}

// passed gives the proof of a relay's work; nil if there is no such relay.
func (e *Engine) passed(of *config.Relay) func() time.Time {
	for _, r := range e.relays {
		if r.config == of {
			if r.passing == nil {
				r.passing = &passing{}
			}
			return r.passing.passed
		}
	}
	return nil
}

// Run runs until ctx ends and what is in flight is drained, or until no relay is
// left, or, where there are none, no comparison. Its error is the first cause that
// stopped one of them, or why the console could not begin.
func (e *Engine) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served, err := e.serve(serving)
	if err != nil {
		return err
	}
	e.sayAloud()
	var first struct {
		sync.Once
		cause error
	}
	comparing, end := context.WithCancel(ctx)
	defer end()
	var wg, beside sync.WaitGroup
	for _, p := range e.comparisons {
		beside.Go(func() {
			if err := p.run(comparing); err != nil {
				first.Do(func() { first.cause = err })
			}
		})
	}
	for _, r := range e.relays {
		wg.Go(func() {
			if err := r.run(ctx, e.log); err != nil {
				first.Do(func() { first.cause = err })
			}
		})
	}
	wg.Wait()
	if len(e.relays) > 0 { // nothing moves any more
		end()
	}
	beside.Wait()
	stop() // the console shows the drain to its end
	return errors.Join(first.cause, <-served)
}

// serve starts the console; the channel gives how it ended.
func (e *Engine) serve(ctx context.Context) (<-chan error, error) {
	served := make(chan error, 1)
	address := e.config.HTTP.Listen
	if address == "off" {
		served <- nil
		return served, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, bridge.Fatal(fmt.Errorf("console: %w", err), "Set http.listen to a free address, or to off.")
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		e.log.Warn("the console is not on loopback: whoever reaches it can read the status", "address", l.Addr().String())
	}
	e.log.Info("console", "address", l.Addr().String())
	if e.options.Listening != nil {
		e.options.Listening(l.Addr())
	}
	registry := telemetry.NewRegistry(e.options.Build, e.Readings, e.Comparisons)
	h := console.Handler(console.Options{Status: e.Status, Look: e.Look, Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})})
	go func() {
		err := console.Serve(ctx, l, h)
		if err != nil {
			e.log.Error("the console ended; relays go on", "cause", err.Error())
		}
		served <- err
	}()
	return served, nil
}

// sayAloud logs what the relays do without.
func (e *Engine) sayAloud() {
	for _, r := range e.relays {
		for _, f := range promises(r.config) {
			if f.Level == bridge.Warn {
				e.log.Warn(f.Text, "relay", r.config.Name, "at", f.Subject, "hint", f.Hint)
			}
		}
	}
}

// Readings gives one reading of each relay, in the order of the configuration.
func (e *Engine) Readings() []telemetry.Reading {
	out := make([]telemetry.Reading, len(e.relays))
	for i, r := range e.relays {
		out[i] = r.reading(time.Now())
	}
	return out
}

// Comparisons gives one reading of each comparison, in the order of the configuration.
func (e *Engine) Comparisons() []telemetry.Comparison {
	out := make([]telemetry.Comparison, len(e.comparisons))
	for i, p := range e.comparisons {
		out[i] = p.Reading()
	}
	return out
}

// Status gives the bridge at this moment.
func (e *Engine) Status() *console.Status {
	s := &console.Status{Bridge: e.config.Name, Version: e.options.Build.Version, Started: e.started, At: time.Now(), Ready: true}
	readings := e.Readings()
	for i := range readings {
		s.Relays = append(s.Relays, console.Summarise(&readings[i]))
		s.Ready = s.Ready && readings[i].Ready()
	}
	comparisons := e.Comparisons()
	for i := range comparisons {
		s.Comparisons = append(s.Comparisons, console.Compare(&comparisons[i]))
	}
	return s
}

// Look makes a relay read anew whether it is paused and what is parked. It is false
// if there is no relay of that name.
func (e *Engine) Look(relay string) bool {
	for _, r := range e.relays {
		if r.config.Name == relay {
			r.relay.Look()
			return true
		}
	}
	return false
}
