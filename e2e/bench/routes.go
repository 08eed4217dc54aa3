package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A route is a way from one place to another, with those who compete on it.
type route struct {
	name        string
	title       string
	from, to    func(*brokers, string) place
	contestants []string // the first is what the others are compared with
	share       int      // of the messages of other routes, one in so many
}

// A place is a queue, a topic or a stream that a round fills or reads.
type place interface {
	name() string
	prefix() string // in front of every key
	create(ctx context.Context) error
	fill(ctx context.Context, l *load) error
	read(ctx context.Context, n int, each func(body []byte, id string)) error
	idOf(key, id string) string // what Crossfade writes there as a producer's ID
	remove(ctx context.Context) error
}

const (
	loop          = "loop"
	codecLoop     = "codec loop"
	crossfade     = "crossfade"
	crossfadeMany = "crossfade, many of a key in flight"
	compared      = "crossfade, its work compared beside it"
)

var routes = []route{
	{
		name: "quorum-jetstream", title: "RabbitMQ quorum → JetStream",
		from: quorumQueue, to: targetStream, contestants: []string{loop, crossfade},
	},
	{
		name: "jetstream-quorum", title: "JetStream → RabbitMQ quorum",
		from: sourceStream, to: quorumQueue, contestants: []string{loop, crossfade},
	},
	{
		name: "jetstream-classic", title: "JetStream → RabbitMQ classic",
		from: sourceStream, to: classicQueue, contestants: []string{loop, crossfadeMany, crossfade}, share: 5,
	},
	{
		name: "kafka-kafka", title: "Kafka → Kafka",
		from: kafkaPlace, to: kafkaPlace, contestants: []string{loop, codecLoop, crossfade, compared},
	},
	{
		name: "quorum-kafka", title: "RabbitMQ quorum → Kafka",
		from: quorumQueue, to: kafkaPlace, contestants: []string{loop, crossfade},
	},
	{
		name: "kafka-jetstream", title: "Kafka → JetStream",
		from: kafkaPlace, to: targetStream, contestants: []string{loop, crossfade, compared},
	},
	{
		name: "jetstream-kafka", title: "JetStream → Kafka",
		from: sourceStream, to: kafkaPlace, contestants: []string{loop, crossfade, compared},
	},
}

func routeNamed(name string) (*route, error) {
	i := slices.IndexFunc(routes, func(r route) bool { return r.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no route %q", name)
	}
	return &routes[i], nil
}

// A measurement is one contestant's results on a route with one distribution.
type measurement struct {
	route      *route
	keys       keys
	contestant string
	results    []result
}

// measure runs the rounds of a route with one distribution of keys.
func (r *route) measure(ctx context.Context, b *brokers, k keys, s *settings) ([]measurement, error) {
	out := make([]measurement, len(r.contestants))
	for i, c := range r.contestants {
		out[i] = measurement{route: r, keys: k, contestant: c}
	}
	n := s.messages / max(1, r.share)
	for round := range s.rounds {
		for i := range out {
			m := &out[(i+round)%len(out)]
			x, err := r.round(ctx, b, m, n, s)
			if err != nil {
				return nil, fmt.Errorf("%s, %s keys, round %d: %s: %w", r.title, k, round+1, m.contestant, err)
			}
			m.results = append(m.results, x)
			s.say("%-30s %-8s round %d  %-35s %8.0f msg/s  %5.1f CPU s/M", r.title, k, round+1, m.contestant, x.rate(), x.cost())
		}
	}
	return out, nil
}

// round fills, copies and verifies once.
func (r *route) round(ctx context.Context, b *brokers, m *measurement, n int, s *settings) (x result, err error) {
	run := b.unique()
	from, to := r.from(b, run+"-from"), r.to(b, run+"-to")
	defer func() { err = errors.Join(err, from.remove(ctx), to.remove(ctx), b.forget(ctx, run)) }()
	if err := errors.Join(from.create(ctx), to.create(ctx)); err != nil {
		return x, err
	}
	l := newLoad(n, m.keys, run, from.prefix())
	if err := from.fill(ctx, l); err != nil {
		return x, fmt.Errorf("fill: %w", err)
	}
	if err := rest(ctx, s.rest); err != nil {
		return x, err
	}
	x, err = job{
		Contestant: m.contestant, Route: r.name, AMQP: b.amqp, NATS: b.nats, Kafka: b.kafka, Bridge: run, Relay: "bench",
		From: from.name(), To: to.name(), Messages: n, Profile: s.profileOf(r, m),
	}.run(ctx)
	if err != nil {
		return x, err
	}
	id := l.id
	if strings.HasPrefix(m.contestant, crossfade) {
		id = func(i int) string { return to.idOf(l.key(i), l.id(i)) }
	}
	c := newCheck(l, id)
	if err := to.read(ctx, n, c.add); err != nil {
		return x, fmt.Errorf("verify: %w", err)
	}
	if err := c.done(); err != nil {
		return x, fmt.Errorf("verify: %w", err)
	}
	return x, nil
}

// crossfadeContestant copies with the relay.
func crossfadeContestant(bend func(*relay.Config)) func(context.Context, job, *watch) error {
	return func(ctx context.Context, j job, w *watch) error {
		source, sink, err := openers(j)
		if err != nil {
			return err
		}
		return relayAll(ctx, j, w, source, sink, bend)
	}
}

// manyInFlight has the relay believe that a prefix survives whatever fails.
func manyInFlight(c *relay.Config) { c.SinkTraits.Survives = bridge.SurvivesPrefix }
