package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// The limits of an outage.
const (
	resumesWithin = 5 * time.Second // of the target's return
	saysWhyWithin = 5 * time.Second // of its loss
	memoryLimit   = 128             // MiB, whatever the backlog
)

// The target is stopped under load for a while: nothing is lost, the status says
// why it waits, memory stays flat, and the relay resumes by itself.
func TestTargetDown(t *testing.T) {
	t.Run("JetStream", func(t *testing.T) {
		onEach(t, func(t *testing.T, g generation) {
			s := newScene(t, g, "RabbitMQ → JetStream, the target down", brokers.KindNATS)
			s.fromRabbitMQ(usual, quorum).sizedLoad(ledger.Zipf10k, sized(15_000, 1_000_000), 5000)
			targetDown(s, brokers.KindNATS, sized(3, 5), time.Duration(sized(3, 30))*time.Second)
		})
	})
	t.Run("RabbitMQ", func(t *testing.T) {
		onBoth(t, func(t *testing.T, g generation) {
			s := newScene(t, g, "JetStream → RabbitMQ, the target down", brokers.KindRabbitMQ)
			s.fromJetStream(quorum).sizedLoad(ledger.Zipf10k, sized(15_000, 1_000_000), sized(2500, 5000))
			targetDown(s, brokers.KindRabbitMQ, sized(3, 5), time.Duration(sized(3, 30))*time.Second)
		})
	})
}

func targetDown(s *scene, kind brokers.Kind, times int, down time.Duration) {
	t := s.t
	s.begin()
	first, slowest := 0, time.Duration(0)
	for i := range times {
		s.due(i, times)
		if i == 1 { // it has caught up after the first one, as fast as it can
			first = s.memory()
		}
		s.note(fmt.Sprintf("%s down for %s", kind, down))
		s.do(s.server(kind).Stop)
		gone := time.Now()
		s.awaitBridge(saysWhyWithin, "waiting, and saying for whom", func(r *relayStatus) bool {
			return r.State == "waiting" && strings.Contains(r.Why, "candidate")
		})
		s.checkStatusCommand(s.address(kind))
		<-time.After(down - time.Since(gone)) // the outage itself
		s.stillProducing()
		placed := s.placed()
		s.do(s.server(kind).Start)
		s.targetServes(kind)
		back := time.Now()
		s.awaitBridge(resumesWithin, "placing again after the target's return", func(r *relayStatus) bool { return r.Counts.Placed > placed })
		slowest = max(slowest, time.Since(back))
	}
	last := s.memory()
	s.notes = append(s.notes, fmt.Sprintf("resumed within %s; peak memory %d MiB after the first outage, %d MiB after the last", slowest.Round(time.Millisecond), first, last))
	if last > memoryLimit || full && last > first+first/2 { // what a few thousand messages take is still growing
		t.Errorf("peak memory is %d MiB, after the first outage it was %d; want it flat, and at most %d", last, first, memoryLimit)
	}
	s.finish()
	s.expectNothingWrong()
}

// targetServes waits until a client of the story's own can use the target: a quorum
// queue reads its log for as long as it takes, well after its broker answers.
func (s *scene) targetServes(kind brokers.Kind) {
	s.t.Helper()
	if kind != brokers.KindRabbitMQ {
		return
	}
	began := time.Now()
	await(s.t, patience, "the target serving a client", func() bool {
		conn, err := amqp.DialConfig(s.rabbit, amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
		if err != nil {
			return false
		}
		defer func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }()
		ch, err := conn.Channel()
		if err != nil {
			return false
		}
		_, err = ch.QueueDeclarePassive(s.name+"-"+quorum, true, false, false, false, nil)
		return err == nil
	})
	s.t.Logf("the queue served clients %s after its broker answered", time.Since(began).Round(time.Millisecond))
}

func (s *scene) memory() int {
	s.t.Helper()
	mib, err := s.bridge.peakMemory()
	if err != nil {
		s.t.Fatal(err)
	}
	return mib
}

// placed is the count of the only relay.
func (s *scene) placed() uint64 {
	s.t.Helper()
	st, err := s.bridge.status()
	if err != nil || len(st.Relays) != 1 {
		s.t.Fatalf("status of one relay: %+v, %v", st, err)
	}
	return st.Relays[0].Counts.Placed
}

// address is host and port of a broker, as the bridge knows it.
func (s *scene) address(kind brokers.Kind) string {
	raw := s.natsVia
	if kind == brokers.KindRabbitMQ {
		raw = s.rabbitVia
	}
	u, err := url.Parse(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Host
}

// checkStatusCommand wants the operator to be told who is away.
func (s *scene) checkStatusCommand(address string) {
	s.t.Helper()
	out, _ := command(s.t, s.binary, s.env, "status", "-c", s.config)
	if !strings.Contains(out, "waiting") || !strings.Contains(out, address) {
		s.t.Errorf("status says neither that it waits nor for %s:\n%s", address, out)
	}
}

// An outage longer than the duplicates window, with a kill -9 of the bridge in
// it: the target's own memory of IDs is gone when the bridge comes back.
func TestOutageLongerThanTheWindow(t *testing.T) {
	onEach(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "RabbitMQ → JetStream, the target down for longer than its duplicates window of 100ms, the bridge killed meanwhile", brokers.KindNATS)
		s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(5000, 0))
		outageLongerThanTheWindow(s)
		s.expectNothingWrong()
	})
}

func outageLongerThanTheWindow(s *scene) {
	s.begin()
	for i := range kills() {
		s.due(i, kills())
		s.note("outage with kill -9 of the bridge")
		s.do(s.server(brokers.KindNATS).Kill)
		gone := time.Now()
		s.killBridge()
		s.awaitBridge(patience, "waiting for the candidate", func(r *relayStatus) bool { return r.State == "waiting" })
		<-time.After(10*smallest - time.Since(gone))
		s.do(s.server(brokers.KindNATS).Start)
	}
	s.finish()
}
