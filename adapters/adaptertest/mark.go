package adaptertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var markChecks = []check{
	{"Mark", "is given when all that was stored before it was received, and no sooner", []waiver{needsSource, needsDurableSource}, markIsGiven},
	{"Mark", "is given behind whatever comes meanwhile", []waiver{needsSource, needsDurableSource}, markOnTheMove},
	{"Mark", "is given where earlier sessions had everything acknowledged", []waiver{needsSource, needsDurableSource}, markAfterwards},
	{"Mark", "leaves nothing behind that anybody receives", []waiver{needsSource, needsDurableSource}, markLeavesNothing},
}

// mark makes a mark; nil where the source cannot tell.
func (t *tap) mark() func() bool {
	t.e.Helper()
	b, ok := t.Source.(bridge.Backlogger)
	if !ok {
		t.e.without("its source is no Backlogger")
		return nil
	}
	var given func() bool
	err := t.e.bounded("Mark", func(ctx context.Context) (err error) {
		given, err = b.Mark(ctx)
		return err
	})
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		t.e.without("its source cannot tell when it has given everything")
		return nil
	case err != nil:
		t.e.Fatalf("mark: %v", err)
	}
	return given
}

// awaits receives in the background, where nothing comes, until a mark is given.
func (t *tap) awaits(what string, given func() bool) {
	t.e.Helper()
	ctx, cancel := context.WithCancel(t.e.Context())
	done := t.start(ctx, 4)
	t.e.until(what+" is given", given)
	cancel()
	_ = t.e.returns("Receive", done)
}

func markIsGiven(e *env) {
	t := e.tap(e.process())
	empty := t.mark()
	if empty == nil {
		return
	}
	t.awaits("the mark of nothing", empty)
	msgs := e.messages(12, 3)
	e.put(msgs)
	given := t.mark()
	if given() {
		e.Errorf("the mark of 12 messages is given before any of them was received")
	}
	ds := t.receive(11)
	if given() {
		e.Errorf("the mark of 12 messages is given with 11 received")
	}
	ds = append(ds, t.receive(1)...)
	if given() {
		e.Errorf("the mark of 12 messages is given, and Receive was not called since the last: whoever handles it may be at it")
	}
	t.awaits("the mark of what was received", given)
	t.want("beside a mark", ds, msgs)
	if !given() || !empty() {
		e.Errorf("a mark that was given is not any more")
	}
}

// markOnTheMove puts all the time, and holds each mark that is given against what was
// stored before it.
func markOnTheMove(e *env) {
	t := e.tap(e.process())
	var mu sync.Mutex
	stored, over := 0, false
	msgs := e.messages(600, 7)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := 0; i < len(msgs); i += 3 {
			if err := e.Put(e.Context(), msgs[i:i+3]); err != nil {
				e.breach("put: %v", err)
				return
			}
			mu.Lock()
			stored = i + 3
			stop := over
			mu.Unlock()
			if stop {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	}()
	came, marks := map[string]bool{}, 0
	for len(came) < len(msgs) && marks < 5 {
		given, before := t.mark(), 0
		if given == nil {
			return
		}
		e.until("something is stored", func() bool {
			mu.Lock()
			defer mu.Unlock()
			before = stored
			return before > len(came)
		})
		given = t.mark()
		for !given() && len(came) < len(msgs) {
			ds := t.once(1 + e.rand.IntN(8))
			for i := range ds {
				came[ds[i].ID.Value] = true
			}
			t.ack(ds...)
		}
		if len(came) == len(msgs) {
			break
		}
		marks++
		for i := range msgs[:before] {
			if id := msgs[i].ID.Value; !came[id] {
				e.Fatalf("message %q was stored before a mark that is given, and has not come", id)
			}
		}
	}
	if marks == 0 {
		t.awaits("the mark behind everything", t.mark())
	}
}

func markAfterwards(e *env) {
	p := e.process()
	t := e.tap(p)
	msgs := e.messages(9, 2)
	e.put(msgs)
	t.drain(msgs)
	t.close()
	e.die(p)
	t = e.tap(e.process())
	given := t.mark()
	if given == nil {
		return
	}
	t.awaits("the mark of what was acknowledged", given)
}

// markLeavesNothing looks whether what a mark writes, if anything, comes to a later
// session, or counts as waiting there.
func markLeavesNothing(e *env) {
	p := e.process()
	t := e.tap(p)
	if t.mark() == nil {
		return
	}
	t.mark()
	t.close()
	e.die(p)
	t = e.tap(e.process())
	given := t.mark()
	t.awaits("the mark behind those of another session", given)
	msgs := e.messages(5, 2)
	e.put(msgs)
	t.want("behind marks", t.drain(msgs), msgs)
}
