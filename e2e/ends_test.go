package e2e

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// The ends of routes beside quorum, classic and stream, which are RabbitMQ's.
const (
	jetStream = "JetStream"
	kafka     = "Kafka"
)

// An intake is the end at which a relay takes messages.
type intake struct {
	block  string // from
	more   string // further lines of the relay
	losses []ledger.Loss
	// at is the address that the messages of a key have there.
	at func(key string) string
}

// An outlet is the end at which a relay places them.
type outlet struct {
	block   string // to
	subject func(key string) string
	reader  ledger.Reader
	repeats bool
	// tap reads it as a comparison does, without taking anything away; empty where nothing
	// can.
	tap string
}

// route relays from one end to another, of the same kind too. All routes of a
// scene begin at the same system, into which the load is played.
func (s *scene) route(from, to string) *scene {
	s.t.Helper()
	in := s.intake(from)
	out := s.outlet(to, s.name+"-"+from+"-to-"+to, smallest, in.at)
	s.addRelay(from+"-to-"+to, in, out)
	return s
}

func (s *scene) addRelay(name string, in intake, out outlet) {
	s.relays = append(s.relays, &relay{
		name: name, from: in.block, to: out.block, more: in.more,
		book: &ledger.Book{Subject: out.subject, Losses: in.losses}, reader: out.reader, repeats: out.repeats, tap: out.tap,
	})
}

// intake gives an end of the kind, and makes what it reads where the scene has no
// load yet.
func (s *scene) intake(kind string) intake {
	s.t.Helper()
	switch kind {
	case jetStream:
		return s.fromStream()
	case kafka:
		return s.fromTopic()
	}
	return s.fromTap(kind)
}

// outlet makes an end of the kind. JetStream remembers IDs for as long as
// duplicates; at says under which address messages come.
func (s *scene) outlet(kind, name string, duplicates time.Duration, at func(string) string) outlet {
	s.t.Helper()
	switch kind {
	case jetStream:
		return s.toStream(name, duplicates, at)
	case kafka:
		return s.toTopic(name)
	}
	return s.toQueue(name, kind)
}

// fromTap reads the topic exchange into which the load is played.
func (s *scene) fromTap(tap string) intake {
	s.t.Helper()
	if s.source == "" {
		ch := channel(s.t, s.rabbit)
		if err := ch.ExchangeDeclare(s.name, "topic", true, false, false, false, nil); err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = channel(s.t, s.rabbit).ExchangeDelete(s.name, false, false) })
		_ = ch.Close()
		s.source, s.produce = s.rabbit, ledger.ProduceRabbitMQ
		s.load.Space, s.load.Carries = s.name, ledger.CarriesAll
	}
	if tap == stream {
		s.load.Carries = ledger.CarriesStream
	}
	return intake{
		block:  s.tapOf(tap, fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, "#")),
		losses: s.losses(tap), at: func(key string) string { return key },
	}
}

// idHeader says where the producer's ID is on systems that have no place for it.
var idHeader = fmt.Sprintf("id: {header: %s}", ledger.IDHeader)

// fromStream reads the JetStream stream into which the load is played.
func (s *scene) fromStream() intake {
	s.t.Helper()
	if s.source == "" {
		s.addStream(s.name, usual)
		s.source, s.produce = s.nats, ledger.ProduceNATS
		s.load.Prefix, s.load.Carries = s.name+".", ledger.CarriesText
	}
	return intake{
		block: fmt.Sprintf("{system: jet, stream: %s}", s.name), more: idHeader,
		at: func(key string) string { return key },
	}
}

// toStream places into a JetStream stream.
func (s *scene) toStream(name string, duplicates time.Duration, at func(string) string) outlet {
	s.t.Helper()
	s.addStream(name, duplicates)
	return outlet{
		block:   fmt.Sprintf("{system: jet, stream: %s, subject: %q}", name, name+".{address}"),
		subject: func(key string) string { return name + "." + at(key) },
		reader:  &ledger.NATSReader{URL: s.nats, Stream: name},
		tap:     fmt.Sprintf("{system: jet, stream: %s}", name),
	}
}

// toQueue places into a queue or stream of RabbitMQ, of that kind.
func (s *scene) toQueue(name, kind string) outlet {
	s.t.Helper()
	s.addQueue(name, kind, nil)
	out := outlet{
		block:   fmt.Sprintf("{system: rabbit, queue: %s, type: %s}", name, kind),
		subject: func(string) string { return name },
		reader:  &ledger.RabbitMQReader{URL: s.rabbit, Queue: name, Stream: kind == stream},
		repeats: kind != stream,
	}
	if kind == stream {
		out.block = fmt.Sprintf("{system: rabbit, stream: %s}", name)
		out.tap = out.block
	}
	return out
}

// partitions is how many the topics of the stories have.
const partitions = 3

// fromTopic reads the topic of Kafka into which the load is played.
func (s *scene) fromTopic() intake {
	s.t.Helper()
	s.useKafka()
	if s.source == "" {
		s.addTopic(s.name)
		s.source, s.produce = s.kafka, ledger.ProduceKafka
		s.load.Topic, s.load.Partitions, s.load.Carries = s.name, partitions, ledger.CarriesOctets
	}
	return intake{
		block: fmt.Sprintf("{system: kafka, topics: [%s], start: first}", s.name), more: idHeader,
		at: func(string) string { return s.name },
	}
}

// toTopic places into a topic of Kafka.
func (s *scene) toTopic(name string) outlet {
	s.t.Helper()
	s.useKafka()
	s.addTopic(name)
	return outlet{
		block:   fmt.Sprintf("{system: kafka, topic: %s}", name),
		subject: ledger.KafkaPlace(name, partitions),
		reader:  &ledger.KafkaReader{URL: s.kafka, Topic: name},
		tap:     fmt.Sprintf("{system: kafka, topics: [%s]}", name),
	}
}

// useKafka lets the bridge know Kafka, too.
func (s *scene) useKafka() {
	s.t.Helper()
	if s.kafka == "" {
		s.kafka = s.url(brokers.KindKafka)
		s.kafkaVia = s.kafka
	}
}
