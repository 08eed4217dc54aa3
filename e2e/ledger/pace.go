package ledger

import (
	"context"
	"time"
)

// A Pace bounds how fast a load is produced.
type Pace struct {
	// Rate is messages per second; 0 is as fast as the incumbent confirms.
	Rate int
	// Window is how many may be unconfirmed; 0 is 1,000.
	Window int
}

func (p Pace) window() int {
	if p.Window == 0 {
		return 1000
	}
	return p.Window
}

// A meter holds a producer or a reader to its rate, a slice of a second at a time.
type meter struct {
	rate  int
	since time.Time
	done  int
}

// wait returns when the next message is due, or ctx ends.
func (m *meter) wait(ctx context.Context) {
	m.done++
	if m.rate == 0 || m.done%max(1, m.rate/50) != 0 {
		return
	}
	if m.since.IsZero() {
		m.since = time.Now()
	}
	due := m.since.Add(time.Duration(m.done) * time.Second / time.Duration(m.rate))
	pause(ctx, time.Until(due))
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// redial is how long a client waits before it tries a lost system again.
const redial = 100 * time.Millisecond
