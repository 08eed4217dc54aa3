package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Kafka is killed and restarted under load, as source, as target and as both.
func TestKafkaLost(t *testing.T) {
	source := newScene(t, rabbit3, "Kafka → JetStream and RabbitMQ, the source broker lost", brokers.KindKafka)
	source.route(kafka, jetStream).route(kafka, quorum).sizedLoad(ledger.Keys100, sized(8000, 1_000_000), sized(600, 4000))
	target := newScene(t, rabbit4, "RabbitMQ → Kafka, the target broker lost", brokers.KindKafka)
	target.route(quorum, kafka).route(stream, kafka).sizedLoad(ledger.Zipf10k, sized(8000, 1_000_000), sized(600, 4000))
	both := newScene(t, rabbit3, "Kafka → Kafka, the broker of both lost", brokers.KindKafka)
	both.route(kafka, kafka).sizedLoad(ledger.Keys100, sized(8000, 1_000_000), sized(600, 4000))
	brokerLost(brokers.KindKafka, source, target, both)
}

// The bridge is killed while what it sent to Kafka is held up in the network, and
// that arrives when its successor is at work.
func TestKafkaLateArrival(t *testing.T) {
	s := newScene(t, rabbit3, "JetStream → Kafka, what a killed bridge sent arrives late", brokers.KindKafka)
	s.route(jetStream, kafka).sizedLoad(ledger.Keys100, sized(10_000, 300_000), sized(1000, 5000))
	lateArrival(s, func() *proxy { return s.kafkaProxy })
	s.expectNothingWrong()
}

// Connections to Kafka are cut, and for longer than every time-out nothing comes
// through them, while it is source and target.
func TestKafkaUnreachable(t *testing.T) {
	s := newScene(t, rabbit3, "Kafka → Kafka, connections lost", brokers.KindKafka)
	s.route(kafka, kafka).sizedLoad(ledger.Keys100, sized(10_000, 300_000), sized(500, 5000))
	s.viaProxies().begin()
	n := sized(4, 20)
	for i := range n {
		s.due(i, n)
		if i%2 == 0 {
			s.note("connections to Kafka cut")
			s.kafkaProxy.cut()
		} else {
			s.note("Kafka silent for longer than every time-out")
			s.kafkaProxy.setStalled(true)
			s.awaitBridge(patience, "waiting", func(r *relayStatus) bool { return r.State == "waiting" })
			<-time.After(kafkaSession + longest) // the silence itself
			s.kafkaProxy.setStalled(false)
		}
		s.goesOn(s.bridge)
	}
	s.finish()
	s.expectNothingWrong()
}

// A second bridge of the same configuration joins the group and leaves it again,
// under load, in every way there is.
func TestKafkaRebalance(t *testing.T) {
	s := newScene(t, rabbit3, "Kafka → Kafka and JetStream, a second process joins and leaves")
	s.route(kafka, kafka).route(kafka, jetStream).sizedLoad(ledger.Keys100, sized(8000, 300_000), sized(400, 4000)).begin()
	ways := []struct {
		name string
		// leave gives the one that goes on.
		leave func(holder, standby *process) *process
	}{
		{"the one that stands by leaves", func(holder, standby *process) *process { standby.stop(t, patience); return holder }},
		{"the one that works leaves", func(holder, standby *process) *process { holder.stop(t, patience); return standby }},
		{"kill -9 of the one that stands by", func(holder, standby *process) *process { standby.kill(); return holder }},
		{"kill -9 of the one that works", func(holder, standby *process) *process { holder.kill(); return standby }},
	}
	n := sized(1, 3) * len(ways)
	for i := range n {
		s.due(i, n)
		way := ways[i%len(ways)]
		s.note(way.name)
		holder := s.bridge
		s.beside()
		standby := s.bridge
		await(t, patience, "the second process standing by", func() bool { return standby.everyRelay(standsBy) })
		s.goesOn(holder)
		s.bridge = way.leave(holder, standby)
		s.listen = s.bridge.listen
		s.goesOn(s.bridge)
	}
	s.finish()
	s.expectNothingWrong()
}

// goesOn waits until every relay of the process places more than it has.
func (s *scene) goesOn(p *process) {
	s.t.Helper()
	before := s.placedBy(&stand{process: p})
	s.bridge = p
	s.awaitBridge(patience, "placing more", func(r *relayStatus) bool { return connected(r) && r.Counts.Placed > before[r.Name] })
}

// A third party throws the members out of the relays' groups, under load.
func TestKafkaKicked(t *testing.T) {
	s := newScene(t, rabbit4, "Kafka → Kafka and RabbitMQ, the group's members thrown out by somebody else")
	s.route(kafka, kafka).route(kafka, stream).sizedLoad(ledger.Zipf10k, sized(8000, 300_000), sized(600, 4000)).begin()
	n := sized(4, 20)
	for i := range n {
		s.due(i, n)
		s.note("members thrown out")
		for _, r := range s.relays {
			s.kick(r)
		}
		s.goesOn(s.bridge)
	}
	s.finish()
	s.expectNothingWrong()
}

// kick throws every member out of the group of a relay.
func (s *scene) kick(r *relay) {
	s.t.Helper()
	client, err := ledger.DialKafka(s.kafka)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = s.group(r)
	await(s.t, patience, "a member in group "+leave.Group, func() bool {
		groups, err := kadm.NewClient(client).DescribeGroups(context.Background(), leave.Group)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range groups[leave.Group].Members {
			member := kmsg.NewLeaveGroupRequestMember()
			member.MemberID = m.MemberID
			leave.Members = append(leave.Members, member)
		}
		return len(leave.Members) > 0
	})
	left, err := leave.RequestWith(context.Background(), client)
	if err == nil {
		err = kerr.ErrorForCode(left.ErrorCode)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// The topic that a relay reads is deleted and made again, with other messages
// under the same offsets: the relay stops and says so, and does not take the one
// for the other after a new start either.
func TestKafkaSourceRecreated(t *testing.T) {
	s := newScene(t, rabbit3, "Kafka → JetStream, the topic of the source deleted and made again")
	s.route(kafka, jetStream).sizedLoad(ledger.Keys100, 2000, 1000).begin()
	await(t, 10*patience, "produced", func() bool { return s.book().Produced() >= s.least })
	s.book().Enough()
	if err := <-s.produced; err != nil {
		t.Fatal(err)
	}
	s.each(func(r *relay) error { return ledger.Collect(context.Background(), r.book, r.reader, patience) })
	s.recreate(s.name)
	s.stopsSaying("made again")
	s.start()
	s.stopsSaying("made again")
	s.each(func(r *relay) error { return ledger.Rest(context.Background(), r.book, r.reader, 500*time.Millisecond) })
	if report := s.book().Report(); !report.Clean() {
		t.Error(report.String())
	}
	s.relays[0].report = s.book().Report()
	s.notes = append(s.notes, "the relay stopped and said so, after a new start too; nothing of the other topic was copied")
	s.print()
}

// The same at the topic that a relay writes, in the middle of its work.
func TestKafkaTargetRecreated(t *testing.T) {
	s := newScene(t, rabbit3, "JetStream → Kafka, the topic of the target deleted and made again")
	s.route(jetStream, kafka).sizedLoad(ledger.Keys100, 2000, 1000).begin()
	s.due(0, 1)
	s.recreate(s.relays[0].reader.(*ledger.KafkaReader).Topic)
	s.stopsSaying("made again")
	s.relays = nil // what the book knows is gone
	s.notes = append(s.notes, "the relay stopped and said so")
	s.print()
}

// recreate deletes a topic and makes it again, with as many other messages.
func (s *scene) recreate(topic string) {
	s.t.Helper()
	if err := ledger.DropTopic(context.Background(), s.kafka, topic); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, patience, "made again", func() bool {
		return ledger.MakeTopic(context.Background(), s.kafka, topic, partitions) == nil
	})
	client, err := ledger.DialKafka(s.kafka)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for i := range 3000 {
		r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "other%d", i%100), Value: []byte("of another life")}
		client.Produce(context.Background(), r, nil)
	}
	if err := client.Flush(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// stopsSaying waits until the bridge ends by itself, with the exit code of a
// failure and the words in its log.
func (s *scene) stopsSaying(words string) {
	s.t.Helper()
	await(s.t, patience, "ended by itself", s.bridge.ended)
	if code := s.bridge.cmd.ProcessState.ExitCode(); code != failed {
		s.t.Errorf("the bridge ended with exit code %d, want %d", code, failed)
	}
	if log := s.bridge.logTail(10); !strings.Contains(log, words) {
		s.t.Errorf("the bridge ended without saying %q:\n%s", words, log)
	}
}
