package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// A planning is a command on a configuration between two brokers.
type planning struct {
	t              *testing.T
	binary, config string
	rabbit         *brokers.Server
	nats           *brokers.Server
}

func newPlanning(t *testing.T, kind brokers.Kind, relays string, args ...any) *planning {
	t.Helper()
	binary, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	p := &planning{t: t, binary: binary, config: filepath.Join(t.TempDir(), "plan.yaml")}
	p.rabbit = brokers.Private(t, kind, brokers.ManagementPlugin)
	p.nats = brokers.PrivateNATS(t)
	p.write(relays, args...)
	return p
}

func (p *planning) write(relays string, args ...any) {
	p.t.Helper()
	text := fmt.Sprintf("name: plan\nhttp: {listen: \"off\"}\nsystems:\n  - {name: rabbit, kind: rabbitmq, url: %q, management: %q}\n  - {name: jet, kind: nats, url: %q}\nrelays:\n",
		p.rabbit.URL(), p.rabbit.Management(), p.nats.URL()) + fmt.Sprintf(relays, args...)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run runs plan and gives what it prints.
func (p *planning) run(code int, args ...string) string {
	p.t.Helper()
	out, got := command(p.t, p.binary, nil, append([]string{"plan", "-c", p.config}, args...)...)
	if got != code {
		p.t.Fatalf("plan %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

// expect fails for the sentences that a plan does not say.
func expect(t *testing.T, out string, sentences ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(out), " ")
	for _, s := range sentences {
		if !strings.Contains(flat, s) {
			t.Errorf("the plan does not say %q", s)
		}
	}
	if t.Failed() {
		t.Log("\n" + out)
	}
}

func (p *planning) amqp() *amqp.Channel {
	p.t.Helper()
	conn, err := amqp.Dial(p.rabbit.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		p.t.Fatal(err)
	}
	return ch
}

func (p *planning) jetstream() jetstream.JetStream {
	p.t.Helper()
	nc, err := nats.Connect(p.nats.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		p.t.Fatal(err)
	}
	return js
}

// incumbentAMQP is an exchange of each type, and queues with what queues can have.
func (p *planning) incumbentAMQP() {
	ch, t := p.amqp(), p.t
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, kind := range map[string]string{"orders": "topic", "jobs": "direct", "news": "fanout", "by-header": "headers", "dead": "fanout"} {
		must(ch.ExchangeDeclare(name, kind, true, false, false, false, nil))
	}
	must(ch.ExchangeDeclare("with-alternate", "topic", true, false, false, false, amqp.Table{"alternate-exchange": "dead"}))
	queue := func(name, kind string, more amqp.Table) {
		t.Helper()
		if more == nil {
			more = amqp.Table{}
		}
		more["x-queue-type"] = kind
		_, err := ch.QueueDeclare(name, true, false, false, false, more)
		must(err)
	}
	queue("billing", "quorum", amqp.Table{"x-message-ttl": int64(60_000), "x-delivery-limit": int64(5), "x-dead-letter-exchange": "dead"})
	queue("audit", "classic", amqp.Table{"x-max-length": int64(1000), "x-overflow": "reject-publish", "x-expires": int64(86_400_000)})
	queue("urgent", "classic", amqp.Table{"x-max-priority": int64(10), "x-single-active-consumer": true})
	queue("graveyard", "classic", nil)
	queue("events", "stream", amqp.Table{"x-max-age": "7D", "x-max-length-bytes": int64(1 << 30)})
	for _, b := range [][3]string{
		{"orders", "billing", "*.paid.#"}, {"orders", "audit", "#"}, {"jobs", "urgent", "now"}, {"jobs", "audit", "later"},
		{"news", "audit", ""}, {"dead", "graveyard", ""}, {"orders", "events", "eu.#"},
	} {
		must(ch.QueueBind(b[1], b[2], b[0], false, nil))
	}
	must(ch.QueueBind("urgent", "", "by-header", false, amqp.Table{"x-match": "all", "level": "high"}))
}

const everyType = `  - {name: orders, from: {system: rabbit, accept: [mandatory, priorities], bindings: [{exchange: orders, routing_key: "#"}]}, to: {system: jet, stream: ORDERS, subject: "orders.{address}"}}
  - {name: jobs, from: {system: rabbit, accept: [priorities], bindings: [{exchange: jobs, routing_key: now}]}, to: {system: jet, stream: JOBS, subject: "jobs.{address}"}}
  - {name: news, from: {system: rabbit, accept: [priorities], bindings: [{exchange: news}]}, to: {system: jet, stream: NEWS, subject: "news.{address}"}}
  - {name: headers, from: {system: rabbit, accept: [priorities], bindings: [{exchange: by-header, arguments: {x-match: all, level: high}}]}, to: {system: jet, stream: HEADERS, subject: "headers.{address}"}}
  - {name: events, from: {system: rabbit, stream: events}, to: {system: jet, stream: EVENTS, subject: "events.{address}"}}
`

// Every type of exchange and of queue: the plan says what NATS needs and what is
// lost, makes it, is empty then, and has changed nothing else.
func TestPlanFromRabbitMQ(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		p := newPlanning(t, g.kind, everyType)
		p.incumbentAMQP()
		if _, err := p.rabbit.Ctl(t.Context(), "set_policy", "short", "^billing$", `{"max-length":500,"message-ttl":30000}`, "--apply-to", "queues"); err != nil {
			t.Fatal(err)
		}
		js := p.jetstream()
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "NEWS", Subjects: []string{"news.old"}, MaxMsgs: 7}); err != nil {
			t.Fatal(err)
		}
		before, natsBefore := topologyOf(t, p.rabbit), topologyOfNATS(t, p.nats.URL())
		out := p.run(failed)
		t.Log("\n" + out)
		expect(t, out)
		if d := before.difference(topologyOf(t, p.rabbit)) + natsBefore.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
			t.Errorf("a plan changed something:\n%s", d)
		}
		p.run(0, "--apply")
		again := p.run(0)
		t.Log("\n" + again)
		made := natsBefore.difference(topologyOfNATS(t, p.nats.URL()))
		if strings.Contains("\n"+made, "\n-") {
			t.Errorf("something was changed or deleted at NATS:\n%s", made)
		}
		if d := before.difference(topologyOf(t, p.rabbit)); d != "" {
			t.Errorf("something was changed at RabbitMQ:\n%s", d)
		}
		_ = time.Now
	})
}
