package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var closeChecks = []check{
	{"Close", "of a source unblocks Receive, and may be repeated", []waiver{needsSource}, closeUnblocksReceive},
	{"Close", "of a source while it is used ends everything", []waiver{needsSource}, closeSourceInUse},
	{"Close", "of a lane unblocks Send, and may be repeated", []waiver{needsSink}, closeUnblocksSend},
	{"Close", "of a lane is the last that is heard of it", []waiver{needsSink}, closeIsLast},
	{"Close", "returns within seconds after the connection was lost", nil, closeAfterDeath},
	{"Close", noneLeft, nil, noGoroutines},
	{"Open", "ends with ctx", nil, openEndsWithContext},
	{"Open", "missing topology is Fatal, with a hint", []waiver{needsTopology}, missingIsFatal},
}

func closeUnblocksReceive(e *env) {
	t := e.tap(e.process())
	done := t.start(e.Context(), 4)
	e.stillRuns("Receive from an empty source", done)
	t.close()
	if err := e.returns("Receive", done); !errors.Is(err, bridge.ErrClosed) {
		e.Errorf("Receive, when the source was closed: %v, want %v", err, bridge.ErrClosed)
	}
	t.close()
	if err := e.returns("Receive", t.start(e.Context(), 4)); !errors.Is(err, bridge.ErrClosed) {
		e.Errorf("Receive after Close: %v, want %v", err, bridge.ErrClosed)
	}
	again := e.tap(e.process())
	msgs := e.messages(3, 1)
	e.put(msgs)
	again.want("after a Close", again.receive(3), msgs)
}

func closeSourceInUse(e *env) {
	t := e.tap(e.process())
	e.put(e.messages(200, 3))
	started := make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	go func() {
		var err error
		buf := make([]bridge.Delivery, 8)
		for n := 0; err == nil; {
			if n, err = t.Receive(e.Context(), buf); err != nil {
				break
			}
			receipts := make([]bridge.Receipt, n)
			for i := range n {
				receipts[i] = buf[i].Receipt
			}
			err = t.Ack(e.Context(), receipts)
			once.Do(func() { close(started) })
		}
		once.Do(func() { close(started) })
		done <- err
	}()
	<-started
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- t.Close() }()
	}
	for range 2 {
		if err := e.returns("Close while the source is used", closed); err != nil {
			e.Logf("close while the source is used: %v", err)
		}
	}
	if err := e.returns("Receive or Ack", done); err == nil {
		e.Errorf("Receive and Ack went on after Close")
	}
}

func closeUnblocksSend(e *env) {
	l := e.lane(e.process(), 0)
	started := make(chan struct{})
	done := make(chan error, 1)
	var once sync.Once
	go func() {
		defer once.Do(func() { close(started) })
		for i := 0; ; i++ {
			m := &bridge.Message{Key: e.facts.key(0, 0), ID: bridge.ID{Value: fmt.Sprint("busy-", i)}, Body: []byte("busy")}
			l.mu.Lock()
			l.limit++
			l.mu.Unlock()
			n, err := l.Send(e.Context(), []*bridge.Message{m})
			if n == 1 && err != nil || n != 1 && err == nil {
				e.breach("Send of one message: %d, %v", n, err)
			}
			if err != nil {
				done <- err
				return
			}
			if i == 20 {
				once.Do(func() { close(started) })
			}
		}
	}()
	<-started
	l.end()
	if err := e.returns("Send", done); bridge.ClassOf(err) == bridge.Rejected {
		e.Errorf("Send, when the lane was closed: %v", err)
	}
	l.end()
	if _, err := l.send(e.messages(1, 1)); !errors.Is(err, bridge.ErrClosed) {
		e.Errorf("Send after Close: %v, want %v", err, bridge.ErrClosed)
	}
}

func closeIsLast(e *env) {
	for range 5 {
		l := e.lane(e.process(), 0)
		if _, err := l.send(e.messages(100, 3)); err != nil {
			e.Fatalf("send: %v", err)
		}
		l.end()
	}
	e.deliverAnyhow(e.messages(3, 3))
	e.stillRuns("a lane that was closed", nil) // and says nothing for a moment
}

func closeAfterDeath(e *env) {
	p := e.process()
	closes := map[string]func() error{}
	if p.Source != nil {
		t := e.tap(p)
		if e.facts.from.Durable {
			e.put(e.messages(20, 2))
			t.receive(5)
		}
		closes["the source"] = t.Close
	}
	if p.Sink != nil {
		l := e.lane(p, 0)
		if _, err := l.send(e.messages(20, 2)); err != nil {
			e.Fatalf("send: %v", err)
		}
		closes["the lane"] = l.Close
	}
	e.die(p)
	for what, f := range closes {
		start := time.Now()
		if err := e.bounded("Close of "+what, func(context.Context) error { return f() }); err != nil {
			e.Logf("close of %s: %v", what, err)
		}
		if took := time.Since(start); took > e.patience {
			e.Errorf("Close of %s took %v", what, took)
		}
	}
}

// use opens all that a process has, uses it and closes it.
func (e *env) use(p Process) {
	e.Helper()
	if p.Source != nil {
		t := e.tap(p)
		e.put(e.messages(10, 2))
		t.ack(t.receive(5)...)
		t.close()
	}
	if p.Sink != nil {
		l := e.lane(p, 0)
		l.deliver(e.messages(10, 2))
		if _, err := l.send(e.messages(10, 2)); err != nil {
			e.Fatalf("send: %v", err)
		}
		l.end()
		e.read()
	}
}

func noGoroutines(e *env) {
	e.use(e.process()) // so that what the fixture's own clients start is there
	before := goroutines()
	e.use(e.process())
	p := e.process()
	var ends []func()
	if p.Source != nil {
		ends = append(ends, e.tap(p).close)
	}
	if p.Sink != nil {
		ends = append(ends, e.lane(p, 0).end)
	}
	e.die(p)
	for _, end := range ends {
		end()
	}
	var left []string
	deadline := time.Now().Add(e.patience)
	for time.Now().Before(deadline) {
		if left = e.strange(before); len(left) == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	e.Errorf("%d goroutines are left, the first:\n%s", len(left), left[0])
}

// strange gives the stacks of goroutines that were not there before.
func (e *env) strange(before map[string]string) (left []string) {
next:
	for id, stack := range goroutines() {
		if _, ok := before[id]; ok {
			continue
		}
		for _, b := range e.background {
			if strings.Contains(stack, b) {
				continue next
			}
		}
		left = append(left, stack)
	}
	return left
}

// goroutines gives the stacks of all other goroutines, by their number.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]string{}
	for i, stack := range strings.Split(string(buf), "\n\n") {
		if i == 0 {
			continue // the caller
		}
		id, _, _ := strings.Cut(stack, " [")
		all[id] = stack
	}
	return all
}

func openEndsWithContext(e *env) {
	p := e.process()
	cause := errors.New("the check has seen enough")
	ctx, cancel := context.WithCancelCause(e.Context())
	cancel(cause)
	if p.Source != nil {
		err := e.bounded("Open of the source", func(context.Context) error {
			s, err := p.Source.Open(ctx)
			if err == nil {
				_ = s.Close() // that it opened is what is wrong
			}
			return err
		})
		if err == nil {
			e.Errorf("a source opened with a ctx that had ended")
		}
	}
	if p.Sink != nil {
		s := e.sink(p)
		err := e.bounded("Open of a lane", func(context.Context) error {
			l, err := s.Open(ctx, 0, func(int, []bridge.Placement, error) {})
			if err == nil {
				_ = l.Close() // that it opened is what is wrong
			}
			return err
		})
		if err == nil {
			e.Errorf("a lane opened with a ctx that had ended")
		}
		e.laneOn(s, 0).deliver(e.messages(2, 1))
	}
}

func missingIsFatal(e *env) {
	p := e.Missing(e.T)
	fatal := func(what string, err error) {
		e.Helper()
		if err == nil || bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
			e.Errorf("%s that is not there: %v; want a Fatal with a hint", what, err)
		}
	}
	if p.Source != nil && e.facts.from.Durable {
		fatal("a source", e.bounded("Open of the source", func(ctx context.Context) error {
			s, err := p.Source.Open(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }() // other checks are about Close
			_, err = s.Receive(ctx, make([]bridge.Delivery, 1))
			return err
		}))
	}
	if p.Sink != nil && e.facts.to.Durable {
		fatal("a target", e.openMissing(p))
	}
}

// openMissing gives the error with which a sink says that its target is not
// there: at the latest when the first message was sent.
func (e *env) openMissing(p Process) error {
	e.Helper()
	return e.bounded("Open and Send to a target that is not there", func(ctx context.Context) error {
		s, err := p.Sink.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }() // other checks are about Close
		answer := make(chan error, 8)
		l, err := s.Open(ctx, 0, func(_ int, _ []bridge.Placement, err error) { answer <- err })
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		m := ordinary(0)
		if _, err := l.Send(ctx, []*bridge.Message{&m}); err != nil {
			return err
		}
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
