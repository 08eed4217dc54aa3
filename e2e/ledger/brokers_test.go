package ledger

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

const few = 5000

// TestRabbitMQAgainstItself: what the ledger publishes to an exchange and reads
// from a queue bound to it, with no bridge between, is without fault.
func TestRabbitMQAgainstItself(t *testing.T) {
	for _, g := range []brokers.Kind{brokers.KindRabbitMQ, brokers.KindRabbitMQ4} {
		t.Run(string(g), func(t *testing.T) { againstItself(t, g) })
	}
}

// lossesOf is what streams of that generation do to messages.
func lossesOf(g brokers.Kind) []Loss {
	if g == brokers.KindRabbitMQ4 {
		return []Loss{OctetsBecomeText}
	}
	return nil
}

func againstItself(t *testing.T, g brokers.Kind) {
	url := brokers.Shared(t, g)
	for _, kind := range []string{"classic", "quorum", "stream"} {
		t.Run(kind, func(t *testing.T) {
			conn, ch, err := dialAMQP(url)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			name := fmt.Sprintf("ledger-%s-%d", kind, time.Now().UnixNano())
			l := Load{Seed: 4, Messages: few, Keys: Keys100, Carries: CarriesAll, Space: name}
			if kind == "stream" {
				l.Carries = CarriesStream
			}
			if err := ch.ExchangeDeclare(name, "topic", true, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
				t.Fatal(err)
			}
			if err := ch.QueueBind(name, "#", name, false, nil); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_, _ = ch.QueueDelete(name, false, false, false)
				_ = ch.ExchangeDelete(name, false, false)
			}()
			b := NewBook(NewPlan(l))
			if kind == "stream" {
				b.Losses = lossesOf(g)
			}
			if err := ProduceRabbitMQ(t.Context(), b, url, Pace{}); err != nil {
				t.Fatal(err)
			}
			readAll(t, b, &RabbitMQReader{URL: url, Queue: name, Stream: kind == "stream"})
		})
	}
}

func TestNATSAgainstItself(t *testing.T) {
	url := brokers.NATS(t)
	js := jetStream(t, url)
	name := fmt.Sprintf("ledger-%d", time.Now().UnixNano())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}}); err != nil {
		t.Fatal(err)
	}
	defer js.DeleteStream(context.Background(), name)
	b := NewBook(NewPlan(Load{Seed: 5, Messages: few, Keys: Zipf10k, Carries: CarriesText, Prefix: name + "."}))
	if err := ProduceNATS(t.Context(), b, url, Pace{Rate: 20_000}); err != nil {
		t.Fatal(err)
	}
	readAll(t, b, &NATSReader{URL: url, Stream: name})
}

func TestKafkaAgainstItself(t *testing.T) {
	url := brokers.Kafka(t)
	name := fmt.Sprintf("ledger-%d", time.Now().UnixNano())
	if err := MakeTopic(t.Context(), url, name, 3); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := DropTopic(context.Background(), url, name); err != nil {
			t.Error(err)
		}
	}()
	b := NewBook(NewPlan(Load{Seed: 7, Messages: few, Keys: Zipf10k, Carries: CarriesOctets, Topic: name, Partitions: 3}))
	if err := ProduceKafka(t.Context(), b, url, Pace{}); err != nil {
		t.Fatal(err)
	}
	readAll(t, b, &KafkaReader{URL: url, Topic: name})
}

func closeReader(r Reader) {
	if c, ok := r.(io.Closer); ok {
		_ = c.Close()
	}
}

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func readAll(t *testing.T, b *Book, r Reader) {
	t.Helper()
	defer closeReader(r)
	if err := Collect(t.Context(), b, r, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := Rest(t.Context(), b, r, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	report := b.Report()
	if !report.Clean() || report.Read != few || report.Confirmed != few {
		t.Error(report.String())
	}
}

// TestProducersGoOnAfterAKill: what a broker confirmed before it was killed is
// found, what it did not is unknown and in order.
func TestProducersGoOnAfterAKill(t *testing.T) {
	tests := map[string]struct {
		kind    brokers.Kind
		carries Carries
		prefix  string
	}{
		"rabbitmq":  {brokers.KindRabbitMQ, CarriesStream, ""},
		"rabbitmq4": {brokers.KindRabbitMQ4, CarriesStream, ""},
		"nats":      {brokers.KindNATS, CarriesText, "in."},
		"kafka":     {brokers.KindKafka, CarriesOctets, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := brokers.Private(t, test.kind)
			l := Load{Seed: 6, Messages: few, Keys: Keys100, Carries: test.carries, Prefix: test.prefix}
			produce, reader := ProduceNATS, Reader(&NATSReader{URL: s.URL(), Stream: "in"})
			switch {
			case name == "kafka":
				l.Topic, l.Partitions = "in", 3
				produce, reader = ProduceKafka, &KafkaReader{URL: s.URL(), Topic: "in"}
			case name != "nats":
				l.Space = "amq.topic"
				produce, reader = ProduceRabbitMQ, &RabbitMQReader{URL: s.URL(), Queue: "in", Stream: true}
			}
			declare(t, s)
			b := NewBook(NewPlan(l))
			b.Losses = lossesOf(test.kind)
			done := make(chan error, 1)
			go func() { done <- produce(t.Context(), b, s.URL(), Pace{Rate: 10_000}) }()
			for b.Produced() < few/3 {
				<-time.After(5 * time.Millisecond)
			}
			if err := s.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			defer closeReader(reader)
			if err := Collect(t.Context(), b, reader, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			report := b.Report()
			if !report.Clean() || report.Confirmed+report.Unknown+report.Returned != few || report.Confirmed < few/3 {
				t.Error(report.String())
			}
			t.Log(report.Line())
		})
	}
}

func declare(t *testing.T, s *brokers.Server) {
	t.Helper()
	switch s.Kind {
	case brokers.KindKafka:
		if err := MakeTopic(t.Context(), s.URL(), "in", 3); err != nil {
			t.Fatal(err)
		}
		return
	case brokers.KindNATS:
		if _, err := jetStream(t, s.URL()).CreateStream(t.Context(), jetstream.StreamConfig{Name: "in", Subjects: []string{"in.>"}}); err != nil {
			t.Fatal(err)
		}
		return
	}
	conn, ch, err := dialAMQP(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ch.QueueDeclare("in", true, false, false, false, amqp.Table{"x-queue-type": "stream"}); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind("in", "#", "amq.topic", false, nil); err != nil {
		t.Fatal(err)
	}
	<-time.After(brokers.Settling)
}
