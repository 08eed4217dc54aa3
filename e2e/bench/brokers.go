package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/adapters/kafka"
	"github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/adapters/rabbitmq"
	"github.com/crossfade-mq/crossfade/bridge"
	private "github.com/crossfade-mq/crossfade/e2e/brokers"
)

// Brokers are the addresses of the systems.
type brokers struct {
	amqp, nats, kafka string
	started           []*private.Server
	rounds            int
}

// openBrokers takes the addresses of what some routes need from the environment, and
// starts what it does not name, for as long as this process lives.
func openBrokers(wanted func(string) bool) (*brokers, error) {
	b := &brokers{amqp: os.Getenv("CROSSFADE_TEST_AMQP"), nats: os.Getenv("CROSSFADE_TEST_NATS"), kafka: os.Getenv("CROSSFADE_TEST_KAFKA")}
	for _, s := range []struct {
		url  *string
		kind private.Kind
		of   string // is in the names of its routes
	}{
		{&b.amqp, private.KindRabbitMQ, "quorum"}, {&b.amqp, private.KindRabbitMQ, "classic"},
		{&b.nats, private.KindNATS, "jetstream"}, {&b.kafka, private.KindKafka, "kafka"},
	} {
		if *s.url != "" || !slices.ContainsFunc(routeNames(), func(r string) bool { return wanted(r) && strings.Contains(r, s.of) }) {
			continue
		}
		server, err := private.StartForProcess(s.kind)
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.started = append(b.started, server)
		*s.url = server.URL()
	}
	return b, nil
}

// close removes what openBrokers started.
func (b *brokers) close() error {
	var errs []error
	for _, s := range b.started {
		errs = append(errs, s.Remove())
	}
	b.started = nil
	return errors.Join(errs...)
}

// unique makes a name for a round.
func (b *brokers) unique() string {
	b.rounds++
	return fmt.Sprintf("bench-%s-%d", strconv.FormatInt(time.Now().UnixNano()%1e12, 36), b.rounds)
}

// forget removes what a relay of that bridge keeps at the brokers.
func (b *brokers) forget(ctx context.Context, run string) error {
	var err error
	if b.nats != "" {
		err = removeStreams(ctx, b.nats, run)
	}
	if b.kafka != "" {
		err = errors.Join(err, removeFromKafka(ctx, b.kafka, run))
	}
	return err
}

// openers are the two ends of a relay, made as the configuration makes them.
func openers(j job) (bridge.SourceOpener, bridge.SinkOpener, error) {
	id := bridge.Identity{Bridge: j.Bridge, Relay: j.Relay}
	from, to := ends(j)
	source, err := sourceOpener(j, from, id)
	if err != nil {
		return nil, nil, err
	}
	sink, err := sinkOpener(j, from, to, id)
	return source, sink, err
}

// ends are the kinds of a job's ends.
func ends(j job) (from, to string) {
	from, to, _ = strings.Cut(j.Route, "-")
	return from, to
}

// system is the system at an end of a route.
func system(j job, end string) (bridge.System, error) {
	switch end {
	case "kafka":
		seed, err := seedOf(j.Kafka)
		if err != nil {
			return nil, err
		}
		return kafka.Adapter().System("kafka", settingsOf("brokers: [%q]", seed))
	case "jetstream":
		return nats.Adapter().System("nats", settingsOf("url: %q", j.NATS))
	}
	return rabbitmq.Adapter().System("rabbitmq", settingsOf("url: %q", j.AMQP))
}

func sourceOpener(j job, from string, id bridge.Identity) (bridge.SourceOpener, error) {
	s, err := system(j, from)
	if err != nil {
		return nil, err
	}
	switch from {
	case "kafka":
		return s.Source(id, settingsOf("topics: [%q]", j.From))
	case "jetstream":
		return s.Source(id, settingsOf("stream: %q", j.From))
	case "quorum":
		return s.Source(id, settingsOf("{queue: %q, competes: true}", j.From))
	}
	return nil, fmt.Errorf("there is no route from %q", from)
}

func sinkOpener(j job, from, to string, id bridge.Identity) (bridge.SinkOpener, error) {
	s, err := system(j, to)
	if err != nil {
		return nil, err
	}
	switch to {
	case "kafka":
		return s.Sink(id, settingsOf("topic: %q", j.To))
	case "jetstream":
		subject := j.To + ".{address}"
		if from == "kafka" {
			subject = j.To + ".{key}" // its address is the topic
		}
		return s.Sink(id, settingsOf("{stream: %q, subject: %q}", j.To, subject))
	case "quorum", "classic":
		return s.Sink(id, settingsOf("{queue: %q, type: %s}", j.To, to))
	}
	return nil, fmt.Errorf("there is no route to %q", to)
}

// settingsOf decodes a line of YAML, as the configuration decodes a block.
func settingsOf(format string, args ...any) bridge.Decode {
	return func(into any) error { return yaml.Unmarshal(fmt.Appendf(nil, format, args...), into) }
}

// rest gives the brokers time to come to an end with what filled them.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
