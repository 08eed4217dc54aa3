package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// The promises of TestHistories hold where the candidate's partitions dictate the
// lanes and their number grows meanwhile, with and without messages that are parked.
func TestRoutedHistories(t *testing.T) {
	seeds := 80
	if testing.Short() {
		seeds = 20
	}
	base := uint64(time.Now().UnixNano()) % 1e9
	total := map[string]int{}
	for i := range seeds {
		h := &history{seed: uint64(i), anySubset: i%3 == 2, routed: true}
		if i%4 == 3 { // a quarter is fresh each time
			h.seed = base + uint64(i)
		}
		v, held := verdict{}, verdict{}
		if i%5 == 4 {
			held, v = h.runPoisoned(t)
		} else {
			v = h.run(t)
		}
		if !v.clean() || !held.clean() || h.unbalance != "" {
			t.Errorf("seed %d: %s; held: %s; counts: %s; faults: %v", h.seed, v, held, h.unbalance, h.struck)
		}
		for k, n := range h.struck {
			total[k] += n
		}
	}
	t.Logf("%d histories, fresh seeds from %d, faults: %v", seeds, base, total)
	for _, kind := range []string{"killed", "stopped", "poison", "incumbent cut", "candidate cut", "partitioned anew", "lost in the middle"} {
		if total[kind] < 3 {
			t.Errorf("%q struck %d times; want at least 3", kind, total[kind])
		}
	}
}

// A key that goes by another lane for a while leaves the former one as a session that
// was stopped expects it: with that fence a sink may not dictate lanes.
func TestRoutesNeedAFence(t *testing.T) {
	for fence, refused := range map[bridge.Fence]bool{bridge.FenceExpect: true, bridge.FenceEpoch: false, bridge.FenceNone: false} {
		b := routed(4)
		b.sink.Fence = fence
		src, err1 := b.incumbent.Source(bridge.Identity{Bridge: "test", Relay: "r"}, memory.SourceConfig{Stream: "source"})
		dst, err2 := b.candidate.Sink(bridge.Identity{Bridge: "test", Relay: "r"}, b.sink)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		_, err := relay.New(relay.Config{Source: src.Open, SourceTraits: src.Traits(), Sink: dst.Open, SinkTraits: dst.Traits()})
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "fence") {
			t.Errorf("fence %s: %v", fence, err)
		}
	}
}

func routed(partitions int) *bench {
	c := memory.Reliable("target")
	c.Lanes, c.Routed, c.Fence = 4, true, bridge.FenceEpoch
	b := newBench(c)
	b.out.Repartition(partitions)
	return b
}

func (b *bench) sinkOpener(t *testing.T) func(context.Context) (bridge.Sink, error) {
	t.Helper()
	o, err := b.candidate.Sink(bridge.Identity{Bridge: "test", Relay: "r"}, b.sink)
	if err != nil {
		t.Fatal(err)
	}
	return o.Open
}

// start runs a relay until the test stops it.
func start(t *testing.T, r *relay.Relay) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

// Nothing is received before the candidate has said how it is partitioned, and the
// status says who is waited for.
func TestRoutesComeBeforeTheFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := routed(3)
		b.put(50, 7)
		open := b.sinkOpener(t)
		away := true
		var mu sync.Mutex
		b.config.Sink = func(ctx context.Context) (bridge.Sink, error) {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return nil, errors.New("connection refused")
			}
			return open(ctx)
		}
		r := b.relay(t)
		stop := start(t, r)
		time.Sleep(5 * time.Second)
		s := r.Snapshot()
		if s.State != relay.StateWaiting || !strings.Contains(s.Why, "candidate: connection refused") || s.Counts.Received != 0 || s.Retries < 3 {
			t.Errorf("while the candidate is away: %+v", s)
		}
		mu.Lock()
		away = false
		mu.Unlock()
		time.Sleep(5 * time.Second)
		if s := r.Snapshot(); s.State != relay.StateIdle || s.Counts.Placed != 50 || s.Reconnects != 1 {
			t.Errorf("afterwards: %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
	})
}

// more puts messages that were not there before.
func (b *bench) more(n, keys int) {
	from := int(b.in.Last())
	for i := from; i < from+n; i++ {
		b.in.Put(bridge.Message{Key: fmt.Sprintf("k%d", i%keys), ID: producerID(fmt.Sprint(i)), Body: fmt.Appendf(nil, "body %d", i)})
	}
}

// A lane that never comes up keeps the others only until it has been up once, and
// its keys alone after that.
func TestARoutedLaneStallsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := routed(4)
		open := b.sinkOpener(t)
		lane2 := &door{}
		b.config.Sink = func(ctx context.Context) (bridge.Sink, error) {
			s, err := open(ctx)
			if err != nil {
				return nil, err
			}
			return &doored{s, s.(bridge.Router), s.(bridge.Recaller), lane2}, nil
		}
		r := b.relay(t)
		stop := start(t, r)
		time.Sleep(time.Second)
		lane2.shut()
		b.candidate.Disconnect()
		b.put(400, 40)
		time.Sleep(10 * time.Second)
		s := r.Snapshot()
		if c := s.Counts; c.Placed < 200 || c.Placed == 400 || s.State != relay.StateWaiting || !strings.Contains(s.Why, "no leader") {
			t.Errorf("with one lane away: %+v", s)
		}
		lane2.open()
		time.Sleep(10 * time.Second)
		if s := r.Snapshot(); s.Counts.Placed != 400 || s.State != relay.StateIdle {
			t.Errorf("afterwards: %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
	})
}

// A door is the way to one lane, which can be shut.
type door struct {
	mu     sync.Mutex
	closed bool
}

func (d *door) shut() { d.mu.Lock(); d.closed = true; d.mu.Unlock() }
func (d *door) open() { d.mu.Lock(); d.closed = false; d.mu.Unlock() }

type doored struct {
	bridge.Sink
	bridge.Router
	bridge.Recaller
	*door
}

func (s *doored) Open(ctx context.Context, lane int, settled bridge.Settled) (bridge.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lane == 2 && s.closed {
		return nil, errors.New("partition 2 has no leader")
	}
	return s.Sink.Open(ctx, lane, settled)
}

// When the candidate is partitioned anew the session begins anew, with new routes
// and a source of its own, and everything is accounted for.
func TestRoutesAreAskedForAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := routed(1)
		b.sink.Latency = 5 * time.Millisecond
		r := b.relay(t)
		stop := start(t, r)
		for partitions := 2; partitions < 9; partitions++ {
			b.more(200, 30)
			time.Sleep(12 * time.Millisecond)
			b.out.Repartition(partitions)
		}
		time.Sleep(10 * time.Second)
		s := r.Snapshot()
		if c := s.Counts; !c.Balanced() || c.InFlight > 0 || b.out.Len() != 1400 || c.GivenBack == 0 || s.State != relay.StateIdle {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
		lanes := map[int]bool{}
		for _, m := range b.out.All() {
			lanes[m.Lane] = true
		}
		if len(lanes) != 4 {
			t.Errorf("%d lanes carried something, want 4", len(lanes))
		}
	})
}

// A sink that lies about its routes stops the relay, with a hint.
func TestMisroutedMessagesStopTheRelay(t *testing.T) {
	for name, lie := range map[string]func(bridge.Sink) bridge.Sink{
		"no lane":   func(s bridge.Sink) bridge.Sink { return &misrouting{s} },
		"no router": func(s bridge.Sink) bridge.Sink { return &unrouted{s} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := routed(3)
				b.put(5, 5)
				open := b.sinkOpener(t)
				b.config.Sink = func(ctx context.Context) (bridge.Sink, error) {
					s, err := open(ctx)
					if err != nil {
						return nil, err
					}
					return lie(s), nil
				}
				r := b.relay(t)
				err := r.Run(t.Context())
				if bridge.HintOf(err) == "" || r.Snapshot().State != relay.StateFailed {
					t.Errorf("%v: %+v", err, r.Snapshot())
				}
				if n := b.out.Len(); n > 0 {
					t.Errorf("%d messages were sent", n)
				}
			})
		})
	}
}

type misrouting struct{ bridge.Sink }

func (*misrouting) Route(_ *bridge.Message, lanes int) int { return lanes }

type unrouted struct{ bridge.Sink }
