package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/crossfade-mq/crossfade/bridge"
)

// inShort is an object with its settings.
func inShort(o bridge.Object) string {
	s := o.Kind + " " + o.Name
	if o.From != "" {
		s += " of " + o.From
	}
	for _, x := range o.Settings {
		s += fmt.Sprintf(" %s=%v", x.Name, x.Value)
	}
	if o.Own {
		s += " own"
	}
	return s
}

func surveyed(t *testing.T, s *system) bridge.Topology {
	t.Helper()
	found, err := s.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// onKafkas runs a test on kfake and on a real Kafka.
func onKafkas(t *testing.T, f func(*testing.T, *testCluster)) {
	t.Run("kfake", func(t *testing.T) { f(t, startCluster(t)) })
	t.Run("Kafka", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts a Kafka")
		}
		f(t, realCluster(t))
	})
}

// A survey gives topics with what is set for them, and the groups that have read
// them; what is a bridge's or the cluster's own is marked.
func TestSurvey(t *testing.T) {
	t.Parallel()
	onKafkas(t, func(t *testing.T, c *testCluster) {
		c.topic(t, "plain", 1)
		c.topic(t, "set", 3, "retention.ms=60000", "cleanup.policy=compact", "retention.bytes=1000", "max.message.bytes=5000")
		c.topic(t, "crossfade.b.r.parked", 1)
		adm := kadm.NewClient(c.client(t))
		for group, topics := range map[string][]string{"billing": {"plain", "set"}, "crossfade.b.r": {"plain"}} {
			offsets := kadm.Offsets{}
			for _, topic := range topics {
				offsets.AddOffset(topic, 0, 0, -1)
			}
			if err := adm.CommitAllOffsets(context.Background(), group, offsets); err != nil {
				t.Fatal(err)
			}
		}
		found := surveyed(t, c.system(t))
		var got []string
		for _, o := range found.Objects {
			if !strings.HasPrefix(o.Name, "__") {
				got = append(got, inShort(o))
			}
		}
		want := []string{
			"topic crossfade.b.r.parked partitions=1 own", "topic plain partitions=1", "topic set cleanup.policy=compact max.message.bytes=5000 partitions=3 retention.bytes=1000 retention.ms=60000",
			"consumer group billing of plain", "consumer group crossfade.b.r of plain own", "consumer group billing of set",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
		if found.Kind != Kind || found.Nodes != 1 || !strings.HasPrefix(found.System, "kafka cluster ") || len(found.Unseen)+len(found.Blind) > 0 {
			t.Errorf("it is %s, %s, %d nodes, unseen %q", found.Kind, found.System, found.Nodes, found.Unseen)
		}
		i := slices.IndexFunc(found.Objects, func(o bridge.Object) bool { return o.Name == "set" })
		for m, n := range map[bridge.Meaning]int64{bridge.MeaningAge: 60e9, bridge.MeaningBytes: 3000, bridge.MeaningSize: 5000, bridge.MeaningPartitions: 3} {
			if s, ok := found.Objects[i].Setting(m); !ok || s.N != n {
				t.Errorf("setting %s is %d, want %d", s.Name, s.N, n)
			}
		}
	})
}

// What is made is as it was planned and there once; what is there otherwise stays.
func TestProvision(t *testing.T) {
	t.Parallel()
	onKafkas(t, func(t *testing.T, c *testCluster) {
		s := c.system(t)
		set := bridge.Object{Role: bridge.RoleLog, Kind: kindTopic, Name: "set", Settings: []bridge.Setting{
			{Meaning: bridge.MeaningPartitions, Name: "partitions", Value: int64(3), N: 3}, {Meaning: bridge.MeaningAge, Name: "retention.ms", Value: "60000", N: 60e9},
		}}
		plain := bridge.Object{Role: bridge.RoleLog, Kind: kindTopic, Name: "plain"}
		for range 2 {
			if err := s.Provision(t.Context(), []bridge.Object{plain, set}); err != nil {
				t.Fatal(err)
			}
		}
		other := set
		other.Settings = []bridge.Setting{{Meaning: bridge.MeaningPartitions, Name: "partitions", Value: int64(7), N: 7}}
		if err := s.Provision(t.Context(), []bridge.Object{other}); err != nil {
			t.Error(err)
		}
		found := surveyed(t, s)
		i := slices.IndexFunc(found.Objects, func(o bridge.Object) bool { return o.Name == "set" })
		if i < 0 || !slices.Equal(found.Objects[i].Settings, set.Settings) || !slices.ContainsFunc(found.Objects, func(o bridge.Object) bool { return o.Name == "plain" }) {
			t.Errorf("it has made %+v", found.Objects)
		}
		if held, err := s.Holdings(t.Context(), testIdentity.Bridge); err != nil || len(held) > 0 {
			t.Errorf("it counts as the bridge's own: %+v, %v", held, err)
		}
		for _, o := range []bridge.Object{{Role: bridge.RoleQueue, Kind: "quorum queue", Name: "q"}, {Role: bridge.RoleLog, Kind: kindTopic, Name: "no topic"}} {
			if err := s.Provision(t.Context(), []bridge.Object{o}); err == nil || !strings.Contains(err.Error(), o.Name) {
				t.Errorf("%s %s: %v", o.Kind, o.Name, err)
			}
		}
	})
}

func TestTapsAndTargets(t *testing.T) {
	s := startCluster(t).system(t)
	taps := s.from(t, SourceConfig{Pattern: "a.*"}).(bridge.Tapping).Taps()
	for name, want := range map[string]bool{"abc": true, "xabc": false} {
		if o := (&bridge.Object{Role: bridge.RoleLog, Name: name}); len(taps) != 1 || taps[0].Of(o) != want {
			t.Errorf("a pattern taps %s: %v", name, !want)
		}
	}
	if taps[0].Of(&bridge.Object{Role: bridge.RoleLog, Name: "a", Own: true}) {
		t.Error("a pattern taps what is a bridge's own")
	}
	sink, err := s.Sink(testIdentity, decoded(SinkConfig{Topic: "t", Create: &CreateConfig{Partitions: 4, Configs: []string{"retention.ms=5", "x=y"}}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := inShort(sink.(bridge.Targeting).Target().Object); got != "topic t partitions=4 retention.ms=5 x=y" {
		t.Errorf("the target is %s", got)
	}
}
