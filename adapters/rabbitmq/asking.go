package rabbitmq

import (
	"context"
	"errors"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// asking has one question about the backlog under way at a time. The client
// library waits for an answer as long as the connection lives, so the question
// goes on by itself when its asker has given up.
type asking struct {
	mu   sync.Mutex
	busy bool
}

var errStillAsking = errors.New("rabbitmq: backlog: the broker has not answered the question before this one")

func (a *asking) ask(ctx context.Context, n *session, f func(context.Context) (bridge.Backlog, error)) (bridge.Backlog, error) {
	if !a.begin() {
		return bridge.Backlog{}, errStillAsking
	}
	type answer struct {
		b   bridge.Backlog
		err error
	}
	answers := make(chan answer, 1)
	if !n.start(func() {
		defer a.end()
		b, err := f(ctx)
		answers <- answer{b, err}
	}) {
		a.end()
		return bridge.Backlog{}, bridge.ErrClosed
	}
	select {
	case got := <-answers:
		return got.b, got.err
	case <-ctx.Done():
		return bridge.Backlog{}, context.Cause(ctx)
	}
}

// inTurn runs f beside the session once nobody else has the turn, a channel with room for
// one. Like a question it goes on when its asker has given up, and keeps the turn.
func inTurn[T any](ctx context.Context, n *session, turn chan struct{}, f func() (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	type answer struct {
		is  T
		err error
	}
	answers := make(chan answer, 1)
	if !n.start(func() {
		defer func() { <-turn }()
		is, err := f()
		answers <- answer{is, err}
	}) {
		<-turn
		return none, bridge.ErrClosed
	}
	select {
	case got := <-answers:
		return got.is, got.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

func (a *asking) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy {
		return false
	}
	a.busy = true
	return true
}

func (a *asking) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = false
}
