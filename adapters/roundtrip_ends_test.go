package adapters_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/adapters/kafka"
	adapter "github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/adapters/rabbitmq"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// An end is a kind of place at one system.
type end struct {
	name, system string
	make         func(t *testing.T) *place
	more         bool // it is passed over with -short
}

// ends are the kinds of places of all systems: RabbitMQ of both generations, as a real
// broker, Kafka and NATS within this process.
var ends = []end{
	{"RabbitMQ 3 quorum queue", rabbitmq.Kind, rabbit(brokers.KindRabbitMQ, "quorum"), false},
	{"RabbitMQ 3 classic queue", rabbitmq.Kind, rabbit(brokers.KindRabbitMQ, "classic"), true},
	{"RabbitMQ 3 stream", rabbitmq.Kind, rabbit(brokers.KindRabbitMQ, "stream"), false},
	{"RabbitMQ 3 exchange", rabbitmq.Kind, rabbitExchange(brokers.KindRabbitMQ), true},
	{"RabbitMQ 4 quorum queue", rabbitmq.Kind, rabbit(brokers.KindRabbitMQ4, "quorum"), true},
	{"RabbitMQ 4 stream", rabbitmq.Kind, rabbit(brokers.KindRabbitMQ4, "stream"), true},
	{"Kafka", kafka.Kind, kafkaTopic("original"), false},
	{"Kafka of append time", kafka.Kind, kafkaTopic("append"), true},
	{"JetStream", adapter.Kind, natsStream, false},
}

// block is a Decode of a block of YAML, as strict as the configuration's.
func block(format string, args ...any) bridge.Decode {
	text := fmt.Appendf(nil, format, args...)
	return func(into any) error {
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		return d.Decode(into)
	}
}

var serial struct {
	sync.Mutex
	n int
}

// unique is a name of this run.
func unique() string {
	serial.Lock()
	defer serial.Unlock()
	serial.n++
	return fmt.Sprintf("there-and-back-%d-%d", time.Now().UnixNano()%1e9, serial.n)
}

// placeOf makes the source and the sink of a relay.
func placeOf(t *testing.T, a bridge.Adapter, system, from, to bridge.Decode) *place {
	t.Helper()
	s, err := a.System("test", system)
	if err != nil {
		t.Fatal(err)
	}
	id := bridge.Identity{Bridge: unique(), Relay: "relay"}
	p := &place{parked: map[uint64]bool{}}
	if p.source, err = s.Source(id, from); err != nil {
		t.Fatal(err)
	}
	if p.sink, err = s.Sink(id, to); err != nil {
		t.Fatal(err)
	}
	if k, ok := s.(bridge.Keeper); ok {
		t.Cleanup(func() { tidy(t, k, id) })
	}
	return p
}

// tidy removes what a relay made.
func tidy(t *testing.T, k bridge.Keeper, id bridge.Identity) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	for _, relay := range []string{id.Relay, ""} {
		if err := k.Remove(ctx, id.Bridge, relay); err != nil {
			t.Logf("remove %s: %v", id, err)
		}
	}
}

// withRabbit runs f on a channel of a broker.
func withRabbit(t *testing.T, url string, f func(*amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err == nil {
		err = f(ch)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rabbit(generation brokers.Kind, kind string) func(*testing.T) *place {
	return func(t *testing.T) *place {
		url, name := brokers.Shared(t, generation), unique()
		withRabbit(t, url, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": kind})
			return err
		})
		t.Cleanup(func() {
			withRabbit(t, url, func(ch *amqp.Channel) error { _, err := ch.QueueDelete(name, false, false, false); return err })
		})
		from, to := block("queue: %s\ncompetes: true\naccept: [priorities]", name), block("queue: %s\ntype: %s", name, kind)
		if kind == "stream" {
			from, to = block("stream: %s\nstart: first", name), block("stream: %s", name)
		}
		p := placeOf(t, rabbitmq.Adapter(), block("url: %s", url), from, to)
		p.url, p.queue = url, name
		return p
	}
}

// rabbitExchange is an exchange with a tap on it.
func rabbitExchange(generation brokers.Kind) func(*testing.T) *place {
	return func(t *testing.T) *place {
		url, name := brokers.Shared(t, generation), unique()
		withRabbit(t, url, func(ch *amqp.Channel) error { return ch.ExchangeDeclare(name, "topic", true, false, false, false, nil) })
		t.Cleanup(func() {
			withRabbit(t, url, func(ch *amqp.Channel) error { return ch.ExchangeDelete(name, false, false) })
		})
		return placeOf(t, rabbitmq.Adapter(), block("url: %s", url),
			block("tap: classic\nbindings: [{exchange: %s, routing_key: '#'}]\naccept: [mandatory]", name), block("exchange: %s", name))
	}
}

// kafkaTopic is a topic of one partition in a cluster of its own.
func kafkaTopic(timestamp string) func(*testing.T) *place {
	return func(t *testing.T) *place {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("fake"), kfake.GroupMinSessionTimeout(100*time.Millisecond), kfake.SeedTopics(1, "telemetry.x"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return placeOf(t, kafka.Adapter(), block("brokers: [%s]\nsession_timeout: 2s", c.ListenAddrs()[0]),
			block("topics: [telemetry.x]"), block("topic: telemetry.x\ntimestamp: %s", timestamp))
	}
}

func natsStream(t *testing.T) *place {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server does not answer")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TELEMETRY", Subjects: []string{"telemetry.>"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return placeOf(t, adapter.Adapter(), block("url: %s", s.ClientURL()), block("stream: TELEMETRY"), block("stream: TELEMETRY\nsubject: telemetry.{address}"))
}
