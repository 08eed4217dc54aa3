package relay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A history is one seeded run: a producer, a relay that dies, stops, and is
// replaced, brokers that cut and forget, and a verdict over the two streams.
type history struct {
	seed      uint64
	messages  int // to produce
	produced  int
	keys      int
	sink      memory.SinkConfig
	slack     int
	debt      int
	turn      int // of the incumbent's shards
	anySubset bool
	shards    int          // if set, the incumbent has so many, which come in turns
	routed    bool         // the candidate dictates lanes, and is partitioned anew now and then
	poison    bool         // the candidate refuses some, which hold their keys
	running   *relay.Relay // the latest
	more      func() bool  // if set, whether something is left although the input is exhausted
	mu        sync.Mutex
	struck    map[string]int // faults by kind
	unbalance string
}

func (h *history) shape(rng *rand.Rand) {
	h.messages, h.keys = 600+rng.IntN(900), 1+rng.IntN(20)
	h.slack = rng.IntN(40)
	if h.shards > 0 {
		h.slack, h.turn = 0, 1+rng.IntN(60)
	}
	h.sink = memory.Reliable("target")
	h.sink.Lanes = 1 + rng.IntN(4)
	h.sink.Window = 1 + rng.IntN(60)
	h.sink.Latency = time.Duration(rng.IntN(20)) * time.Millisecond
	h.debt = 20 + rng.IntN(236)
	h.sink.Recall = h.debt + h.slack // as little as the debt allows
	if rng.IntN(3) == 0 {
		h.sink.Fence = bridge.FenceEpoch
	}
	if h.anySubset {
		h.sink.Survives = bridge.SurvivesAny
	}
	if h.sink.Routed = h.routed; h.routed {
		h.sink.Fence = bridge.FenceEpoch
	}
	h.struck = map[string]int{}
}

func (h *history) strike(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.struck[kind]++
}

func (h *history) count(kind string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.struck[kind]
}

// run plays the history in virtual time and judges it.
func (h *history) run(t *testing.T) (v verdict) {
	rng := rand.New(rand.NewPCG(h.seed, 1))
	h.shape(rng)
	synctest.Test(t, func(t *testing.T) {
		incumbent, candidate := memory.NewBroker("old"), memory.NewBroker("new")
		in := h.incumbent(incumbent)
		out := candidate.Stream("target")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		h.act(ctx, rng, 2, incumbent, candidate, func() { h.produce(rng, in) })
		v = compare(in.All(), out.All(), nil)
	})
	return v
}

// incumbent makes the stream of the incumbent.
func (h *history) incumbent(b *memory.Broker) *memory.Stream {
	s, err := b.Create(memory.StreamConfig{Name: "source", Shards: max(1, h.shards)})
	if err != nil {
		panic(err)
	}
	return s
}

// act does something while processes of the bridge come and go, until one of them
// is through with everything.
func (h *history) act(ctx context.Context, rng *rand.Rand, stream uint64, incumbent, candidate *memory.Broker, meanwhile func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(meanwhile)
	h.disturb(ctx, rand.New(rand.NewPCG(h.seed, stream)), &wg, incumbent, candidate)
}

// produce puts bursts of messages; now and then a producer repeats itself.
func (h *history) produce(rng *rand.Rand, in *memory.Stream) {
	var recent []bridge.Message
	for n, until := h.produced, h.produced+h.messages; n < until; {
		for range 1 + rng.IntN(40) {
			key := fmt.Sprintf("metric-%d", int(float64(h.keys)*rng.Float64()*rng.Float64()))
			m := bridge.Message{Key: key, ID: producerID(fmt.Sprint(n)), Body: fmt.Appendf(nil, "value %d", n%7)}
			if h.poison && rng.IntN(60) == 0 {
				m.Body = []byte(tooLarge)
				h.strike("poison")
			}
			if len(recent) > 0 && rng.IntN(12) == 0 {
				m = recent[rng.IntN(len(recent))]
			}
			in.Put(m)
			if recent = append(recent, m); len(recent) > 30 {
				recent = recent[1:]
			}
			n++
			h.produced = n
		}
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
	}
	in.End()
}

// disturb runs one process of the bridge after another, and cuts, forgets,
// kills and stops in between, until everything is through.
func (h *history) disturb(ctx context.Context, rng *rand.Rand, wg *sync.WaitGroup, incumbent, candidate *memory.Broker) {
	for {
		p := newProcess()
		if h.anySubset {
			p.gap = h.gaps(rng.Uint64())
		}
		done := make(chan struct{})
		run, stop := context.WithCancel(ctx)
		r := h.relay(p, incumbent, candidate)
		h.mu.Lock()
		h.running = r
		h.mu.Unlock()
		wg.Go(func() {
			defer close(done)
			if err := r.Run(run); err != nil && ctx.Err() == nil {
				h.unbalance = "relay failed: " + err.Error()
			}
			if c := r.Snapshot().Counts; !c.Balanced() || c.InFlight != 0 {
				h.unbalance = fmt.Sprintf("%+v", c)
			}
		})
		if h.live(ctx, rng, done, incumbent, candidate) {
			stop()
			if h.more == nil || ctx.Err() != nil || !h.more() {
				return
			}
			continue
		}
		switch {
		case rng.IntN(2) == 0: // it stops, and wakes beside its successor
			h.strike("stopped")
			p.stop()
			late := time.Duration(rng.IntN(900)) * time.Millisecond
			wg.Go(func() {
				time.Sleep(late)
				p.cont()
				time.Sleep(time.Second)
				p.kill()
				stop()
			})
		default:
			h.strike("killed")
			p.kill()
			stop()
		}
	}
}

// live lets a process live for a while; true when it finished its work.
func (h *history) live(ctx context.Context, rng *rand.Rand, done chan struct{}, incumbent, candidate *memory.Broker) bool {
	for range 1 + rng.IntN(4) {
		wait := time.Duration(rng.IntN(400)) * time.Millisecond
		if h.count("killed")+h.count("stopped") >= 8 {
			wait = time.Hour
		}
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return true
		case <-time.After(wait):
		}
		faults := 4
		if h.routed {
			faults = 7
		}
		switch rng.IntN(faults) {
		case 0:
			h.strike("incumbent cut")
			incumbent.Disconnect()
		case 1:
			h.strike("candidate cut")
			candidate.Disconnect()
		case 2:
			h.strike("incumbent restarted")
			incumbent.Restart()
		case 3:
			h.strike("candidate restarted")
			candidate.Restart()
		default: // an operator adds partitions
			h.strike("partitioned anew")
			out := candidate.Stream("target")
			out.Repartition(out.Partitions() + 1 + rng.IntN(3))
		}
	}
	return false
}

// gaps loses one message in the middle of every tenth pipeline or so.
func (h *history) gaps(seed uint64) func(n int) int {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 3))
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		if n < 2 || rng.IntN(10) > 0 || h.count("lost in the middle") > 200 {
			return -1
		}
		h.strike("lost in the middle")
		return rng.IntN(n)
	}
}

func (h *history) relay(p *process, incumbent, candidate *memory.Broker) *relay.Relay {
	id := bridge.Identity{Bridge: "test", Relay: "chaos"}
	src, err := incumbent.Source(id, memory.SourceConfig{Stream: "source", Slack: h.slack, Unacked: 300, Turn: h.turn})
	if err != nil {
		panic(err)
	}
	dst, err := candidate.Sink(id, h.sink)
	if err != nil {
		panic(err)
	}
	cfg := relay.Config{
		Identity: id, Source: p.source(src.Open), SourceTraits: src.Traits(), Sink: p.sink(dst.Open), SinkTraits: dst.Traits(),
		Limits: relay.Limits{Batch: 16, Drain: time.Second, Debt: h.debt, Window: 100000},
	}
	if h.poison {
		cfg.Parking, cfg.Hold = p.parking(h.place(incumbent)), true
	}
	r, err := relay.New(cfg)
	if err != nil {
		panic(err)
	}
	return r
}

// Whatever is killed, stopped, cut or restarted, in whatever order: nothing is
// lost, doubled, reordered or altered on a target that is fenced and read back,
// and every process accounts for each message it received.
func TestHistories(t *testing.T) {
	seeds := 160
	if testing.Short() {
		seeds = 30
	}
	base := uint64(time.Now().UnixNano()) % 1e9
	total := map[string]int{}
	for i := range seeds {
		h := &history{seed: uint64(i), anySubset: i%3 == 2}
		if i%4 == 3 { // a quarter is fresh each time
			h.seed = base + uint64(i)
		}
		v := h.run(t)
		if !v.clean() || h.unbalance != "" {
			t.Errorf("seed %d: %s; counts: %s; faults: %v", h.seed, v, h.unbalance, h.struck)
		}
		for k, n := range h.struck {
			total[k] += n
		}
	}
	t.Logf("%d histories, fresh seeds from %d, faults: %v", seeds, base, total)
	for _, kind := range []string{"killed", "stopped", "incumbent cut", "candidate cut", "incumbent restarted", "candidate restarted", "lost in the middle"} {
		if total[kind] < 3 {
			t.Errorf("%q struck %d times; want at least 3", kind, total[kind])
		}
	}
}

// The same where the incumbent has several shards, each with a position of its own.
func TestShardedHistories(t *testing.T) {
	seeds := uint64(240)
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		h := &history{seed: seed, shards: 2 + int(seed%5), anySubset: seed%3 == 2, routed: seed%6 == 4}
		if v := h.run(t); !v.clean() || h.unbalance != "" {
			t.Errorf("seed %d: %s; counts: %s; faults: %v", h.seed, v, h.unbalance, h.struck)
		}
	}
}

var errRefused = errors.New("refused")
