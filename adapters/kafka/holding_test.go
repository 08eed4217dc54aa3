package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossfade-mq/crossfade/bridge"
)

func holdingsText(t *testing.T, s *system) string {
	t.Helper()
	all, err := s.Holdings(t.Context(), testIdentity.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, h := range all {
		lines = append(lines, h.Relay+" "+h.Kind+" "+h.Name+": "+h.Text)
	}
	return strings.Join(lines, "\n")
}

// What is listed and removed is what was noted, whatever is called like it; and a removal
// that failed goes on where it was.
func TestRemoveGoesByNotes(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	cl := c.client(t)
	put(t, cl, "a", 1, 0, 3)
	alike := journalOf(testIdentity, "like it") // an operator's
	c.topic(t, alike, 1)
	sys := c.system(t)
	o := sys.from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 3)...)
	for _, purpose := range []string{"parked", "relay"} {
		j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), purpose)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append(t.Context(), []byte(purpose)); err != nil {
			t.Fatal(err)
		}
		j.Close()
	}
	t.Log(holdingsText(t, sys))
	for _, want := range []string{groupOf(testIdentity), journalOf(testIdentity, "parked") + ": journal parked, 1 records", journalOf(testIdentity, "relay"), holdingsOf(testIdentity.Bridge)} {
		if !strings.Contains(holdingsText(t, sys), want) {
			t.Errorf("%s is not listed", want)
		}
	}
	isFatal(t, sys.Remove(t.Context(), testIdentity.Bridge, testIdentity.Relay), thisProcess("").Words, "Stop")
	isFatal(t, sys.Remove(t.Context(), testIdentity.Bridge, ""), testIdentity.Relay)
	s.Close()
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DeleteTopics}, Topic: journalOf(testIdentity, "relay"), Err: kerr.NotController})
	if err := sys.Remove(t.Context(), testIdentity.Bridge, testIdentity.Relay); err == nil {
		t.Error("a removal that was refused has no error")
	}
	if left := holdingsText(t, sys); strings.Contains(left, "parked") || !strings.Contains(left, journalOf(testIdentity, "relay")) {
		t.Errorf("after half of a removal there is\n%s", left)
	}
	for range 2 {
		if err := sys.Remove(t.Context(), testIdentity.Bridge, testIdentity.Relay); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := sys.Remove(t.Context(), testIdentity.Bridge, ""); err != nil {
			t.Fatal(err)
		}
	}
	topics, err := kadm.NewClient(c.client(t)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(topics.Names(), " "); names != "a "+alike {
		t.Errorf("left are the topics %s", names)
	}
}

// A journal goes on over a leader that moves and connections that break; what is in doubt
// is said.
func TestJournalFaults(t *testing.T) {
	c := startCluster(t, kfake.NumBrokers(3))
	c.topic(t, "a", 1)
	sys := c.system(t)
	o := sys.from(t, SourceConfig{Topics: []string{"a"}})
	j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), "parked")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	name := journalOf(testIdentity, "parked")
	add := func(record string) {
		t.Helper()
		if err := j.Append(t.Context(), []byte(record)); err != nil {
			t.Fatalf("%s: %v", record, err)
		}
	}
	add("1")
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: name, Err: kerr.NotLeaderForPartition, Count: 2})
	add("2")
	if err := c.MoveTopicPartition(name, 0, (c.LeaderFor(name, 0)+1)%3); err != nil {
		t.Fatal(err)
	}
	add("3")
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: name, Err: kerr.RequestTimedOut})
	if err := j.Append(t.Context(), []byte("4")); err == nil || bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("of unknown outcome: %v", err)
	}
	add("5")
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: name, Err: kerr.FencedLeaderEpoch, Count: 2})
	var got []string
	if err := j.Replay(t.Context(), func(r []byte) error { got = append(got, string(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, " "); text != "1 2 3 4 5" && text != "1 2 3 5" {
		t.Errorf("the journal holds %s", text)
	}
	var other []string
	f := c.client(t, kgo.ConsumeTopics(name)).PollFetches(t.Context())
	f.EachRecord(func(r *kgo.Record) { other = append(other, string(r.Value)) })
	if strings.Join(other, " ") != strings.Join(got, " ") {
		t.Errorf("another reader finds %s", other)
	}
}
