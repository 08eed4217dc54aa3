package compare

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// By windows of the messages' own time what is equal matches and what is missing is found,
// once both sides are read; and where all times are from long ago, it is said so.
func TestByWindows(t *testing.T) {
	for _, old := range []time.Duration{0, time.Hour} {
		p := newPair(t, nil)
		cfg := p.config()
		cfg.Found = nil
		cfg.Windows = &Windows{Every: 100 * time.Millisecond, Lateness: 200 * time.Millisecond, Behind: 500 * time.Millisecond}
		c, stop := p.start(cfg)
		p.until("both are read", c, func(s *Snapshot) bool { return !s.Sides[0].Read.IsZero() && !s.Sides[1].Read.IsZero() })
		n := 0
		put := func(s *Snapshot) bool {
			n++
			p.from.Put(bridge.Message{Key: fmt.Sprint("k", n%7), ID: bridge.ID{Value: fmt.Sprint(n)}, Time: time.Now().Add(-old)})
			p.copy(func(m *bridge.Message) []bridge.Message {
				if n%50 == 0 {
					return nil
				}
				return []bridge.Message{*m}
			})
			if old > 0 {
				return s.Observed[1] > 0 && strings.HasPrefix(s.Why, "by their own times, all messages so far are from before the first window")
			}
			return s.Matched > 200 && s.Drift[drift.Missing] > 1
		}
		if s := p.until("windows are judged, or not", c, put); s.Drift != [drift.Kinds]uint64{drift.Missing: s.Drift[drift.Missing]} || old > 0 && s.Matched > 0 {
			t.Errorf("%v old: %+v", old, s)
		}
		stop()
	}
}
