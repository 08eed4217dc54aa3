package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, from, relay string
		want              string // part of the refusal; empty is none
	}{
		{"competing without the word", "competing: true", "", "it takes messages away from the application that reads it — Use a tap of the bridge's own. If it is meant, write competes: true in from."},
		{"competing with the word", "competing: true, competes: true", "", ""},
		{"competing, word denied", "competing: true, competes: false", "", "it takes messages away"},
		{"no order", "unordered: true", "", "no key is kept in order — If no order is needed, write order: none in the relay."},
		{"no order, admitted", "unordered: true", ", order: none", ""},
		{"at most once is said, not refused", "fleeting: true", "", ""},
		{"both at once", "competing: true, unordered: true", "", "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, new := memory.NewBroker("old"), memory.NewBroker("new")
			conf := load(t, old, new, "off", "odd", fmt.Sprintf("  - {name: r, from: {system: old, stream: S, %s}, to: {system: new, stream: T}%s}", c.from, c.relay))
			_, err := engine.New(conf, engine.Options{})
			var refusal engine.Refusal
			if (c.want != "") != errors.As(err, &refusal) {
				t.Fatalf("got %v", err)
			}
			if c.want != "" && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "relay r: ")) {
				t.Errorf("refused with %q, want %q", err, c.want)
			}
			fails := slices.ContainsFunc(engine.Check(t.Context(), conf), func(f engine.RelayFinding) bool {
				return f.Level == bridge.Fail && !strings.Contains(f.Subject, "stream T")
			})
			if fails != (c.want != "") {
				t.Errorf("check fails: %t", fails)
			}
		})
	}
}

// find gives the finding whose text has that part.
func find(fs []engine.RelayFinding, part string) (engine.RelayFinding, bool) {
	i := slices.IndexFunc(fs, func(f engine.RelayFinding) bool { return strings.Contains(f.Text, part) })
	if i < 0 {
		return engine.RelayFinding{}, false
	}
	return fs[i], true
}

func TestCheck(t *testing.T) {
	old, new := memory.NewBroker("old"), memory.NewBroker("new")
	old.Stream("S").Put(telemetryOf(3)...)
	conf := load(t, old, new, "off", "memory", `  - {name: good, from: {system: old, stream: S}, to: {system: old, stream: S}}
  - {name: bad, from: {system: old, stream: absent}, to: {system: new, stream: absent}}
  - {name: back, from: {system: new, stream: X}, to: {system: old, stream: Y, recall: 0, fence: none}, park_file: unused}`)
	got := engine.Check(t.Context(), conf)
	for _, c := range []struct {
		relay, part string
		level       bridge.Level
	}{
		{"good", "there, with 3 messages", bridge.Pass},
		{"good", "writes to what it reads, stream S of old", bridge.Fail},
		{"bad", "absent", bridge.Fail},
		{"bad", "relays lead from new back to old", bridge.Warn},
		{"back", "it cannot be read back", bridge.Warn},
		{"back", "nothing keeps an earlier session", bridge.Warn},
		{"back", "park_file has no effect", bridge.Warn},
	} {
		f, ok := find(got, c.part)
		if !ok || f.Relay != c.relay || f.Level != c.level {
			t.Errorf("%q: found %+v, want %s %s in\n%+v", c.part, f, c.relay, c.level, got)
		}
		if c.level == bridge.Fail && f.Hint == "" {
			t.Errorf("%q has no hint", c.part)
		}
	}
	order := []string{"good", "bad", "back"}
	if !slices.IsSortedFunc(got[:len(got)-3], func(a, b engine.RelayFinding) int {
		return slices.Index(order, a.Relay) - slices.Index(order, b.Relay)
	}) {
		t.Errorf("findings are not in the order of the relays: %+v", got)
	}
	if stored := new.Stream("X").Len() + old.Stream("S").Len(); stored != 3 {
		t.Errorf("check left %d messages", stored)
	}
}

func TestNoLoopIsNoWarning(t *testing.T) {
	conf := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "memory", oneRelay)
	if f, ok := find(engine.Check(t.Context(), conf), "relays lead"); ok {
		t.Errorf("found %+v", f)
	}
}

func TestRecallBelowTheSlack(t *testing.T) {
	conf := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "odd",
		"  - {name: r, from: {system: old, stream: S, slack: 10}, to: {system: new, stream: T, recall: 10}}")
	if f, ok := find(engine.Check(t.Context(), conf), "only the newest 10 messages can be read back"); !ok || f.Level != bridge.Warn {
		t.Errorf("found %+v", f)
	}
}

// A side that does not know how to look, and one that does not answer in time.
func TestSidesThatDoNotAnswer(t *testing.T) {
	conf := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "odd", oneRelay)
	if f, ok := find(engine.Check(t.Context(), conf), "cannot be looked at"); !ok || f.Level != bridge.Warn || f.Side != "from old" {
		t.Errorf("found %+v", f)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gave up"))
	if f, ok := find(engine.Check(ctx, conf), "not all could be looked at: gave up"); !ok || f.Level != bridge.Fail || f.Side != "to new" {
		t.Errorf("found %+v", f)
	}
}
