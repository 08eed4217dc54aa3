package adapters_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// There and back is the identity over every ordered pair of systems: whatever a
// message holds, the first system gives again what it gave the first time, having had
// it back from the second. What a place is declared to change, and nothing else, is
// left out of the comparison. // I3
func TestThereAndBack(t *testing.T) {
	taken := slices.DeleteFunc(slices.Clone(ends), func(e end) bool { return e.more && testing.Short() })
	for _, a := range taken {
		for _, b := range taken {
			if a.system != b.system {
				t.Run(a.name+" to "+b.name+" and back", func(t *testing.T) { thereAndBack(t, a, b) })
			}
		}
	}
}

func thereAndBack(t *testing.T, a, b end) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	n := 300
	if testing.Short() {
		n = 60
	}
	sent := unlike(rand.New(rand.NewPCG(seed, 1)), n)
	first, second, third := a.make(t), b.make(t), a.make(t)
	was := first.through(t, sent)
	between := second.through(t, was)
	is := third.through(t, between)
	gives := [][]bridge.Mapping{first.gives(t), second.gives(t), third.gives(t)}
	for number, want := range was {
		there, back := between[number], is[number]
		if there == nil || back == nil {
			if !second.parked[number] && !third.parked[number] {
				t.Errorf("message %d is gone: %+v", number, want)
			}
			continue
		}
		if d := adaptertest.DiffersBut(want, back, gives[1:]...); d != "" {
			t.Errorf("message %d came back with %s\nsent %+v", number, d, sent[number])
		}
		if d := adaptertest.DiffersBut(sent[number], want, gives[0]); d != "" {
			t.Errorf("message %d was first read with %s\nsent %+v", number, d, sent[number])
		}
	}
	t.Logf("%d of %d messages went there and back; %d, %d, %d were refused", len(is), n, len(first.parked), len(second.parked), len(third.parked))
	if len(is) < n*9/10 {
		t.Errorf("only %d of %d messages went through", len(is), n)
	}
}

// unlike makes n random messages that no system takes for repeats of each other, by
// the number that their origin has. Those that live for a time live long enough.
func unlike(r *rand.Rand, n int) map[uint64]*bridge.Message {
	all := map[uint64]*bridge.Message{}
	elsewhere := &bridge.Stream{System: "elsewhere", Cluster: "a/b", Name: "s s", Incarnation: "7", Replayable: true}
	for i := range uint64(n) {
		m := adaptertest.RandomMessage(r)
		m.Origin = bridge.Origin{Stream: elsewhere, Shard: int32(i), Offset: i}
		if !m.ID.IsZero() {
			m.ID.Value += fmt.Sprint(" ", i)
		}
		for j := range m.Properties {
			if p := &m.Properties[j]; p.Kind == bridge.KindExpiration && r.IntN(2) == 0 {
				p.Text = fmt.Sprint(3_600_000 + r.IntN(1000))
			} else if p.Kind == bridge.KindExpiration {
				p.Text = "in " + p.Text
			}
		}
		all[i] = m
	}
	return all
}

// A place is one queue, stream or topic with a relay's source and sink of its own.
type place struct {
	source bridge.SourceOpener
	sink   bridge.SinkOpener
	parked map[uint64]bool

	url, queue string // of a queue or stream of RabbitMQ
}

// gives is what the place declares to give.
func (p *place) gives(t *testing.T) []bridge.Mapping {
	t.Helper()
	g, ok := p.source.(bridge.Giver)
	if !ok {
		t.Fatalf("%s declares nothing", p.source.Describe())
	}
	return g.Gives()
}

// through sends messages to the place and reads them there. What the sink refuses, it
// refuses for a reason that it declares.
func (p *place) through(t *testing.T, in map[uint64]*bridge.Message) map[uint64]*bridge.Message {
	t.Helper()
	source, err := p.source.Open(t.Context()) // first: a tap begins when it is made
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	return p.read(t, source, p.write(t, in))
}

// write sends messages to the place, and says how many it took.
func (p *place) write(t *testing.T, in map[uint64]*bridge.Message) int {
	t.Helper()
	sink, err := p.sink.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	s := &sending{t: t, place: p, sink: sink, lanes: map[int]*laneInUse{}}
	defer s.close()
	for _, number := range slices.Sorted(maps.Keys(in)) {
		s.send(number, in[number])
	}
	s.settle()
	return s.placed()
}

// read reads that many messages.
func (p *place) read(t *testing.T, source bridge.Source, n int) map[uint64]*bridge.Message {
	t.Helper()
	out := map[uint64]*bridge.Message{}
	into := make([]bridge.Delivery, 64)
	ctx, cancel := contextFor(t, 30*time.Second)
	defer cancel()
	for len(out) < n {
		got, err := source.Receive(ctx, into)
		if err != nil {
			t.Fatalf("%s: read %d of %d: %v", p.source.Describe(), len(out), n, err)
		}
		receipts := make([]bridge.Receipt, got)
		for i := range got {
			m := into[i].Message
			out[m.Origin.Offset], receipts[i] = &m, into[i].Receipt
		}
		if err := source.Ack(ctx, receipts); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
