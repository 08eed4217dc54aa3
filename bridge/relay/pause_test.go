package relay_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A word is an operator's, as the relay reads it, and how many sessions are open.
type word struct {
	mu       sync.Mutex
	pause    relay.Pause
	err      error
	sources  int
	sinks    int
	sessions int // of the source, so far
}

func (w *word) say(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause = relay.Pause{On: on, Since: time.Now(), Why: "while the candidate moves house", Said: true}
}

func (w *word) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *word) read(context.Context) (relay.Pause, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pause, w.err
}

func (w *word) open() (sources, sinks int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sources, w.sinks
}

func (w *word) count(n *int, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n += by
}

type countedSource struct {
	bridge.Source
	closed func()
}

func (s *countedSource) Close() error { s.closed(); return s.Source.Close() }

type countedSink struct {
	bridge.Sink
	bridge.Recaller
	closed func()
}

func (s *countedSink) Close() error { s.closed(); return s.Sink.Close() }

// under has the bench's relay obey w, which counts its sessions.
func (b *bench) under(t *testing.T, w *word) {
	t.Helper()
	src, err := b.incumbent.Source(bridge.Identity{Bridge: "test", Relay: "r"}, memory.SourceConfig{Stream: "source"})
	if err != nil {
		t.Fatal(err)
	}
	toSink := b.sinkOpener(t)
	b.config.Paused = w.read
	b.config.Source = func(ctx context.Context) (bridge.Source, error) {
		s, err := src.Open(ctx)
		if err != nil {
			return nil, err
		}
		if p, err := w.read(ctx); err != nil || p.On {
			if err == nil {
				err = &relay.PausedError{Pause: p}
			}
			return nil, errors.Join(err, s.Close())
		}
		w.count(&w.sources, 1)
		w.count(&w.sessions, 1)
		return &countedSource{s, sync.OnceFunc(func() { w.count(&w.sources, -1) })}, nil
	}
	b.config.Sink = func(ctx context.Context) (bridge.Sink, error) {
		s, err := toSink(ctx)
		if err != nil {
			return nil, err
		}
		w.count(&w.sinks, 1)
		return &countedSink{s, s.(bridge.Recaller), sync.OnceFunc(func() { w.count(&w.sinks, -1) })}, nil
	}
}

func wantPaused(t *testing.T, r *relay.Relay, w *word) {
	t.Helper()
	s := r.Snapshot()
	if s.State != relay.StatePaused || !strings.Contains(s.Why, "by an operator, while the candidate moves house; crossfade resume r") ||
		!s.Since.Equal(w.pause.Since) || s.Counts.InFlight != 0 || s.Debt != 0 {
		t.Errorf("%+v", s)
	}
	if sources, sinks := w.open(); sources != 0 || sinks != 0 {
		t.Errorf("while it is paused %d sources and %d sinks are open", sources, sinks)
	}
}

// What is in flight is settled, and nothing is connected until the relay goes on,
// where it stood.
func TestAPausedRelayDrainsAndGoesOnWhereItStood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Latency, c.Window = 20*time.Millisecond, 10
		b, w := newBench(c), &word{}
		b.under(t, w)
		b.put(2000, 7)
		r := b.relay(t)
		stop := start(t, r)
		time.Sleep(200 * time.Millisecond)
		for range 3 {
			w.say(true)
			r.Look()
			time.Sleep(15 * time.Second)
			wantPaused(t, r, w)
			before := b.out.Len()
			b.more(100, 7)
			time.Sleep(time.Hour)
			wantPaused(t, r, w)
			if b.out.Len() != before {
				t.Error("something was placed while the relay was paused")
			}
			w.say(false)
			r.Look()
			time.Sleep(200 * time.Millisecond)
			if n := b.out.Len(); n <= before {
				t.Errorf("nothing more than %d was placed when the relay was to go on", n)
			}
		}
		time.Sleep(time.Minute)
		s := r.Snapshot()
		if s.State != relay.StateIdle || s.Counts.Placed != 2300 || !s.Counts.Balanced() || s.Counts.Suppressed != 0 || s.Retries != 0 {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
	})
}

// A relay that was paused before it starts connects nothing; it goes on without being
// told, and stops while it is paused as at any other time.
func TestAPauseHoldsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := newBench(memory.Reliable("target")), &word{}
		b.under(t, w)
		b.put(10, 2)
		w.say(true)
		r := b.relay(t)
		stop := start(t, r)
		time.Sleep(time.Hour)
		wantPaused(t, r, w)
		if w.sessions != 0 {
			t.Errorf("%d sessions were opened", w.sessions)
		}
		w.fail(errors.New("connection refused")) // the incumbent is away: it is paused all the same
		time.Sleep(time.Hour)
		wantPaused(t, r, w)
		w.fail(nil)
		w.say(false)
		time.Sleep(2 * time.Minute) // nobody told it
		if s := r.Snapshot(); s.State != relay.StateIdle || s.Counts.Placed != 10 {
			t.Errorf("%+v", s)
		}
		w.say(true)
		r.Look()
		time.Sleep(time.Second)
		wantPaused(t, r, w)
		if err := stop(); err != nil || r.Snapshot().State != relay.StateStopped {
			t.Errorf("%v: %+v", err, r.Snapshot())
		}
	})
}

// A candidate that is away does not keep a relay from being paused.
func TestAPauseDoesNotWaitForTheCandidate(t *testing.T) {
	for _, dictates := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := memory.Reliable("target")
			c.Routed, c.Fence = dictates, bridge.FenceEpoch
			b, w := newBench(c), &word{}
			b.under(t, w)
			b.config.Sink = func(context.Context) (bridge.Sink, error) { return nil, errors.New("connection refused") }
			b.put(10, 2)
			r := b.relay(t)
			stop := start(t, r)
			time.Sleep(time.Minute)
			if s := r.Snapshot(); s.State != relay.StateWaiting {
				t.Errorf("%+v", s)
			}
			w.say(true)
			r.Look()
			time.Sleep(20 * time.Second)
			wantPaused(t, r, w)
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whether a relay is paused has to be known before it moves anything.
func TestAPauseThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := newBench(memory.Reliable("target")), &word{}
		b.under(t, w)
		b.put(10, 2)
		w.fail(errors.New("connection refused"))
		r := b.relay(t)
		stop := start(t, r)
		time.Sleep(time.Minute)
		if s := r.Snapshot(); s.State != relay.StateWaiting || !strings.Contains(s.Why, "connection refused") || w.sessions != 0 {
			t.Errorf("%+v", s)
		}
		w.fail(nil)
		time.Sleep(time.Minute)
		if s := r.Snapshot(); s.Counts.Placed != 10 {
			t.Errorf("%+v", s)
		}
		w.say(true)
		r.Look()
		time.Sleep(time.Second)
		w.mu.Lock()
		w.pause = relay.Pause{} // the relay was removed
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if s := r.Snapshot(); s.State != relay.StateFailed || !strings.Contains(s.Why, "as if it had been removed") {
			t.Errorf("%+v", s)
		}
		if err := stop(); bridge.HintOf(err) == "" {
			t.Errorf("%v", err)
		}
	})
}
