package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/park"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

type bench struct {
	incumbent, candidate *memory.Broker
	in, out              *memory.Stream
	sink                 memory.SinkConfig
	config               relay.Config
}

func newBench(sink memory.SinkConfig) *bench {
	b := &bench{incumbent: memory.NewBroker("old"), candidate: memory.NewBroker("new"), sink: sink}
	b.in, b.out = b.incumbent.Stream("source"), b.candidate.Stream("target")
	return b
}

func (b *bench) relay(t *testing.T) *relay.Relay {
	t.Helper()
	id := bridge.Identity{Bridge: "test", Relay: "r"}
	src, err := b.incumbent.Source(id, memory.SourceConfig{Stream: "source"})
	if err != nil {
		t.Fatal(err)
	}
	dst, err := b.candidate.Sink(id, b.sink)
	if err != nil {
		t.Fatal(err)
	}
	c := b.config
	c.Identity, c.SourceTraits, c.SinkTraits = id, src.Traits(), dst.Traits()
	if c.Source == nil {
		c.Source = src.Open
	}
	if c.Sink == nil {
		c.Sink = dst.Open
	}
	r, err := relay.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bench) put(n, keys int) {
	for i := range n {
		b.in.Put(bridge.Message{Key: fmt.Sprintf("k%d", i%keys), ID: producerID(fmt.Sprint(i)), Body: fmt.Appendf(nil, "body %d", i)})
	}
}

func TestEverythingArrivesInOrderOnEveryShape(t *testing.T) {
	for _, survives := range []bridge.Survivors{bridge.SurvivesPrefix, bridge.SurvivesAny} {
		for _, latency := range []time.Duration{0, 5 * time.Millisecond} {
			for _, lanes := range []int{1, 5} {
				t.Run(fmt.Sprintf("%s survives, latency %s, %d lanes", survives, latency, lanes), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := memory.Reliable("target")
						c.Survives, c.Latency, c.Lanes, c.Window = survives, latency, lanes, 64
						b := newBench(c)
						b.put(3000, 11)
						b.in.End()
						r := b.relay(t)
						if err := r.Run(t.Context()); err != nil {
							t.Fatal(err)
						}
						if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
							t.Error(v)
						}
						s := r.Snapshot()
						if s.Counts != (relay.Counts{Received: 3000, Placed: 3000}) || s.State != relay.StateStopped || s.Debt != 0 {
							t.Errorf("%+v", s)
						}
					})
				})
			}
		}
	}
}

// At most one message of a key is on its way where any subset may survive. // I2
func TestOneOfAKeyInFlightWhereAnySubsetSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Survives, c.Latency, c.Lanes = bridge.SurvivesAny, 10*time.Millisecond, 1
		b := newBench(c)
		b.put(60, 3)
		b.in.End()
		began := time.Now()
		if err := b.relay(t).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		// 20 messages of each key, one round trip each.
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("60 messages of 3 keys took %s: several of a key were in flight", took)
		}
	})
}

func TestRepeatsAreSuppressedAndSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Latency, c.Lanes = 20*time.Millisecond, 2
		b := newBench(c)
		m := bridge.Message{Key: "k", ID: producerID("1"), Body: []byte("a")}
		other := bridge.Message{Key: "other", ID: producerID("1"), Body: []byte("b")} // the same value, another key
		content := bridge.Message{Key: "k", ID: bridge.ID{Value: "c", From: bridge.FromContent}, Body: []byte("c")}
		b.in.Put(m, m, other, content, content, m)
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Second)
		b.in.Put(m, other) // long after they were placed
		time.Sleep(time.Second)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := r.Snapshot().Counts; got != (relay.Counts{Received: 8, Placed: 4, Suppressed: 4}) {
			t.Errorf("%+v", got)
		}
		if n := b.out.Len(); n != 4 {
			t.Errorf("%d at the target", n)
		}
	})
}

// A lot parks in a journal of the incumbent, and fails as often as it is told.
type lot struct {
	*park.Place
	failures int
}

func newLot(b *memory.Broker, failures int) *lot {
	src, err := b.Source(bridge.Identity{Bridge: "test", Relay: "r"}, memory.SourceConfig{Stream: "source"})
	if err != nil {
		panic(err)
	}
	return &lot{park.New(func(ctx context.Context) (bridge.Journal, error) { return src.OpenJournal(ctx, "parked") }), failures}
}

func (l *lot) Park(ctx context.Context, p []bridge.Parked) error {
	if l.failures--; l.failures >= 0 {
		return errors.New("the place does not answer")
	}
	return l.Place.Park(ctx, p)
}

// A slowLot parks nothing before open is closed.
type slowLot struct {
	*lot
	open chan struct{}
}

func (l slowLot) Park(ctx context.Context, p []bridge.Parked) error {
	<-l.open
	return l.lot.Park(ctx, p)
}

func (l *lot) all(t *testing.T) (out []bridge.Parked) {
	t.Helper()
	if err := l.Waiting(t.Context(), func(p *bridge.Parked) error { out = append(out, *p); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRefusedMessagesAreParkedAndTheRestGoesOn(t *testing.T) {
	for _, survives := range []bridge.Survivors{bridge.SurvivesPrefix, bridge.SurvivesAny} {
		t.Run(survives.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory.Reliable("target")
				c.Survives, c.MaxBody, c.Latency, c.Lanes = survives, 10, time.Millisecond, 2
				b := newBench(c)
				place := newLot(b.incumbent, 3)
				b.config.Parking = place
				skipped := map[string]bool{}
				for i := range 400 {
					m := bridge.Message{Key: fmt.Sprint(i % 5), ID: producerID(fmt.Sprint(i)), Body: []byte("fine")}
					if i%40 == 7 {
						m.Body = []byte("much too large for it")
						skipped[m.ID.Value] = true
					}
					b.in.Put(m)
				}
				b.in.End()
				r := b.relay(t)
				if err := r.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if v := compare(b.in.All(), b.out.All(), skipped); !v.clean() {
					t.Error(v)
				}
				got := place.all(t)
				if len(got) != 10 || got[0].Reason != bridge.ReasonOversized || !strings.Contains(got[0].Cause, "at most 10") {
					t.Errorf("parked: %+v", got)
				}
				if c := r.Snapshot().Counts; c.Parked != 10 || c.Placed != 390 || !c.Balanced() {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

func TestWithoutAPlaceToParkTheRelayStopsAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody, c.Lanes = 10, 1
		b := newBench(c)
		b.in.Put(bridge.Message{Key: "k", ID: producerID("1"), Body: []byte("fine")},
			bridge.Message{Key: "k", ID: producerID("2"), Body: []byte("much too large for it")},
			bridge.Message{Key: "k", ID: producerID("3"), Body: []byte("fine")})
		r := b.relay(t)
		err := r.Run(t.Context())
		if bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), "park") {
			t.Fatalf("%v", err)
		}
		s := r.Snapshot()
		if s.State != relay.StateFailed || !strings.Contains(s.Why, "at most 10") || !s.Counts.Balanced() {
			t.Errorf("%+v", s)
		}
		c.MaxBody = 0 // the operator mends the cause
		b.sink = c
		b.in.End()
		if err := b.relay(t).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
	})
}

func TestExpiredMessagesAreCountedNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(memory.Reliable("target"))
		b.in.Put(bridge.Message{Key: "k", ID: producerID("1"), Expires: time.Now().Add(-time.Second)},
			bridge.Message{Key: "k", ID: producerID("2"), Expires: time.Now().Add(time.Hour)})
		b.in.End()
		r := b.relay(t)
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := r.Snapshot().Counts; c != (relay.Counts{Received: 2, Placed: 1, Expired: 1}) {
			t.Errorf("%+v", c)
		}
	})
}

// While the candidate is away the relay says so, receives no more than its debt,
// and resumes by itself soon after.
func TestAnUnreachableCandidateIsWaitedForAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(memory.Reliable("target"))
		b.config.Limits.Debt = 100
		var back atomic.Bool
		dst, err := b.candidate.Sink(bridge.Identity{Bridge: "test", Relay: "r"}, b.sink)
		if err != nil {
			t.Fatal(err)
		}
		b.config.Sink = func(ctx context.Context) (bridge.Sink, error) {
			if !back.Load() {
				return nil, errors.New("nats: dial 127.0.0.1:4222: connection refused")
			}
			return dst.Open(ctx)
		}
		b.put(5000, 7)
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(30 * time.Second)
		s := r.Snapshot()
		if s.State != relay.StateWaiting || !strings.Contains(s.Why, "connection refused") || !strings.Contains(s.Why, "for 30s") {
			t.Errorf("state %s: %s", s.State, s.Why)
		}
		if s.Counts.Received != 100 || s.Debt != 100 || s.OldestUnsettled.IsZero() {
			t.Errorf("%+v", s)
		}
		back.Store(true)
		time.Sleep(3 * time.Second)
		if s := r.Snapshot(); s.Counts.Placed != 5000 || s.State != relay.StateIdle || s.Reconnects == 0 || !s.OldestUnsettled.IsZero() {
			t.Errorf("%+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnUnreachableIncumbentIsWaitedForAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(memory.Reliable("target"))
		b.config.Source = func(context.Context) (bridge.Source, error) { return nil, errors.New("amqp: dial: no route to host") }
		r := b.relay(t)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10 * time.Second)
		if s := r.Snapshot(); s.State != relay.StateWaiting || !strings.Contains(s.Why, "incumbent: amqp: dial") || s.Retries < 5 {
			t.Errorf("%+v", s)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAStopDrainsWithinItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Latency, c.Window, c.Lanes = time.Second, 10, 1
		b := newBench(c)
		b.config.Limits.Drain = 2500 * time.Millisecond
		b.config.Limits.Debt = 100
		b.put(500, 3)
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(1500 * time.Millisecond)
		stop()
		began := time.Now()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2600*time.Millisecond {
			t.Errorf("the stop took %s", took)
		}
		first := r.Snapshot().Counts
		if !first.Balanced() || first.InFlight != 0 || first.GivenBack == 0 {
			t.Errorf("%+v", first)
		}
		b.in.End()
		b.sink.Latency = 0
		if err := b.relay(t).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
	})
}

// A trickle of messages does not hold a batch of memory each.
func TestBodiesInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Latency, c.Lanes = time.Second, 1
		b := newBench(c)
		b.config.Limits = relay.Limits{Bytes: 10_000, Batch: 4}
		for i := range 200 {
			b.in.Put(bridge.Message{Key: "k", ID: producerID(fmt.Sprint(i)), Body: make([]byte, 1000)})
		}
		b.in.End()
		r := b.relay(t)
		done := make(chan error)
		go func() { done <- r.Run(t.Context()) }()
		time.Sleep(500 * time.Millisecond)
		if s := r.Snapshot(); s.Bytes < 10_000 || s.Bytes > 14_000 {
			t.Errorf("%d octets in flight", s.Bytes)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if b.out.Len() != 200 {
			t.Errorf("%d arrived", b.out.Len())
		}
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	src := func(context.Context) (bridge.Source, error) { return nil, errRefused }
	dst := func(context.Context) (bridge.Sink, error) { return nil, errRefused }
	for name, c := range map[string]relay.Config{
		"no sink":          {Source: src},
		"negative debt":    {Source: src, Sink: dst, Limits: relay.Limits{Debt: -1}},
		"backoff reversed": {Source: src, Sink: dst, Limits: relay.Limits{Backoff: time.Second, BackoffMax: time.Millisecond}},
	} {
		if _, err := relay.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r, err := relay.New(relay.Config{Source: src, Sink: dst, SourceTraits: bridge.SourceTraits{Unacked: 500, Slack: 100}, SinkTraits: bridge.SinkTraits{Recall: 400}})
	if err != nil || r.Snapshot().DebtLimit != 300 {
		t.Errorf("the debt is not bounded by what can be recalled: %+v, %v", r.Snapshot(), err)
	}
}

// A predecessor that wakes late may place what waits here behind another message
// of its key. It is found by recall and not sent again. // I6
func TestWhatAPredecessorPlacesMeanwhileIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.Survives, c.Latency, c.Lanes = bridge.SurvivesAny, time.Second, 1
		b := newBench(c)
		b.put(4, 1)
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(100 * time.Millisecond) // the first is stored, the others wait for its answer

		dst, err := b.candidate.Sink(bridge.Identity{Bridge: "test", Relay: "r"}, c)
		if err != nil {
			t.Fatal(err)
		}
		sink, err := dst.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		predecessor, err := sink.Open(ctx, 0, func(int, []bridge.Placement, error) {})
		if err != nil {
			t.Fatal(err)
		}
		second := b.in.All()[1].Message
		if _, err := predecessor.Send(ctx, []*bridge.Message{&second}); err != nil {
			t.Fatal(err)
		}
		b.candidate.Disconnect()
		time.Sleep(time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
		if c := r.Snapshot().Counts; c != (relay.Counts{Received: 4, Placed: 3, Suppressed: 1}) {
			t.Errorf("%+v", c)
		}
	})
}

type ackCounter struct {
	bridge.Source
	acked *atomic.Int64
}

func (a ackCounter) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	a.acked.Add(int64(len(receipts)))
	return a.Source.Ack(ctx, receipts)
}

// What counts is the shard that the source reads, not the one that a message had
// where it first came from: a hop restores that one. // I1
func TestNothingIsAcknowledgedBeforeAnEarlierOneOfItsShardWhereverItComesFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody, c.Lanes = 10, 4
		b := newBench(c)
		for i := range 9 {
			m := bridge.Message{Key: fmt.Sprint("k", i), ID: producerID(fmt.Sprint(i)), Body: []byte("fine")}
			if i == 0 {
				m.Body = []byte("much too large for it")
			}
			b.in.Put(m)
		}
		var acked atomic.Int64
		src, err := b.incumbent.Source(bridge.Identity{Bridge: "test", Relay: "r"}, memory.SourceConfig{Stream: "source"})
		if err != nil {
			t.Fatal(err)
		}
		b.config.Source = func(ctx context.Context) (bridge.Source, error) {
			s, err := src.Open(ctx)
			return ackCounter{s, &acked}, err
		}
		shard := int32(0)
		b.config.Identify = func(d *bridge.Delivery) {
			shard++
			d.Origin = bridge.Origin{Stream: &bridge.Stream{System: "another"}, Shard: shard}
		}
		open := make(chan struct{})
		b.config.Parking = slowLot{newLot(b.incumbent, 0), open}
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute)
		if n := acked.Load(); n != 0 || r.Snapshot().Counts.Placed == 0 {
			t.Errorf("%d acknowledged while the first is not settled; %+v", n, r.Snapshot().Counts)
		}
		close(open)
		time.Sleep(time.Minute)
		if n := acked.Load(); n != 9 {
			t.Errorf("%d of 9 acknowledged", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// Network code wraps io.EOF when a connection breaks; only the bare one is the end
// of finite input.
func TestABrokenConnectionIsNotTheEndOfTheInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(memory.Reliable("target"))
		b.put(10, 2)
		b.in.End()
		src, err := b.incumbent.Source(bridge.Identity{Bridge: "test", Relay: "r"}, memory.SourceConfig{Stream: "source"})
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		b.config.Source = func(ctx context.Context) (bridge.Source, error) {
			if opened++; opened < 4 {
				return nil, fmt.Errorf("nats: read: %w", io.EOF)
			}
			s, err := src.Open(ctx)
			return brokenOnce{s, &opened}, err
		}
		r := b.relay(t)
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() || opened != 5 {
			t.Errorf("%s; opened %d times", v, opened)
		}
	})
}

type brokenOnce struct {
	bridge.Source
	opened *int
}

func (s brokenOnce) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if *s.opened == 4 {
		return 0, fmt.Errorf("nats: read: %w", io.EOF)
	}
	return s.Source.Receive(ctx, into)
}
