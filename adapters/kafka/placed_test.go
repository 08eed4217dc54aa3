package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A message is where the settings place it, also when partitions are added between; one in
// another partition or topic is elsewhere.
func TestWhereAMessageBelongs(t *testing.T) {
	r := newSinkRig(t, 5)
	o := r.sinkOf(t, SinkConfig{})
	at := func(topic string, partition int32, key string) *bridge.Delivery {
		return &bridge.Delivery{
			Message: bridge.Message{Key: key},
			Stored:  bridge.Origin{Stream: &bridge.Stream{System: Kind, Name: topic, Replayable: true}, Shard: partition},
		}
	}
	want := func(d *bridge.Delivery, right, known bool) {
		t.Helper()
		if r, k := o.Placed(t.Context(), d); r != right || k != known {
			t.Errorf("key %s in %s %d: %t, %t; want %t, %t", d.Key, d.Stored.Stream.Name, d.Stored.Shard, r, k, right, known)
		}
	}
	for i := range 20 { // few are elsewhere: of many it is not asked each time
		key := fmt.Sprint("key", i)
		p := partitionOf(octets(key), 5)
		want(at("t", p, key), true, true)
		want(at("t", (p+1)%5, key), false, true)
		want(at("u", p, key), false, true)
	}
	want(&bridge.Delivery{}, false, false)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreatePartitions(t.Context(), 2, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range 50 { // at once, though nobody said so; and what was placed before is right still
		key := fmt.Sprint("key", i)
		want(at("t", partitionOf(octets(key), 7), key), true, true)
		want(at("t", partitionOf(octets(key), 5), key), true, true)
	}
	templated := r.sinkOf(t, SinkConfig{Topic: "t.{header:site}"})
	if right, known := templated.Placed(t.Context(), at("t", 0, "k")); right || known {
		t.Errorf("a message that no relay places: %t, %t", right, known)
	}
}
