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

// Plans and drafts between each generation of RabbitMQ and NATS.
func TestPlan(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		rabbit := brokers.Private(t, g.kind, brokers.ManagementPlugin)
		t.Run("to NATS", func(t *testing.T) { newPlanning(t, rabbit, everyType).toNATS() })
		t.Run("to RabbitMQ", func(t *testing.T) { newPlanning(t, rabbit, toEveryTarget).toRabbitMQ() })
		t.Run("init", func(t *testing.T) { newPlanning(t, rabbit, everyType).drafts() })
	})
}

func newPlanning(t *testing.T, rabbit *brokers.Server, relays string) *planning {
	t.Helper()
	binary, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	p := &planning{t: t, binary: binary, config: filepath.Join(t.TempDir(), "plan.yaml"), rabbit: rabbit, nats: brokers.PrivateNATS(t)}
	text := fmt.Sprintf("name: plan\nhttp: {listen: \"off\"}\nsystems:\n  - {name: rabbit, kind: rabbitmq, url: %q, management: %q}\n  - {name: jet, kind: nats, url: %q}\nrelays:\n",
		p.rabbit.URL(), p.rabbit.Management(), p.nats.URL()) + relays
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
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
func (p *planning) toNATS() {
	t := p.t
	p.incumbentAMQP()
	if _, err := p.rabbit.Ctl(t.Context(), "set_policy", "short", "^billing$", `{"max-length":500,"message-ttl":30000}`, "--apply-to", "queues"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "NEWS", Subjects: []string{"news.old"}, MaxMsgs: 7}); err != nil {
		t.Fatal(err)
	}
	before, natsBefore := topologyOf(t, p.rabbit), topologyOfNATS(t, p.nats.URL())
	out := p.run(failed)
	expect(t, out,
		"missing jet stream ORDERS subjects orders.>",
		"missing jet stream EVENTS subjects events.> duplicate_window 2m0s, max_age 168h0m0s, max_bytes 1073741824",
		"differs jet stream NEWS subjects news.>", "it does not take news.>",
		"missing jet consumer ORDERS → billing filter orders.*.paid, orders.*.paid.> max_deliver 6 for quorum queue billing",
		"missing jet consumer ORDERS → audit inactive_threshold 24h0m0s for classic queue audit",
		"missing jet consumer JOBS → urgent filter jobs.now",
		"orders quorum queue billing message-ttl 30000 (30s) by policy short → messages of this queue are dropped when they have waited that long",
		"orders quorum queue billing x-dead-letter-exchange dead → a consumer gives up without a place for it",
		"orders quorum queue billing max-length 500 by policy short → the queue is bound by what its application has not read",
		"orders classic queue audit x-overflow reject-publish → ",
		"jobs classic queue urgent x-max-priority 10 → messages come in the order in which they were sent",
		"jobs classic queue urgent x-single-active-consumer true → consumers of one durable share its messages",
		"headers exchange by-header, level high, x-match all, to classic queue urgent → NATS does not choose by headers",
		"jobs direct exchange jobs, key later, to classic queue audit → the tap does not read it",
		"news what the tap reads: everything → only a part of the names that it gets (news.>) is taken at stream NEWS, by news.old",
	)
	if d := before.difference(topologyOf(t, p.rabbit)) + natsBefore.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
		t.Errorf("a plan without --apply changed something:\n%s", d)
	}
	p.run(0, "--apply")
	p.run(0)
	natsMade := topologyOfNATS(t, p.nats.URL())
	made := natsBefore.difference(natsMade)
	if strings.Contains("\n"+made, "\n-") || strings.Count(made, "\n") < 10 {
		t.Errorf("something was changed or deleted at NATS, or too little made:\n%s", made)
	}
	p.run(0, "--apply")
	if d := before.difference(topologyOf(t, p.rabbit)) + natsMade.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
		t.Errorf("RabbitMQ was changed, or a second --apply did something:\n%s", d)
	}
	if out, code := command(t, p.binary, nil, "remove", "orders", "-c", p.config, "--confirm"); code != 0 {
		t.Errorf("remove: exit code %d:\n%s", code, out)
	}
	if d := natsMade.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
		t.Errorf("remove took something that plan had made:\n%s", d)
	}
	p.blind()
	expect(t, p.run(0), "Not known: rabbit → the management API is not used", "there jet stream EVENTS")
}

// blind takes the management API out of the configuration.
func (p *planning) blind() {
	t := p.t
	t.Helper()
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), fmt.Sprintf(", management: %q", p.rabbit.Management()), "", 1)
	if without == string(text) {
		t.Fatal("the configuration names no management API")
	}
	if err := os.WriteFile(p.config, []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
}

const toEveryTarget = `  - {name: exchange, from: {system: jet, stream: S}, to: {system: rabbit, exchange: s, routing_key: "{subject}"}}
  - {name: queue, from: {system: jet, stream: S, subjects: ["s.a.>"]}, to: {system: rabbit, queue: q}}
  - {name: stream, from: {system: jet, stream: S}, to: {system: rabbit, stream: st}}
`

// The way back: streams and consumers become exchanges, queues, streams and
// bindings, with the management API and without.
func (p *planning) toRabbitMQ() {
	t := p.t
	js := p.jetstream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxAge: time.Hour, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]jetstream.ConsumerConfig{
		"all":  {MaxDeliver: 4},
		"some": {FilterSubjects: []string{"s.a.*", "s.b.>"}, AckWait: time.Minute},
	} {
		c.Durable, c.AckPolicy = name, jetstream.AckExplicitPolicy
		if _, err := js.CreateConsumer(t.Context(), "S", c); err != nil {
			t.Fatal(err)
		}
	}
	ch := p.amqp()
	if _, err := ch.QueueDeclare("st", true, false, false, false, amqp.Table{"x-queue-type": "stream", "x-max-age": "1D"}); err != nil {
		t.Fatal(err)
	}
	before, natsBefore := topologyOf(t, p.rabbit), topologyOfNATS(t, p.nats.URL())
	expect(t, p.run(failed),
		"missing rabbit topic exchange s",
		"missing rabbit quorum queue all x-delivery-limit 3 for consumer all of S",
		"missing rabbit quorum queue some for consumer some of S",
		"missing rabbit binding s → some key s.a.*", "missing rabbit binding s → some key s.b.*.#",
		"missing rabbit quorum queue q",
		"differs rabbit stream st x-max-age 3600s (1h0m0s), x-max-length-bytes 1048576", "it has x-max-age 1D (24h0m0s), the plan 3600s; it has no x-max-length-bytes 1048576",
		"exchange consumer some of S ack_wait 1m0s → how much a consumer may hold",
		"queue stream S max_age 1h0m0s → a queue keeps a message until it is taken",
		"queue stream S, to consumer all of S → the tap reads only a part of it",
		"stream consumer all of S max_deliver 4 → a stream does not count deliveries",
	)
	p.run(0, "--apply")
	after := topologyOf(t, p.rabbit)
	made := before.difference(after)
	if strings.Contains("\n"+made, "\n-") || strings.Count(made, "\n") < 7 {
		t.Errorf("something was changed or deleted at RabbitMQ, or too little made:\n%s", made)
	}
	p.run(0)
	if d := natsBefore.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
		t.Errorf("NATS was changed:\n%s", d)
	}
	if _, err := ch.QueueDelete("some", false, false, false); err != nil {
		t.Fatal(err)
	}
	p.run(failed, "exchange")
	p.run(0, "stream")
	p.run(0, "--apply", "exchange")
	if d := after.difference(topologyOf(t, p.rabbit)); d != "" {
		t.Errorf("what was deleted has not come back as it was:\n%s", d)
	}
	p.blind()
	expect(t, p.run(0), "unknown rabbit binding s → some", "there rabbit quorum queue some", "Not known: rabbit → the management API is not used")
	p.run(0, "--apply")
	if d := after.difference(topologyOf(t, p.rabbit)); d != "" {
		t.Errorf("bindings that cannot be seen were made twice or otherwise:\n%s", d)
	}
}
