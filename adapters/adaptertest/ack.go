package adaptertest

import (
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

var ackChecks = []check{
	{"Ack", "acknowledged messages do not come again", []waiver{needsSource}, ackedAreGone},
	{"Ack", "a gap is held back: 0, 3 and 4 of 5 acknowledged, 1 and 2 come again", []waiver{needsSource, needsDurableSource}, ackGap},
	{"Ack", "takes any subset in any order", []waiver{needsSource, needsDurableSource}, ackAnyOrder},
	{"Ack", "a repeat is harmless", []waiver{needsSource}, ackRepeat},
	{"Ack", "is safe beside Receive", []waiver{needsSource}, ackBeside},
	{"Ack", "a receipt of an ended session acknowledges nothing", []waiver{needsSource, needsDurableSource}, ackVoid},
}

func ackedAreGone(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(30, 3)
	e.put(msgs)
	t.ack(t.receive(30)...)
	t.close()
	again := e.tap(e.process())
	newer := e.markers(3)
	again.want("after all were acknowledged", again.upTo(newer), newer)
}

func ackGap(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(5, 1)
	e.put(msgs)
	ds := t.receive(5)
	t.ack(ds[0], ds[3], ds[4])
	t.close()
	newer := e.markers(1)
	again := e.tap(e.process())
	again.want("after a gap", again.upTo(newer), append(msgs[1:3:3], newer...))
}

func ackAnyOrder(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(60, 3)
	e.put(msgs)
	ds := t.receive(60)
	byID := map[string]bridge.Delivery{}
	for _, d := range ds {
		byID[d.ID.Value] = d
	}
	acked := e.rand.Perm(60)[:40]
	for i := 0; i < len(acked); i += 5 {
		batch := make([]bridge.Delivery, 0, 5)
		for _, at := range acked[i : i+5] {
			batch = append(batch, byID[msgs[at].ID.Value])
		}
		t.ack(batch...)
	}
	t.close()
	newer := e.markers(3)
	again := e.tap(e.process())
	again.want("after 40 of 60 were acknowledged", again.upTo(newer), append(without(msgs, acked...), newer...))
}

func ackRepeat(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(20, 2)
	e.put(msgs)
	ds := t.receive(10)
	t.ack(ds[0], ds[1], ds[0])
	t.ack(ds[1], ds[2])
	t.ack(ds[1])
	t.ack()
	rest := t.receive(10)
	t.want("after repeats", append(ds, rest...), msgs)
	t.ack(append(ds, rest...)...)
	t.ack(ds...)
	newer := e.markers(2)
	t.want("in the same session", t.upTo(newer), newer)
}

func ackBeside(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(1500, 7)
	e.put(msgs[:500])
	queue := make(chan []bridge.Delivery, len(msgs))
	var wg sync.WaitGroup
	wg.Go(func() {
		for ds := range queue {
			receipts := make([]bridge.Receipt, len(ds))
			for i := range ds {
				receipts[i] = ds[i].Receipt
			}
			if err := t.Ack(e.Context(), receipts); err != nil {
				e.breach("ack beside Receive: %v", err)
				return
			}
			clear(receipts) // they are the caller's again
		}
	})
	wg.Go(func() {
		if err := e.Put(e.Context(), msgs[500:]); err != nil {
			e.breach("put: %v", err)
		}
	})
	var got []bridge.Delivery
	for len(dedup(append([]bridge.Delivery(nil), got...))) < len(msgs) {
		ds := t.once(64)
		got = append(got, ds...)
		queue <- ds
	}
	close(queue)
	wg.Wait()
	t.want("beside Ack", dedup(got), msgs)
	t.close()
	again := e.tap(e.process())
	newer := e.markers(7)
	again.want("after all were acknowledged beside Receive", again.upTo(newer), newer)
}

func ackVoid(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(6, 2)
	e.put(msgs)
	ds := t.receive(6)
	t.close()
	_ = t.tryAck(ds[:3]...) // may say that the session has ended
	again := e.tap(e.process())
	_ = t.tryAck(ds[3:]...)
	again.want("after a void acknowledgement", again.receive(6), msgs)
}
