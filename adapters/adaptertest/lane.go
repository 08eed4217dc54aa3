package adaptertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A lane is a session of a lane under watch: every call and every answer is
// held against the contract.
type lane struct {
	bridge.Lane
	e    *env
	sink bridge.Sink
	own  bool // the sink is for this lane only, and ends with it
	over bool // the lane has ended by itself

	mu         sync.Mutex
	limit      int // messages handed over, or being handed over
	settled    int
	placements []bridge.Placement // zero where none were given
	err        error              // what ended the lane, as settled said
	closed     bool               // Close has returned
	changed    chan struct{}      // capacity 1
}

// sink opens a connection to the target.
func (e *env) sink(p Process) bridge.Sink {
	e.Helper()
	var s bridge.Sink
	var err error
	e.until("the sink opens", func() bool {
		err = e.bounded("Open of the sink", func(ctx context.Context) (err error) {
			s, err = p.Sink.Open(ctx)
			return err
		})
		if err != nil && bridge.ClassOf(err) == bridge.Stopping {
			e.Fatalf("open the sink: %v", err)
		}
		return err == nil
	})
	e.Cleanup(func() { e.closeSink(s) })
	return s
}

func (e *env) closeSink(s bridge.Sink) {
	e.Helper()
	if err := e.bounded("Close of the sink", func(context.Context) error { return s.Close() }); err != nil {
		e.Logf("close of the sink: %v", err)
	}
}

// lane opens a session of a lane on a sink of its own. A predecessor that holds
// a lock may take a moment to be gone, so transient errors are tried again.
func (e *env) lane(p Process, number int) *lane {
	e.Helper()
	l := e.laneOn(e.sink(p), number)
	l.own = true
	return l
}

func (e *env) laneOn(s bridge.Sink, number int) *lane {
	e.Helper()
	var l *lane
	var err error
	e.until("the lane opens", func() bool {
		l, err = e.tryLane(s, number)
		if err != nil {
			e.Logf("open of lane %d: %v", number, err)
			if bridge.ClassOf(err) != bridge.Transient {
				e.Fatalf("open lane %d: %v", number, err)
			}
		}
		return err == nil
	})
	return l
}

func (e *env) tryLane(s bridge.Sink, number int) (*lane, error) {
	e.Helper()
	l := &lane{e: e, sink: s, changed: make(chan struct{}, 1)}
	err := e.bounded("Open of a lane", func(ctx context.Context) (err error) {
		l.Lane, err = s.Open(ctx, number, l.onSettled)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.Cleanup(l.end)
	return l, nil
}

// onSettled is the lane's callback. It may be called from any goroutine.
func (l *lane) onSettled(n int, placements []bridge.Placement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		l.e.breach("settled(%d, %v) was called after Close had returned", n, err)
	case l.err != nil:
		l.e.breach("settled(%d, %v) was called after an error: %v", n, err, l.err)
	case n < 0, n == 0 && err == nil:
		l.e.breach("settled(%d, nil) says nothing", n)
	case l.settled+n > l.limit:
		l.e.breach("settled %d of %d messages that were handed over", l.settled+n, l.limit)
	case placements != nil && len(placements) != n:
		l.e.breach("settled %d messages with %d placements", n, len(placements))
	}
	if len(placements) != n {
		placements = make([]bridge.Placement, max(n, 0))
	}
	l.settled += max(n, 0)
	l.placements = append(l.placements, placements...)
	if err != nil {
		l.err = err
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// send hands messages over and checks the shape of the answer.
func (l *lane) send(msgs []bridge.Message) (int, error) {
	l.e.Helper()
	pointers := make([]*bridge.Message, len(msgs))
	for i := range msgs {
		pointers[i] = &msgs[i]
	}
	l.mu.Lock()
	before := l.limit
	l.limit += len(msgs)
	l.mu.Unlock()
	n := 0
	err := l.e.bounded("Send", func(ctx context.Context) (err error) {
		n, err = l.Send(ctx, pointers)
		return err
	})
	l.mu.Lock()
	l.limit = before + max(n, 0)
	if l.settled > l.limit {
		l.e.breach("Send of %d handed over %d, but %d are settled of %d", len(msgs), n, l.settled, l.limit)
	}
	l.mu.Unlock()
	switch {
	case n < 0, n > len(msgs):
		l.e.Fatalf("Send of %d messages handed over %d", len(msgs), n)
	case err == nil && n < len(msgs):
		l.e.Errorf("Send of %d messages handed over %d without an error", len(msgs), n)
	case err != nil && n == len(msgs) && n > 0:
		l.e.Errorf("Send of %d messages handed over all, with error %v", len(msgs), err)
	}
	return n, err
}

// state is what has been settled, and what ended the lane.
func (l *lane) state() (settled int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled, l.err
}

// await waits until so many are settled or the lane has ended, and says which.
func (l *lane) await(settled int) (int, error) {
	l.e.Helper()
	timer := time.NewTimer(l.e.patience)
	defer timer.Stop()
	for {
		n, err := l.state()
		if n >= settled || err != nil {
			return n, err
		}
		select {
		case <-l.changed:
		case <-timer.C:
			return n, errPatience
		}
	}
}

var errPatience = errors.New("nothing more was settled for as long as the patience lasts")

// deliver sends messages and wants all of them settled.
func (l *lane) deliver(msgs []bridge.Message) {
	l.e.Helper()
	before, _ := l.state()
	if _, err := l.send(msgs); err != nil {
		l.e.Fatalf("send of %d messages: %v", len(msgs), err)
	}
	if n, err := l.await(before + len(msgs)); n < before+len(msgs) {
		l.e.Fatalf("settled %d of %d messages: %v", n-before, len(msgs), err)
	}
}

// deliverAnyhow has messages settled in a session of their own, or in a later one
// if what earlier sessions left on its way gets in between.
func (e *env) deliverAnyhow(msgs []bridge.Message) {
	e.Helper()
	for range 5 {
		l := e.lane(e.process(), 0)
		_, err := l.send(msgs)
		if err == nil {
			var n int
			if n, err = l.await(len(msgs)); n == len(msgs) {
				l.end()
				return
			}
		}
		e.Logf("a session was refused: %v", err)
		l.end()
	}
	e.Fatalf("five sessions in a row were refused")
}

// end closes the lane, and the sink if it is the lane's own.
func (l *lane) end() {
	l.e.Helper()
	if err := l.e.bounded("Close of the lane", func(context.Context) error { return l.Close() }); err != nil {
		l.e.Logf("close of the lane: %v", err)
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if l.own {
		l.e.closeSink(l.sink)
	}
}

// given gives a copy of the placements so far.
func (l *lane) given() []bridge.Placement {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]bridge.Placement(nil), l.placements...)
}

// recall reads back up to n messages of a lane, and gives them oldest first.
func (l *lane) recall(number, n int) []bridge.Placed {
	l.e.Helper()
	all := l.recallWhile(number, n, func(int) bool { return true })
	slices.Reverse(all)
	return all
}

// recallWhile reads back messages of a lane for as long as more, which is told how many
// have come, wants some.
func (l *lane) recallWhile(number, n int, more func(int) bool) []bridge.Placed {
	l.e.Helper()
	r, ok := l.sink.(bridge.Recaller)
	if !ok {
		l.e.Fatalf("the trait Recall is not 0, but the sink is no Recaller")
	}
	var all []bridge.Placed
	err := l.e.bounded("Recall", func(ctx context.Context) error {
		return r.Recall(ctx, number, n, func(p bridge.Placed) bool {
			all = append(all, p)
			return more(len(all))
		})
	})
	if err != nil {
		l.e.Fatalf("recall %d: %v", n, err)
	}
	return all
}
