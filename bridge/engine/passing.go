package engine

import (
	"context"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// passing proves up to when everything that an incumbent had stored has gone through a
// relay: what its tap held at that time was received, and all that was received by then is
// settled.
//
//	asked: what does the tap hold? ─► given: received so far ─► all of it settled: passed
type passing struct {
	session   bridge.Source
	asked     time.Time
	given     func() bool
	upTo      uint64 // received when it was given; 0 is not yet
	givenBack uint64 // then, and when it was asked: what came back comes again

	mu sync.Mutex
	at time.Time
}

// passed is up to when; zero is not known.
func (p *passing) passed() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// look goes on with the proof. One caller at a time.
func (p *passing) look(ctx context.Context, session bridge.Source, snapshot func() relay.Snapshot) {
	s := snapshot()
	if session != p.session || s.Counts.GivenBack != p.givenBack {
		p.session, p.given, p.upTo, p.givenBack = session, nil, 0, s.Counts.GivenBack
	}
	if p.given != nil && p.upTo == 0 && p.given() {
		if s = snapshot(); s.Counts.GivenBack != p.givenBack {
			return
		}
		p.upTo = s.Entered + 1 // never 0
	}
	if p.upTo > 0 && s.Through+1 >= p.upTo {
		p.mu.Lock()
		p.at = p.asked
		p.mu.Unlock()
		p.given, p.upTo = nil, 0
	}
	b, ok := session.(bridge.Backlogger)
	if p.given != nil || !ok {
		return
	}
	asking, cancel := context.WithTimeout(ctx, backlogPatience)
	defer cancel()
	asked := time.Now()
	if given, err := b.Mark(asking); err == nil {
		p.asked, p.given = asked, given
	}
}
