package e2e

import (
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A bridge works in both directions, with taps of every type, parks what can
// never be delivered, and is killed. "crossfade remove" lists what it made, and
// with --confirm both brokers are as they were before it came.
func TestRemoveLeavesNothing(t *testing.T) {
	onBoth(t, removesAll)
}

func removesAll(t *testing.T, g generation) {
	s := newScene(t, g, "RabbitMQ → JetStream and back, crossfade remove", brokers.KindRabbitMQ)
	s.nats = brokers.PrivateNATS(t).URL()
	s.natsVia = s.nats
	server := s.server(brokers.KindRabbitMQ)
	s.fromRabbitMQ(usual, allTypes...).sizedLoad(ledger.Keys100, sized(4000, 100_000), sized(2000, 0))
	app := s.name + "-app"
	s.addQueue(app, quorum, amqp.Table{"x-max-length": int32(100_000), "x-dead-letter-exchange": "amq.fanout"})
	s.bind(app, "#", s.name, nil)
	s.addStream(s.name+"-in", usual)
	s.addQueue(s.name+"-back", stream, nil)
	back := &relay{
		name: "back", from: fmt.Sprintf("{system: jet, stream: %s-in}", s.name),
		to: fmt.Sprintf("{system: rabbit, stream: %s-back}", s.name), more: fmt.Sprintf("id: {header: %s}", ledger.IDHeader),
	}
	rabbitBefore, natsBefore := topologyOf(t, server), topologyOfNATS(t, s.nats)

	names := []string{back.name}
	for _, r := range s.relays {
		names = append(names, r.name)
		r.more = "park: skip"
	}
	s.writeWith(back)
	s.start()
	s.awaitBridge(patience, "connected to both sides", connected)
	huge := special{key: "big", body: strings.Repeat("x", 1<<20+1)}
	for i := range 10 {
		if err := s.publishAMQP(huge, fmt.Sprintf("huge-%d", i)); err != nil {
			t.Fatal(err)
		}
		if err := s.publishAMQP(special{key: "small", body: "x"}, fmt.Sprintf("small-%d", i)); err != nil {
			t.Fatal(err)
		}
		if err := s.publishNATS(special{key: s.name + "-in.x", body: "x"}, fmt.Sprintf("back-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitBridge(patience, "everything placed or parked", func(r *relayStatus) bool {
		return r.Counts.Placed >= 10 && (r.Name == back.name || r.Counts.Parked >= 10)
	})
	s.note("kill -9 of the bridge")
	s.bridge.kill()

	// What was placed stays; it is no part of a topology.
	rabbitThere, natsThere := topologyOf(t, server), topologyOfNATS(t, s.nats)
	for broker, d := range map[string]string{"RabbitMQ": rabbitBefore.difference(rabbitThere), "NATS": natsBefore.difference(natsThere)} {
		if d == "" {
			t.Errorf("the bridge made nothing at %s: the story shows nothing", broker)
		}
	}
	for _, name := range names {
		out, code := command(t, s.binary, s.env, "remove", name, "-c", s.config)
		if code != 0 || !strings.Contains(out, s.name) {
			t.Errorf("remove %s without --confirm: exit code %d:\n%s", name, code, out)
		}
	}
	if d := rabbitThere.difference(topologyOf(t, server)) + natsThere.difference(topologyOfNATS(t, s.nats)); d != "" {
		t.Errorf("remove without --confirm changed:\n%s", d)
	}
	for _, name := range names {
		if out, code := command(t, s.binary, s.env, "remove", name, "-c", s.config, "--confirm"); code != 0 {
			t.Errorf("remove %s --confirm: exit code %d:\n%s", name, code, out)
		}
	}
	if d := rabbitBefore.difference(topologyOf(t, server)); d != "" {
		t.Errorf("RabbitMQ is not as it was:\n%s", d)
	}
	if d := natsBefore.difference(topologyOfNATS(t, s.nats)); d != "" {
		t.Errorf("NATS is not as it was:\n%s", d)
	}
	if out, code := command(t, s.binary, s.env, "remove", names[0], "-c", s.config, "--confirm"); code != 0 {
		t.Errorf("a second removal: exit code %d:\n%s", code, out)
	}
	s.notes = append(s.notes, fmt.Sprintf("the bridge had made %d things at RabbitMQ and %d at NATS; none is left, and nothing else is missing",
		len(rabbitThere)-len(rabbitBefore), len(natsThere)-len(natsBefore)))
	s.relays = nil // there is no book to report
	s.print()
}

// writeWith writes the configuration with one more relay, which no book is kept
// of.
func (s *scene) writeWith(more *relay) {
	s.t.Helper()
	kept := s.relays
	defer func() { s.relays = kept }()
	s.relays = append(append([]*relay(nil), kept...), more)
	s.write()
}
