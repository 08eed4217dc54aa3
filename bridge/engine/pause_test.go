package engine_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

const twoCandidates = `  - {name: one, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: two, from: {system: old, stream: S}, to: {system: new, stream: U}}`

// One of several relays is paused and resumed alone; the bridge stays ready.
func TestOneIsPausedAndTheOtherGoesOn(t *testing.T) {
	b := newBench(t, "127.0.0.1:0", "memory", twoCandidates)
	b.old.Stream("S").Put(telemetryOf(10)...)
	b.new.Stream("T")
	b.new.Stream("U")
	b.start()
	address := <-b.address
	placed := func(one, two uint64) func(*console.Status) bool {
		return func(s *console.Status) bool {
			return s.Relays[0].Counts.Placed == one && s.Relays[1].Counts.Placed == two
		}
	}
	b.until("placed", placed(10, 10))
	if err := engine.SetPaused(t.Context(), b.config.Relay("one"), true, "the candidate moves house"); err != nil {
		t.Fatal(err)
	}
	if err := console.Look(t.Context(), address, "one"); err != nil {
		t.Fatal(err)
	}
	s := b.until("paused", func(s *console.Status) bool { return s.Relays[0].State == "paused" })
	if r := s.Relays[0]; !s.Ready || !r.Ready || !strings.Contains(r.Why, "the candidate moves house; crossfade resume one") || time.Since(r.Since) > time.Minute {
		t.Errorf("status %+v", r)
	}
	b.old.Stream("S").Put(telemetryOf(20)[10:]...)
	b.until("the other has placed more", placed(10, 20))
	resp, err := http.Get("http://" + address + "/readyz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %v, %v", resp, err)
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	if err := engine.SetPaused(t.Context(), b.config.Relay("one"), false, ""); err != nil {
		t.Fatal(err)
	}
	if err := console.Look(t.Context(), address, "one"); err != nil {
		t.Fatal(err)
	}
	b.until("both have placed all", placed(20, 20))
	if err := b.end(); err != nil {
		t.Error(err)
	}
}

// The word outlives the process, and what the relay's name stands for outlives the
// word.
func TestAPauseOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, new := memory.NewBroker("old"), memory.NewBroker("new")
		old.Stream("S").Put(telemetryOf(10)...)
		new.Stream("T")
		run := func() (*engine.Engine, *bench) {
			b := &bench{t: t, old: old, new: new, config: load(t, old, new, "off", "memory", oneRelay), ended: make(chan error, 1)}
			var err error
			if b.engine, err = engine.New(b.config, engine.Options{}); err != nil {
				t.Fatal(err)
			}
			b.start()
			time.Sleep(time.Minute)
			return b.engine, b
		}
		_, b := run()
		if err := engine.SetPaused(t.Context(), b.config.Relay("r"), true, ""); err != nil {
			t.Fatal(err)
		}
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		old.Stream("S").Put(telemetryOf(30)[10:]...)
		for range 2 {
			e, b := run()
			s := e.Status()
			if r := s.Relays[0]; !s.Ready || r.State != "paused" || r.Counts.Received != 0 || new.Stream("T").Len() != 10 {
				t.Errorf("%+v", r)
			}
			if err := b.end(); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := engine.Paused(t.Context(), b.config.Relay("r")); err != nil || !p.On || !p.Said || p.Since.IsZero() {
			t.Errorf("%+v, %v", p, err)
		}
		if err := engine.SetPaused(t.Context(), b.config.Relay("r"), false, ""); err != nil {
			t.Fatal(err)
		}
		e, b := run()
		if r := e.Status().Relays[0]; r.State != "idle" || r.Counts.Placed != 20 || new.Stream("T").Len() != 30 {
			t.Errorf("%+v", r)
		}
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		other := load(t, old, new, "off", "memory", `  - {name: r, from: {system: old, stream: elsewhere}, to: {system: new, stream: T}}`)
		old.Stream("elsewhere")
		x, err := engine.New(other, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "stream elsewhere") {
			t.Errorf("another source under the same name: %v", err)
		}
	})
}

// Where nothing would remember it, a relay cannot be paused.
func TestAPauseNeedsAJournal(t *testing.T) {
	conf := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "odd", oneRelay)
	r := conf.Relay("r")
	if err := engine.SetPaused(t.Context(), r, true, ""); !errors.Is(err, engine.ErrNotPausable) || bridge.ClassOf(err) == bridge.Ended {
		t.Errorf("pause: %v", err)
	}
	if _, err := engine.Paused(t.Context(), r); !errors.Is(err, engine.ErrNotPausable) {
		t.Errorf("paused: %v", err)
	}
}
