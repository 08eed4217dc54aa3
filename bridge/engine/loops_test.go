package engine_test

import (
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

const thereAndBack = `  - {name: forth, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: back, from: {system: new, stream: T}, to: {system: old, stream: S}, reverse_of: forth}`

// The way back is kept warm: what is produced on either side comes to the other, once.
func TestThereAndBack(t *testing.T) {
	b := newBench(t, "off", "memory", thereAndBack)
	b.old.Stream("S").Put(telemetryOf(100)...)
	b.new.Stream("T").Put(telemetryOf(140)[100:]...)
	b.start()
	s := b.until("through", func(s *console.Status) bool {
		f, k := s.Relays[0].Counts, s.Relays[1].Counts
		return f.Placed == 100 && f.Looped == 40 && k.Placed == 40 && k.Looped == 100 && f.InFlight+k.InFlight == 0
	})
	for _, r := range s.Relays {
		if c := r.Counts; c.Received != 140 || c.Suppressed+c.Parked+c.Expired > 0 || !r.Ready {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
	if n, m := b.old.Stream("S").Len(), b.new.Stream("T").Len(); n != 140 || m != 140 {
		t.Errorf("there are %d and %d messages, want 140 of both", n, m)
	}
	var text strings.Builder
	if err := console.WriteText(&text, s); err != nil || !strings.Contains(text.String(), "looped 40") {
		t.Errorf("status: %v\n%s", err, text.String())
	}
}

// A cycle is refused at start and by check, with its relays, their places and what to
// write; one that the names do not show is a warning.
func TestCyclesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		relays string
		refuse []string // in the text and hint of the Fail; none refuses
		warn   bool
	}{
		"declared": {relays: thereAndBack},
		"not declared": {relays: `  - {name: forth, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: other, from: {system: old, stream: S}, to: {system: new, stream: U}}
  - {name: back, from: {system: new, stream: T}, to: {system: old, stream: S}}`,
			refuse: []string{"relays forth (", "test.yaml:8) and back (", "test.yaml:10) lead round: the one writes stream T of new and the other stream S of old", "write reverse_of: forth in it"}, warn: true},
		"another is declared": {relays: `  - {name: forth, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: more, from: {system: old, stream: S2}, to: {system: new, stream: T2}}
  - {name: back, from: {system: new, stream: T}, to: {system: old, stream: S}, reverse_of: more}`,
			refuse: []string{"relays forth (", "and back (", "reverse_of: forth"}},
		"three": {relays: `  - {name: a, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: b, from: {system: new, stream: T}, to: {system: new, stream: U}}
  - {name: c, from: {system: new, stream: U}, to: {system: old, stream: S}}`,
			refuse: []string{"relays c (", "a (", "b (", "each writes what the next one reads", "Take one of them away"}},
		"itself": {relays: `  - {name: r, from: {system: old, stream: S}, to: {system: old, stream: S}}`,
			refuse: []string{"relay r (", "writes to what it reads, stream S of old", "elsewhere"}},
		"a way back of two relays": {relays: thereAndBack + `
  - {name: on, from: {system: new, stream: T}, to: {system: new, stream: U}}
  - {name: off, from: {system: new, stream: U}, to: {system: new, stream: T}, reverse_of: on}`, warn: true},
		"only the systems": {relays: `  - {name: forth, from: {system: old, stream: S}, to: {system: new, stream: T}}
  - {name: back, from: {system: new, stream: X}, to: {system: old, stream: Y}}`, warn: true},
	} {
		t.Run(name, func(t *testing.T) {
			conf := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "memory", c.relays)
			_, err := engine.New(conf, engine.Options{})
			if (err != nil) != (c.refuse != nil) {
				t.Fatalf("start: %v", err)
			}
			found := engine.Check(t.Context(), conf)
			var said string
			for _, f := range found {
				if f.Level == bridge.Fail && strings.Contains(f.Text, "round") {
					said += f.Text + " → " + f.Hint
				}
			}
			for _, part := range c.refuse {
				if !strings.Contains(said, part) || !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in\n%s\nor\n%v", part, said, err)
				}
			}
			if c.refuse == nil && said != "" {
				t.Errorf("check: %s", said)
			}
			if f, ok := find(found, "relays lead from"); ok != c.warn || ok && (f.Level != bridge.Warn || !strings.Contains(f.Hint, "reverse_of")) {
				t.Errorf("found %t %+v", ok, f)
			}
		})
	}
}
