package adapters_test

import (
	"testing"

	"github.com/crossfade-mq/crossfade/adapters/kafka"
	adapter "github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/adapters/rabbitmq"
	"github.com/crossfade-mq/crossfade/bridge"
)

// By the blocks of a sink and of a source it is told whether the source reads where the sink
// writes. What cannot be told is not so.
func TestWhatIsReadWhereARelayWrites(t *testing.T) {
	rabbit, jet, cluster := rabbitmq.Adapter(), adapter.Adapter(), kafka.Adapter()
	for _, c := range []struct {
		of       bridge.Adapter
		to, from string
		feeds    bool
	}{
		{rabbit, "stream: s", "stream: s", true},
		{rabbit, "stream: s", "stream: other", false},
		{rabbit, "queue: q", "{queue: q, competes: true}", true},
		{rabbit, "queue: q", "{queue: other, competes: true}", false},
		{rabbit, "queue: q", "stream: q", false},
		{rabbit, "exchange: e", `bindings: [{exchange: e, routing_key: "#"}]`, true},
		{rabbit, "exchange: e", `bindings: [{exchange: e}]`, true}, // a fanout's
		{rabbit, "exchange: e", `bindings: [{exchange: other, routing_key: "#"}]`, false},
		{rabbit, "exchange: e", `bindings: [{exchange: e, routing_key: "#"}, {exchange: other, routing_key: "#"}]`, false},
		{rabbit, `{exchange: e, routing_key: "raw.{address}"}`, "bindings: [{exchange: e, routing_key: raw.*.temp}]", true},
		{rabbit, `{exchange: e, routing_key: "raw.{address}"}`, `bindings: [{exchange: e, routing_key: "clean.#"}]`, false},
		{rabbit, "exchange: e", "stream: s", false}, // whether it is bound to e, and to nothing else, stands in no block

		{jet, "{stream: S, subject: '{address}'}", "stream: S", true},
		{jet, "{stream: S, subject: '{address}'}", "stream: OTHER", false},
		{jet, "{stream: S, subject: 'raw.{address}'}", "{stream: S, subjects: [raw.a.>]}", true},
		{jet, "{stream: S, subject: 'raw.{address}'}", "{stream: S, subjects: [clean.>]}", false},
		{jet, "{stream: S, subject: 'raw.{address}'}", "{stream: S, subjects: [clean.>, raw.>]}", true},
		{jet, "{core: true, subject: '{address}'}", "stream: S", false},

		{cluster, "topic: a", "topics: [a]", true},
		{cluster, "topic: a", "topics: [b]", false},
		{cluster, "topic: a", "topics: [a, b]", false},
		{cluster, "topic: a", "pattern: a|b", true},
		{cluster, "topic: a", "pattern: b|c", false},
		{cluster, "topic: 'copy.{topic}'", "topics: [copy.a, copy.b.c]", true},
		{cluster, "topic: 'copy.{topic}'", "topics: [copy.a, clean.a]", false},
		{cluster, "topic: 'copy.{topic}'", `pattern: copy\..*`, false}, // which topics those are only the brokers know
	} {
		s, err := c.of.System("test", block("%s", map[string]string{rabbitmq.Kind: "url: amqp://localhost", adapter.Kind: "url: nats://localhost", kafka.Kind: "brokers: [localhost:9092]"}[c.of.Kind]))
		if err != nil {
			t.Fatal(err)
		}
		source, err1 := s.Source(bridge.Identity{Bridge: "b", Relay: "r-candidate"}, block("%s", c.from))
		sink, err2 := s.Sink(bridge.Identity{Bridge: "b", Relay: "r"}, block("%s", c.to))
		if err1 != nil || err2 != nil {
			t.Errorf("%s: to %s, candidate %s: %v, %v", c.of.Kind, c.to, c.from, err1, err2)
			continue
		}
		target := sink.(bridge.Targeting).Target()
		if got := target.Feeds(source.(bridge.Tapping).Taps()); got != c.feeds {
			t.Errorf("%s: to %s, candidate %s: %t", c.of.Kind, c.to, c.from, got)
		}
	}
}
