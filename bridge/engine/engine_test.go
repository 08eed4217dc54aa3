package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/park"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// odd is memory with other promises at the source and no abilities.
func odd(brokers ...*memory.Broker) bridge.Adapter {
	inner := memory.Adapter(brokers...)
	return bridge.Adapter{Kind: "odd", System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s, err := inner.System(name, settings)
		return oddSystem{s}, err
	}}
}

type oddSystem struct{ bridge.System }

type oddSettings struct {
	Stream    string `yaml:"stream"`
	Competes  bool   `yaml:"competes"`
	Competing bool   `yaml:"competing"`
	Unordered bool   `yaml:"unordered"`
	Fleeting  bool   `yaml:"fleeting"`
	Slack     int    `yaml:"slack"`
	Start     string `yaml:"start"`
}

func (s oddSystem) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	var o oddSettings
	if err := settings(&o); err != nil {
		return nil, err
	}
	inner, err := s.System.Source(id, func(into any) error {
		into.(*memory.SourceConfig).Stream = o.Stream
		return nil
	})
	return oddOpener{inner, o}, err
}

type oddOpener struct {
	bridge.SourceOpener
	settings oddSettings
}

func (o oddOpener) Traits() bridge.SourceTraits {
	t := o.SourceOpener.Traits()
	t.Journals, t.Competing, t.Ordered, t.Durable, t.Slack = false, o.settings.Competing, !o.settings.Unordered, !o.settings.Fleeting, o.settings.Slack
	return t
}

// A bench is a bridge from one memory broker to another.
type bench struct {
	t        *testing.T
	old, new *memory.Broker
	config   *config.Config
	engine   *engine.Engine
	address  chan string
	stop     context.CancelFunc
	ended    chan error
}

const twoSystems = `
name: test
http: {listen: %q}
systems:
  - {name: old, kind: %s}
  - {name: new, kind: memory}
relays:
%s`

func load(t *testing.T, old, new *memory.Broker, listen, kind, relays string) *config.Config {
	t.Helper()
	c, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), fmt.Appendf(nil, twoSystems, listen, kind, relays),
		config.Options{Adapters: []bridge.Adapter{memory.Adapter(old, new), odd(old, new)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newBench(t *testing.T, listen, kind, relays string) *bench {
	t.Helper()
	b := &bench{t: t, old: memory.NewBroker("old"), new: memory.NewBroker("new"), address: make(chan string, 1), ended: make(chan error, 1)}
	b.config = load(t, b.old, b.new, listen, kind, relays)
	var err error
	b.engine, err = engine.New(b.config, engine.Options{Listening: func(a net.Addr) { b.address <- a.String() }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	b.stop = cancel
	go func() { b.ended <- b.engine.Run(ctx) }()
}

func (b *bench) end() error {
	b.stop()
	return <-b.ended
}

func telemetryOf(n int) []bridge.Message {
	msgs := make([]bridge.Message, n)
	for i := range msgs {
		msgs[i] = bridge.Message{
			Address: bridge.Address{Name: fmt.Sprintf("site.%d.temp", i%7)}, Body: fmt.Appendf(nil, "%d", i), Time: time.Now(),
			Properties: []bridge.Property{{Kind: bridge.KindMessageID, Text: fmt.Sprint(i)}},
		}
	}
	return msgs
}

// until asks until is holds; the deadline is far above what it takes.
func (b *bench) until(what string, is func(*console.Status) bool) *console.Status {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		s := b.engine.Status()
		if is(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("never %s: %+v", what, s.Relays)
		}
	}
}

const oneRelay = `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T}, key: {token: 2}}`

func TestMessagesGoThroughAndAreCounted(t *testing.T) {
	b := newBench(t, "127.0.0.1:0", "memory", oneRelay)
	b.old.Stream("S").Put(telemetryOf(1000)...)
	b.new.Stream("T")
	b.start()
	address := <-b.address
	b.until("placed", func(s *console.Status) bool {
		return s.Relays[0].Counts.Placed == 1000 && s.Relays[0].Backlog.Known && s.Relays[0].Lag.Messages == 0
	})
	s, err := console.Fetch(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Relays[0]
	if !s.Ready || s.Bridge != "test" || r.State != "idle" || r.Why == "" || r.From.System != "old" || r.From.Kind != "memory" || r.KeyMissing != 0 {
		t.Errorf("status %+v", s)
	}
	if c := r.Counts; c.Received != c.Placed+c.Suppressed+c.Parked+c.Expired+c.GivenBack+c.InFlight {
		t.Errorf("counts do not balance: %+v", c)
	}
	if r.Lag.Messages != 0 || r.Lag.Seconds != 0 || r.Lag.Bound {
		t.Errorf("lag %+v", r.Lag)
	}
	if err := b.end(); err != nil {
		t.Errorf("run: %v", err)
	}
	if s := b.engine.Status(); s.Ready || s.Relays[0].State != "stopped" {
		t.Errorf("afterwards: %+v", s.Relays[0])
	}
	stored := b.new.Stream("T").All()
	last := map[string]int{}
	for _, m := range stored {
		i, err := strconv.Atoi(string(m.Body))
		if want := strconv.Itoa(i % 7); err != nil || m.Key != want || m.ID.Value != string(m.Body) {
			t.Fatalf("message %s has key %q and ID %+v", m.Body, m.Key, m.ID)
		}
		if before, ok := last[m.Key]; ok && i <= before {
			t.Fatalf("key %s: %d came behind %d", m.Key, i, before)
		}
		last[m.Key] = i
	}
	if len(stored) != 1000 {
		t.Errorf("%d stored", len(stored))
	}
}

// One relay that nothing mends stops alone, and the process ends with a failure.
func TestOneFailsAndTheOtherGoesOn(t *testing.T) {
	b := newBench(t, "off", "memory", oneRelay+`
  - {name: broken, from: {system: old, stream: S}, to: {system: new, stream: nowhere}}`)
	b.old.Stream("S").Put(telemetryOf(10)...)
	b.new.Stream("T")
	b.start()
	s := b.until("failed and placed", func(s *console.Status) bool {
		return s.Relays[1].State == "failed" && s.Relays[0].Counts.Placed == 10
	})
	if s.Ready || !s.Relays[0].Ready || s.Relays[1].Ready || !strings.Contains(s.Relays[1].Why, "nowhere") {
		t.Errorf("status %+v", s.Relays)
	}
	b.old.Stream("S").Put(telemetryOf(20)[10:]...)
	b.until("placed more", func(s *console.Status) bool { return s.Relays[0].Counts.Placed == 20 })
	err := b.end()
	if bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(err.Error(), "relay broken: ") || bridge.HintOf(err) == "" {
		t.Errorf("run: %v", err)
	}
}

func TestRunEndsWhenNoRelayIsLeft(t *testing.T) {
	b := newBench(t, "127.0.0.1:0", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: nowhere}}`)
	b.old.Stream("S").Put(telemetryOf(1)...)
	b.start()
	defer b.stop()
	if err := <-b.ended; bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("run: %v", err)
	}
}

func TestFiniteInputEndsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "off", "memory", oneRelay)
		b.old.Stream("S").Put(telemetryOf(10)...)
		b.old.Stream("S").End()
		b.new.Stream("T")
		b.start()
		defer b.stop()
		if err := <-b.ended; err != nil || b.new.Stream("T").Len() != 10 {
			t.Errorf("run: %v, %d stored", err, b.new.Stream("T").Len())
		}
	})
}

func TestConsoleThatCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b := newBench(t, l.Addr().String(), "memory", oneRelay)
	b.start()
	defer b.stop()
	if err := <-b.ended; bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(err.Error(), "console: ") {
		t.Errorf("run: %v", err)
	}
}

// A candidate that is away: the status says why, and that nothing gets on.
func TestWaitingIsSaidAndThenStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "off", "memory", `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, latency: 1h}}`)
		b.old.Stream("S").Put(telemetryOf(5)...)
		b.new.Stream("T")
		b.start()
		<-time.After(5 * time.Second) // of virtual time
		r := b.engine.Status().Relays[0]
		if r.State != "waiting" || !r.Ready || r.Lag.Messages != 5 || r.Lag.Seconds < 4.9 || r.Lag.Bound || r.Debt != 5 {
			t.Errorf("after 5 s: %+v", r)
		}
		<-time.After(10 * time.Second)
		r = b.engine.Status().Relays[0]
		if r.State != "waiting" || r.Ready || !strings.Contains(r.Why, "; 5 wait at the incumbent and nothing was settled for ") {
			t.Errorf("after 15 s: %+v", r)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestParking(t *testing.T) {
	big := bridge.Message{Address: bridge.Address{Name: "a.b"}, Body: make([]byte, 100)}
	const relays = `  - {name: r, from: {system: old, stream: S}, to: {system: new, stream: T, max_body: 50}, %s}`
	for _, c := range []struct {
		name, kind, settings string
		journal              bool
		parked               uint64
	}{
		{"at the incumbent by default", "memory", "order: key", true, 1},
		{"stop", "memory", "park: stop", false, 0},
		{"in a file", "odd", "park_file: parked.journal", false, 1},
		{"nowhere to park", "odd", "park: skip", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "off", c.kind, fmt.Sprintf(relays, c.settings))
			b.old.Stream("S").Put(big, telemetryOf(1)[0])
			b.new.Stream("T")
			b.start()
			if c.parked == 0 {
				s := b.until("failed", func(s *console.Status) bool { return s.Relays[0].State == "failed" })
				if s.Relays[0].Counts.Parked != 0 || !strings.Contains(s.Relays[0].Why, "oversized") {
					t.Errorf("status %+v", s.Relays[0])
				}
				if err := b.end(); bridge.ClassOf(err) != bridge.Stopping {
					t.Errorf("run: %v", err)
				}
				return
			}
			b.until("parked", func(s *console.Status) bool {
				return s.Relays[0].Counts.Parked == c.parked && s.Relays[0].Counts.Placed == 1
			})
			if err := b.end(); err != nil {
				t.Error(err)
			}
			place := park.New(func(ctx context.Context) (bridge.Journal, error) {
				if c.journal {
					return b.config.Relays[0].Source.(bridge.JournalOpener).OpenJournal(ctx, "parked")
				}
				return park.OpenFile(b.config.Relays[0].ParkFile)
			})
			n := 0
			err := place.Each(t.Context(), func(p *bridge.Parked) error {
				n++
				if p.Reason != bridge.ReasonOversized || len(p.Message.Body) != 100 {
					t.Errorf("parked %+v", p)
				}
				return nil
			})
			if err = errors.Join(err, place.Close()); err != nil || n != 1 {
				t.Errorf("%d parked, %v", n, err)
			}
		})
	}
}
