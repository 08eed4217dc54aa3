package main

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

func TestNATS(t *testing.T) { story(t, inNATS(t)) }

func inNATS(t *testing.T) *place {
	url, name := brokers.NATS(t), unique()
	p := &place{from: url, to: url, read: name, write: name + "-out", results: &results{}}
	conn, js, err := dialNATS(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for _, stream := range []string{p.read, p.write} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { js.DeleteStream(context.Background(), stream) })
	}
	p.put = func(m message, headers map[string]string) error {
		msg := nats.NewMsg(name + "." + m.Key)
		msg.Data = m.Body
		msg.Header[ledger.IDHeader] = []string{m.ID} // the stream itself would drop repeats of Nats-Msg-Id
		for name, value := range headers {
			msg.Header[name] = []string{value}
		}
		_, err := js.PublishMsg(t.Context(), msg)
		return err
	}
	c, err := js.OrderedConsumer(t.Context(), p.write, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	reading, err := c.Consume(func(m jetstream.Msg) {
		key := strings.TrimPrefix(m.Subject(), p.write+".")
		p.results.add(message{Key: key, ID: m.Headers().Get(jetstream.MsgIDHeader), Body: m.Data()})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reading.Stop)
	return p
}

func TestNATSWithoutTheRest(t *testing.T) {
	p := inNATS(t)
	missing := p.read + "-missing"
	p.read = missing
	says(t, consumerOf(t, p.flags("unused")).Run(t.Context()), "stream "+missing+" has to be there")
	p.write = missing // which is asked for first
	says(t, consumerOf(t, p.flags("unused")).Run(t.Context()), "a stream that takes "+missing+".> has to be there")
}

// Two processes that read by one name are noticed: each would see a part.
func TestNATSReadByTwo(t *testing.T) {
	p := inNATS(t)
	one, other := consumerOf(t, p.flags("unused")).in, consumerOf(t, p.flags("unused")).in
	for _, in := range []input{one, other} {
		defer in.close()
		if err := in.open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.putTwice(t, load(9, 1))
	if batch, err := one.receive(t.Context()); err != nil || len(batch) == 0 {
		t.Fatalf("%d messages, %v", len(batch), err)
	}
	if err := one.acknowledge(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.putTwice(t, load(10, 1))
	_, err := other.receive(t.Context())
	says(t, err, "does another process read with this -name?")
}
