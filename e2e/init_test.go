package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// initialised runs init and gives the file, whose relays the plan then makes room
// for and the preflight lets pass.
func (p *planning) initialised(env []string, args ...string) string {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "first.yaml")
	out, code := command(p.t, p.binary, nil, append([]string{"init", "-o", file}, args...)...)
	if code != 0 {
		p.t.Fatalf("init: exit code %d:\n%s", code, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, code := command(p.t, p.binary, nil, append([]string{"init", "-o", file}, args...)...); code != 2 {
		p.t.Errorf("init over an existing file: exit code %d", code)
	}
	for _, verb := range [][]string{{"config", "print", "-c", file}, {"plan", "--apply", "-c", file}, {"plan", "-c", file}, {"check", "-c", file}} {
		if out, code := command(p.t, p.binary, env, verb...); code != 0 {
			p.t.Errorf("%s: exit code %d:\n%s\n%s", strings.Join(verb, " "), code, out, text)
		}
	}
	return string(text)
}

// What init writes holds no password, loads, and passes the preflight once the
// plan is carried out. What cannot be tapped stands in it with the reason.
func (p *planning) drafts() {
	t := p.t
	p.incumbentAMQP()
	ch := p.amqp()
	if err := ch.ExchangeDeclare("odd: {name}.x", "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("lonely", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	text := p.initialised([]string{"INCUMBENT_PASSWORD=guest"},
		"--from", p.rabbit.URL(), "--from-management", p.rabbit.Management(), "--to", p.nats.URL())
	expect(t, strings.ReplaceAll(text, "# ", ""),
		`password: "${env:INCUMBENT_PASSWORD}"`, `{exchange: orders, routing_key: "#"}`, "{exchange: jobs, routing_key: later}", "{exchange: jobs, routing_key: now}",
		"{exchange: by-header, arguments: {x-match: all}}", "{exchange: news}", `{exchange: "odd: {name}.x", routing_key: "#"}`, "stream: events", "stream: ORDERS",
		`subject: "orders.{address}"`, "Dead letters of billing go here.", "topic exchange with-alternate: has an alternate exchange",
		"quorum queue lonely: only the default exchange leads to it", "(today: #, *.paid.#, eu.#)")
	if strings.Contains(text, "guest:guest") || strings.Contains(text, `"guest"`) {
		t.Errorf("a password was written:\n%s", text)
	}
	everything(t, ch)

	js := p.jetstream()
	for _, c := range []jetstream.StreamConfig{
		{Name: "APP", Subjects: []string{"app.>"}}, {Name: "WORK", Subjects: []string{"work.>"}, Retention: jetstream.WorkQueuePolicy},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "conf", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	back := p.initialised([]string{"CANDIDATE_PASSWORD=guest"}, "--from", p.nats.URL(), "--to", p.rabbit.URL(), "--name", "back")
	expect(t, strings.ReplaceAll(back, "# ", ""), "name: back", "stream: APP", "stream WORK: its retention is work queue", "key-value bucket KV_conf: clients use it as a table")
	out, code := command(t, p.binary, nil, "init", "--from", p.rabbit.URL(), "--to", p.nats.URL())
	if code != 2 || !strings.Contains(out, "--from-management is missing") {
		t.Errorf("without the management API: exit code %d:\n%s", code, out)
	}
	if out, code := command(t, p.binary, nil, "init", "--from", p.nats.URL(), "--to", p.nats.URL()); code != failed || !strings.Contains(out, "the same system") {
		t.Errorf("from a system to itself: exit code %d:\n%s", code, out)
	}
}

// everything shows what the draft of a headers exchange rests on: a binding that
// compares no header gets every message.
func everything(t *testing.T, ch *amqp.Channel) {
	t.Helper()
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err == nil {
		err = ch.QueueBind(q.Name, "", "by-header", false, amqp.Table{"x-match": "all"})
	}
	for _, headers := range []amqp.Table{nil, {"level": "low"}} {
		if err == nil {
			err = ch.PublishWithContext(t.Context(), "by-header", "k", false, false, amqp.Publishing{Headers: headers})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		await(t, 10*time.Second, "every message there", func() bool {
			_, ok, err := ch.Get(q.Name, true)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		})
	}
}

// Plans and drafts with a real Kafka on either side.
func TestPlanWithKafka(t *testing.T) {
	t.Parallel()
	binary, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	p := &planning{t: t, binary: binary, config: filepath.Join(t.TempDir(), "plan.yaml"), nats: brokers.PrivateNATS(t)}
	kafka := brokers.PrivateKafka(t)
	if err := os.WriteFile(p.config, fmt.Appendf(nil, `name: plan
http: {listen: "off"}
systems:
  - {name: jet, kind: nats, url: %q}
  - {name: kafka, kind: kafka, brokers: [%q]}
relays:
  - {name: one, from: {system: jet, stream: S}, to: {system: kafka, topic: all, create: {partitions: 3, configs: [segment.bytes=1048576]}}}
  - {name: many, from: {system: jet, stream: S}, to: {system: kafka, topic: "{subject}"}}
`, p.nats.URL(), strings.TrimPrefix(kafka.URL(), "kafka://")), 0o600); err != nil {
		t.Fatal(err)
	}
	js := p.jetstream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.a", "s.b", "t.>"}, MaxAge: time.Hour, MaxMsgs: 5000}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), "S", jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "s.a", MaxDeliver: 4}); err != nil {
		t.Fatal(err)
	}
	before := topologyOfNATS(t, p.nats.URL())
	expect(t, p.run(failed),
		"missing kafka topic all partitions 3, retention.ms 3600000 (1h0m0s), segment.bytes 1048576", "missing kafka topic s.a retention.ms 3600000", "missing kafka topic s.b",
		"stream S max_msgs 5000 → Kafka bounds a topic by time and size", "consumer c of S max_deliver 4 → a group does not count deliveries",
		"one stream S, filter s.a, to consumer c of S → a group reads the whole topic all", "what the tap reads: t.> → which topics {subject} makes of it is not known")
	p.run(0, "--apply")
	expect(t, p.run(0), "there kafka topic all", "there kafka topic s.b")
	p.run(0, "--apply")
	if d := before.difference(topologyOfNATS(t, p.nats.URL())); d != "" {
		t.Errorf("NATS was changed:\n%s", d)
	}
	text := p.initialised(nil, "--from", kafka.URL(), "--to", p.nats.URL())
	expect(t, strings.ReplaceAll(text, "# ", ""), "topics: [all]", "topics: [s.a]", "stream: S-A", `subject: "s-b.{key}"`)
	if strings.Contains(text, "topics: [__") {
		t.Errorf("a topic of the cluster's own is tapped:\n%s", text)
	}
	p.initialised(nil, "--from", p.nats.URL(), "--to", kafka.URL(), "--name", "back")
}
