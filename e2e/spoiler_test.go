package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A spoiler copies a stream into another of the same system, with clients of its own, and
// does to some messages what was planned. It belongs to one goroutine.
//
//	relay ──► stream ──► spoiler ──► candidate
//	                        └── holds, behind, across: what waits to be written
type spoiler struct {
	medium medium
	plan   *ledger.Plan
	faults map[int]fault

	holds  map[string]*hold   // keys that nothing is written of
	behind map[string]*letter // goes behind the next of its key
	across []*letter          // of one key, go behind the next of another
	left   int                // messages that have not come
	seen   map[int]bool
}

// A letter is a message on its way.
type letter struct {
	n   int // by which the ledger knows it
	key string
	raw any // the client's
}

// A hold is a key of which nothing is written for a while.
type hold struct {
	until   time.Time
	letters []*letter
}

// A medium is where messages are copied from and to, in the words of its own client.
type medium interface {
	// read gives each message, and ends with ctx.
	read(ctx context.Context, give func(raw any)) error
	// write writes one behind those that were written, and flush returns when all are
	// stored.
	write(raw any) error
	flush(ctx context.Context) error
	// number is the ledger's, and copy another of the same.
	number(raw any) (int, error)
	copy(raw any) any
	body(raw any) []byte
	setBody(raw any, body []byte)
	// strip takes a header of the producer's off it, narrow gives one a poorer type.
	strip(raw any)
	narrow(raw any) error
}

func newSpoiler(m medium, plan *ledger.Plan, faults map[int]fault) *spoiler {
	return &spoiler{medium: m, plan: plan, faults: faults, holds: map[string]*hold{}, behind: map[string]*letter{}, left: plan.Messages, seen: map[int]bool{}}
}

// run copies every message of the plan.
func (s *spoiler) run(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	raws, ended := make(chan any, 1000), make(chan error, 1)
	go func() {
		ended <- s.medium.read(reading, func(raw any) {
			select {
			case raws <- raw:
			case <-reading.Done():
			}
		})
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.left > 0 || len(s.holds) > 0 {
		var err error
		select {
		case raw := <-raws:
			err = s.take(raw)
		case <-tick.C:
			err = s.release()
		case err = <-ended:
			if err == nil {
				err = fmt.Errorf("reading ended with %d messages still to come", s.left)
			}
		}
		if err != nil {
			return fmt.Errorf("spoiler: %w", err)
		}
	}
	if err := s.writeAll(s.across); err != nil {
		return err
	}
	if len(s.behind) > 0 {
		return fmt.Errorf("spoiler: planned behind the last of a key: %v", slices.Collect(maps.Keys(s.behind)))
	}
	return s.medium.flush(ctx)
}

// take copies a message, or does what was planned with it.
func (s *spoiler) take(raw any) error {
	n, err := s.medium.number(raw)
	if err != nil {
		return err
	}
	if n < 1 || n > s.plan.Messages || s.seen[n] {
		return fmt.Errorf("message %d came, which is not of the plan, or has come", n)
	}
	s.seen[n] = true
	s.left--
	l := &letter{n, s.plan.Name(n), raw}
	if h := s.holds[l.key]; h != nil {
		h.letters = append(h.letters, l)
		return nil
	}
	if len(s.across) > 0 && s.across[0].key == l.key {
		s.across = append(s.across, l)
		return nil
	}
	if f, ok := s.faults[n]; ok {
		return f.spoil(s, l)
	}
	return s.pass(l)
}

// pass writes a message, and what goes behind it.
func (s *spoiler) pass(l *letter) error {
	out := []*letter{l}
	if b := s.behind[l.key]; b != nil {
		delete(s.behind, l.key)
		out = append(out, b)
	}
	if len(s.across) > 0 && s.across[0].key != l.key {
		out = append(out, s.across...)
		s.across = nil
	}
	return s.writeAll(out)
}

// release writes what was held for long enough.
func (s *spoiler) release() error {
	for key, h := range s.holds {
		if time.Now().Before(h.until) {
			continue
		}
		delete(s.holds, key)
		if err := s.writeAll(h.letters); err != nil {
			return err
		}
	}
	return nil
}

func (s *spoiler) writeAll(ls []*letter) error {
	for _, l := range ls {
		if err := s.medium.write(l.raw); err != nil {
			return fmt.Errorf("spoiler: write: %w", err)
		}
	}
	return nil
}

// again is the same message once more.
func (s *spoiler) again(l *letter) *letter { return &letter{l.n, l.key, s.medium.copy(l.raw)} }

// holdKey writes nothing of a message's key for a while.
func (s *spoiler) holdKey(l *letter, d time.Duration) error {
	s.holds[l.key] = &hold{time.Now().Add(d), []*letter{l}}
	return nil
}

// carriedHeaders is where a relay writes headers that a system does not carry:
// index/type/name/value, the value in base64.
const carriedHeaders = "crossfade-headers"

// edit changes the carried header of that name, or takes it out where change says false.
func edit(carried, name string, change func(letter string, value []byte) (string, []byte, bool)) (string, error) {
	var out []string
	found := false
	for item := range strings.SplitSeq(carried, " ") {
		parts := strings.Split(item, "/")
		if len(parts) != 4 || parts[2] != name {
			out = append(out, item)
			continue
		}
		value, err := base64.RawURLEncoding.DecodeString(parts[3])
		if err != nil {
			return "", err
		}
		found = true
		if letter, value, keep := change(parts[1], value); keep {
			out = append(out, strings.Join([]string{parts[0], letter, name, base64.RawURLEncoding.EncodeToString(value)}, "/"))
		}
	}
	if !found {
		return "", fmt.Errorf("no header %s in %q", name, carried)
	}
	return strings.Join(out, " "), nil
}

// A kafkaMedium carries what a relay brought from RabbitMQ: texts as they are, numbers
// among the carried headers.
type kafkaMedium struct {
	in, out *kgo.Client
	to      string
	failed  chan error
}

func (s *scene) kafkaMedium(from, to string) medium {
	in, err := ledger.DialKafka(s.kafka, kgo.ConsumeTopics(from), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(in.Close)
	out, err := ledger.DialKafka(s.kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(out.Close)
	return &kafkaMedium{in, out, to, make(chan error, 1)}
}

func (k *kafkaMedium) read(ctx context.Context, give func(any)) error {
	for {
		fetches := k.in.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			give(&kgo.Record{Topic: k.to, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp})
		})
	}
}

func (k *kafkaMedium) write(raw any) error {
	k.out.Produce(context.Background(), raw.(*kgo.Record), func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case k.failed <- err:
			default:
			}
		}
	})
	return nil
}

func (k *kafkaMedium) flush(ctx context.Context) error {
	err := k.out.Flush(ctx)
	select {
	case err = <-k.failed:
	default:
	}
	return err
}

func (k *kafkaMedium) number(raw any) (int, error) {
	return strconv.Atoi(string(kafkaHeader(raw, ledger.NumberHeader).Value))
}

func (k *kafkaMedium) copy(raw any) any {
	r := *raw.(*kgo.Record)
	return &r
}

func (k *kafkaMedium) body(raw any) []byte          { return raw.(*kgo.Record).Value }
func (k *kafkaMedium) setBody(raw any, body []byte) { raw.(*kgo.Record).Value = body }

// strip takes the type of the header out of the list of types, too.
func (k *kafkaMedium) strip(raw any) {
	r, at := raw.(*kgo.Record), 0
	for i := range r.Headers {
		switch name := r.Headers[i].Key; {
		case name == ledger.NumberHeader:
			types := kafkaHeader(raw, "crossfade-types")
			types.Value = slices.Delete(slices.Clone(types.Value), at, at+1)
			r.Headers = slices.Delete(slices.Clone(r.Headers), i, i+1)
			for j := range r.Headers {
				if r.Headers[j].Key == types.Key {
					r.Headers[j] = *types
				}
			}
			return
		case !strings.HasPrefix(name, "crossfade-"):
			at++
		}
	}
}

// narrow makes a text of a number.
func (k *kafkaMedium) narrow(raw any) (err error) {
	h := kafkaHeader(raw, carriedHeaders)
	text, err := edit(string(h.Value), "int32", func(string, []byte) (string, []byte, bool) { return "S", []byte("-1"), true })
	h.Value = []byte(text)
	return err
}

// kafkaHeader is the record's header of that name, and an empty one if there is none.
func kafkaHeader(raw any, name string) *kgo.RecordHeader {
	r := raw.(*kgo.Record)
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return &r.Headers[i]
		}
	}
	return &kgo.RecordHeader{}
}

// A natsMedium carries what a relay brought from Kafka: all headers are octets, and carried.
type natsMedium struct {
	js       jetstream.JetStream
	from, to string
	acks     []jetstream.PubAckFuture
}

func (s *scene) natsMedium(from, to string) medium {
	nc, err := nats.Connect(s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		s.t.Fatal(err)
	}
	return &natsMedium{js: js, from: from, to: to}
}

func (n *natsMedium) read(ctx context.Context, give func(any)) error {
	c, err := n.js.OrderedConsumer(ctx, n.from, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		out := &nats.Msg{Subject: n.to + strings.TrimPrefix(m.Subject(), n.from), Header: m.Headers(), Data: m.Data()}
		if _, ok := out.Header["crossfade-id"]; !ok { // the relay has told the server, and says it once
			out.Header["crossfade-id"] = out.Header["Nats-Msg-Id"]
		}
		maps.DeleteFunc(out.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
		give(out)
	}
}

func (n *natsMedium) write(raw any) error {
	ack, err := n.js.PublishMsgAsync(raw.(*nats.Msg), jetstream.WithStallWait(time.Minute))
	n.acks = append(n.acks, ack)
	return err
}

func (n *natsMedium) flush(ctx context.Context) error {
	for _, ack := range n.acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (n *natsMedium) number(raw any) (number int, err error) {
	_, failed := edit(raw.(*nats.Msg).Header.Get(carriedHeaders), ledger.NumberHeader, func(letter string, value []byte) (string, []byte, bool) {
		number, err = strconv.Atoi(string(value))
		return letter, value, true
	})
	if failed != nil {
		return 0, failed
	}
	return number, err
}

func (n *natsMedium) copy(raw any) any {
	m := *raw.(*nats.Msg)
	m.Header = maps.Clone(m.Header)
	return &m
}

func (n *natsMedium) body(raw any) []byte          { return raw.(*nats.Msg).Data }
func (n *natsMedium) setBody(raw any, body []byte) { raw.(*nats.Msg).Data = body }

func (n *natsMedium) strip(raw any) {
	_ = n.change(raw, func(string, []byte) (string, []byte, bool) { return "", nil, false })
}

// narrow makes a text of octets.
func (n *natsMedium) narrow(raw any) error {
	return n.change(raw, func(_ string, value []byte) (string, []byte, bool) { return "S", value, true })
}

func (n *natsMedium) change(raw any, change func(string, []byte) (string, []byte, bool)) error {
	h := raw.(*nats.Msg).Header
	text, err := edit(h.Get(carriedHeaders), ledger.NumberHeader, change)
	if err == nil {
		h.Set(carriedHeaders, text)
	}
	return err
}

// A rabbitMedium carries what a relay brought from JetStream: all headers are text.
type rabbitMedium struct {
	in, out  *amqp.Channel
	from, to string
	answers  []*amqp.DeferredConfirmation
}

func (s *scene) rabbitMedium(from, to string) medium {
	r := &rabbitMedium{in: channel(s.t, s.rabbit), out: channel(s.t, s.rabbit), from: from, to: to}
	if err := r.out.Confirm(false); err != nil {
		s.t.Fatal(err)
	}
	if err := r.in.Qos(1000, 0, false); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (r *rabbitMedium) read(ctx context.Context, give func(any)) error {
	deliveries, err := r.in.Consume(r.from, "spoiler", false, false, false, false, amqp.Table{"x-stream-offset": "first"})
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return amqp.ErrClosed
			}
			delete(d.Headers, "x-stream-offset") // the broker's
			give(&amqp.Publishing{
				Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
				CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp,
				Type: d.Type, UserId: d.UserId, AppId: d.AppId, Body: d.Body,
			})
			if err := d.Ack(false); err != nil {
				return err
			}
		}
	}
}

func (r *rabbitMedium) write(raw any) error {
	answer, err := r.out.PublishWithDeferredConfirm("", r.to, false, false, *raw.(*amqp.Publishing))
	r.answers = append(r.answers, answer)
	return err
}

func (r *rabbitMedium) flush(ctx context.Context) error {
	for _, a := range r.answers {
		switch stored, err := a.WaitContext(ctx); {
		case err != nil:
			return err
		case !stored:
			return fmt.Errorf("message %d was not stored", a.DeliveryTag)
		}
	}
	return nil
}

func (r *rabbitMedium) number(raw any) (int, error) {
	text, _ := raw.(*amqp.Publishing).Headers[ledger.NumberHeader].(string)
	return strconv.Atoi(text)
}

func (r *rabbitMedium) copy(raw any) any {
	p := *raw.(*amqp.Publishing)
	return &p
}

func (r *rabbitMedium) body(raw any) []byte          { return raw.(*amqp.Publishing).Body }
func (r *rabbitMedium) setBody(raw any, body []byte) { raw.(*amqp.Publishing).Body = body }

func (r *rabbitMedium) strip(raw any) {
	delete(raw.(*amqp.Publishing).Headers, ledger.NumberHeader)
}

// narrow makes a number of a text.
func (r *rabbitMedium) narrow(raw any) error {
	n, err := r.number(raw)
	raw.(*amqp.Publishing).Headers[ledger.NumberHeader] = int64(n)
	return err
}
