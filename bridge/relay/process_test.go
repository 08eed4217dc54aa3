package relay_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A process stands for one run of the bridge, which can be killed or stopped at
// any instant. It decorates what its relay opens: once it is killed nothing of
// it reaches a broker any more and nothing of a broker reaches it; while it is
// stopped its calls wait, and go through, late, when it continues.
type process struct {
	// gap, if set, says of which message of a Send the broker keeps nothing although
	// it keeps later ones, before the connection breaks; -1 is none.
	gap func(n int) int

	mu      sync.Mutex
	dead    bool
	stopped chan struct{} // closed when it continues; nil while it runs
	died    chan struct{}
}

func newProcess() *process { return &process{died: make(chan struct{})} }

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.dead = true
		close(p.died)
	}
}

func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped == nil {
		p.stopped = make(chan struct{})
	}
}

func (p *process) cont() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped != nil {
		close(p.stopped)
		p.stopped = nil
	}
}

// step is passed before and after every call; it fails once the process is dead.
func (p *process) step() error {
	p.mu.Lock()
	dead, stopped := p.dead, p.stopped
	p.mu.Unlock()
	if dead {
		return bridge.ErrClosed
	}
	if stopped == nil {
		return nil
	}
	select {
	case <-stopped:
		return p.step()
	case <-p.died:
		return bridge.ErrClosed
	}
}

func (p *process) source(open func(context.Context) (bridge.Source, error)) func(context.Context) (bridge.Source, error) {
	return func(ctx context.Context) (bridge.Source, error) {
		if err := p.step(); err != nil {
			return nil, err
		}
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return &processSource{s, p}, nil
	}
}

type processSource struct {
	bridge.Source
	p *process
}

func (s *processSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if err := s.p.step(); err != nil {
		return 0, err
	}
	n, err := s.Source.Receive(ctx, into)
	if gone := s.p.step(); gone != nil {
		return 0, gone
	}
	return n, err
}

func (s *processSource) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if err := s.p.step(); err != nil {
		return err
	}
	return s.Source.Ack(ctx, receipts)
}

func (s *processSource) Hold(ctx context.Context) error {
	if err := s.p.step(); err != nil {
		return err
	}
	return s.Source.(bridge.Holder).Hold(ctx)
}

func (s *processSource) Resumes(each func(bridge.Origin)) { s.Source.(bridge.Resumer).Resumes(each) }
func (s *processSource) First(upTo []bridge.Origin)       { s.Source.(bridge.Resumer).First(upTo) }

func (p *process) sink(open func(context.Context) (bridge.Sink, error)) func(context.Context) (bridge.Sink, error) {
	return func(ctx context.Context) (bridge.Sink, error) {
		if err := p.step(); err != nil {
			return nil, err
		}
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		if router, ok := s.(bridge.Router); ok {
			return struct {
				*processSink
				bridge.Router
			}{&processSink{s, p}, router}, nil
		}
		return &processSink{s, p}, nil
	}
}

type processSink struct {
	bridge.Sink
	p *process
}

func (s *processSink) Open(ctx context.Context, lane int, settled bridge.Settled) (bridge.Lane, error) {
	if err := s.p.step(); err != nil {
		return nil, err
	}
	pl := &processLane{p: s.p}
	l, err := s.Sink.Open(ctx, lane, func(n int, placements []bridge.Placement, err error) {
		if s.p.step() == nil && !pl.broken.Load() {
			settled(n, placements, err)
		}
	})
	if err != nil {
		return nil, err
	}
	pl.Lane = l
	return pl, nil
}

func (s *processSink) Recall(ctx context.Context, lane, n int, each func(bridge.Placed) bool) error {
	if err := s.p.step(); err != nil {
		return err
	}
	return s.Sink.(bridge.Recaller).Recall(ctx, lane, n, each)
}

type processLane struct {
	bridge.Lane
	p      *process
	broken atomic.Bool
}

var errBroken = errors.New("the connection broke")

func (l *processLane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if err := l.p.step(); err != nil {
		return 0, err
	}
	if l.broken.Load() {
		return 0, errBroken
	}
	if l.p.gap != nil {
		if i := l.p.gap(len(msgs)); i >= 0 {
			n, err := l.Lane.Send(ctx, msgs[:i])
			if err != nil {
				return n, err
			}
			l.broken.Store(true)
			if _, err := l.Lane.Send(ctx, msgs[i+1:]); err != nil {
				return i, err
			}
			return i, errBroken
		}
	}
	return l.Lane.Send(ctx, msgs)
}
