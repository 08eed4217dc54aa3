package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A crowd publishes under one key, beside the ledger's load, each of its senders over a
// connection of its own. One of some messages is sent once more, with the same ID.
type crowd struct {
	senders       []sender
	sent, repeats atomic.Int64
	end           func()

	mu     sync.Mutex
	unsure map[string]bool // IDs of which a message may be stored or not
}

// A sender publishes one message and returns once it is stored. After an error it may be
// used again; the message may be stored nonetheless, unless the error is errAway.
type sender func(ctx context.Context, id string) error

var errAway = errors.New("there is no connection")

// repeatEvery is how many messages of a sender hold one that it sends twice; crowdPause is
// how long it waits between two, crowdPatience how long for an answer.
const (
	repeatEvery   = 7
	crowdPause    = 20 * time.Millisecond
	crowdPatience = 10 * time.Second
	crowdKey      = "one.key"
)

// newCrowd prepares one that publishes into the place into which the load is played.
func (s *scene) newCrowd(place string, members int) *crowd {
	c := &crowd{unsure: map[string]bool{}}
	for range members {
		var send sender
		switch place {
		case kafka:
			send = s.kafkaSender()
		case jetStream:
			send = s.natsSender()
		default:
			send = s.rabbitSender()
		}
		c.senders = append(c.senders, send)
	}
	return c
}

// begin lets it publish until end.
func (c *crowd) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for member, send := range c.senders {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("crowd-%d-%d", member, n)
				if c.publish(ctx, send, id) && n%repeatEvery == 0 && c.publish(ctx, send, id) {
					c.repeats.Add(1)
				}
			}
		})
	}
	c.end = func() { cancel(); wg.Wait() }
}

// publish sends one message, and says whether it was stored.
func (c *crowd) publish(ctx context.Context, send sender, id string) bool {
	for {
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), crowdPatience) // what was begun is ended
		err := send(patient, id)
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(crowdPause): // the load's rate
		}
		switch {
		case err == nil:
			c.sent.Add(1)
			return true
		case !errors.Is(err, errAway):
			c.mu.Lock()
			defer c.mu.Unlock()
			c.unsure[id] = true
			return false
		case ctx.Err() != nil:
			return false
		}
	}
}

// rabbitSender has a channel with confirms. What was not confirmed is not sent again.
func (s *scene) rabbitSender() sender {
	var conn *amqp.Connection
	var ch *amqp.Channel
	hangUp := func() {
		if conn != nil {
			_ = conn.CloseDeadline(time.Now().Add(time.Second))
		}
		conn, ch = nil, nil
	}
	s.t.Cleanup(hangUp)
	dial := func() (err error) {
		if conn, err = amqp.Dial(s.rabbit); err == nil {
			ch, err = conn.Channel()
		}
		if err == nil {
			err = ch.Confirm(false)
		}
		return err
	}
	return func(ctx context.Context, id string) error {
		if ch == nil {
			if err := dial(); err != nil {
				hangUp()
				return fmt.Errorf("%w: %w", errAway, err)
			}
		}
		answer, err := ch.PublishWithDeferredConfirmWithContext(ctx, s.name, crowdKey, false, false,
			amqp.Publishing{MessageId: id, DeliveryMode: amqp.Persistent, Headers: amqp.Table{ledger.IDHeader: id}, Body: []byte(id)})
		stored := false
		if err == nil {
			if stored, err = answer.WaitContext(ctx); err == nil && !stored {
				err = errors.New("not stored")
			}
		}
		if err != nil {
			hangUp()
		}
		return err
	}
}

func (s *scene) natsSender() sender {
	nc, err := nats.Connect(s.nats, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return func(ctx context.Context, id string) error {
		m := nats.NewMsg(s.load.Prefix + crowdKey)
		m.Header.Set(ledger.IDHeader, id)
		m.Data = []byte(id)
		_, err := js.PublishMsg(ctx, m)
		return err
	}
}

func (s *scene) kafkaSender() sender {
	client, err := ledger.DialKafka(s.kafka, kgo.DefaultProduceTopic(s.name), kgo.UnknownTopicRetries(-1))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return func(ctx context.Context, id string) error {
		r := &kgo.Record{Key: []byte(crowdKey), Value: []byte(id), Headers: []kgo.RecordHeader{{Key: ledger.IDHeader, Value: []byte(id)}}}
		return client.ProduceSync(ctx, r).FirstErr()
	}
}
