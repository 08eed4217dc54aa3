package adaptertest

import (
	"context"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var holdChecks = []check{
	{"Hold", "is nil for the session whose deliveries are its own, and for no other", []waiver{needsSource, needsDurableSource}, holdExcludes},
}

// holds asks a session whether it has the tap; the error is its answer.
func (t *tap) holds() error {
	t.e.Helper()
	return t.e.bounded("Hold", func(ctx context.Context) error { return t.Source.(bridge.Holder).Hold(ctx) })
}

// holdExcludes has a second process come while the first lives, and a third when
// the first has died without a word. If the later one of two has deliveries in
// hand and holds the tap, the earlier one has lost it. A second one may also be
// kept waiting, at Open or at Receive. // I6
func holdExcludes(e *env) {
	first := e.process()
	t := e.tap(first)
	if _, ok := t.Source.(bridge.Holder); !ok {
		e.without("its source is no Holder")
		return
	}
	e.put(e.messages(10, 2))
	t.receive(5)
	if err := t.holds(); err != nil {
		e.Fatalf("the only session does not hold its tap: %v", err)
	}
	if second := e.tapWithin(e.process(), e.patience/5); second != nil {
		if second.inHand(e.patience/5) > 0 && second.holds() == nil && t.holds() == nil {
			e.Errorf("two sessions hold the tap at once")
		}
		second.close()
	}
	e.die(first)
	var third *tap
	e.until("a successor holds the tap", func() bool {
		if third = e.tapWithin(e.process(), e.patience/5); third == nil {
			return false
		}
		if third.inHand(e.patience/5) > 0 && third.holds() == nil {
			return true
		}
		third.close()
		return false
	})
	if t.holds() == nil {
		e.Errorf("a session says that it holds the tap, which its successor has")
	}
	third.close()
	if third.holds() == nil {
		e.Errorf("a session that was closed says that it holds the tap")
	}
}

// inHand receives for a while, and gives how many deliveries came.
func (t *tap) inHand(d time.Duration) int {
	t.e.Helper()
	n := 0
	err := t.e.bounded("Receive", func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		n, err = t.Receive(ctx, make([]bridge.Delivery, 4))
		return err
	})
	t.shape(n, 4, err)
	return n
}

// tapWithin opens a session, or gives nil if that takes longer.
func (e *env) tapWithin(p Process, d time.Duration) *tap {
	e.Helper()
	var s bridge.Source
	err := e.bounded("Open of the source", func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		s, err = p.Source.Open(ctx)
		return err
	})
	if err != nil {
		e.Logf("a further session: %v", err)
		return nil
	}
	t := &tap{Source: s, e: e, ordered: e.facts.from.Ordered, identify: e.Identify}
	e.Cleanup(t.close)
	return t
}
