package adaptertest

import (
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// namedFirst has a session end in the middle. The next one says of every shard that
// holds something where it goes on, and each shard in turn comes first, and no further
// than was asked for, in a session of its own. // I6
func namedFirst(e *env) {
	const keys = 7
	msgs := e.messages(12*keys, keys)
	p := e.process()
	t := e.tap(p)
	e.put(msgs)
	shards := byShard(t.upTo(msgs))
	if len(shards) < 2 {
		e.Fatalf("the trait Sharded, but %d keys came from one shard", keys)
	}
	var done []bridge.Delivery
	for shard, ds := range shards {
		n := len(ds) / 3
		done, shards[shard] = append(done, ds[:n]...), ds[n:]
	}
	t.ack(done...)
	e.die(p)
	for shard, left := range shards {
		p := e.process()
		t := e.tap(p)
		r, ok := t.Source.(bridge.Resumer)
		if !ok {
			e.Fatalf("the trait Sharded, but the source is no Resumer")
		}
		e.resumes(r, shards)
		last := left[len(left)/2]
		r.First([]bridge.Origin{last.Origin})
		for i, d := range t.receive(len(left)/2 + 1) {
			if d.Origin.Shard != shard || d.Origin.Offset != left[i].Origin.Offset {
				e.Fatalf("number %d was %s; %s was to come first, up to %s", i, d.Origin, left[i].Origin, last.Origin)
			}
		}
		e.die(p)
	}
	t = e.tap(e.process())
	var first []bridge.Origin
	for _, left := range shards {
		first = append(first, left[0].Origin)
	}
	t.Source.(bridge.Resumer).First(first)
	got := t.receive(len(shards))
	if n := len(byShard(got)); n != len(shards) {
		e.Errorf("the first %d came from %d shards; the first of each was to come first", len(got), n)
	}
	t.want("after all that", append(got, t.upTo(msgs[len(msgs)-keys:])...), lefts(shards, msgs))
	t.close()
	goneIsNotAwaited(e, shards, msgs, keys)
}

// goneIsNotAwaited names for a shard what it does not hold, as when it was compacted away:
// nobody waits for that.
func goneIsNotAwaited(e *env, shards map[int32][]bridge.Delivery, msgs []bridge.Message, keys int) {
	t := e.tap(e.process())
	var gone []bridge.Origin
	for _, left := range shards {
		o := left[len(left)-1].Origin
		o.Offset += 1000
		gone = append(gone, o)
		break
	}
	t.Source.(bridge.Resumer).First(gone)
	t.want("behind what is gone", t.upTo(msgs[len(msgs)-keys:]), lefts(shards, msgs))
}

// resumes wants that the session says where every shard goes on.
func (e *env) resumes(r bridge.Resumer, shards map[int32][]bridge.Delivery) {
	e.Helper()
	at := map[string]bool{}
	r.Resumes(func(o bridge.Origin) { at[o.String()] = true })
	for _, left := range shards {
		if o := left[0].Origin.String(); !at[o] {
			e.Errorf("the session does not say that it goes on with %s, but %s", o, fmt.Sprint(at))
		}
	}
}

func byShard(ds []bridge.Delivery) map[int32][]bridge.Delivery {
	shards := map[int32][]bridge.Delivery{}
	for _, d := range ds {
		shards[d.Origin.Shard] = append(shards[d.Origin.Shard], d)
	}
	return shards
}

// lefts are the messages of shards, as they were put.
func lefts(shards map[int32][]bridge.Delivery, msgs []bridge.Message) (all []bridge.Message) {
	left := map[string]bool{}
	for _, ds := range shards {
		for i := range ds {
			left[ds[i].ID.Value] = true
		}
	}
	all = slices.Clone(msgs)
	return slices.DeleteFunc(all, func(m bridge.Message) bool { return !left[m.ID.Value] })
}
