package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An application's stream is marked by its end, and nothing is written into it.
func TestMarksOfAnApplicationsStream(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	stream := n.queue(t, unique(t), typeStream)
	o := n.source(t, s, n.identity(t), "stream: "+stream+"\nstart: first")
	src := openSource(t, o)
	empty := mark(t, src)
	if empty() {
		t.Error("the mark of an empty stream is given, and Receive was not called")
	}
	comesTrue(t, src, "the mark of an empty stream is given", empty)
	n.publish(t, "", toQueue(stream, bodies(0, 10, 0))...)
	given := mark(t, src)
	ds := receive(t, src, 9)
	if given() {
		t.Error("a mark of 10 messages is given with 9 received")
	}
	ds = append(ds, receive(t, src, 1)...)
	if given() {
		t.Error("a mark of 10 messages is given before Receive was called again")
	}
	comesTrue(t, src, "the mark of 10 messages is given", given)
	if !mark(t, src)() {
		t.Error("all was given before, and a mark is not")
	}
	if err := src.Ack(t.Context(), receipts(ds)); err != nil {
		t.Fatal(err)
	}
	_ = src.Close()
	src = openSource(t, o)
	comesTrue(t, src, "the mark of what an earlier session had acknowledged is given", mark(t, src))
	n.publish(t, "", toQueue(stream, bodies(10, 1, 0))...)
	if d := receive(t, src, 1)[0]; d.Stored.Offset != 10 || d.Stored != d.Origin {
		t.Errorf("the next message is at %v, stored at %v: something was written", d.Origin, d.Stored)
	}
}

// Under load every mark of an application's stream that is given holds: what was stored
// before it has come.
func TestMarksOfABusyStream(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	x := n.exchange(t, unique(t), "fanout")
	stream := n.queue(t, unique(t), typeStream)
	if err := n.channel(t).QueueBind(stream, "", x, false, nil); err != nil {
		t.Fatal(err)
	}
	src := openSource(t, n.source(t, s, n.identity(t), "stream: "+stream+"\nstart: first"))
	var confirmed atomic.Int64 // so many are stored
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for i := 0; ctx.Err() == nil; i += 5 {
			if err := n.put(context.Background(), x, bodies(i, 5, 0)...); err != nil {
				done <- err
				return
			}
			confirmed.Store(int64(i + 5))
		}
		done <- nil
	}()
	var came atomic.Int64
	reads := make(chan error, 1)
	go func() {
		into := make([]bridge.Delivery, 3)
		for {
			k, err := src.Receive(ctx, into)
			if err != nil {
				reads <- err
				return
			}
			came.Add(int64(k))
		}
	}()
	for range 30 {
		stored := confirmed.Load()
		given := mark(t, src)
		eventually(t, "a mark of a busy stream is given", given)
		if got := came.Load(); got < stored {
			t.Errorf("a mark is given with %d received, and %d were stored before it", got, stored)
		}
	}
	stop()
	if err := errors.Join(<-done); err != nil {
		t.Fatal(err)
	}
	if err := <-reads; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// Relays that share a tap pass over each other's marks, and keep their position behind
// them where nothing else comes.
func TestMarksInASharedTap(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	a, b := openSource(t, h.relay("a", "")), openSource(t, h.relay("b", ""))
	h.publish(2)
	h.takes(a, 0, 2)
	h.takes(b, 0, 2)
	const many = 2*keepEvery + 10
	for i := range many {
		comesTrue(t, a, fmt.Sprintf("mark %d of a is given", i), mark(t, a))
	}
	comesTrue(t, b, "a mark of b is given behind those of a", mark(t, b))
	eventually(t, "what b keeps is behind its position by few marks", func() bool {
		o := b.(*streamSource).offsets
		var p offsets
		err := o.log.replay(t.Context(), p.read)
		return err == nil && p.positions.next > many-keepEvery
	})
	h.publish(1)
	h.takes(a, 2, 1)
	h.takes(b, 2, 1)
	_, _ = a.Close(), b.Close()
	h.reads(h.relay("c", "start: first"), 0, 3)
	h.publish(1)
	h.reads(h.relay("a", ""), 3, 1)
	for _, relay := range []string{"a", "b", "c", ""} {
		if err := h.s.Remove(t.Context(), h.bridge, relay); err != nil {
			t.Fatal(err)
		}
	}
}

// A relay whose shared tap another process has replaced gets no marks: what is stored for
// it is elsewhere.
func TestASharedTapIsReplacedUnderASession(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	a := openSource(t, h.relay("a", ""))
	comesTrue(t, a, "a mark before the change is given", mark(t, a))
	_ = openSource(t, h.relay("b", "")).Close()
	comesTrue(t, a, "a mark beside another relay is given", mark(t, a))
	h.s = n.open(t)
	b := openSource(t, h.relay("b", "max_bytes: 123456789\n"))
	h.publish(1)
	given := mark(t, a)
	sent := marksOf(a).sent
	if ds := soon(t, a); len(ds) > 0 {
		t.Fatalf("%d messages came by the old tap", len(ds))
	}
	if mark(t, a); given() || marksOf(a).sent != sent {
		t.Errorf("the mark of a tap that was replaced is given: %v", given())
	}
	_, _ = a.Close(), b.Close()
}

// Records of positions leave marks out, wherever they stand.
func TestPositionsLeaveMarksOut(t *testing.T) {
	var p positions
	p.pass(0)
	tickets := []uint64{}
	for offset := uint64(1); offset < 10; offset++ {
		if offset%3 == 0 {
			p.pass(offset)
		} else {
			tickets = append(tickets, p.start(offset, false))
		}
	}
	if p.next != 1 || p.record() != "1" {
		t.Errorf("behind one mark: next %d, record %q", p.next, p.record())
	}
	for _, i := range []int{1, 2, 5} { // offsets 2, 4 and 8
		p.done(tickets[i])
	}
	if got := p.record(); got != "1 2-4 8-8" {
		t.Errorf("acknowledged ahead: %q", got)
	}
	for _, i := range []int{0, 3, 4} {
		p.done(tickets[i])
	}
	if p.next != 10 || len(p.entries) > 0 || !slices.Equal(p.ahead(), nil) {
		t.Errorf("all are acknowledged: next %d, %v", p.next, p.entries)
	}
}
