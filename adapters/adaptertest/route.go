package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var routeChecks = []check{
	{"Route", "is pure, within the lanes, and one for a key and address", []waiver{needsSink, needsRouted}, routePure},
	{"Route", "a lane refuses what belongs to another, with ErrRerouted", []waiver{needsSink, needsRouted, needsLanes}, routeRefused},
	{"Route", "when partitions are added, lanes end with ErrRerouted", []waiver{needsSink, needsRouted, needsLanes, needsRepartition}, routeChanged},
}

func needsRouted(f *facts) string {
	if !f.to.Routed {
		return "trait Routed: no"
	}
	return ""
}

func needsRepartition(f *facts) string {
	if !f.repartition {
		return "the harness: it cannot partition this target anew"
	}
	return ""
}

// key is the k-th key that a lane takes; where the relay chooses lanes, any does.
func (f *facts) key(lane, k int) string {
	if !f.to.Routed {
		return fmt.Sprint("key-", k)
	}
	return f.keys[lane][k]
}

// lanes is how many lanes take something.
func (f *facts) lanes() int {
	if f.to.Routed {
		return len(f.keys)
	}
	return f.to.Lanes
}

// mostKeys is how many keys of one lane a check may want.
const mostKeys = 16

// routedKeys finds keys of the form "key-3" for lane 0 and those after it that have
// some.
func routedKeys(t T, p Process) [][]string {
	t.Helper()
	s, err := p.Sink.Open(t.Context())
	if err != nil {
		t.Fatalf("open the sink: %v", err)
	}
	defer func() { _ = s.Close() }()
	router, ok := s.(bridge.Router)
	if !ok {
		t.Fatalf("the trait Routed, but the sink is no Router")
	}
	lanes := max(p.Sink.Traits().Lanes, 1)
	keys := make([][]string, lanes)
	for i := range 200 * mostKeys {
		key := fmt.Sprint("key-", i)
		lane := router.Route(&bridge.Message{Key: key}, lanes)
		if lane < 0 || lane >= lanes {
			t.Fatalf("key %q is routed to lane %d of %d", key, lane, lanes)
		}
		if len(keys[lane]) < mostKeys {
			keys[lane] = append(keys[lane], key)
		}
	}
	for i := range keys {
		if len(keys[i]) < mostKeys {
			keys = keys[:i]
			break
		}
	}
	if len(keys) == 0 {
		t.Fatalf("too few keys of the form key-3 are routed to lane 0")
	}
	return keys
}

func (e *env) router(s bridge.Sink) bridge.Router {
	e.Helper()
	r, ok := s.(bridge.Router)
	if !ok {
		e.Fatalf("the trait Routed, but the sink is no Router")
	}
	return r
}

// routePure asks two sinks, of two processes, from several goroutines for the lanes
// of messages that have nothing in common but some keys and addresses.
func routePure(e *env) {
	routers := []bridge.Router{e.router(e.sink(e.process())), e.router(e.sink(e.process()))}
	var msgs []bridge.Message
	keys := []string{"", " ", "key-1", "key-1 ", "Ω.load", "a/b", "\x00\xff"}
	for i := range 40 {
		keys = append(keys, fmt.Sprint("key-", i*i))
	}
	for i := range 400 {
		m := e.messages(1, 1)[0]
		m.Key = keys[i%len(keys)]
		m.Body = m.Body[:e.rand.IntN(len(m.Body))]
		if i%3 == 0 {
			m.Headers = []bridge.Header{{Name: "n", Value: []byte{byte(i)}}}
			m.Time = time.Unix(int64(i), 0)
		}
		msgs = append(msgs, m)
	}
	var wg sync.WaitGroup
	for lanes := 1; lanes <= max(4, e.facts.to.Lanes); lanes++ {
		first := map[string]int{} // read by all below, once it is full
		for i := range msgs {
			m := &msgs[i]
			lane := routers[0].Route(m, lanes)
			if lane < 0 || lane >= lanes {
				e.Fatalf("key %q is routed to lane %d of %d", m.Key, lane, lanes)
			}
			if was, ok := first[m.Key]; ok && was != lane {
				e.Fatalf("key %q is routed to lanes %d and %d of %d", m.Key, was, lane, lanes)
			}
			first[m.Key] = lane
		}
		for _, r := range routers {
			for range 2 {
				wg.Go(func() {
					for i := range msgs {
						if lane := r.Route(&msgs[i], lanes); lane != first[msgs[i].Key] {
							e.breach("key %q is routed to lane %d of %d, and was to %d", msgs[i].Key, lane, lanes, first[msgs[i].Key])
							return
						}
					}
				})
			}
		}
		wg.Wait()
	}
}

// routeRefused sends through one lane what belongs to another.
func routeRefused(e *env) {
	s := e.sink(e.process())
	l0, l1 := e.laneOn(s, 0), e.laneOn(s, 1)
	own, others := e.messagesOn(0, 4, 2), e.messagesOn(1, 4, 2)
	l0.deliver(own)
	if err := l0.endedBy(others[:1]); !errors.Is(err, bridge.ErrRerouted) {
		e.Errorf("lane 0 was sent what belongs to lane 1: %v; want ErrRerouted", err)
	} else if bridge.ClassOf(err) != bridge.Transient {
		e.Errorf("%v is not transient", err)
	}
	l0.end()
	e.want("the target", own)
	l1.deliver(others)
	e.want("the target", append(own, others...))
}

// endedBy sends, and gives what ends the lane for it; nil if everything is settled.
func (l *lane) endedBy(msgs []bridge.Message) error {
	l.e.Helper()
	before, _ := l.state()
	if _, err := l.send(msgs); err != nil {
		return err
	}
	_, err := l.await(before + len(msgs))
	return err
}

// routeChanged adds partitions below two lanes: those who were open end as soon as
// they see it, and what is opened then has the new routes.
func routeChanged(e *env) {
	old := e.sink(e.process())
	l := e.laneOn(old, 0)
	msgs := e.messages(20, mostKeys)
	l.deliver(msgs)
	err := e.bounded("Repartition", func(ctx context.Context) error { return e.Repartition(ctx) })
	if err != nil {
		e.Fatalf("partition the target anew: %v", err)
	}
	var now bridge.Router
	moved := ""
	e.until("a sink that is opened routes otherwise", func() bool {
		s := e.sink(e.process())
		now = e.router(s)
		for k := range mostKeys {
			if key := e.facts.key(0, k); now.Route(&bridge.Message{Key: key}, e.facts.to.Lanes) != 0 {
				moved = key
			}
		}
		return moved != ""
	})
	if was := e.router(old).Route(&bridge.Message{Key: moved}, e.facts.to.Lanes); was != 0 {
		e.Errorf("key %q was routed to lane 0, and by the same sink is to %d", moved, was)
	}
	var ended error
	var last []bridge.Message // of unknown outcome
	e.until("lane 0 ends", func() bool {
		msgs = append(msgs, last...)
		last = e.messages(1, 1)
		last[0].Key = moved
		ended = l.endedBy(last)
		return ended != nil
	})
	if !errors.Is(ended, bridge.ErrRerouted) {
		e.Errorf("lane 0 ended with %v; want ErrRerouted", ended)
	}
	l.end()
	m := e.messages(3, 1)
	for i := range m {
		m[i].Key = moved
	}
	e.lane(e.process(), now.Route(&m[0], e.facts.to.Lanes)).deliver(m)
	got := e.read()
	if slices.ContainsFunc(got, func(g bridge.Message) bool { return g.ID.Value == last[0].ID.Value }) {
		msgs = append(msgs, last...)
	}
	e.wantAll("the target", got, append(msgs, m...))
}
