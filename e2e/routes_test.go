package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// The kinds of taps, and of queues and streams as targets.
const (
	quorum  = "quorum"
	classic = "classic"
	stream  = "stream"
)

var allTypes = []string{quorum, classic, stream}

// The duplicates windows of the target streams.
const (
	smallest = 100 * time.Millisecond // what the server takes
	usual    = 2 * time.Minute        // its default
)

// channel opens a channel of RabbitMQ for the time of the story.
func channel(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// withJetStream does something with JetStream on a connection of its own.
func withJetStream(t testing.TB, url string, f func(context.Context, jetstream.JetStream) error) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = f(ctx, js)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// addStream makes a stream for the time of the story.
func (s *scene) addStream(name string, duplicates time.Duration) {
	s.t.Helper()
	withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Duplicates: duplicates})
		return err
	})
	s.t.Cleanup(func() {
		withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, name) })
	})
}

// addQueue makes a queue or stream of RabbitMQ for the time of the story.
func (s *scene) addQueue(name, kind string, args amqp.Table) {
	s.t.Helper()
	if args == nil {
		args = amqp.Table{}
	}
	args["x-queue-type"] = kind
	ch := channel(s.t, s.rabbit)
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _, _ = channel(s.t, s.rabbit).QueueDelete(name, false, false, false) })
	s.settle(ch)
}

// settle waits until a kill of RabbitMQ leaves what was just made usable.
func (s *scene) settle(ch *amqp.Channel) {
	_ = ch.Close()
	if s.disturb[brokers.KindRabbitMQ] != nil {
		<-time.After(brokers.Settling)
	}
}

// tapOf is the from block of a tap with the bindings. It accepts, by their words,
// what a tap of that type risks on that generation, and what else is accepted.
func (s *scene) tapOf(tap, bindings string, accepted ...string) string {
	switch {
	case tap == stream:
		accepted = append(accepted, "stream-headers")
	case tap == quorum && s.kind == brokers.KindRabbitMQ4:
		accepted = append(accepted, "priorities")
	}
	return fmt.Sprintf("{system: rabbit, tap: %s, accept: [%s], bindings: [%s]}", tap, strings.Join(accepted, ", "), bindings)
}

// fromRabbitMQ plays the load into a topic exchange, and relays each of the taps
// into a JetStream stream of its own.
func (s *scene) fromRabbitMQ(duplicates time.Duration, taps ...string) *scene {
	s.t.Helper()
	for _, tap := range taps {
		in := s.intake(tap)
		s.addRelay(tap+"-tap", in, s.outlet(jetStream, s.name+"-"+tap, duplicates, in.at))
	}
	return s
}

// fromJetStream plays the load into a stream, and relays it to a queue or stream
// of RabbitMQ of each kind.
func (s *scene) fromJetStream(kinds ...string) *scene {
	s.t.Helper()
	in := s.intake(jetStream)
	for _, kind := range kinds {
		s.addRelay("to-"+kind, in, s.outlet(kind, s.name+"-"+kind, usual, in.at))
	}
	return s
}

// sizedLoad sets how much is produced: at least so many messages, and up to a
// limit for as long as faults are still to come.
func (s *scene) sizedLoad(keys ledger.Keys, least, rate int) *scene {
	s.load.Seed, s.load.Keys = s.rng.Uint64()%1000, keys
	s.least, s.load.Messages = least, least+max(2*least, 200*max(rate, 1000))
	s.pace.Rate = rate
	return s
}
