package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// exchangeMessages is how many an application of these stories produces.
func exchangeMessages() int { return sized(1600, 40_000) }

// Exchanges of every type that may be tapped: the application gets each of its
// messages once and in order, and so does the candidate.
func TestExchanges(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		t.Run("direct", func(t *testing.T) {
			s := newExchangeScene(t, g, "a direct exchange", "direct")
			var bindings []string
			plan := ledger.NewPlan(s.load)
			bound := map[string]bool{}
			for n := 1; n <= plan.Messages; n++ {
				if key := plan.Name(n); !bound[key] {
					bound[key] = true
					s.bind(s.name+"-app", key, s.name, nil)
					bindings = append(bindings, fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, key))
				}
			}
			s.playTapped(strings.Join(bindings, ", "), func(int) bool { return true })
		})
		t.Run("topic", func(t *testing.T) {
			s := newExchangeScene(t, g, "a topic exchange with two bindings that overlap", "topic")
			s.bind(s.name+"-app", "#", s.name, nil)
			s.playTapped(fmt.Sprintf("{exchange: %s, routing_key: %q}, {exchange: %s, routing_key: %q}", s.name, "#", s.name, "host1.#"), func(int) bool { return true })
		})
		t.Run("fanout", func(t *testing.T) {
			s := newExchangeScene(t, g, "a fanout exchange", "fanout")
			s.bind(s.name+"-app", "", s.name, nil)
			s.playTapped(fmt.Sprintf("{exchange: %s}", s.name), func(int) bool { return true })
		})
		t.Run("headers", func(t *testing.T) {
			s := newExchangeScene(t, g, "a headers exchange of which the tap wants every eighth message", "headers")
			s.bind(s.name+"-app", "", s.name, amqp.Table{"x-match": "all"})
			s.playTapped(fmt.Sprintf("{exchange: %s, arguments: {x-match: all, text: plain}}", s.name), func(n int) bool {
				return ledger.NewPlan(s.load).Table(n)["text"] == "plain"
			})
		})
		t.Run("chain", func(t *testing.T) {
			s := newExchangeScene(t, g, "an exchange behind an exchange", "topic")
			inner := s.name + "-inner"
			s.addExchange(inner, "fanout", nil)
			ch := channel(t, s.rabbit)
			if err := ch.ExchangeBind(inner, "#", s.name, false, nil); err != nil {
				t.Fatal(err)
			}
			s.bind(s.name+"-app", "", inner, nil)
			s.playTapped(fmt.Sprintf("{exchange: %s}", inner), func(int) bool { return true })
		})
	})
}

// newExchangeScene has an exchange of that type, and a queue of the application's
// that is not yet bound.
func newExchangeScene(t *testing.T, g generation, title, kind string) *scene {
	t.Helper()
	s := newScene(t, g, "RabbitMQ → JetStream, "+title)
	s.addExchange(s.name, kind, nil)
	s.addQueue(s.name+"-app", quorum, nil)
	s.load = ledger.Load{Seed: s.rng.Uint64() % 1000, Messages: exchangeMessages(), Keys: ledger.Keys100, Carries: ledger.CarriesAll, Space: s.name}
	return s
}

// addExchange makes an exchange for the time of the story.
func (s *scene) addExchange(name, kind string, args amqp.Table) {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	defer ch.Close()
	if err := ch.ExchangeDeclare(name, kind, true, false, false, false, args); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = channel(s.t, s.rabbit).ExchangeDelete(name, false, false) })
}

// relayOf adds a relay from a tap with the bindings to a stream of its own.
func (s *scene) relayOf(tap, bindings string) *relay {
	s.t.Helper()
	to := s.name + "-to"
	s.addStream(to, usual)
	r := &relay{
		name:   tap + "-tap",
		from:   s.tapOf(tap, bindings),
		to:     fmt.Sprintf("{system: jet, stream: %s, subject: %q}", to, to+".{routing_key}"),
		book:   &ledger.Book{Subject: func(name string) string { return to + "." + name }},
		reader: &ledger.NATSReader{URL: s.nats, Stream: to},
	}
	s.relays = append(s.relays, r)
	return r
}

// playTapped runs a bridge and an application, which both have to get what they
// are bound for; wanted says what of it the tap is.
func (s *scene) playTapped(bindings string, wanted func(n int) bool) {
	s.t.Helper()
	r := s.relayOf(quorum, bindings)
	s.runBridge()
	s.t.Cleanup(s.sweep)
	app := startApplication(s.t, s.rabbit, s.load, s.name+"-app")
	app.produce(s.load.Messages)
	app.unharmed("running")
	subject := r.book.Subject
	r.book = ledger.NewBook(app.book.Plan)
	r.book.Subject = subject
	for n := 1; n <= s.load.Messages; n++ {
		if wanted(n) {
			r.book.Sent(n)
			r.book.Confirmed(n)
			s.least++
		}
	}
	if s.least == 0 {
		s.t.Fatal("the tap wants nothing")
	}
	s.each(func(r *relay) error { return ledger.Collect(context.Background(), r.book, r.reader, patience) })
	s.each(func(r *relay) error { return ledger.Rest(context.Background(), r.book, r.reader, 300*time.Millisecond) })
	s.lastStatus()
	r.report = r.book.Report()
	s.load.Messages = s.least
	s.expectNothingWrong()
}

// A consistent-hash exchange divides messages among what is bound to it: a tap
// would take a share away from the application. It is refused.
func TestHashExchangeIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		server := brokers.Private(t, g.kind, "rabbitmq_consistent_hash_exchange")
		s := newScene(t, g, "RabbitMQ → JetStream, a consistent-hash exchange is refused")
		s.rabbit, s.rabbitVia = server.URL(), server.URL()
		s.addExchange(s.name, "x-consistent-hash", nil)
		queues := []string{s.name + "-one", s.name + "-two"}
		for _, q := range queues {
			s.addQueue(q, quorum, nil)
			s.bind(q, "1", s.name, nil)
		}
		s.relayOf(quorum, fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, "1"))
		before := topologyOf(t, server)
		for _, accepted := range []string{"", "exchange-type"} { // no word makes it right
			s.relays[0].from = s.tapOf(quorum, fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, "1"), strings.Fields(accepted)...)
			s.write()
			for _, verb := range []string{"check", "run"} {
				out, code := command(t, s.binary, nil, verb, "-c", s.config, "--http-listen", "off")
				if code != failed || !strings.Contains(out, s.name) || !strings.Contains(out, "x-consistent-hash") {
					t.Errorf("accept: [%s]: %s ends with exit code %d, want %d with the exchange and its type:\n%s", accepted, verb, code, failed, out)
				}
			}
		}
		if d := before.difference(topologyOf(t, server)); d != "" {
			t.Errorf("the refused run left something:\n%s", d)
		}
		s.relays = nil // there is no book to report
		s.print()
	})
}
