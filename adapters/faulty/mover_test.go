package faulty_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/faulty"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// A mover is the simplest thing that brings everything across whatever fails:
// one batch at a time, and after any error everything anew.
type mover struct {
	*setting
	traits bridge.SinkTraits
	parked map[string]bool
	lives  int
}

func newMover(t *testing.T, seed uint64, c memory.SinkConfig) *mover {
	rates := faulty.Evenly(0.06)
	rates[faulty.Zombie] = 0.06
	s := set(t, faulty.Plan{Seed: seed, Rates: rates, Most: 12, Refuse: func(m *bridge.Message) error {
		if string(m.Body) == "body 100" {
			return bridge.Reject(bridge.ReasonPoison, errors.New("chosen"))
		}
		return nil
	}}, c)
	return &mover{setting: s, traits: s.sink.Traits(), parked: map[string]bool{}}
}

const moved = 400

// run moves 400 messages.
func (m *mover) run(t *testing.T) {
	t.Helper()
	m.in.Put(messages(0, moved, 5)...)
	m.in.End()
	for m.lives = 1; ; m.lives++ {
		if m.lives > 1000 {
			t.Fatalf("%s: no end after 1000 lives", m.f)
		}
		if m.live(t.Context()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// live works until something fails; true when all is through.
func (m *mover) live(ctx context.Context) bool {
	src, err := m.source.Open(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = src.Close() }() // a mover that dies does not ask
	snk, err := m.sink.Open(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = snk.Close() }()
	p := &progress{changed: make(chan struct{}, 1)}
	l, err := snk.Open(ctx, 0, p.settle)
	if err != nil {
		return false
	}
	defer func() { _ = l.Close() }()
	known := map[string]bool{}
	if r, ok := snk.(bridge.Recaller); ok && m.traits.Recall > 0 {
		if r.Recall(ctx, 0, 256, func(p bridge.Placed) bool { known[p.ID.Value] = true; return true }) != nil {
			return false
		}
	}
	if src.(bridge.Holder).Hold(ctx) != nil {
		return false
	}
	into := make([]bridge.Delivery, 16)
	for {
		n, err := src.Receive(ctx, into)
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if !m.move(ctx, l, p, into[:n], known) {
			return false
		}
		receipts := make([]bridge.Receipt, n)
		for i := range n {
			receipts[i] = into[i].Receipt
		}
		if src.Ack(ctx, receipts) != nil {
			return false
		}
	}
}

// move sends what is not known to have landed, and waits for the answers.
func (m *mover) move(ctx context.Context, l bridge.Lane, p *progress, ds []bridge.Delivery, known map[string]bool) bool {
	for len(ds) > 0 {
		var batch []*bridge.Message
		keys := map[string]bool{}
		for len(ds) > 0 {
			d := &ds[0]
			if m.traits.Survives == bridge.SurvivesAny && keys[d.Key] {
				break // at most one of a key in flight
			}
			ds = ds[1:]
			if known[d.ID.Value] || m.parked[d.ID.Value] {
				continue
			}
			known[d.ID.Value], keys[d.Key] = true, true
			batch = append(batch, &d.Message)
		}
		if !m.deliver(ctx, l, p, batch) {
			return false
		}
	}
	return true
}

func (m *mover) deliver(ctx context.Context, l bridge.Lane, p *progress, batch []*bridge.Message) bool {
	for len(batch) > 0 {
		p.expect(batch)
		n, err := l.Send(ctx, batch)
		if bridge.ReasonOf(err) != "" {
			m.parked[batch[n].ID.Value] = true
			if p.wait(ctx, n, m.parked) != nil {
				return false
			}
			batch = batch[n+1:]
			continue
		}
		return err == nil && p.wait(ctx, n, m.parked) == nil
	}
	return true
}

// progress is what a lane has reported of a batch.
type progress struct {
	mu      sync.Mutex
	batch   []*bridge.Message
	done    int
	refused []string
	err     error
	changed chan struct{}
}

func (p *progress) expect(batch []*bridge.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch, p.done = batch, 0
}

func (p *progress) settle(n int, ps []bridge.Placement, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range ps {
		if ps[i].Refused != nil {
			p.refused = append(p.refused, p.batch[p.done+i].ID.Value)
		}
	}
	p.done += n
	if err != nil {
		p.err = err
		if bridge.ReasonOf(err) != "" {
			p.refused = append(p.refused, p.batch[p.done].ID.Value)
		}
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *progress) wait(ctx context.Context, n int, parked map[string]bool) error {
	for {
		p.mu.Lock()
		done, err := p.done, p.err
		for _, id := range p.refused {
			parked[id] = true
		}
		p.refused = nil
		p.mu.Unlock()
		if err != nil || done >= n {
			return err
		}
		select {
		case <-p.changed:
		case <-time.After(time.Minute):
			return errors.New("no answer for a minute")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wrong says what is lost, there twice or out of order at the target.
func (m *mover) wrong() (lost, twice, disordered int) {
	seen, latest := map[string]bool{}, map[string]int{}
	for _, s := range m.out.All() {
		var i int
		_, err := fmt.Sscanf(s.ID.Value, "id-%d", &i)
		switch {
		case err != nil:
			lost++
		case seen[s.ID.Value]:
			twice++
			continue
		case i < latest[s.Key]:
			disordered++
		}
		seen[s.ID.Value] = true
		latest[s.Key] = max(latest[s.Key], i)
	}
	return lost + moved - 1 - len(seen), twice, disordered
}

// A careful mover brings everything across, once and in order, under all faults,
// each of which strikes.
func TestEverythingStrikesAndIsSurvived(t *testing.T) {
	total := map[faulty.Kind]int{}
	for seed := range uint64(80) {
		c := memory.Reliable("out")
		c.Survives = bridge.Survivors(seed % 2)
		c.Latency = time.Duration(seed/2%2) * time.Millisecond
		if seed%3 == 0 {
			c.Fence = bridge.FenceEpoch
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMover(t, seed, c)
			m.run(t)
			if lost, twice, disordered := m.wrong(); lost+twice+disordered > 0 || !m.parked["id-100"] || len(m.parked) != 1 {
				t.Errorf("%s: lost %d, twice %d, disordered %d, parked %v", m.f, lost, twice, disordered, m.parked)
			}
			for k, n := range m.f.Counts() {
				total[k] += n
			}
			m.broker.Disconnect()
		})
	}
	for _, k := range append(faulty.Kinds(), faulty.Refuse, faulty.ZombieLanded, faulty.ZombieRefused) {
		if total[k] < 80 {
			t.Errorf("%s struck %d times in 80 seeds", k, total[k])
		}
	}
	t.Logf("%v", total)
}

// Without its precautions the same mover is caught out, so the faults do bite.
func TestWithoutFenceOrRecallItShows(t *testing.T) {
	for name, c := range map[string]memory.SinkConfig{
		"no recall": {Fence: bridge.FenceExpect},
		"no fence":  {Recall: 1 << 12},
	} {
		lost, twice, disordered := 0, 0, 0
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				m := newMover(t, seed, c)
				m.run(t)
				l, w, d := m.wrong()
				lost, twice, disordered = lost+l, twice+w, disordered+d
			})
		}
		if lost > 0 || twice == 0 {
			t.Errorf("%s: lost %d, twice %d, disordered %d; want repeats and no loss", name, lost, twice, disordered)
		}
		t.Logf("%s: twice %d, disordered %d", name, twice, disordered)
	}
	if !slices.Contains(faulty.Kinds(), faulty.Zombie) {
		t.Error("zombies are no fault")
	}
}
