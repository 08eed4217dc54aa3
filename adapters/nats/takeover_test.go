package nats

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// takenWithin is the promise: a process that says nothing has lost its tap by
// then, and one that is dead long before.
const takenWithin = 5 * time.Second

// takeOver tries as the relay does until it has the tap, and says how long that
// took and how often another was standing in the way.
func takeOver(t *testing.T, o bridge.SourceOpener) (s *source, took time.Duration, waited int) {
	t.Helper()
	began := time.Now()
	for {
		got, err := o.Open(t.Context())
		took = time.Since(began)
		switch {
		case err == nil:
			t.Cleanup(func() { got.Close() })
			return got.(*source), took, waited
		case bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "standing by"):
			t.Fatalf("open: %v", err)
		case took > 2*takenWithin:
			t.Fatalf("after %v: %v", took, err)
		}
		waited++
		time.Sleep(100 * time.Millisecond)
	}
}

// A process whose connection is half open, or that is stopped, is silent and not
// gone: the server goes on to hand it what is for it. The next process waits for
// its answer for a second and takes over; the first one finds out when it wakes.
func TestTakeoverFromASilentProcess(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(10)...)
	p := startProxy(t, srv.Addr().String())
	first := openSource(t, srv.system(t, func(c *SystemConfig) { c.URL = "nats://" + p.Addr().String() }).from(t, SourceConfig{Stream: "A"}))
	held := take(t, first, 10)
	ackAll(t, first, held[:4]...)

	if _, err := o.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "standing by") {
		t.Fatalf("beside a process that answers: %v", err)
	}
	p.stall()
	second, took, waited := takeOver(t, o)
	t.Logf("the tap of a silent process was taken over after %v", took)
	if took > takenWithin || waited > 0 {
		t.Errorf("taken over after %v and %d refusals", took, waited)
	}
	if got := bodiesOf(take(t, second, 6)); got != "5 6 7 8 9 10" {
		t.Errorf("the second got %s", got)
	}
	if err := second.Hold(t.Context()); err != nil {
		t.Errorf("the second does not hold the tap: %v", err)
	}

	p.flow() // it wakes
	if err := first.Hold(t.Context()); !errors.Is(err, errTaken) {
		t.Errorf("the first one's hold: %v", err)
	}
	if err := first.Ack(t.Context(), receipts(held[4:])); !errors.Is(err, errTaken) {
		t.Errorf("the first one's ack: %v", err)
	}
	if err := second.Hold(t.Context()); err != nil {
		t.Errorf("the first one has taken the tap back: %v", err)
	}
}

// The death of a process is seen by the server at once.
func TestTakeoverFromADeadProcess(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(3)...)
	sys := srv.system(t)
	take(t, openSource(t, sys.from(t, SourceConfig{Stream: "A"})), 3)
	sys.kill()
	second, took, _ := takeOver(t, o)
	t.Logf("the tap of a dead process was taken over after %v", took)
	if took > takenWithin {
		t.Errorf("taken over after %v", took)
	}
	if got := bodiesOf(take(t, second, 3)); got != "1 2 3" {
		t.Errorf("got %s", got)
	}
}

// Processes that start together may all be told that there is nobody. The
// checkpoint has one newest holder all the same.
func TestProcessesThatStartTogether(t *testing.T) {
	_, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(5)...)
	for range 10 {
		var wg sync.WaitGroup
		sessions := make([]bridge.Source, 6)
		for i := range sessions {
			o := srv.system(t).from(t, SourceConfig{Stream: "A"})
			wg.Go(func() {
				s, err := o.Open(t.Context())
				if err == nil {
					sessions[i] = s
				} else if bridge.ClassOf(err) != bridge.Transient {
					t.Errorf("open: %v", err)
				}
			})
		}
		wg.Wait()
		opened, holders := 0, 0
		for _, s := range sessions {
			if s == nil {
				continue
			}
			opened++
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if s.(bridge.Holder).Hold(ctx) == nil {
				holders++
			}
			cancel()
		}
		if opened == 0 || holders != 1 {
			t.Errorf("of %d sessions %d hold the tap", opened, holders)
		}
		for _, s := range sessions {
			if s != nil {
				s.Close()
			}
		}
	}
}
