package adaptertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var deathChecks = []check{
	{"Death", "un-acked messages come back first and in order after Close", []waiver{needsSource, needsDurableSource}, backAfterClose},
	{"Death", "un-acked messages come back first and in order after death without Close", []waiver{needsSource, needsDurableSource}, backAfterDeath},
	{"Death", "a gap is held back after death without Close", []waiver{needsSource, needsDurableSource}, gapAfterDeath},
	{"Death", "order and completeness survive five deaths under way", []waiver{needsSource, needsDurableSource}, manyDeaths},
	{"Death", "of several shards those come first that the relay names", []waiver{needsSource, needsDurableSource, needsSharded}, namedFirst},
	{"Death", "un-acked messages survive the restart of the system", []waiver{needsSource, needsDurableSource, needsRestart}, backAfterRestart},
}

func backAfterClose(e *env) {
	back(e, func(t *tap, _ Process) { t.close() })
}

func backAfterDeath(e *env) {
	back(e, func(_ *tap, p Process) { e.die(p) })
}

// back ends a session in the middle, and wants what it had not acknowledged, and
// what it had not even received, before anything newer. Twice, since the second
// time the messages have been delivered before. Between the shards of a source there is
// no order, so what comes first is that of each key.
func back(e *env, end func(*tap, Process)) {
	msgs := e.messages(50, 3)
	p := e.process()
	t := e.tap(p)
	e.put(msgs)
	ds := t.receive(30)
	t.wantFirst("the first time", ds, msgs)
	end(t, p)

	p = e.process()
	t = e.tap(p)
	t.wantFirst("the second time", t.receive(20), msgs)
	end(t, p)

	newer := e.markers(3)
	t = e.tap(e.process())
	got := t.upTo(newer)
	t.want("the third time", got, append(msgs[:50:50], newer...))
	t.ack(got...)
}

func gapAfterDeath(e *env) {
	p := e.process()
	t := e.tap(p)
	msgs := e.messages(5, 1)
	e.put(msgs)
	ds := t.receive(5)
	t.ack(ds[0], ds[3], ds[4])
	e.die(p)
	newer := e.markers(1)
	t = e.tap(e.process())
	t.wantBack("after a gap and a death", t.upTo(newer), append(msgs[1:3:3], newer...), msgs)
}

// wantBack wants these messages, in order, and lets those of repeats come too:
// an acknowledgement may still have been on its way when the process died.
func (t *tap) wantBack(what string, got []bridge.Delivery, want, repeats []bridge.Message) {
	t.e.Helper()
	wanted := map[string]bool{}
	for i := range want {
		wanted[want[i].ID.Value] = true
	}
	allowed := map[string]bool{}
	for i := range repeats {
		allowed[repeats[i].ID.Value] = true
	}
	var kept []bridge.Delivery
	for _, d := range got {
		if wanted[d.ID.Value] || !allowed[d.ID.Value] {
			kept = append(kept, d)
		}
	}
	t.want(what, kept, want)
}

// manyDeaths takes messages in several lives. Each acknowledges some of what it
// gets, with gaps, and the next has to begin with what is left.
func manyDeaths(e *env) {
	msgs := e.messages(200, 5)
	first := e.process()
	e.tap(first)
	e.put(msgs)
	e.die(first)
	left := msgs
	for life := range 5 {
		p := e.process()
		t := e.tap(p)
		got := t.receive(20 + e.rand.IntN(20))
		t.wantFirst(fmt.Sprint("in life ", life), got, left)
		e.rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		acked := got[:len(got)*2/3]
		t.ack(acked...)
		left = slices.DeleteFunc(slices.Clone(left), func(m bridge.Message) bool {
			return slices.ContainsFunc(acked, func(d bridge.Delivery) bool { return d.ID == m.ID })
		})
		if life%2 == 0 {
			e.die(p)
		} else {
			t.close()
		}
	}
	newer := e.markers(5)
	t := e.tap(e.process())
	t.wantBack("after five deaths", t.drain(newer), append(left, newer...), msgs)
}

// wantFirst wants that of each key the first of left have come, none left out.
// What is not in left was acknowledged by a process that died.
func (t *tap) wantFirst(what string, got []bridge.Delivery, left []bridge.Message) {
	t.e.Helper()
	var came []bridge.Message
	for _, d := range got {
		if slices.ContainsFunc(left, func(m bridge.Message) bool { return m.ID == d.ID }) {
			came = append(came, d.Message)
		}
	}
	want := byKey(left)
	for key, ids := range byKey(came) {
		if t.ordered && !slices.Equal(ids, want[key][:len(ids)]) {
			t.e.Errorf("%s: of %s came %s, want the first of %s", what, key, show(ids), show(want[key]))
		}
	}
}

func backAfterRestart(e *env) {
	p := e.process()
	t := e.tap(p)
	msgs := e.messages(40, 3)
	e.put(msgs)
	ds := t.receive(30)
	t.ack(ds[:10]...)
	e.restart()
	e.die(p)
	newer := e.markers(3)
	p = e.process()
	var again *tap
	e.until("a source opens after the restart", func() bool {
		var s bridge.Source
		err := e.bounded("Open of the source", func(ctx context.Context) (err error) {
			s, err = p.Source.Open(ctx)
			return err
		})
		if err == nil {
			again = &tap{Source: s, e: e, ordered: t.ordered, identify: t.identify}
			e.Cleanup(again.close)
		} else if bridge.ClassOf(err) == bridge.Stopping {
			e.Fatalf("open the source after a restart: %v", err)
		}
		return err == nil
	})
	got := again.upTo(newer)
	slack := p.Source.Traits().Slack
	back := 0
	acked := func(m bridge.Message) bool {
		return slices.ContainsFunc(ds[:10], func(d bridge.Delivery) bool { return d.ID == m.ID })
	}
	for _, d := range got {
		if acked(d.Message) {
			back++
		}
	}
	if back > slack {
		e.Errorf("%d acknowledged messages came again after a restart, slack allows %d", back, slack)
	}
	left := slices.DeleteFunc(slices.Clone(msgs), acked)
	again.wantBack("after a restart", got, append(left, newer...), msgs)
}
