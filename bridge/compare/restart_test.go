package compare

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A faint source breaks once it is told to: what it has acknowledged then is lost.
type faint struct {
	bridge.Source
	bridge.Backlogger
	away *atomic.Bool
}

func (f faint) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if f.away.Load() {
		return errAway
	}
	return f.Source.Ack(ctx, receipts)
}

func (f faint) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	n, err := f.Source.Receive(ctx, into)
	if err == nil && f.away.Load() {
		return 0, errAway
	}
	return n, err
}

var errAway = errors.New("the incumbent is away")

// whileAway is a history in which the incumbent forgets what was acknowledged last, goes
// away and is away until the comparison dies. It gives what was found by then, and in the
// next life. If nobody notices, its connection takes acknowledgements meanwhile.
func whileAway(t *testing.T, noticed bool) (before, after Snapshot) {
	p := newPair(t, nil)
	p.unacked = 1 << 15
	cfg := p.config()
	cfg.Found = nil
	var away atomic.Bool
	open := cfg.Streams[drift.Incumbent].Open
	cfg.Streams[drift.Incumbent].Open = func(ctx context.Context) (bridge.Source, error) {
		if away.Load() {
			return nil, errAway
		}
		src, err := open(ctx)
		if err != nil {
			return nil, err
		}
		f := faint{src, src.(bridge.Backlogger), &away}
		if !noticed {
			return dead{f}, nil
		}
		return f, nil
	}
	c, stop := p.start(cfg)
	p.put(500, 10)
	p.copy(nil)
	p.until("it has begun", c, func(s *Snapshot) bool { return s.Begun && s.Matched == 500 })
	p.put(1000, 10)
	p.copy(nil)
	p.until("all is judged", c, func(s *Snapshot) bool { return s.Matched == 1500 })
	away.Store(true)
	p.until("it breaks, and what is judged is let go", c, func(s *Snapshot) bool { return s.Sides[0].Up == !noticed && s.Sides[0].Unjudged == 0 })
	gone := time.Now()
	p.put(100, 10)
	p.copy(nil)
	before = p.until("the candidate goes on for long", c, func(s *Snapshot) bool { return s.Observed[1] == 1600 && s.Sides[1].Read.Sub(gone) > 10*surely })
	stop()
	away.Store(false)
	c, stop = p.start(cfg)
	defer stop()
	p.put(200, 10)
	p.copy(nil)
	after = p.until("all is judged again", c, func(s *Snapshot) bool {
		return s.Begun && s.Observed[0] >= 300 && s.Pending == [2]uint64{} && s.Sides[0].Unjudged == 0 && s.Sides[1].Unjudged == 0
	})
	return before, after
}

// What the incumbent gives again has its copies given again by the candidate.
func TestADeathWhileTheIncumbentIsAway(t *testing.T) {
	for _, noticed := range []bool{true, false} {
		before, after := whileAway(t, noticed)
		expectMatch(t, before, after)
	}
}

func expectMatch(t *testing.T, before, after Snapshot) {
	t.Helper()
	if before.Drift != [drift.Kinds]uint64{} || before.Pending != [2]uint64{0, 100} {
		t.Errorf("before: %+v", before)
	}
	if after.Verdict != Match || after.Matched != after.Observed[0] || after.Matched <= 300 {
		t.Errorf("after: %+v", after)
	}
}
