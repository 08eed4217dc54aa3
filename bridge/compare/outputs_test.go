package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/faulty"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Two consumers produce at their own pace; sessions break and the comparison dies now and
// then: what is found is what was done, and nothing else.
func TestOutputsAcrossDeaths(t *testing.T) {
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	faults := faulty.New(faulty.Plan{Seed: seed, Delay: 2 * time.Millisecond, Rates: map[faulty.Kind]float64{
		faulty.Before: 0.01, faulty.After: 0.01, faulty.Disconnect: 0.01, faulty.Delay: 0.02,
	}})
	broker := memory.NewBroker("mem")
	t.Cleanup(broker.Disconnect)
	var mu sync.Mutex
	found := map[string]Outcome{}
	config := func() OutputsConfig {
		cfg := OutputsConfig{
			Name: "outputs", Join: Join{By: JoinID}, Grace: 300 * time.Millisecond, Limits: Limits{Backoff: time.Millisecond, BackoffMax: 20 * time.Millisecond},
			Found: func(f *OutputFinding) {
				mu.Lock()
				defer mu.Unlock()
				for _, r := range f.Records {
					if r != nil {
						found[r.Message.ID.Value] = f.Outcome
					}
				}
			},
		}
		for _, side := range sideNames[:2] {
			o, err := broker.Source(bridge.Identity{Bridge: "b", Relay: "outputs-" + side}, memory.SourceConfig{Stream: side})
			if err != nil {
				t.Fatal(err)
			}
			opener := faults.Source(o)
			cfg.Streams = append(cfg.Streams, Stream{Open: opener.Open, Traits: opener.Traits()})
		}
		return cfg
	}
	for _, side := range sideNames[:2] {
		broker.Stream(side)
	}
	want := map[string]Outcome{}
	n := 0
	for life := range 3 {
		o, err := NewOutputs(config())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- o.Run(ctx) }()
		until := func(what string, cond func(s *OutputsSnapshot) bool) {
			t.Helper()
			for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(2 * time.Millisecond) {
				s := o.Snapshot()
				if cond(&s) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: %+v", what, s)
				}
			}
		}
		for round := range 30 {
			for range 20 {
				n++
				m := bridge.Message{Key: fmt.Sprint("k", n%7), ID: bridge.ID{Value: fmt.Sprint(n)}, Body: fmt.Appendf(nil, `{"n":%d}`, n)}
				for _, side := range rng.Perm(2) {
					x := m
					if side == 1 && life < 2 && round > 15 && n%150 == 75 {
						want[m.ID.Value] = OutcomeMissing
						continue
					}
					broker.Stream(sideNames[side]).Put(x)
				}
			}
			time.Sleep(time.Duration(rng.IntN(15)) * time.Millisecond)
		}
		until("it has begun, and all is judged", func(s *OutputsSnapshot) bool {
			return s.Begun && s.Pending[0]+s.Pending[1]+s.Pending[2] == 0
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%v, %d missing", faults, len(want))
	mu.Lock()
	defer mu.Unlock()
	for id, outcome := range want {
		if found[id] != outcome && found[id] != "" {
			t.Errorf("%s is %q, want %s", id, found[id], outcome)
		}
	}
	for id, outcome := range found {
		if want[id] != outcome {
			t.Errorf("%s is found %s, and was %q", id, outcome, want[id])
		}
	}
	if len(want) == 0 {
		t.Error("nothing was done")
	}
}
