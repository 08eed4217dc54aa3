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

// A longLot takes its time to be read, as one does that holds much.
type longLot struct{ *lot }

func (l longLot) Each(ctx context.Context, f func(*bridge.Parked) error) error {
	time.Sleep(10 * time.Second)
	return l.lot.Each(ctx, f)
}

// A retry comes to its end although more joins a held key, in the time that a pass
// takes, than a pass sends.
func TestARetryCatchesUpWithItsLiveMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory.Reliable("target")
		c.MaxBody, c.Latency, c.Lanes = 1<<15, time.Millisecond, 1
		b := newBench(c)
		place, operator := newLot(b.incumbent, 0), newLot(b.incumbent, 0)
		b.config.Parking, b.config.Hold = longLot{place}, true
		body, n := make([]byte, 1<<14), 0 // a pass sends about a thousand of those
		put := func(body []byte) {
			b.in.Put(bridge.Message{Key: "a", ID: producerID(fmt.Sprint(n)), Body: body})
			n++
		}
		put(make([]byte, 1<<16))
		for range 1500 {
			put(body)
		}
		start := func() (r interface{ Look() }, parked func() int, stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			run := b.relay(t)
			go func() { done <- run.Run(ctx) }()
			return run, func() int { return run.Snapshot().ParkedNow }, func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		_, _, stop := start()
		time.Sleep(time.Minute)
		stop()
		b.sink.MaxBody = 0 // mended
		if err := operator.Retry(t.Context(), []string{operator.all(t)[0].Ref}); err != nil {
			t.Fatal(err)
		}
		_, parked, stop := start()
		time.Sleep(11 * time.Second) // it has read what is parked
		began := time.Now()
		for parked() > 0 && time.Since(began) < 5*time.Minute {
			put(body)
			time.Sleep(5 * time.Millisecond)
		}
		if left := parked(); left > 0 {
			t.Errorf("%d are parked after %s", left, time.Since(began))
		}
		time.Sleep(time.Minute)
		if v := compare(b.in.All(), b.out.All(), nil); !v.clean() {
			t.Error(v)
		}
		stop()
	})
}
