package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// Comparisons run beside the relays. The last message of a key is missing as soon as the
// relay proves that it has gone past it: nothing of the key comes behind it.
func TestTheLastMessageOfAKey(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, "off", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, max_body: 10}, key: {token: 2}, park: skip}
comparisons:
  - name: delivery
    relay: r
    candidate: {system: new, stream: T}
    grace: 200ms
    evidence: {dir: `+dir+`}
`)
	b.old.Stream("S")
	b.new.Stream("T")
	b.start()
	b.until("both are read", func(s *console.Status) bool {
		return len(s.Comparisons) == 1 && s.Comparisons[0].Incumbent.Connected && s.Comparisons[0].Candidate.Connected
	})
	b.old.Stream("S").Put(telemetryOf(1000)...)
	large := telemetryOf(1)
	large[0].Body = []byte("too large for the candidate")
	large[0].Properties = []bridge.Property{{Kind: bridge.KindMessageID, Text: "last"}}
	b.old.Stream("S").Put(large...)
	s := b.until("the last one is found", func(s *console.Status) bool { return s.Comparisons[0].Drift["missing"] == 1 })
	if c := s.Comparisons[0]; c.Matched != 1000 || c.Verdict != "drift" || c.Incumbent.Pending != 0 {
		t.Errorf("%+v", c)
	}
	var text strings.Builder
	if err := console.WriteText(&text, s); err != nil || !strings.Contains(text.String(), "old ↔ new  matched 1,000  pending 0 + 0  missing 1") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*-missing-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	x, err := bundle.Read(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if v, err := bundle.Replay(x); err != nil || !v.Same || x.ID != "last" || x.Incumbent.System != "old" || x.Config == "" {
		t.Errorf("%+v, %v of %+v", v, err, x)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read %s: %v, %v", files[0], info.Mode(), err)
	}
}

// Each of several comparisons of one relay has its proof.
func TestSeveralComparisonsOfOneRelay(t *testing.T) {
	b := newBench(t, "off", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, max_body: 10}, park: skip}
comparisons:
  - {name: one, relay: r, candidate: {system: new, stream: T}, grace: 100ms}
  - {name: two, relay: r, candidate: {system: new, stream: T}, grace: 200ms}
`)
	incumbent := b.old.Stream("S")
	b.new.Stream("T")
	b.start()
	b.until("all are read", func(s *console.Status) bool { return !slices.ContainsFunc(s.Comparisons, isBlind) })
	msgs := telemetryOf(10)
	msgs[9].Body = []byte("too large for the candidate")
	incumbent.Put(msgs...)
	b.until("the last one is found by both", func(s *console.Status) bool {
		return !slices.ContainsFunc(s.Comparisons, func(c console.Comparison) bool { return c.Matched != 9 || c.Drift["missing"] != 1 })
	})
	if err := b.end(); err != nil {
		t.Error(err)
	}
}

func isBlind(c console.Comparison) bool { return !c.Incumbent.Connected || !c.Candidate.Connected }

// What cannot be compared is refused before anything runs.
func TestWhatCannotBeCompared(t *testing.T) {
	for block, want := range map[string]string{
		"{system: old, stream: S, competing: true}": "would take messages away from the application",
		"{system: old, stream: S, fleeting: true}":  "could not tell loss from not looking",
		"{system: old, stream: S, unordered: true}": "promises no order",
	} {
		c := load(t, memory.NewBroker("old"), memory.NewBroker("new"), "off", "odd", "  []\ncomparisons:\n  - {name: x, incumbent: "+block+", candidate: {system: new, stream: T}}\n")
		if _, err := engine.New(c, engine.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", block, err, want)
		}
	}
}

// A comparison alone is enough for a bridge; it fails for itself.
func TestComparisonsAlone(t *testing.T) {
	b := newBench(t, "off", "memory", "  []\ncomparisons:\n  - {name: x, incumbent: {system: old, stream: S}, candidate: {system: new, stream: T}, grace: 100ms}\n")
	b.old.Stream("S")
	b.new.Stream("T")
	b.start()
	b.until("both are read", func(s *console.Status) bool {
		return len(s.Comparisons) == 1 && s.Comparisons[0].Incumbent.Connected && s.Comparisons[0].Candidate.Connected
	})
	msgs := telemetryOf(500)
	b.old.Stream("S").Put(msgs...)
	b.new.Stream("T").Put(msgs...)
	s := b.until("all match", func(s *console.Status) bool { return s.Comparisons[0].Matched == 500 })
	if s.Comparisons[0].Verdict != "match" {
		t.Errorf("%+v", s.Comparisons[0])
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
}

// Where something else carries on what the relay writes, how far the relay has come proves
// nothing of the candidate: what has not come yet is not missing.
func TestBehindTheRelayNothingIsProved(t *testing.T) {
	b := newBench(t, "off", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, max_body: 10}, key: {token: 2}, park: skip}
comparisons:
  - {name: direct, relay: r, candidate: {system: new, stream: T}, grace: 100ms}
  - {name: another-stream, relay: r, candidate: {system: new, stream: U}, grace: 100ms}
  - {name: another-system, relay: r, candidate: {system: old, stream: T}, grace: 100ms}
`)
	carried := []*memory.Stream{b.new.Stream("U"), b.old.Stream("T")}
	incumbent := b.old.Stream("S")
	b.new.Stream("T")
	b.start()
	b.until("all are read", func(s *console.Status) bool { return !slices.ContainsFunc(s.Comparisons, isBlind) })
	msgs := telemetryOf(101)
	msgs[100].Body = []byte("too large for the relay's target")
	incumbent.Put(msgs...)
	for _, c := range carried {
		c.Put(msgs[:100]...)
	}
	b.until("the proof is there", func(s *console.Status) bool { return s.Comparisons[0].Drift["missing"] == 1 })
	later := time.Now().Add(time.Second)
	s := b.until("the others would have it, too", func(s *console.Status) bool {
		return !slices.ContainsFunc(s.Comparisons, func(c console.Comparison) bool { return c.Candidate.Read == nil || c.Candidate.Read.Before(later) })
	})
	for _, c := range s.Comparisons[1:] {
		if c.Matched != 100 || c.Incumbent.Pending != 1 || c.Drift["missing"] > 0 {
			t.Errorf("one is on its way: %+v", c)
		}
	}
	for _, c := range carried {
		c.Put(msgs[100])
	}
	b.until("it has come", func(s *console.Status) bool {
		return !slices.ContainsFunc(s.Comparisons[1:], func(c console.Comparison) bool { return c.Matched != 101 || c.Verdict != "match" })
	})
	if err := b.end(); err != nil {
		t.Error(err)
	}
}

// strict says that every message is elsewhere than it belongs.
type strict struct{ *memory.SinkOpener }

func (strict) Placed(context.Context, *bridge.Delivery) (right, known bool) { return false, true }

// Where the relay places messages holds for the stream that it writes into, and for no other.
func TestWhereMessagesBelong(t *testing.T) {
	b := newBench(t, "off", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T}}
comparisons:
  - {name: direct, relay: r, candidate: {system: new, stream: T}}
  - {name: behind, relay: r, candidate: {system: new, stream: U}}
`)
	r := b.config.Relay("r")
	r.Sink = strict{r.Sink.(*memory.SinkOpener)}
	var err error
	if b.engine, err = engine.New(b.config, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	incumbent, carried := b.old.Stream("S"), b.new.Stream("U")
	b.new.Stream("T")
	b.start()
	b.until("all are read", func(s *console.Status) bool { return !slices.ContainsFunc(s.Comparisons, isBlind) })
	msgs := telemetryOf(100)
	incumbent.Put(msgs...)
	carried.Put(msgs...)
	s := b.until("all are judged", func(s *console.Status) bool {
		return !slices.ContainsFunc(s.Comparisons, func(c console.Comparison) bool { return c.Incumbent.Observed < 100 || c.Incumbent.Pending > 0 })
	})
	for i, misrouted := range []uint64{100, 0} {
		if c := s.Comparisons[i]; c.Drift["misrouted"] != misrouted {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
}
