package rabbitmq

import (
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sink takes a message for its target's own by the cluster, the vhost and the name,
// or the exchange that a tap heard it on; and in doubt for another's.
func TestLoops(t *testing.T) {
	tap := tapName(bridge.Identity{Bridge: "b", Relay: "forth"}, &sourceSettings{})
	from := func(cluster, name, exchange string) *bridge.Message {
		return &bridge.Message{
			Origin:  bridge.Origin{Stream: &bridge.Stream{System: Kind, Cluster: cluster, Name: name}},
			Address: bridge.Address{Space: exchange, Name: "a.b"},
		}
	}
	exchange := target{kind: toExchange, exchange: "telemetry"}
	stream := target{kind: typeStream, queue: "events"}
	elsewhere := from("rabbit@a", "events", "")
	elsewhere.Origin.Stream.System = "nats"
	for name, c := range map[string]struct {
		target  target
		cluster string
		m       *bridge.Message
		want    bool
	}{
		"a tap on the exchange":             {exchange, "rabbit@a", from("rabbit@a", tap, "telemetry"), true},
		"a tap on another":                  {exchange, "rabbit@a", from("rabbit@a", tap, "telemetry.next"), false},
		"a tap of another cluster":          {exchange, "rabbit@a", from("rabbit@b", tap, "telemetry"), false},
		"a tap of another vhost":            {exchange, "rabbit@a/two", from("rabbit@a", tap, "telemetry"), false},
		"an application's queue":            {exchange, "rabbit@a", from("rabbit@a", "orders", "telemetry"), false},
		"the stream":                        {stream, "rabbit@a", from("rabbit@a", "events", "telemetry"), true},
		"another stream":                    {stream, "rabbit@a", from("rabbit@a", "events.next", ""), false},
		"the stream of another vhost":       {stream, "rabbit@a", from("rabbit@a/two", "events", ""), false},
		"the stream's name, another system": {stream, "rabbit@a", elsewhere, false},
		"a cluster without name":            {stream, "", from("", "events", ""), false},
		"no origin":                         {stream, "rabbit@a", &bridge.Message{}, false},
	} {
		s := &sink{opener: &sinkOpener{target: c.target}, cluster: c.cluster}
		if got := s.Loops(c.m); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	for vhost, want := range map[string]string{"/": "rabbit@a", "two": "rabbit@a/two"} {
		if b := brokerOf(map[string]any{"cluster_name": "rabbit@a"}, vhost); b.origin != want || b.cluster != "rabbit@a" {
			t.Errorf("vhost %s: %+v", vhost, b)
		}
	}
}
