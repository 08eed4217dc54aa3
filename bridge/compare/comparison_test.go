package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/faulty"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A pair is two streams, of which the one is copied to the other by the test.
type pair struct {
	t        *testing.T
	broker   *memory.Broker
	faults   *faulty.Faults
	from, to *memory.Stream
	copied   uint64
	anew     bool // places do not last, as in queues
	unacked  int

	mu    sync.Mutex
	found map[string][]drift.Kind // by ID
}

func newPair(t *testing.T, faults *faulty.Faults) *pair {
	p := &pair{t: t, broker: memory.NewBroker("mem"), faults: faults, found: map[string][]drift.Kind{}}
	t.Cleanup(p.broker.Disconnect)
	for _, s := range []**memory.Stream{&p.from, &p.to} {
		made, err := p.broker.Create(memory.StreamConfig{Name: fmt.Sprint("s", s == &p.to), Shards: 3})
		if err != nil {
			t.Fatal(err)
		}
		*s = made
	}
	return p
}

func (p *pair) stream(name, of string) Stream {
	o, err := p.broker.Source(bridge.Identity{Bridge: "b", Relay: "compare-" + name}, memory.SourceConfig{Stream: of, Unacked: p.unacked})
	if err != nil {
		p.t.Fatal(err)
	}
	opener := bridge.SourceOpener(o)
	if p.faults != nil {
		opener = p.faults.Source(opener)
	}
	s := Stream{Open: opener.Open, Traits: opener.Traits()}
	if p.anew {
		s.Open = func(ctx context.Context) (bridge.Source, error) {
			src, err := opener.Open(ctx)
			if err != nil {
				return nil, err
			}
			return queueLike{src, src.(bridge.Backlogger)}, nil
		}
	}
	return s
}

// A queueLike source tells no lasting places, as queues do.
type queueLike struct {
	bridge.Source
	bridge.Backlogger
}

func (q queueLike) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n, err := q.Source.Receive(ctx, into)
	for i := range n {
		into[i].Stored = bridge.Origin{}
	}
	return n, err
}

func (p *pair) config() Config {
	return Config{
		Name: "c", Streams: [2]Stream{p.stream("i", "sfalse"), p.stream("c", "strue")},
		Drift:  drift.Options{Grace: 400 * time.Millisecond, Stuck: time.Hour},
		Limits: Limits{Backoff: time.Millisecond, BackoffMax: 20 * time.Millisecond, Evidence: 1 << 20},
		Found: func(e *Evidence) {
			f := e.Messages[drift.Incumbent]
			if f == nil {
				f = e.Messages[drift.Candidate]
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if f == nil {
				p.t.Errorf("%s is found without any message", e.Finding.Kind)
				return
			}
			p.found[f.Message.ID.Value] = append(p.found[f.Message.ID.Value], e.Finding.Kind)
		},
	}
}

// start runs a comparison until stop is called.
func (p *pair) start(cfg Config) (c *Comparison, stop func()) {
	p.t.Helper()
	c, err := New(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, func() {
		p.t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				p.t.Errorf("the comparison failed: %v", err)
			}
		case <-time.After(20 * time.Second):
			p.t.Fatal("the comparison does not stop")
		}
	}
}

// put stores messages of so many keys at the incumbent.
func (p *pair) put(n, keys int) {
	for range n {
		i := p.from.Len()
		p.from.Put(bridge.Message{Key: fmt.Sprint("k", i%keys), ID: bridge.ID{Value: fmt.Sprint(i)}, Body: fmt.Appendf(nil, "body %d", i)})
	}
}

// copy brings what the incumbent holds to the candidate, as a relay does, but for what
// each makes of a message.
func (p *pair) copy(each func(m *bridge.Message) []bridge.Message) {
	for _, s := range p.from.From(p.copied + 1) {
		m := s.Message
		m.Via = "b/r"
		p.copied = s.Position
		if each == nil {
			p.to.Put(m)
			continue
		}
		p.to.Put(each(&m)...)
	}
}

func (p *pair) until(what string, c *Comparison, cond func(s *Snapshot) bool) Snapshot {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s := c.Snapshot()
		if cond(&s) {
			return s
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: %+v", what, s)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func seedOf(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d", seed)
	return seed
}

func TestEqualStreamsMatch(t *testing.T) {
	p := newPair(t, nil)
	c, stop := p.start(p.config())
	p.put(5000, 17)
	p.copy(nil)
	s := p.until("5000 match", c, func(s *Snapshot) bool { return s.Matched == 5000 && s.Begun })
	if s.Verdict != Match || s.Pending != [2]uint64{} || s.State != StateComparing {
		t.Errorf("%+v", s)
	}
	s = p.until("all is acknowledged", c, func(s *Snapshot) bool { return s.Sides[0].Unjudged+s.Sides[1].Unjudged == 0 })
	for side := range s.Sides {
		if s.Sides[side].Read.IsZero() {
			t.Errorf("%s: nobody knows how far it was read", drift.Side(side))
		}
	}
	stop()
	if s := c.Snapshot(); s.State != StateStopped {
		t.Errorf("%+v", s)
	}
}

// What each side holds that the other's reader was not there for is no drift.
func TestTheBeginning(t *testing.T) {
	p := newPair(t, nil)
	p.put(1000, 10)
	p.copy(nil)
	cfg := p.config()
	o, err := p.broker.Source(bridge.Identity{Bridge: "b", Relay: "later"}, memory.SourceConfig{Stream: "sfalse", Start: bridge.Start{Kind: bridge.StartNow}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Streams[drift.Incumbent].Open = o.Open
	c, stop := p.start(cfg)
	p.until("both are open", c, func(s *Snapshot) bool { return s.Sides[0].Up && s.Sides[1].Up && s.Observed[1] == 1000 })
	p.put(100, 10)
	p.copy(nil)
	s := p.until("it has begun", c, func(s *Snapshot) bool { return s.Begun && s.Matched == 100 && s.Pending[1] == 0 })
	if s.Verdict != Match || s.Before[drift.Candidate] != 1000 {
		t.Errorf("%+v", s)
	}
	p.to.Put(bridge.Message{Key: "new", ID: bridge.ID{Value: "x"}, Body: []byte("x")})
	p.until("what only the candidate has is extra by now", c, func(s *Snapshot) bool { return s.Drift[drift.Extra] == 1 })
	stop()
}

// A fault is one thing that happens between the streams.
var faultsBetween = []struct {
	kind drift.Kind
	make func(m *bridge.Message) []bridge.Message
}{
	{drift.Missing, func(*bridge.Message) []bridge.Message { return nil }},
	{drift.Duplicate, func(m *bridge.Message) []bridge.Message { return []bridge.Message{*m, *m} }},
	{drift.Corrupted, func(m *bridge.Message) []bridge.Message {
		m.Body = append([]byte("!"), m.Body...)
		return []bridge.Message{*m}
	}},
	{drift.HeaderLossy, func(m *bridge.Message) []bridge.Message {
		m.Headers = []bridge.Header{{Name: "x"}}
		return []bridge.Message{*m}
	}},
	{drift.Extra, func(m *bridge.Message) []bridge.Message {
		other := *m
		other.ID.Value += "-extra"
		return []bridge.Message{*m, other}
	}},
}

// deaths is a history in which sessions break, brokers repeat, and the comparison itself
// dies, again and again.
type deaths struct {
	*pair
	rng   *rand.Rand
	count int
	want  map[string]drift.Kind // by ID
}

func newDeaths(t *testing.T, seed uint64, anew bool, unacked int) *deaths {
	faults := faulty.New(faulty.Plan{Seed: seed, Delay: 2 * time.Millisecond, Rates: map[faulty.Kind]float64{
		faulty.Before: 0.01, faulty.After: 0.01, faulty.Disconnect: 0.01, faulty.Delay: 0.02,
	}})
	d := &deaths{pair: newPair(t, faults), rng: rand.New(rand.NewPCG(seed, 1)), want: map[string]drift.Kind{}}
	d.anew, d.unacked = anew, unacked
	return d
}

// between does wrong to one of many messages, and notes what is to be found.
func (d *deaths) between(m *bridge.Message) []bridge.Message {
	if d.count++; d.count < 400 || d.rng.IntN(150) > 0 {
		return []bridge.Message{*m}
	}
	f := faultsBetween[d.rng.IntN(len(faultsBetween))]
	id := m.ID.Value
	out := f.make(m)
	if f.kind == drift.Extra {
		id += "-extra"
	}
	d.want[id] = f.kind
	return out
}

func (d *deaths) live(lives int) {
	for life := range lives {
		c, stop := d.start(d.config())
		for range 20 {
			d.put(50+d.rng.IntN(100), 20)
			d.copy(d.between)
			time.Sleep(time.Duration(d.rng.IntN(20)) * time.Millisecond)
		}
		if life == lives-1 {
			d.put(200, 20)
			d.copy(nil)
			d.until("all is judged", c, func(s *Snapshot) bool {
				return s.Begun && s.Pending == [2]uint64{} && s.Sides[0].Unjudged+s.Sides[1].Unjudged == 0
			})
		}
		if life == 0 || life == lives-1 { // the beginning of each life is to be over
			d.until("it has begun", c, func(s *Snapshot) bool { return s.Begun })
		}
		stop()
	}
}

// verdict is what was done and not found, and what was found and not done.
func (d *deaths) verdict() (unseen, wrong []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, k := range d.want {
		if len(d.found[id]) == 0 {
			unseen = append(unseen, fmt.Sprintf("%s of %s", k, id))
		}
	}
	for id, kinds := range d.found {
		for _, k := range kinds {
			if was, done := d.want[id]; !done || k != was {
				wrong = append(wrong, fmt.Sprintf("%s of %s; done %t: %s", k, id, done, was))
			}
		}
	}
	return unseen, wrong
}

// Whatever breaks and dies: what is found is what was done, all of it, and nothing else.
func TestFaultsAreFoundAcrossDeaths(t *testing.T) {
	for _, tc := range []struct {
		name    string
		anew    bool
		unacked int
	}{{"log", false, 0}, {"queue", true, 0}, {"queue with few unacknowledged", true, 1500}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := newDeaths(t, seedOf(t), tc.anew, tc.unacked)
			d.live(4)
			unseen, wrong := d.verdict()
			t.Logf("%v, %d faults", d.faults, len(d.want))
			if t.Logf("%d are not found: let go before they were judged, and forgotten with a death", len(unseen)); len(unseen) == len(d.want) {
				t.Error("nothing is found")
			}
			if tc.unacked == 0 && len(unseen) > 0 {
				t.Errorf("not found: %v", unseen)
			}
			if len(wrong) > 0 {
				t.Errorf("found: %v", wrong)
			}
		})
	}
}

// A gappy source leaves out some messages, and says so.
type gappy struct {
	bridge.Source
	bridge.Backlogger
	from, to int // by number
	gap      bool
}

func (g *gappy) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	for {
		n, err := g.Source.Receive(ctx, into)
		kept := 0
		for i := range n {
			var number int
			if _, err := fmt.Sscan(into[i].ID.Value, &number); err == nil && g.from <= number && number < g.to {
				g.gap = true
				continue
			}
			into[kept] = into[i]
			into[kept].Gap, g.gap = g.gap, false
			kept++
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// What a reader was not given is no drift of the other side's, and no match.
func TestGapsAreIncomparable(t *testing.T) {
	for side := range drift.Side(2) {
		p := newPair(t, nil)
		cfg := p.config()
		open := cfg.Streams[side].Open
		cfg.Streams[side].Open = func(ctx context.Context) (bridge.Source, error) {
			src, err := open(ctx)
			if err != nil {
				return nil, err
			}
			return &gappy{Source: src, Backlogger: src.(bridge.Backlogger), from: 500, to: 520}, nil
		}
		c, stop := p.start(cfg)
		p.put(400, 10)
		p.copy(nil)
		p.until("it has begun", c, func(s *Snapshot) bool { return s.Begun && s.Matched == 400 })
		p.put(400, 10)
		p.copy(nil)
		s := p.until("all is judged", c, func(s *Snapshot) bool {
			return s.Matched == 780 && s.Pending == [2]uint64{} && s.Sides[0].Unjudged+s.Sides[1].Unjudged <= 20 // the gap's own are nobody's
		})
		if s.Incomparable[1-side] != 20 || s.Verdict != Incomparable || s.Drift != [drift.Kinds]uint64{} {
			t.Errorf("a gap of the %s: %+v", side, s)
		}
		stop()
	}
}
