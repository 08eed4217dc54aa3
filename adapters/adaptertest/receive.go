package adaptertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var receiveChecks = []check{
	{"Receive", "blocks until a message comes", []waiver{needsSource}, receiveBlocks},
	{"Receive", "ends with ctx, gives its cause, and the session goes on", []waiver{needsSource}, receiveEndsWithContext},
	{"Receive", "gives deliveries or an error, never both, never neither", []waiver{needsSource}, receiveShape},
	{"Receive", "honours the room it is given", []waiver{needsSource}, receiveHonoursRoom},
	{"Receive", "gives each shard in its stored order", []waiver{needsSource, needsOrdered}, receiveOrder},
	{"Receive", "leaves alone what it has delivered", []waiver{needsSource}, receiveLeavesAlone},
	{"Receive", "goes on when un-acked messages below the bound are acknowledged", []waiver{needsSource, needsSmallUnacked}, receiveGoesOn},
	{"Receive", "gives a stored message the same origin every time", []waiver{needsSource, needsReplayable}, receiveOrigin},
	{"Receive", "says where a message is stored, the same in every session, growing within a shard", []waiver{needsSource, needsReplayable}, receiveStored},
	{"Backlog", "is what waits, delivered or not, until it is acknowledged", []waiver{needsSource, needsDurableSource}, backlogCounts},
}

func receiveBlocks(e *env) {
	t := e.tap(e.process())
	done := t.start(e.Context(), 4)
	e.stillRuns("Receive from an empty source", done)
	e.put(e.messages(1, 1))
	if err := e.returns("Receive", done); err != nil {
		e.Errorf("Receive, when a message came: %v", err)
	}
}

func receiveEndsWithContext(e *env) {
	t := e.tap(e.process())
	cause := errors.New("the check has seen enough")
	ctx, cancel := context.WithCancelCause(e.Context())
	done := t.start(ctx, 4)
	e.stillRuns("Receive from an empty source", done)
	cancel(cause)
	if err := e.returns("Receive", done); !errors.Is(err, cause) {
		e.Errorf("Receive gave %v, want the cause of ctx: %v", err, cause)
	}
	if err := e.returns("Receive", t.start(ctx, 4)); !errors.Is(err, cause) {
		e.Errorf("Receive with ctx that has ended gave %v, want %v", err, cause)
	}
	msgs := e.messages(3, 1)
	e.put(msgs)
	ds := t.receive(3)
	t.want("after ctx had ended", ds, msgs)
	t.ack(ds...)
}

func receiveShape(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(60, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; i < len(msgs); i += 3 {
			if err := e.Put(e.Context(), msgs[i:i+3]); err != nil {
				e.breach("put: %v", err)
				return
			}
		}
	})
	t.want("while others put", t.receive(len(msgs)), msgs)
	wg.Wait()
}

func receiveHonoursRoom(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(40, 1)
	e.put(msgs)
	var got []bridge.Delivery
	for room := 1; len(got) < len(msgs); room = room%7 + 1 {
		got = append(got, t.once(room)...)
	}
	t.want("in small helpings", dedup(got), msgs)
}

func dedup(ds []bridge.Delivery) []bridge.Delivery {
	seen := map[string]bool{}
	return slices.DeleteFunc(ds, func(d bridge.Delivery) bool {
		was := seen[d.ID.Value]
		seen[d.ID.Value] = true
		return was
	})
}

func receiveOrder(e *env) {
	t := e.tap(e.process())
	for range 5 {
		msgs := e.messages(1+e.rand.IntN(50), 7)
		e.put(msgs)
		ds := t.receive(len(msgs))
		t.want("in order", ds, msgs)
		t.ack(ds...)
	}
}

func receiveLeavesAlone(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(140, 3)
	e.put(msgs[:20])
	first := t.receive(20)
	e.put(msgs[20:])
	for range 3 {
		t.ack(t.receive(40)...)
	}
	t.want("after 120 more", first, msgs[:20])
	t.ack(first...)
}

func receiveGoesOn(e *env) {
	t := e.tap(e.process())
	bound := e.facts.from.Unacked
	msgs := e.messages(3*bound, 2)
	e.put(msgs)
	var held []bridge.Delivery
	var all []bridge.Delivery
	for len(all) < len(msgs) {
		if len(held) == bound {
			t.ack(held[1:]...) // the oldest stays un-acked
			held = held[:1]
		}
		ds := t.receive(min(bound-len(held), len(msgs)-len(all)))
		all, held = append(all, ds...), append(held, ds...)
		if bound == 1 {
			t.ack(held...)
			held = nil
		}
	}
	t.want("within the bound", all, msgs)
}

func receiveOrigin(e *env) {
	t := e.tap(e.process())
	msgs := e.messages(12, 3)
	e.put(msgs)
	ds := t.receive(12)
	first := origins(e, ds)
	t.ack(ds[:5]...)
	t.close()
	for id, o := range origins(e, e.tap(e.process()).receive(7)) {
		if first[id] != o {
			e.Errorf("message %s had origin %s and then %s", id, first[id], o)
		}
	}
	seen := map[string]string{}
	for id, o := range first {
		if other, ok := seen[o]; ok {
			e.Errorf("messages %s and %s share the origin %s", id, other, o)
		}
		seen[o] = id
	}
}

func receiveStored(e *env) {
	msgs := e.messages(12, 3)
	places := map[string]string{}
	for session := range 2 {
		p := e.process()
		t := e.tap(p)
		if session == 0 {
			e.put(msgs)
		}
		latest := map[int32]uint64{}
		for _, d := range t.receive(len(msgs)) {
			o := d.Stored
			if o.Stream == nil || !o.Stream.Replayable || o.Stream.Cluster == "" || o.Stream.Incarnation == "" {
				e.Fatalf("message %s is stored at %+v of stream %+v: want a replayable one with cluster and incarnation", d.ID.Value, o, o.Stream)
			}
			if was, ok := latest[o.Shard]; ok && was >= o.Offset {
				e.Errorf("message %s is stored at %s, and one before it at %d", d.ID.Value, o, was)
			}
			latest[o.Shard] = o.Offset
			if was := places[d.ID.Value]; was != "" && was != o.String() {
				e.Errorf("message %s is stored at %s, and was at %s", d.ID.Value, o, was)
			}
			places[d.ID.Value] = o.String()
		}
		t.close()
		e.die(p)
	}
}

func origins(e *env, ds []bridge.Delivery) map[string]string {
	all := map[string]string{}
	for i := range ds {
		o := ds[i].Origin
		if o.Stream == nil || !o.Stream.Replayable || o.Stream.Cluster == "" || o.Stream.Incarnation == "" {
			e.Errorf("message %s has origin %+v of stream %+v: want a replayable one with cluster and incarnation", ds[i].ID.Value, o, o.Stream)
		}
		all[ds[i].ID.Value] = o.String()
	}
	return all
}

func backlogCounts(e *env) {
	t := e.tap(e.process())
	b, ok := t.Source.(bridge.Backlogger)
	if !ok {
		e.without("its source is no Backlogger")
		return
	}
	want := func(n int64) {
		e.Helper()
		var last bridge.Backlog
		var err error
		deadline := time.Now().Add(e.patience)
		for time.Now().Before(deadline) {
			err = e.bounded("Backlog", func(ctx context.Context) (err error) {
				last, err = b.Backlog(ctx)
				return err
			})
			if err == nil && (last.Messages == n || last.Bound && last.Messages >= n) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		e.Errorf("backlog %+v, %v; want %d messages", last, err, n)
	}
	want(0)
	e.put(e.messages(10, 2))
	want(10)
	ds := t.receive(7)
	want(10)
	t.ack(ds[:4]...)
	want(6)
	t.ack(ds[4:]...)
	want(3)
	t.ack(t.receive(3)...)
	want(0)
}
