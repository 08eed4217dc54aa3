package compare

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// Of what is stored from where both sides are to be the same on, everything counts from the
// first message on: nothing is from before.
func TestWholeHistories(t *testing.T) {
	const n, keys = 5000, 200
	for _, tc := range []struct {
		what string
		copy func(p *pair)
		want [drift.Kinds]uint64
	}{
		{"every message twice", func(p *pair) {
			p.copy(func(m *bridge.Message) []bridge.Message { return []bridge.Message{*m, *m} })
		}, [drift.Kinds]uint64{drift.Duplicate: n}},
		{"from the end", func(p *pair) {
			for _, s := range slices.Backward(p.from.From(1)) {
				p.to.Put(s.Message)
			}
		}, [drift.Kinds]uint64{drift.Reordered: n - keys}},
		{"all bodies broken, and the first of each key again", func(p *pair) {
			p.copy(func(m *bridge.Message) []bridge.Message { m.Body = []byte("broken"); return []bridge.Message{*m} })
			for _, s := range p.from.From(1)[:keys] {
				p.to.Put(s.Message)
			}
		}, [drift.Kinds]uint64{drift.Corrupted: n, drift.Duplicate: keys}},
	} {
		p := newPair(t, nil)
		cfg := p.config()
		cfg.Found, cfg.Whole = nil, true
		p.put(n, keys)
		tc.copy(p)
		cfg.End = time.Now()
		c, stop := p.start(cfg)
		if s := p.until("it ends", c, func(s *Snapshot) bool { return s.State == StateStopped }); s.Drift != tc.want || s.Matched != n || s.Verdict != Drift {
			t.Errorf("%s: %+v", tc.what, s)
		}
		stop()
	}
}

// A slow source gives little at a time.
type slow struct {
	bridge.Source
	bridge.Backlogger
}

func (s slow) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
	return s.Source.Receive(ctx, into[:min(100, len(into))])
}

// More history than may wait, and a candidate that gives only so much un-acknowledged: both
// are read to the end.
func TestAFullIncumbentAndABoundCandidate(t *testing.T) {
	p := newPair(t, nil)
	p.put(10_000, 10)
	p.copy(nil)
	cfg := p.config()
	p.unacked = 1500
	cfg.Streams[drift.Candidate] = p.stream("c", "strue")
	cfg.Limits.Pending = 2500
	open := cfg.Streams[drift.Candidate].Open
	cfg.Streams[drift.Candidate].Open = func(ctx context.Context) (bridge.Source, error) {
		src, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return slow{src, src.(bridge.Backlogger)}, nil
	}
	c, stop := p.start(cfg)
	defer stop()
	if s := p.until("all is compared", c, func(s *Snapshot) bool { return s.Matched == 10_000 && s.Pending == [2]uint64{} }); s.Verdict != Match {
		t.Errorf("%+v", s)
	}
}

// A system that does not tell what it holds keeps nothing from being compared but what only
// that can settle, and it is said why.
func TestASystemThatDoesNotTell(t *testing.T) {
	p := newPair(t, nil)
	c, err := New(p.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.readers {
		r.opened, r.link.up = time.Second, true
		r.answered(2*time.Second, nil, errors.New("no\x1b permission"))
	}
	for now, want := range map[time.Duration]bool{time.Second + unasked - 1: false, time.Second + unasked: true} {
		c.aligned = false
		if c.align(now, drift.Watermarks{}); c.aligned != want {
			t.Errorf("after %v keys are judged: %t", now, c.aligned)
		}
	}
	c.epoch = c.epoch.Add(-time.Minute)
	if s := c.Snapshot(); !strings.HasPrefix(s.Why, "the incumbent does not tell what it holds, so what is missing or extra cannot be: no\\x1B permission") {
		t.Errorf("%q", s.Why)
	}
	if c.readers[0].answered(c.now(), func() bool { return true }, nil); c.readers[0].mute != "" {
		t.Error("and once it does")
	}
}

// A dead source takes acknowledgements for a while and answers nothing, before anybody
// notices that its connection is dead.
type dead struct {
	faint
}

func (d dead) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if d.away.Load() {
		return nil
	}
	return d.Source.Ack(ctx, receipts)
}

func (d dead) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n, err := d.Source.Receive(ctx, into)
	if err == nil && d.away.Load() {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	return n, err
}

func (d dead) Mark(ctx context.Context) (func() bool, error) {
	if d.away.Load() {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return d.Backlogger.Mark(ctx)
}

func (d dead) Settled(ctx context.Context) error {
	if d.away.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// An unsettled source tells what it holds, and not what it has read.
type unsettled struct {
	bridge.Source
	bridge.Backlogger
}

func (unsettled) Settled(context.Context) error { return errAway }

// Where only acknowledgements are not answered, everything is judged all the same, and
// nothing of the candidate's is let go.
func TestASourceThatDoesNotSettle(t *testing.T) {
	p := newPair(t, nil)
	cfg := p.config()
	open := cfg.Streams[drift.Incumbent].Open
	cfg.Streams[drift.Incumbent].Open = func(ctx context.Context) (bridge.Source, error) {
		src, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return unsettled{src, src.(bridge.Backlogger)}, nil
	}
	c, stop := p.start(cfg)
	defer stop()
	p.put(100, 10)
	p.copy(func(m *bridge.Message) []bridge.Message {
		if m.ID.Value == "50" {
			return nil
		}
		return []bridge.Message{*m}
	})
	s := p.until("what is missing is found", c, func(s *Snapshot) bool { return s.Matched == 99 && s.Drift[drift.Missing] == 1 })
	if s.Sides[drift.Candidate].Unjudged != 99 {
		t.Errorf("%+v", s.Sides)
	}
}
