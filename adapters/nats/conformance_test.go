package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// What the embedded server runs beside the adapter.
var background = []string{"nats-server/v2"}

func TestConformanceJetStream(t *testing.T) {
	s := startServer(t, nil)
	adaptertest.Run(t, adaptertest.Harness{Name: "nats jetstream", Background: background, New: streamFixture(s, false)})
}

func TestConformanceJetStreamShared(t *testing.T) {
	s := startServer(t, nil)
	adaptertest.Run(t, adaptertest.Harness{Name: "nats jetstream, shared stream", Background: background, New: streamFixture(s, true)})
}

func TestConformanceCore(t *testing.T) {
	s := startServer(t, nil)
	adaptertest.Run(t, adaptertest.Harness{Name: "nats core", Background: background, New: coreFixture(s)})
}

var fixtures struct {
	sync.Mutex
	made int
}

func unique(prefix string) string {
	fixtures.Lock()
	defer fixtures.Unlock()
	fixtures.made++
	return fmt.Sprintf("%s%d", prefix, fixtures.made)
}

// identified finds the key in the subject and the ID where producers put it.
func identified(prefix string) func(*bridge.Delivery) {
	return func(d *bridge.Delivery) {
		d.Key = d.Address.Name[len(prefix):]
		if h, ok := d.Header("Nats-Msg-Id"); ok {
			d.ID = bridge.ID{Value: string(h.Value)}
		}
	}
}

func streamFixture(s *testServer, shared bool) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		_, js := s.client(t)
		name := unique("C")
		from, to, loop := name+"-from", name+"-to", name+"-loop"
		for _, stream := range []string{from, to, loop} {
			makeStream(t, js, jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}})
		}
		id := bridge.Identity{Bridge: name, Relay: "relay one"}
		process := func(id bridge.Identity, from, to string) adaptertest.Process {
			sys := s.system(t)
			t.Cleanup(sys.kill)
			source, err1 := sys.Source(id, decoded(SourceConfig{Stream: from}))
			sink, err2 := sys.Sink(id, decoded(SinkConfig{Stream: to, Subject: to + ".{address}", Shared: shared}))
			if err1 != nil || err2 != nil {
				t.Fatalf("%v, %v", err1, err2)
			}
			return adaptertest.Process{Source: source, Sink: sink, Kill: sys.kill}
		}
		return adaptertest.Fixture{
			Start:    func(adaptertest.T) adaptertest.Process { return process(id, from, to) },
			Keeper:   func(adaptertest.T) bridge.Keeper { return s.system(t) },
			Identity: id,
			Other: func(adaptertest.T) adaptertest.Process {
				return process(bridge.Identity{Bridge: name, Relay: "relay two"}, from, to)
			},
			Inventory: func(ctx context.Context) ([]string, error) { return inventoryOf(ctx, js) },
			Put: func(ctx context.Context, msgs []bridge.Message) error {
				for i := range msgs {
					m := &nats.Msg{Subject: from + "." + msgs[i].Key, Data: msgs[i].Body, Header: nats.Header{"Nats-Msg-Id": {msgs[i].ID.Value}}}
					if _, err := js.PublishMsg(ctx, m); err != nil {
						return err
					}
				}
				return nil
			},
			Identify: identified(from + "."),
			Read:     func(ctx context.Context) ([]bridge.Message, error) { return stored(ctx, js, to) },
			Loop:     func(adaptertest.T) adaptertest.Process { return process(id, loop, loop) },
			Missing:  func(adaptertest.T) adaptertest.Process { return process(id, "MISSING", "MISSING") },
			Restart:  func(context.Context) error { s.restart(t); return nil },
		}
	}
}

func coreFixture(s *testServer) func(adaptertest.T) adaptertest.Fixture {
	return func(t adaptertest.T) adaptertest.Fixture {
		nc, _ := s.client(t)
		name := unique("core")
		id := bridge.Identity{Bridge: name, Relay: "relay one"}
		process := func(from, to string) adaptertest.Process {
			sys := s.system(t)
			t.Cleanup(sys.kill)
			source, err1 := sys.Source(id, decoded(SourceConfig{Core: true, Subjects: []string{from + ".>"}}))
			sink, err2 := sys.Sink(id, decoded(SinkConfig{Core: true, Subject: to + ".{address}"}))
			if err1 != nil || err2 != nil {
				t.Fatalf("%v, %v", err1, err2)
			}
			return adaptertest.Process{Source: source, Sink: sink, Kill: sys.kill}
		}
		heard, err := nc.SubscribeSync(name + "-to.>")
		if err == nil {
			err = nc.Flush()
		}
		if err != nil {
			t.Fatalf("subscribe: %v", err)
		}
		var mu sync.Mutex
		var all []bridge.Message
		return adaptertest.Fixture{
			Start: func(adaptertest.T) adaptertest.Process { return process(name+"-from", name+"-to") },
			Put: func(_ context.Context, msgs []bridge.Message) error {
				for i := range msgs {
					m := &nats.Msg{Subject: name + "-from." + msgs[i].Key, Data: msgs[i].Body, Header: nats.Header{"Nats-Msg-Id": {msgs[i].ID.Value}}}
					if err := nc.PublishMsg(m); err != nil {
						return err
					}
				}
				return nc.FlushTimeout(5 * time.Second)
			},
			Identify: identified(name + "-from."),
			Read: func(context.Context) ([]bridge.Message, error) {
				mu.Lock()
				defer mu.Unlock()
				if err := nc.FlushTimeout(5 * time.Second); err != nil { // then all that the server has is here
					return nil, err
				}
				for {
					m, err := heard.NextMsg(time.Millisecond)
					if errors.Is(err, nats.ErrTimeout) {
						return append([]bridge.Message(nil), all...), nil
					}
					if err != nil {
						return nil, err
					}
					p, err := plainMessage(m.Subject, m.Header, m.Data)
					if err != nil {
						return nil, err
					}
					all = append(all, p)
				}
			},
			Loop:    func(adaptertest.T) adaptertest.Process { return process(name+"-loop", name+"-loop") },
			Restart: func(context.Context) error { s.restart(t); return nil },
		}
	}
}
