package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A sample is one message of telemetry, as it stands in a body.
type sample struct {
	Metric int     `json:"metric"`
	Seq    uint64  `json:"seq"` // of the metric, from 1
	Value  float64 `json:"value"`
	Sent   int64   `json:"sent"` // nanoseconds since 1970
	Host   string  `json:"host"`
}

var gauges = [...]string{"cpu.user", "cpu.system", "mem.used", "disk.read", "disk.write", "net.in", "net.out", "load.1m", "temp.cpu", "fan.rpm"}

// subject names a metric as a telemetry company would: host and gauge.
func subject(metric int) string {
	return fmt.Sprintf("telemetry.host-%03d.%s", metric/len(gauges), gauges[metric%len(gauges)])
}

// A producer publishes bursts of samples and remembers what was confirmed.
type producer struct {
	metrics int
	rate    int // messages a second, on average
	rng     *rand.Rand

	sequences []uint64  // by metric: the last one published
	level     []float64 // by metric

	mu        sync.Mutex
	confirmed []uint64 // by metric: the last sequence
	total     uint64
}

func newProducer(metrics, rate int, seed uint64) *producer {
	return &producer{
		metrics: metrics, rate: rate, rng: rand.New(rand.NewPCG(seed, 0)),
		sequences: make([]uint64, metrics), level: make([]float64, metrics), confirmed: make([]uint64, metrics),
	}
}

// tick is how often the producer publishes a burst.
const tick = 20 * time.Millisecond

// run publishes until ctx ends. Then it calls quiet and publishes one more sample of each
// metric that has any, so that something comes behind whatever was done wrong by then. It
// returns once everything is confirmed.
func (p *producer) run(ctx context.Context, url string, quiet func()) error {
	nc, err := nats.Connect(url, nats.Name("demo producer"))
	if err != nil {
		return fmt.Errorf("demo: producer: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1<<16))
	if err != nil {
		return fmt.Errorf("demo: producer: %w", err)
	}
	every := time.NewTicker(tick)
	defer every.Stop()
	for ctx.Err() == nil {
		burst := make([]int, p.burst())
		for i := range burst {
			// Squaring makes some metrics busy and most quiet.
			u := p.rng.Float64()
			burst[i] = int(u * u * float64(p.metrics))
		}
		if err := p.send(js, burst); err != nil {
			return err
		}
		select {
		case <-every.C:
		case <-ctx.Done():
		}
	}
	quiet()
	var last []int
	for m, n := range p.sequences {
		if n > 0 {
			last = append(last, m)
		}
	}
	return p.send(js, last)
}

// send publishes a sample of each of the metrics, and returns once they are confirmed.
func (p *producer) send(js jetstream.JetStream, metrics []int) error {
	pending := make([]jetstream.PubAckFuture, 0, len(metrics))
	for _, m := range metrics {
		p.sequences[m]++
		p.level[m] += p.rng.NormFloat64()
		f, err := p.publish(js, sample{Metric: m, Seq: p.sequences[m], Value: p.level[m], Sent: time.Now().UnixNano(), Host: fmt.Sprintf("host-%03d", m/len(gauges))})
		if err != nil {
			return err
		}
		pending = append(pending, f)
	}
	return p.confirm(pending)
}

// burst is how many samples come at once: quiet, normal, or three times as many.
func (p *producer) burst() int {
	n := float64(p.rate) * tick.Seconds()
	switch p.rng.IntN(10) {
	case 0, 1:
		return int(n * 3)
	case 2, 3, 4:
		return int(n / 4)
	default:
		return int(n * 0.73)
	}
}

// unitHeader is what every sample carries beside its body.
const unitHeader = "Unit"

func (p *producer) publish(js jetstream.JetStream, s sample) (jetstream.PubAckFuture, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("demo: producer: %w", err)
	}
	msg := nats.NewMsg(subject(s.Metric))
	msg.Data = body
	msg.Header.Set(unitHeader, "percent")
	f, err := js.PublishMsgAsync(msg, jetstream.WithMsgID(fmt.Sprintf("m%d-%d", s.Metric, s.Seq)))
	if err != nil {
		return nil, fmt.Errorf("demo: producer: %w", err)
	}
	return f, nil
}

// confirm waits for the burst's acknowledgements and then counts it.
func (p *producer) confirm(pending []jetstream.PubAckFuture) error {
	for _, f := range pending {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("demo: producer: the incumbent refused a sample: %w", err)
		case <-time.After(startDeadline):
			return errors.New("demo: producer: the incumbent does not confirm")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	copy(p.confirmed, p.sequences)
	p.total += uint64(len(pending))
	return nil
}

// produced is how many samples the incumbent has confirmed.
func (p *producer) produced() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// last gives, by metric, the last confirmed sequence.
func (p *producer) last() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]uint64(nil), p.confirmed...)
}
