package engine_test

import (
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// again is another process with another configuration on the same brokers.
func (b *bench) again(relays string) *bench {
	b.t.Helper()
	n := *b
	n.config = load(b.t, b.old, b.new, "off", "memory", relays)
	var err error
	if n.engine, err = engine.New(n.config, engine.Options{}); err != nil {
		b.t.Fatal(err)
	}
	n.ended = make(chan error, 1)
	return &n
}

func (b *bench) idle(placed uint64) {
	b.t.Helper()
	b.start()
	b.until("idle", func(s *console.Status) bool {
		return s.Relays[0].State == "idle" && s.Relays[0].Counts.Placed >= placed
	})
	if err := b.end(); err != nil {
		b.t.Fatal(err)
	}
}

// refused runs until the relay fails, and gives why.
func (b *bench) refused() string {
	b.t.Helper()
	b.start()
	s := b.until("failed", func(s *console.Status) bool { return s.Relays[0].State == "failed" })
	if err := b.end(); bridge.ClassOf(err) != bridge.Stopping {
		b.t.Errorf("ended with %v", err)
	}
	return s.Relays[0].Why
}

// A relay's name stands for one source and one target; both are shown when the
// configuration says otherwise, and nothing moves.
func TestANameStandsForOneSourceAndOneTarget(t *testing.T) {
	b := newBench(t, "off", "memory", oneRelay)
	b.old.Stream("S").Put(telemetryOf(10)...)
	b.old.Stream("S2").Put(telemetryOf(10)...)
	b.new.Stream("T")
	b.new.Stream("T2")
	b.idle(10)
	b.again(oneRelay).idle(0)
	for what, relays := range map[string]string{
		"target": strings.Replace(oneRelay, "stream: T", "stream: T2", 1),
		"source": strings.Replace(oneRelay, "stream: S", "stream: S2", 1),
	} {
		why := b.again(relays).refused()
		for _, part := range []string{"its " + what + " was", "stream " + strings.ToUpper(what[:1]), "2", "crossfade remove r"} {
			if !strings.Contains(why, part) {
				t.Errorf("%s: %q is not in %q", what, part, why)
			}
		}
	}
	if n := b.new.Stream("T2").Len(); n != 0 {
		t.Errorf("%d messages in another target", n)
	}
	b.again(oneRelay).idle(0) // as it was
}

// A target that was deleted and made anew is neither filled on from the middle nor
// filled twice, unless the configuration says so.
func TestATargetThatWasMadeAnew(t *testing.T) {
	b := newBench(t, "off", "memory", oneRelay)
	b.old.Stream("S").Put(telemetryOf(10)...)
	b.new.Stream("T")
	b.idle(10)
	b.new.Delete("T")
	b.new.Stream("T")
	if why := b.again(oneRelay).refused(); !strings.Contains(why, "made anew") || !strings.Contains(why, "accept: [recreated]") {
		t.Errorf("why: %s", why)
	}
	b.old.Stream("S").Put(telemetryOf(11)[10])
	b.again(strings.Replace(oneRelay, "stream: T", "stream: T, accept: [recreated]", 1)).idle(1)
	if n := b.new.Stream("T").Len(); n != 1 {
		t.Errorf("%d messages", n)
	}
	b.again(oneRelay).idle(0) // that incarnation is the one now
}

// What a bridge made is listed by relay, found when the configuration lost the
// relay, and removed: then there is nothing, and the relay begins anew.
func TestWhatABridgeMadeIsListedAndRemoved(t *testing.T) {
	two := oneRelay + "\n" + `  - {name: other, from: {system: old, stream: S}, to: {system: new, stream: T2}}`
	b := newBench(t, "off", "memory", two)
	b.old.Stream("S").Put(telemetryOf(10)...)
	b.new.Stream("T")
	b.new.Stream("T2")
	if all, err := engine.Holdings(t.Context(), b.config); len(all) != 0 || err != nil {
		t.Fatalf("before the bridge: %v, %v", all, err)
	}
	b.idle(10)
	all, err := engine.Holdings(t.Context(), b.config)
	if err != nil {
		t.Fatal(err)
	}
	mine := engine.OfRelay(all, "r")
	if len(mine) == 0 || len(mine) >= len(all) {
		t.Fatalf("%v of %v", mine, all)
	}
	one := b.again(oneRelay)
	f, ok := find(engine.Check(t.Context(), one.config), "belongs to a relay or comparison that the configuration does not have")
	if !ok || f.Level != bridge.Warn || f.Relay != "other" || !strings.Contains(f.Hint, "crossfade remove other") {
		t.Errorf("found %+v", f)
	}
	one.start()
	one.until("idle", func(s *console.Status) bool { return s.Relays[0].State == "idle" })
	if err := engine.Remove(t.Context(), one.config, "r"); bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("removed while it runs: %v", err)
	}
	if err := one.end(); err != nil {
		t.Fatal(err)
	}
	for _, relay := range []string{"other", "r", "r"} {
		if err := engine.Remove(t.Context(), one.config, relay); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := engine.Holdings(t.Context(), b.config); len(all) != 0 || err != nil {
		t.Errorf("after it: %v, %v", all, err)
	}
	b.new.Delete("T")
	b.new.Stream("T")
	b.again(oneRelay).idle(10)
}

// An operator's word reaches a relay by the console.
func TestARetryReachesARunningRelay(t *testing.T) {
	b := newBench(t, "127.0.0.1:0", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, max_body: 50}, key: {token: 2}}`)
	big := telemetryOf(1)[0]
	big.Body = make([]byte, 100)
	b.old.Stream("S").Put(big)
	b.old.Stream("S").Put(telemetryOf(15)[7:]...)
	b.new.Stream("T")
	b.start()
	address := <-b.address
	b.until("held", func(s *console.Status) bool {
		r := &s.Relays[0]
		return r.ParkedNow == 3 && r.HeldKeys == 1 && r.Counts.Placed == 6 && strings.Contains(r.Why, "1 key held")
	})
	place := engine.Place(b.config.Relays[0])
	defer place.Close()
	var refs []string
	if err := place.Waiting(t.Context(), func(p *bridge.Parked) error { refs = append(refs, p.Ref); return nil }); err != nil || len(refs) != 3 {
		t.Fatalf("%v, %v", refs, err)
	}
	if err := place.Discard(t.Context(), refs[:1]); err != nil {
		t.Fatal(err)
	}
	if err := place.Retry(t.Context(), refs[1:2]); err != nil {
		t.Fatal(err)
	}
	if err := console.Look(t.Context(), address, "nobody"); err == nil {
		t.Error("a relay that is not there looks")
	}
	if err := console.Look(t.Context(), address, "r"); err != nil {
		t.Fatal(err)
	}
	b.until("sent again", func(s *console.Status) bool {
		return s.Relays[0].ParkedNow == 0 && s.Relays[0].HeldKeys == 0 && b.new.Stream("T").Len() == 8
	})
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
}
