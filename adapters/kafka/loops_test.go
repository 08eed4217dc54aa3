package kafka

import (
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sink takes a message for its target's own by the cluster, the topic's ID, and the
// topic that the message would go to.
func TestLoops(t *testing.T) {
	from := func(cluster, name, id string) *bridge.Message {
		return &bridge.Message{
			Key:     "k",
			Address: bridge.Address{Name: name, Partition: 1},
			Origin:  bridge.Origin{Stream: &bridge.Stream{System: Kind, Cluster: cluster, Name: name, Incarnation: id, Replayable: true}},
		}
	}
	other := from("c", "a", "1")
	other.Origin.Stream.System = "nats"
	elsewhere := from("c", "a", "1") // it would go to topic b
	elsewhere.Address.Name = "b"
	for template, wants := range map[string]map[string]bool{
		"a":       {"a": true, "past": false, "cluster": false, "b": false, "other": false, "none": false, "elsewhere": true},
		"{topic}": {"a": true, "past": false, "cluster": false, "b": true, "other": false, "none": false, "elsewhere": false},
	} {
		o, err := (&testCluster{addrs: []string{"127.0.0.1:1"}}).system(t).Sink(testIdentity, decoded(SinkConfig{Topic: template}))
		if err != nil {
			t.Fatal(err)
		}
		layout := &layout{cluster: "c", topics: map[string]*topicLayout{}}
		for name, id := range map[string]string{"a": "1", "b": ""} {
			layout.topics[name] = &topicLayout{name: name, id: id, partitions: make([]partitionLayout, 2)}
		}
		opener := o.(*SinkOpener)
		s := &sink{opener: opener, target: opener.targetOf(layout)}
		for name, m := range map[string]*bridge.Message{
			"a": from("c", "a", "1"), "past": from("c", "a", "0"), "cluster": from("d", "a", "1"), "b": from("c", "b", unknownIncarnation),
			"other": other, "none": {}, "elsewhere": elsewhere,
		} {
			if got := s.Loops(m); got != wants[name] {
				t.Errorf("topic %s, message %s: %t", template, name, got)
			}
		}
	}
}
