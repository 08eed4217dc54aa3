package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/adapters/rabbitmq"
	"github.com/crossfade-mq/crossfade/bridge"
	private "github.com/crossfade-mq/crossfade/e2e/brokers"
)

// Brokers are the addresses of the two systems.
type brokers struct {
	amqp, nats string
	started    []*private.Server
	rounds     int
}

// openBrokers takes the addresses from the environment, and starts what it does
// not name, for as long as this process lives.
func openBrokers() (*brokers, error) {
	b := &brokers{amqp: os.Getenv("CROSSFADE_TEST_AMQP"), nats: os.Getenv("CROSSFADE_TEST_NATS")}
	for _, s := range []struct {
		url  *string
		kind private.Kind
	}{{&b.amqp, private.KindRabbitMQ}, {&b.nats, private.KindNATS}} {
		if *s.url != "" {
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
	return removeStreams(ctx, b.nats, run)
}

// openers are the two ends of a relay, made as the configuration makes them.
func openers(j job) (bridge.SourceOpener, bridge.SinkOpener, error) {
	rabbit, err := rabbitmq.Adapter().System("rabbitmq", settingsOf("url: %q", j.AMQP))
	if err != nil {
		return nil, nil, err
	}
	stream, err := nats.Adapter().System("nats", settingsOf("url: %q", j.NATS))
	if err != nil {
		return nil, nil, err
	}
	id := bridge.Identity{Bridge: j.Bridge, Relay: j.Relay}
	switch j.Route {
	case "quorum-jetstream":
		source, err := rabbit.Source(id, settingsOf("{queue: %q, competes: true}", j.From))
		if err != nil {
			return nil, nil, err
		}
		sink, err := stream.Sink(id, settingsOf("{stream: %q, subject: %q}", j.To, j.To+".{address}"))
		return source, sink, err
	case "jetstream-quorum", "jetstream-classic":
		source, err := stream.Source(id, settingsOf("stream: %q", j.From))
		if err != nil {
			return nil, nil, err
		}
		kind := j.Route[len("jetstream-"):]
		sink, err := rabbit.Sink(id, settingsOf("{queue: %q, type: %s}", j.To, kind))
		return source, sink, err
	}
	return nil, nil, fmt.Errorf("there is no route %q", j.Route)
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
