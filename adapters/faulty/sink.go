package faulty

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Sink decorates the opener of a target. The result, and the sinks it opens,
// have the abilities that o and its sinks have.
func (f *Faults) Sink(o bridge.SinkOpener) bridge.SinkOpener {
	d := &sinkOpener{SinkOpener: o, faults: f, graves: &graves{zombies: map[int][]*zombie{}}}
	checker, isChecker := o.(bridge.Checker)
	_, isSited := o.(bridge.Sited)
	switch {
	case isChecker && isSited:
		return struct {
			*sinkOpener
			bridge.Checker
			sitedSink
		}{d, checker, sitedSink{o}}
	case isChecker:
		return struct {
			*sinkOpener
			bridge.Checker
		}{d, checker}
	case isSited:
		return struct {
			*sinkOpener
			sitedSink
		}{d, sitedSink{o}}
	}
	return d
}

// A sitedSink says what its opener says of its site.
type sitedSink struct{ opener bridge.SinkOpener }

// Site is as bridge.Sited says.
func (s sitedSink) Site(ctx context.Context) (bridge.Site, error) {
	return s.opener.(bridge.Sited).Site(ctx)
}

// Names are those that its opener says, if any.
func (s sitedSink) Names() []string { return names(s.opener) }

func names(opener any) []string {
	if n, ok := opener.(bridge.Named); ok {
		return n.Names()
	}
	return nil
}

// AcceptsRecreated says that the relay may go on where its target was made anew.
func (s sitedSink) AcceptsRecreated() bool {
	o, ok := s.opener.(interface{ AcceptsRecreated() bool })
	return ok && o.AcceptsRecreated()
}

type sinkOpener struct {
	bridge.SinkOpener
	faults *Faults
	graves *graves
}

// Open is as bridge.SinkOpener says, but for the faults.
func (o *sinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	k := o.faults.draw("sink: open", Before, After, Delay)
	switch k.kind {
	case Before:
		return nil, k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return nil, err
		}
	}
	inner, err := o.SinkOpener.Open(ctx)
	if err != nil {
		return nil, err
	}
	if k.kind == After {
		return nil, errors.Join(k.err, inner.Close())
	}
	subset := o.Traits().Survives == bridge.SurvivesAny
	return capable(&sink{Sink: inner, faults: o.faults, graves: o.graves, subset: subset}, inner), nil
}

// capable gives s the abilities that inner has.
func capable(s *sink, inner bridge.Sink) bridge.Sink {
	_, isRecaller := inner.(bridge.Recaller)
	router, isRouter := inner.(bridge.Router)
	locator, isLocator := inner.(bridge.Locator)
	r := recaller{s}
	switch {
	case isRecaller && isRouter && isLocator:
		return struct {
			*sink
			recaller
			bridge.Router
			bridge.Locator
		}{s, r, router, locator}
	case isRecaller && isRouter:
		return struct {
			*sink
			recaller
			bridge.Router
		}{s, r, router}
	case isRecaller && isLocator:
		return struct {
			*sink
			recaller
			bridge.Locator
		}{s, r, locator}
	case isRouter && isLocator:
		return struct {
			*sink
			bridge.Router
			bridge.Locator
		}{s, router, locator}
	case isRecaller:
		return struct {
			*sink
			recaller
		}{s, r}
	case isRouter:
		return struct {
			*sink
			bridge.Router
		}{s, router}
	case isLocator:
		return struct {
			*sink
			bridge.Locator
		}{s, locator}
	}
	return s
}

type sink struct {
	bridge.Sink
	faults *Faults
	graves *graves
	subset bool // any subset of a failed pipeline may survive
}

// Loops is as inner says; not to know is the same as that nothing does.
func (s *sink) Loops(m *bridge.Message) bool {
	l, ok := s.Sink.(bridge.Looper)
	return ok && l.Loops(m)
}

// Open is as bridge.Sink says, but for the faults.
func (s *sink) Open(ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
	k := s.faults.draw(fmt.Sprintf("lane %d: open", number), Before, After, Delay)
	switch k.kind {
	case Before:
		return nil, k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return nil, err
		}
	}
	l := &lane{
		sink: s, number: number, outer: settled, allow: -1,
		name: fmt.Sprintf("lane %d: send", number), refusals: fmt.Sprintf("lane %d: refuse", number),
	}
	inner, err := s.Sink.Open(ctx, number, l.onSettled)
	if err != nil {
		return nil, err
	}
	if k.kind == After {
		return nil, errors.Join(k.err, inner.Close())
	}
	l.inner = inner
	return l, nil
}

// A recaller is the ability of a sink to read back.
type recaller struct{ s *sink }

// Recall is as bridge.Recaller says, but for the faults.
func (r recaller) Recall(ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
	k := r.s.faults.draw(fmt.Sprintf("lane %d: recall", number), Before, After, Partial, Delay)
	switch k.kind {
	case Before:
		return k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return err
		}
	case Partial: // some, and then the connection is lost
		left, given := k.rng.IntN(n+1), each
		each = func(p bridge.Placed) bool {
			left--
			return left >= 0 && given(p)
		}
	}
	err := r.s.Sink.(bridge.Recaller).Recall(ctx, number, n, each)
	if err == nil && (k.kind == After || k.kind == Partial) {
		return k.err
	}
	return err
}

// graves hold what predecessors have left on its way, by lane.
type graves struct {
	mu      sync.Mutex
	zombies map[int][]*zombie
}

// A zombie is a session that was closed without the system's knowledge, and what
// it still has to say.
type zombie struct {
	inner bridge.Lane
	msgs  []*bridge.Message
	after int // of the successor's Sends
}

func (g *graves) bury(number int, z *zombie) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.zombies[number] = append(g.zombies[number], z)
}

// risen takes those out whose time has come once the successor has sent so many
// times.
func (g *graves) risen(number, sends int) (all []*zombie) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kept := g.zombies[number][:0]
	for _, z := range g.zombies[number] {
		if z.after <= sends {
			all = append(all, z)
		} else {
			kept = append(kept, z)
		}
	}
	g.zombies[number] = kept
	return all
}

// walk has the lane's predecessors send what they still have.
func (l *lane) walk(ctx context.Context) {
	l.sends++
	for _, z := range l.graves.risen(l.number, l.sends) {
		if !l.faults.stopped() {
			if _, err := z.inner.Send(ctx, z.msgs); err == nil {
				l.faults.count(ZombieLanded)
			} else {
				l.faults.count(ZombieRefused)
			}
		}
		_ = z.inner.Close() // it was closed long ago, as far as its owner knows
	}
}
