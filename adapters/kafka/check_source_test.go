package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/crossfade-mq/crossfade/bridge"
)

// found wants a finding of that level with these words, and gives what all say.
func found(t *testing.T, o bridge.SourceOpener, level bridge.Level, words ...string) {
	t.Helper()
	all := o.(bridge.Checker).Check(t.Context())
	var text []string
next:
	for _, f := range all {
		line := f.Level.String() + " " + f.Subject + ": " + f.Text + " (" + f.Hint + ")"
		text = append(text, line)
		for _, w := range words {
			if f.Level != level || !strings.Contains(line, w) {
				continue next
			}
		}
		if f.Level == bridge.Fail && f.Hint == "" {
			t.Errorf("%s: no hint", line)
		}
		return
	}
	t.Errorf("no finding %s %q in:\n%s", level, words, strings.Join(text, "\n"))
}

// A check says where the relay begins and goes on, and changes nothing.
func TestCheckSaysWhereTheRelayIs(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	c.topic(t, "compact", 1, "cleanup.policy=compact")
	cl := c.client(t)
	put(t, cl, "a", 2, 0, 10)
	adm := kadm.NewClient(cl)
	before, err := inventoryOf(t.Context(), adm)
	if err != nil {
		t.Fatal(err)
	}
	at := func(c2 SourceConfig) bridge.SourceOpener { return c.system(t).from(t, c2) }
	topics := []string{"a"}
	found(t, at(SourceConfig{Topics: topics}), bridge.Pass, "position in topic a", "none yet", "first record that is held", "10 offsets behind")
	found(t, at(SourceConfig{Topics: topics, Start: bridge.Start{Kind: bridge.StartNow}}), bridge.Warn, "10 offsets are not copied", "start: first")
	found(t, at(SourceConfig{Topics: topics, Start: bridge.Start{Kind: bridge.StartTime, Time: time.Now().Add(time.Hour)}}), bridge.Fail, "yet to come")
	found(t, at(SourceConfig{Topics: []string{"compact"}}), bridge.Warn, "compacted", "min.compaction.lag.ms")
	found(t, at(SourceConfig{Topics: []string{"none"}}), bridge.Fail, "no such topic")
	found(t, at(SourceConfig{Pattern: "none"}), bridge.Warn, "no topic matches")
	found(t, at(SourceConfig{Topics: topics}), bridge.Pass, holdingsOf(testIdentity.Bridge), "can be made")
	after, err := inventoryOf(t.Context(), adm)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("a check has changed\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}

	o := at(SourceConfig{Topics: topics})
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 10)[:4]...)
	found(t, o, bridge.Pass, "has the tap", thisProcess("").Words)
	s.Close()
	found(t, o, bridge.Pass, "goes on", "6 offsets behind")
	removeTo(t, cl, "a", 5)
	found(t, o, bridge.Fail, "removed before the relay read them", "accept: [gaps]")
	found(t, at(SourceConfig{Topics: topics, Accept: bridge.Accepts{acceptGaps}}), bridge.Warn, "removed before the relay read them", "as accepted")
	recreate(t, c, cl, "a", 2)
	found(t, o, bridge.Fail, "the relay has read one with the ID")
}

// What this user may not do is said with what to grant.
func TestCheckSaysWhatIsNotAllowed(t *testing.T) {
	describe := kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "a", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationRead, Allow: true}
	create := kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: ownPrefix, Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: kmsg.ACLOperationAll, Allow: true}
	group := kfake.ACL{Resource: kmsg.ACLResourceTypeGroup, Name: ownPrefix, Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: kmsg.ACLOperationAll, Allow: true}
	for _, x := range []struct {
		acls  []kfake.ACL
		level bridge.Level
		words []string
	}{
		{nil, bridge.Fail, []string{"topic a"}},
		{[]kfake.ACL{describe}, bridge.Fail, []string{holdingsOf(testIdentity.Bridge), "Create"}},
		{[]kfake.ACL{describe, create}, bridge.Fail, []string{groupOf(testIdentity), "groups with the prefix"}},
		{[]kfake.ACL{describe, create, group}, bridge.Pass, []string{"position in topic a"}},
	} {
		c := startCluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.SeedTopics(1, "a"),
			kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("PLAIN", "u", "p", x.acls...))
		o := c.system(t, func(s *SystemConfig) { s.SASL = &SASLConfig{Mechanism: "plain", User: "u", Password: "p"} }).from(t, SourceConfig{Topics: []string{"a"}})
		found(t, o, x.level, x.words...)
		if x.level == bridge.Pass {
			s := openSource(t, o)
			if err := s.Hold(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// Older brokers do, by their names where they have no topic IDs.
func TestOlderBrokers(t *testing.T) {
	for name, v := range map[string]*kversion.Versions{"2.1": kversion.V2_1_0(), "2.7": kversion.V2_7_0(), "3.0": kversion.V3_0_0(), "3.9": kversion.V3_9_0()} {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, kfake.MaxVersions(v), kfake.SeedTopics(2, "a"))
			put(t, c.client(t), "a", 2, 0, 10)
			o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
			s := openSource(t, o)
			got := take(t, s, 10)
			ackAll(t, s, got[:5]...)
			j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), "parked")
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Append(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			j.Close()
			s.Close()
			if again := bodiesOf(take(t, openSource(t, o), 5)); again != bodiesOf(got[5:]) {
				t.Errorf("got %s, then %s", bodiesOf(got), again)
			}
			if name < "2.8" {
				found(t, o, bridge.Warn, "no ID")
			}
		})
	}
}
