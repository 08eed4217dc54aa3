package adaptertest

import (
	"context"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var holdChecks = []check{
	{"Hold", "is nil for the session that has the tap, and for no other", []waiver{needsSource, needsDurableSource}, holdExcludes},
}

// holds asks a session whether it has the tap; the error is its answer.
func (t *tap) holds() error {
	t.e.Helper()
	return t.e.bounded("Hold", func(ctx context.Context) error { return t.Source.(bridge.Holder).Hold(ctx) })
}

// holdExcludes has a second process come while the first lives, and a third when
// the first has died without a word. Of two sessions, the later one that has the
// tap means that the earlier one has lost it. A second one may also be kept
// waiting. // I6
func holdExcludes(e *env) {
	first := e.process()
	t := e.tap(first)
	if _, ok := t.Source.(bridge.Holder); !ok {
		e.note("the source is no Holder")
		return
	}
	msgs := e.messages(10, 2)
	e.put(msgs)
	t.receive(5)
	if err := t.holds(); err != nil {
		e.Fatalf("the only session does not hold its tap: %v", err)
	}
	if second := e.tapWithin(e.process(), e.patience/5); second != nil {
		if second.holds() == nil {
			if t.holds() == nil {
				e.Errorf("two sessions hold the tap at once")
			}
		}
		second.close()
	}
	e.die(first)
	var third *tap
	e.until("a successor holds the tap", func() bool {
		if third = e.tapWithin(e.process(), e.patience/5); third == nil {
			return false
		}
		if third.holds() == nil {
			return true
		}
		third.close()
		return false
	})
	if t.holds() == nil {
		e.Errorf("a session says that it holds the tap, which its successor has")
	}
	third.want("the successor's deliveries", third.receive(10), msgs)
	third.close()
	if third.holds() == nil {
		e.Errorf("a session that was closed says that it holds the tap")
	}
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
