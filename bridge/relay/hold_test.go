package relay_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

const tooLarge = "much too large for it"

// shapes are the targets on which holding is tried.
func shapes() map[string]memory.SinkConfig {
	out := map[string]memory.SinkConfig{}
	for _, survives := range []bridge.Survivors{bridge.SurvivesPrefix, bridge.SurvivesAny} {
		for _, latency := range []time.Duration{0, 3 * time.Millisecond} {
			c := memory.Reliable("target")
			c.Survives, c.MaxBody, c.Latency, c.Lanes = survives, 10, latency, 2
			out[fmt.Sprintf("%s survives, %s", survives, latency)] = c
		}
	}
	return out
}

// putPoison fills the source: every seventh message of some keys is refused.
func (b *bench) putPoison(n, keys int) {
	for i := range n {
		m := bridge.Message{Key: fmt.Sprint("k", i%keys), ID: producerID(fmt.Sprint(i)), Body: []byte("fine")}
		if i%keys < 3 && i/keys%7 == 2 {
			m.Body = []byte(tooLarge)
		}
		b.in.Put(m)
	}
}

// A refused message holds its key: what comes later of it is parked behind it, in
// order, and nothing of it reaches the candidate. Other keys go on.
func TestARefusedMessageHoldsItsKey(t *testing.T) {
	for name, c := range shapes() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(c)
				place := newLot(b.incumbent, 2)
				b.config.Parking, b.config.Hold = place, true
				b.putPoison(200, 5)
				b.in.End()
				r := b.relay(t)
				if err := r.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				aside := map[string]bool{}
				wantNext := map[string]int{"k0": 2 * 5, "k1": 2*5 + 1, "k2": 2*5 + 2}
				for _, p := range place.all(t) {
					i := wantNext[p.Message.Key]
					wantNext[p.Message.Key] += 5
					wantReason := bridge.ReasonHeld
					if i < 3*5 {
						wantReason = bridge.ReasonOversized
					}
					if p.Message.ID.Value != fmt.Sprint(i) || !p.Hold || p.Reason != wantReason {
						t.Fatalf("parked %s %s, hold %v; want %d and %s", p.Message.ID.Value, p.Reason, p.Hold, i, wantReason)
					}
					aside[p.Message.ID.Value] = true
				}
				if v := compare(b.in.All(), b.out.All(), aside); !v.clean() || len(aside) != 3*38 {
					t.Errorf("%d parked: %s", len(aside), v)
				}
				s := r.Snapshot()
				if s.ParkedNow != len(aside) || s.HeldKeys != 3 || !s.Counts.Balanced() || s.Counts.Parked != uint64(len(aside)) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What an operator retries is sent in order, before the live messages of its key,
// which go on while it is.
func TestARetryReplaysAHeldKeyInOrderBeforeItsLiveMessages(t *testing.T) {
	for name, c := range shapes() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(c)
				place, operator := newLot(b.incumbent, 0), newLot(b.incumbent, 0)
				b.config.Parking, b.config.Hold = place, true
				b.putPoison(400, 5)
				first := b.relay(t)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- first.Run(ctx) }()
				time.Sleep(time.Minute)
				if s := first.Snapshot(); s.HeldKeys != 3 || s.Debt != 0 {
					t.Fatalf("%+v", s)
				}
				retry := func(r interface{ Look() }, key string) {
					t.Helper()
					for _, p := range operator.all(t) {
						if p.Message.Key == key {
							if err := operator.Retry(t.Context(), []string{p.Ref}); err != nil {
								t.Fatal(err)
							}
							r.Look()
							return
						}
					}
				}
				retry(first, "k0") // in vain: it is still too large
				time.Sleep(time.Minute)
				if s := first.Snapshot(); s.HeldKeys != 3 || s.Retrying || !s.Counts.Balanced() {
					t.Fatalf("%+v", s)
				}
				stop()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				b.sink.MaxBody = 0 // mended
				second := b.relay(t)
				ctx, stop = context.WithCancel(t.Context())
				go func() { done <- second.Run(ctx) }()
				var live int
				for _, key := range []string{"k0", "k1", "k2"} {
					retry(second, key)
					for range 300 { // comes in while it is sent again
						b.in.Put(bridge.Message{Key: key, ID: producerID(fmt.Sprint("live", live)), Body: []byte("fine")})
						live++
						time.Sleep(time.Millisecond)
					}
				}
				time.Sleep(time.Minute)
				if s := second.Snapshot(); s.HeldKeys != 0 || s.ParkedNow != 0 || s.Retrying || !s.Counts.Balanced() || s.Debt != 0 {
					t.Errorf("%+v", s)
				}
				if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
					t.Error(v)
				}
				stop()
				<-done
			})
		})
	}
}

// What an operator discards lets go of its key when nothing else holds it.
func TestADiscardLetsGoOfTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody = 10
		b := newBench(c)
		place := newLot(b.incumbent, 0)
		b.config.Parking, b.config.Hold = place, true
		b.in.Put(bridge.Message{Key: "a", ID: producerID("1"), Body: []byte(tooLarge)}, bridge.Message{Key: "a", ID: producerID("2"), Body: []byte("fine")})
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Second)
		operator := newLot(b.incumbent, 0)
		all := operator.all(t)
		if len(all) != 2 {
			t.Fatalf("%+v", all)
		}
		if err := operator.Discard(t.Context(), []string{all[0].Ref}); err != nil {
			t.Fatal(err)
		}
		if err := operator.Retry(t.Context(), []string{all[1].Ref}); err != nil {
			t.Fatal(err)
		}
		r.Look()
		b.in.Put(bridge.Message{Key: "a", ID: producerID("3"), Body: []byte("fine")})
		time.Sleep(time.Minute)
		if out := b.out.All(); len(out) != 2 || out[0].ID.Value != "2" || out[1].ID.Value != "3" {
			t.Errorf("%+v", out)
		}
		if s := r.Snapshot(); s.ParkedNow != 0 || s.HeldKeys != 0 {
			t.Errorf("%+v", s)
		}
		stop()
		<-done
	})
}

// What expired while it was parked stays there until it is discarded.
func TestWhatExpiredWhileParkedIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody = 10
		b := newBench(c)
		place := newLot(b.incumbent, 0)
		b.config.Parking, b.config.Hold = place, true
		b.in.Put(bridge.Message{Key: "a", ID: producerID("1"), Body: []byte(tooLarge), Expires: time.Now().Add(time.Minute)})
		b.in.Put(bridge.Message{Key: "a", ID: producerID("2"), Body: []byte("fine")})
		r := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Hour)
		operator := newLot(b.incumbent, 0)
		if err := operator.Retry(t.Context(), []string{operator.all(t)[1].Ref}); err != nil {
			t.Fatal(err)
		}
		r.Look()
		time.Sleep(time.Minute)
		all := operator.all(t)
		if len(all) != 2 || all[0].Reason != bridge.ReasonExpired || all[0].Retry || b.out.Len() != 0 {
			t.Errorf("%+v, %d placed", all, b.out.Len())
		}
		stop()
		<-done
	})
}

// The relay stops before it parks everything there is.
func TestTooManyParkedStopTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody, c.Lanes = 1, 1
		b := newBench(c)
		place := newLot(b.incumbent, 0)
		b.config.Parking = place
		b.config.Limits.Parked = 20
		b.put(100, 3)
		err := b.relay(t).Run(t.Context())
		if bridge.ClassOf(orNil(err)) != bridge.Stopping || len(place.all(t)) > 20 {
			t.Errorf("%v, %d parked", err, len(place.all(t)))
		}
	})
}

func orNil(err error) error {
	if err == nil {
		return bridge.ErrClosed
	}
	return err
}

// What was parked before a message that expired meanwhile is sent again; what was
// parked behind it stays.
func TestAnExpiredMessageStopsOnlyWhatIsBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody, c.Latency = 10, 3*time.Millisecond
		b := newBench(c)
		b.config.Parking, b.config.Hold = newLot(b.incumbent, 0), true
		b.in.Put(bridge.Message{Key: "a", ID: producerID("1"), Body: []byte(tooLarge)},
			bridge.Message{Key: "a", ID: producerID("2"), Body: []byte("fine"), Expires: time.Now().Add(time.Minute)},
			bridge.Message{Key: "a", ID: producerID("3"), Body: []byte("fine")})
		first := b.relay(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- first.Run(ctx) }()
		time.Sleep(time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		operator := newLot(b.incumbent, 0)
		if err := operator.Retry(t.Context(), []string{operator.all(t)[0].Ref}); err != nil {
			t.Fatal(err)
		}
		b.sink.MaxBody = 0 // mended
		ctx, stop = context.WithCancel(t.Context())
		go func() { done <- b.relay(t).Run(ctx) }()
		time.Sleep(time.Minute)
		all, out := operator.all(t), b.out.All()
		if len(out) != 1 || out[0].ID.Value != "1" || len(all) != 2 || all[0].Reason != bridge.ReasonExpired || all[1].Message.ID.Value != "3" {
			t.Errorf("placed %+v, parked %+v", out, all)
		}
		stop()
		<-done
	})
}
