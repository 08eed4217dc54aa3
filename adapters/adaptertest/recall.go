package adaptertest

import (
	"github.com/crossfade-mq/crossfade/bridge"
)

// wantPlaced wants that what was recalled is exactly these, in this order.
func (e *env) wantPlaced(what string, got []bridge.Placed, want []bridge.Message) {
	e.Helper()
	ids := make([]string, len(got))
	last := uint64(0)
	for i, g := range got {
		ids[i] = g.ID.Value
		if g.Position <= last && i > 0 {
			e.Errorf("%s: position %d behind %d", what, g.Position, last)
		}
		last = g.Position
		if i >= len(want) {
			continue
		}
		if w := &want[i]; g.ID != w.ID || g.Key != w.Key || g.Origin.String() != w.Origin.String() {
			e.Errorf("%s: number %d is %+v, want ID %+v, key %q and origin %s", what, i, g, w.ID, w.Key, w.Origin)
		}
	}
	if len(got) != len(want) {
		e.Errorf("%s:\n got %s\nwant %s", what, show(ids), show(idsOf(want)))
	}
}

// elsewhere is the stream that messages come from.
var elsewhere = &bridge.Stream{System: "memory", Cluster: "else/where", Name: "a b", Incarnation: "1", Replayable: true}

func recallSeesAll(e *env) {
	s := e.sink(e.process())
	most := e.facts.to.Recall
	l := e.laneOn(s, 0)
	e.wantPlaced("an empty target", l.recall(0, 10), nil)
	var all []bridge.Message
	for round := range 3 {
		msgs := e.messages(min(15, max(most/3, 1)), 4)
		for i := range msgs {
			msgs[i].Origin = bridge.Origin{Stream: elsewhere, Shard: int32(i % 3), Offset: uint64(100*round + i)}
		}
		l.deliver(msgs)
		all = append(all, msgs...)
		l.end()
		if round == 1 {
			e.closeSink(s)
			s = e.sink(e.process())
		}
		l = e.laneOn(s, 0)
		e.wantPlaced("all", l.recall(0, min(most, 1000)), newest(all, most))
		for _, n := range []int{1, 2, 7, len(all)} {
			e.wantPlaced("the newest", l.recall(0, min(n, most)), newest(all, min(n, most)))
		}
		enough := min(3, most)
		if got := l.recallWhile(0, min(most, 1000), func(n int) bool { return n < enough }); len(got) != enough || got[0].ID != all[len(all)-1].ID {
			e.Errorf("recall gave %d messages, the first %+v, to one who wanted no more after %d; the newest is %+v", len(got), got[:min(1, len(got))], enough, all[len(all)-1].ID)
		}
	}
	given := l.recall(0, 1)
	l.deliver(e.messages(1, 1))
	if after := l.given(); len(given) == 1 && after[0].Position != 0 && after[0].Position <= given[0].Position {
		e.Errorf("recall gave position %d, and what was sent then got %d", given[0].Position, after[0].Position)
	}
}

func newest(msgs []bridge.Message, n int) []bridge.Message {
	return msgs[max(0, len(msgs)-n):]
}

func recallByLane(e *env) {
	s := e.sink(e.process())
	l0, l1 := e.laneOn(s, 0), e.laneOn(s, 1)
	a, b := e.messages(6, 1), e.messagesOn(1, 4, 1)
	l0.deliver(a[:3])
	l1.deliver(b[:2])
	l0.deliver(a[3:])
	l1.deliver(b[2:])
	l0.end()
	l1.end()
	l0, l1 = e.laneOn(s, 0), e.laneOn(s, 1)
	e.wantPlaced("lane 0", l0.recall(0, 6), a)
	e.wantPlaced("lane 1", l1.recall(1, 6), b)
}

func recallAfterDeath(e *env) {
	p := e.process()
	l := e.lane(p, 0)
	msgs := e.messages(40, 4)
	l.deliver(msgs[:20])
	if _, err := l.send(msgs[20:]); err != nil {
		e.Fatalf("send: %v", err)
	}
	settled, _ := l.state()
	e.die(p)
	next := e.lane(e.process(), 0)
	got := next.recall(0, min(40, e.facts.to.Recall))
	have := e.read()
	if len(got) < min(settled, e.facts.to.Recall) || len(got) > len(have) {
		e.Fatalf("recall sees %d messages, %d were settled and %d are in the target", len(got), settled, len(have))
	}
	// What was still on its way may have landed behind the recall; the fence then
	// refuses the successor.
	end := len(have)
	for end > len(got) && have[end-1].ID != got[len(got)-1].ID {
		end--
	}
	e.wantPlaced("after a death", got, have[end-len(got):end])
}
