package adaptertest

import (
	"context"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A tap is a session of a source under watch: whatever a check does with it,
// the shape of the answers is checked too.
type tap struct {
	bridge.Source
	e        *env
	ordered  bool
	came     int // deliveries of this session, repeats included
	identify func(*bridge.Delivery)
}

// tap opens a session.
func (e *env) tap(p Process) *tap {
	e.Helper()
	return e.tapOf(p.Source)
}

func (e *env) tapOf(o bridge.SourceOpener) *tap {
	e.Helper()
	var s bridge.Source
	err := e.bounded("Open of the source", func(ctx context.Context) (err error) {
		s, err = o.Open(ctx)
		return err
	})
	if err != nil {
		e.Fatalf("open the source: %v", err)
	}
	t := &tap{Source: s, e: e, ordered: o.Traits().Ordered, identify: e.Identify}
	e.Cleanup(t.close)
	return t
}

func (t *tap) close() {
	t.e.Helper()
	if err := t.e.bounded("Close of the source", func(context.Context) error { return t.Close() }); err != nil {
		t.e.Logf("close of the source: %v", err)
	}
}

// once calls Receive once, with that much room.
func (t *tap) once(room int) []bridge.Delivery {
	t.e.Helper()
	buf := make([]bridge.Delivery, room+1)
	n := 0
	err := t.e.bounded("Receive", func(ctx context.Context) (err error) {
		n, err = t.Receive(ctx, buf[:room])
		return err
	})
	t.shape(n, room, err)
	if err != nil {
		t.e.Fatalf("receive, after %d deliveries of this session: %v", t.came, err)
	}
	t.came += n
	if buf[room].Receipt != (bridge.Receipt{}) || buf[room].Body != nil || buf[room].Key != "" {
		t.e.Errorf("Receive with room for %d wrote behind it", room)
	}
	if t.identify != nil {
		for i := range buf[:n] {
			t.identify(&buf[i])
		}
	}
	return buf[:n]
}

// shape checks what Receive must never answer.
func (t *tap) shape(n, room int, err error) {
	t.e.Helper()
	switch {
	case n < 0, n > room:
		t.e.Fatalf("Receive with room for %d gave %d", room, n)
	case n == 0 && err == nil:
		t.e.Fatalf("Receive gave neither a delivery nor an error")
	case n > 0 && err != nil:
		t.e.Fatalf("Receive gave %d deliveries and an error: %v", n, err)
	}
}

// receive gives the next want messages, repeats left out.
func (t *tap) receive(want int) []bridge.Delivery {
	t.e.Helper()
	var all []bridge.Delivery
	seen := map[string]bool{}
	for len(all) < want {
		for _, d := range t.once(1 + t.e.rand.IntN(min(8, want-len(all)))) {
			if !seen[d.ID.Value] {
				seen[d.ID.Value] = true
				all = append(all, d)
			}
		}
	}
	return all
}

// upTo receives until all of those messages have come, and gives everything,
// repeats left out.
func (t *tap) upTo(last []bridge.Message) []bridge.Delivery {
	t.e.Helper()
	return t.through(last, func([]bridge.Delivery) {})
}

// drain is upTo, and acknowledges as it goes.
func (t *tap) drain(last []bridge.Message) []bridge.Delivery {
	t.e.Helper()
	return t.through(last, func(ds []bridge.Delivery) { t.ack(ds...) })
}

func (t *tap) through(last []bridge.Message, each func([]bridge.Delivery)) []bridge.Delivery {
	t.e.Helper()
	missing := map[string]bool{}
	for i := range last {
		missing[last[i].ID.Value] = true
	}
	var all []bridge.Delivery
	seen := map[string]bool{}
	for len(missing) > 0 {
		ds := t.once(1 + t.e.rand.IntN(8))
		for _, d := range ds {
			delete(missing, d.ID.Value)
			if !seen[d.ID.Value] {
				seen[d.ID.Value] = true
				all = append(all, d)
			}
		}
		each(ds)
	}
	return all
}

// ack acknowledges deliveries in one call.
func (t *tap) ack(ds ...bridge.Delivery) {
	t.e.Helper()
	if err := t.tryAck(ds...); err != nil {
		t.e.Fatalf("ack of %d: %v", len(ds), err)
	}
}

func (t *tap) tryAck(ds ...bridge.Delivery) error {
	t.e.Helper()
	receipts := make([]bridge.Receipt, len(ds))
	for i := range ds {
		receipts[i] = ds[i].Receipt
	}
	return t.e.bounded("Ack", func(ctx context.Context) error { return t.Ack(ctx, receipts) })
}

// want wants exactly these messages, those of a shard in this order.
func (t *tap) want(what string, got []bridge.Delivery, want []bridge.Message) {
	t.e.Helper()
	index := map[string]int{}
	for i := range want {
		index[want[i].ID.Value] = i
	}
	latest := map[int32]int{}
	for i := range got {
		g := &got[i]
		at, ok := index[g.ID.Value]
		if !ok {
			t.e.Errorf("%s: message %q came, which was not to come", what, g.ID.Value)
			continue
		}
		w := &want[at]
		if g.Key != w.Key || string(g.Body) != string(w.Body) {
			t.e.Errorf("%s: message %q came with key %q and body %.60q, want %q and %.60q", what, g.ID.Value, g.Key, g.Body, w.Key, w.Body)
		}
		if before, ok := latest[g.Origin.Shard]; ok && before > at && t.ordered {
			t.e.Errorf("%s: message %q came behind %q of the same shard", what, g.ID.Value, want[before].ID.Value)
		}
		latest[g.Origin.Shard] = max(latest[g.Origin.Shard], at)
		delete(index, g.ID.Value)
	}
	if len(index) > 0 {
		var lost []string
		for i := range want {
			if _, ok := index[want[i].ID.Value]; ok {
				lost = append(lost, want[i].ID.Value)
			}
		}
		t.e.Errorf("%s: did not come: %s", what, show(lost))
	}
}

// markers puts one newer message of each of so many keys, so that a check knows
// when everything older has come.
func (e *env) markers(keys int) []bridge.Message {
	e.Helper()
	e.next += (keys - e.next%keys) % keys
	m := e.messages(keys, keys)
	e.put(m)
	return m
}

// start runs Receive in a goroutine of its own, until ctx ends.
func (t *tap) start(ctx context.Context, room int) <-chan error {
	done := make(chan error, 1)
	go func() {
		n, err := t.Receive(ctx, make([]bridge.Delivery, room))
		if n > 0 && err != nil || n == 0 && err == nil {
			t.e.breach("Receive gave %d deliveries and error %v", n, err)
		}
		done <- err
	}()
	return done
}

// stillRuns wants that nothing has come out of done for a moment.
func (e *env) stillRuns(what string, done <-chan error) {
	e.Helper()
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case err := <-done:
		e.Fatalf("%s came back at once, with %v", what, err)
	case <-timer.C:
	}
}

func without(msgs []bridge.Message, taken ...int) []bridge.Message {
	var rest []bridge.Message
	for i := range msgs {
		if !slices.Contains(taken, i) {
			rest = append(rest, msgs[i])
		}
	}
	return rest
}
