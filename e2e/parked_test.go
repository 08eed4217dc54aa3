package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A special is a message outside the plan, known by its key and body.
type special struct {
	key, body string
	headers   map[string]any
	reason    string // why it is parked; "" if it is delivered
}

func (s special) String() string { return fmt.Sprintf("%.40q with %d octets", s.key, len(s.body)) }

// rounds is how often each special is published, with a kill -9 of the bridge
// between the rounds.
const rounds = 3

// What JetStream can never take is parked at RabbitMQ, with its reason, and
// nothing else: names that need an encoding, odd headers and empty keys arrive.
func TestParkedAtRabbitMQ(t *testing.T) { onBoth(t, parkedThere) }

func parkedThere(t *testing.T, g generation) {
	s := newScene(t, g, "RabbitMQ → JetStream, among messages that it can never take")
	s.fromRabbitMQ(usual, quorum).sizedLoad(ledger.Zipf10k, sized(10_000, 100_000), 3000)
	s.relays[0].more = "park: skip"
	specials := []special{
		{key: "big", body: strings.Repeat("x", 1<<20+1), reason: "oversized"},
		{key: "heavy", headers: map[string]any{"heavy": strings.Repeat("h", 66_000)}, reason: "oversized"},
		{key: "forged", headers: map[string]any{"crossfade-relay": "x/y", "crossfade-id": "no such form"}},
		{key: ""}, {key: "a b"}, {key: "a*"}, {key: "a.>"}, {key: "*"}, {key: ">"}, {key: "a..b"}, {key: ".a"}, {key: "a."}, {key: "%41"},
		{key: "$SYS.x"}, {key: "ünï.cödé"}, {key: "tab\tand\nline"}, {key: "\xff\x00\xfe"}, {key: strings.Repeat("k", 255)},
		{key: "full", headers: map[string]any{"large": strings.Repeat("v", 40_000), "octets": "\xff\xfe", "null": nil}},
	}
	subjects := s.playSpecials(specials, func(x special, id string) error {
		return s.publishAMQP(x, id)
	}, func() []parkedRecord { return s.parkedAtRabbitMQ(s.relays[0].name) })
	if len(subjects) != len(slices.DeleteFunc(slices.Clone(specials), func(x special) bool { return x.reason != "" })) {
		t.Errorf("different keys share subjects: %q", slices.Sorted(maps.Keys(subjects)))
	}
}

// The other way: what RabbitMQ can never take is parked at JetStream.
func TestParkedAtJetStream(t *testing.T) { onBoth(t, parkedAtTheSource) }

func parkedAtTheSource(t *testing.T, g generation) {
	s := newScene(t, g, "JetStream → a RabbitMQ exchange, among messages that it can never take")
	s.fromJetStream().sizedLoad(ledger.Zipf10k, sized(10_000, 100_000), 3000)
	s.rabbitMore = ", max_message: 100000"
	ch := channel(t, s.rabbit)
	if err := ch.ExchangeDeclare(s.name, "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = channel(t, s.rabbit).ExchangeDelete(s.name, false, false) })
	s.addQueue(s.name, quorum, nil)
	for _, key := range []string{"*.*.*", "*.*.*.*"} { // those of the plan
		if err := ch.QueueBind(s.name, key, s.name, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.relays = append(s.relays, &relay{
		name: "to-exchange", from: "{system: jet, stream: " + s.name + "}", to: "{system: rabbit, exchange: " + s.name + "}",
		more: "id: {header: " + ledger.IDHeader + "}\n    park: skip", book: &ledger.Book{Subject: func(name string) string { return name }},
		reader: &ledger.RabbitMQReader{URL: s.rabbit, Queue: s.name}, repeats: true,
	})
	s.playSpecials([]special{
		{key: s.name + ".to.big", body: strings.Repeat("x", 100_001), reason: "oversized"},
		{key: s.name + ".nowhere", reason: "unroutable"},
		{key: s.name + "." + strings.Repeat("long.", 60) + "name", reason: "illegal-name"},
		{key: s.name + ".poison.x", headers: map[string]any{"crossfade-relay": "x/y", "crossfade-id": "no such form"}, reason: "poison"},
		{key: s.name + ".delivered.x", headers: map[string]any{"octets": "\xff\xfe", "many": strings.Repeat("v", 50_000)}},
	}, func(x special, id string) error { return s.publishNATS(x, id) }, s.parkedAtNATS)
}

// playSpecials publishes every special in each round, and checks what became of
// it. It gives the subjects under which they arrived.
func (s *scene) playSpecials(specials []special, publish func(x special, id string) error, parked func() []parkedRecord) map[string]bool {
	t := s.t
	var mu sync.Mutex
	arrived, subjects := map[string]int{}, map[string]bool{}
	s.relays[0].book.Aside = func(m *ledger.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		arrived[m.Key+"\n"+string(m.Body)]++
		subjects[m.Subject] = true
		return true
	}
	s.begin()
	for i := range rounds {
		s.due(i, rounds)
		for j, x := range specials {
			if err := publish(x, fmt.Sprintf("special-%d-%d", i, j)); err != nil {
				t.Fatalf("publish %v: %v", x, err)
			}
			if x.reason != "" {
				s.note(x.reason + " message")
			}
		}
		s.killBridge()
	}
	s.expectParked = true
	s.finish()
	records := parked()
	for _, x := range specials {
		found := 0
		for _, r := range records {
			if r.key == x.key && r.body == x.body && r.reason == x.reason {
				found++
			}
		}
		// What was parked in the moment of a kill may be parked once more.
		n := arrived[x.key+"\n"+x.body]
		if right := n >= rounds && found == 0 || x.reason != "" && n == 0 && found >= rounds; !right {
			t.Errorf("%v, reason %q: arrived %d times, parked %d times", x, x.reason, n, found)
		}
	}
	for _, r := range records {
		if !slices.ContainsFunc(specials, func(x special) bool { return x.key == r.key && x.reason == r.reason }) {
			t.Errorf("parked as %s, and ought not to be: %.60q: %s", r.reason, r.key, r.cause)
		}
	}
	s.expectNothingWrong()
	return subjects
}

func (s *scene) publishAMQP(x special, id string) error {
	ch := channel(s.t, s.rabbit)
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		return err
	}
	c, err := ch.PublishWithDeferredConfirm(s.name, x.key, true, false,
		amqp.Publishing{Headers: x.headers, MessageId: id, DeliveryMode: amqp.Persistent, Body: []byte(x.body)})
	if err == nil && !c.Wait() {
		err = fmt.Errorf("not confirmed")
	}
	return err
}

func (s *scene) publishNATS(x special, id string) error {
	m := nats.NewMsg(x.key)
	m.Data = []byte(x.body)
	m.Header[ledger.IDHeader] = []string{id}
	for name, v := range x.headers {
		m.Header[name] = []string{fmt.Sprint(v)}
	}
	var published error
	withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error {
		_, published = js.PublishMsg(ctx, m)
		return nil
	})
	return published
}

// A parkedRecord is what the stories read of a parked message.
type parkedRecord struct{ key, body, reason, cause string }

// parkedAtRabbitMQ reads the relay's parked messages, as they are documented: the
// stream crossfade.BRIDGE.RELAY.parked.
func (s *scene) parkedAtRabbitMQ(relay string) []parkedRecord {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	if err := ch.Qos(100, 0, false); err != nil {
		s.t.Fatal(err)
	}
	name := strings.Join([]string{"crossfade", s.name, relay, "parked"}, ".")
	deliveries, err := ch.Consume(name, "", false, false, false, false, amqp.Table{"x-stream-offset": "first"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _, _ = channel(s.t, s.rabbit).QueueDelete(name, false, false, false) })
	var j joined
	var record []byte // of several messages: CorrelationId is its part, "0/2"
	for {
		select {
		case d := <-deliveries:
			record = append(record, d.Body...)
			if i, n, _ := strings.Cut(d.CorrelationId, "/"); d.Type == "crossfade-part" && next(i) == n {
				j.add(s.t, record)
				record = nil
			}
			if err := d.Ack(false); err != nil {
				s.t.Fatal(err)
			}
		case <-time.After(time.Second): // a stream does not say where it ends
			return j.records
		}
	}
}

func next(i string) string {
	n, _ := strconv.Atoi(i)
	return strconv.Itoa(n + 1)
}

// parkedAtNATS reads the bridge's parked messages: what its journal stream holds
// under subjects that end in parked.
func (s *scene) parkedAtNATS() []parkedRecord {
	s.t.Helper()
	var j joined
	withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, "CROSSFADE-JOURNAL_"+s.name)
		if err != nil {
			return err
		}
		for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
			m, err := stream.GetMsg(ctx, seq)
			if err != nil {
				return err
			}
			if strings.HasSuffix(m.Subject, ".parked") {
				j.add(s.t, m.Data)
			}
		}
		return nil
	})
	return j.records
}

// joined puts records together: "CFP1" group(8) part(4) parts(4), then a piece of
// items: length(4), a line of JSON, the body. An item with a note is no message.
type joined struct {
	payload []byte
	records []parkedRecord
}

func (j *joined) add(t testing.TB, record []byte) {
	t.Helper()
	const head = 4 + 8 + 4 + 4
	if len(record) < head || string(record[:4]) != "CFP1" {
		return // the journal's own
	}
	part, parts := binary.BigEndian.Uint32(record[12:]), binary.BigEndian.Uint32(record[16:])
	if part == 0 {
		j.payload = nil
	}
	if j.payload = append(j.payload, record[head:]...); part+1 < parts {
		return
	}
	for rest := j.payload; len(rest) > 0; {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(binary.BigEndian.Uint32(rest)) {
			t.Fatalf("parked record: an item is cut short")
		}
		end := 4 + int(binary.BigEndian.Uint32(rest))
		line, body, _ := bytes.Cut(rest[4:end], []byte{'\n'})
		rest = rest[end:]
		var in struct {
			Note, Reason, Cause string
			Key                 []byte
		}
		if err := json.Unmarshal(line, &in); err != nil {
			t.Fatalf("parked record: %v", err)
		}
		if in.Note == "" {
			j.records = append(j.records, parkedRecord{string(in.Key), string(body), in.Reason, in.Cause})
		}
	}
}
