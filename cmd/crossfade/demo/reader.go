package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Verdict is what the reader of the candidate found.
type Verdict struct {
	Produced   uint64 // confirmed by the incumbent
	Read       uint64 // read from the candidate, repeats included
	Lost       uint64 // confirmed by the incumbent and not at the candidate
	Duplicated uint64 // more than once at the candidate
	Reordered  uint64 // at the candidate after a later one of its metric
	P50, P99   time.Duration
}

// Clean says that something moved, and all of it once and in order.
func (v Verdict) Clean() bool {
	return v.Produced > 0 && v.Lost == 0 && v.Duplicated == 0 && v.Reordered == 0
}

// A reader follows the candidate's stream with its own consumer.
type reader struct {
	take func(body []byte, at time.Time) // see, or what a test puts before it

	mu      sync.Mutex
	next    []uint64           // by metric: the sequence expected
	holes   map[[2]uint64]bool // metric and sequence that were passed over
	verdict Verdict
	lags    []time.Duration // of the newest samples, a ring
	at      int
}

// lagSamples is over how many samples percentiles are taken.
const lagSamples = 20_000

func newReader(metrics int) *reader {
	r := &reader{next: make([]uint64, metrics), holes: map[[2]uint64]bool{}, lags: make([]time.Duration, 0, lagSamples)}
	for i := range r.next {
		r.next[i] = 1
	}
	r.take = r.see
	return r
}

// run follows the stream until ctx ends. It outlives restarts of the server: an
// ordered consumer goes on behind the last message that it handed over.
func (r *reader) run(ctx context.Context, url, stream string) error {
	nc, err := nats.Connect(url, nats.Name("demo reader"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		return fmt.Errorf("demo: reader: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("demo: reader: %w", err)
	}
	for from := uint64(1); ctx.Err() == nil; {
		from = r.follow(ctx, js, stream, from)
	}
	return nil
}

// follow reads from a stream sequence on and gives the one to go on with.
func (r *reader) follow(ctx context.Context, js jetstream.JetStream, stream string, from uint64) uint64 {
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		pause(ctx, 100*time.Millisecond)
		return from
	}
	it, err := c.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		pause(ctx, 100*time.Millisecond)
		return from
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	for {
		m, err := it.Next()
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			return from
		}
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream < from {
			continue
		}
		from = meta.Sequence.Stream + 1
		r.take(m.Data(), time.Now())
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// see judges one body.
func (r *reader) see(body []byte, now time.Time) {
	var s sample
	err := json.Unmarshal(body, &s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdict.Read++
	if err != nil || s.Metric < 0 || s.Metric >= len(r.next) || s.Seq == 0 {
		return // it leaves a hole where the real one should have been
	}
	hole := [2]uint64{uint64(s.Metric), s.Seq}
	switch next := r.next[s.Metric]; {
	case s.Seq >= next:
		for q := next; q < s.Seq; q++ {
			r.holes[[2]uint64{uint64(s.Metric), q}] = true
		}
		r.next[s.Metric] = s.Seq + 1
	case r.holes[hole]:
		delete(r.holes, hole)
		r.verdict.Reordered++
	default:
		r.verdict.Duplicated++
	}
	r.lag(now.Sub(time.Unix(0, s.Sent)))
}

func (r *reader) lag(d time.Duration) {
	if len(r.lags) < lagSamples {
		r.lags = append(r.lags, d)
		return
	}
	r.lags[r.at] = d
	r.at = (r.at + 1) % lagSamples
}

// judge compares with what the incumbent confirmed, by metric. While samples are
// under way they count as lost, so it is final only once all is read.
func (r *reader) judge(produced uint64, last []uint64) Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.verdict
	v.Produced = produced
	v.Lost = uint64(len(r.holes))
	for m, seq := range last {
		if seq >= r.next[m] {
			v.Lost += seq - r.next[m] + 1
		}
	}
	if n := len(r.lags); n > 0 {
		sorted := slices.Clone(r.lags)
		slices.Sort(sorted)
		v.P50, v.P99 = sorted[n/2], sorted[n*99/100]
	}
	return v
}

// now is the verdict so far: what is under way is not lost, what was passed over
// is.
func (r *reader) now() Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.verdict
	v.Lost = uint64(len(r.holes))
	return v
}

// errUnclean is what Run returns when the summary is not clean.
var errUnclean = errors.New("demo: the candidate's stream differs from the incumbent's")
