package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ackEvery is the largest number of messages that one acknowledgement of the loop
// covers; it acknowledges sooner when nothing else is confirmed.
const ackEvery = 256

// A sent message is on its way to the target.
type sent[C, A any] struct {
	confirm C
	ack     A
}

// settle takes messages in the order in which they were sent, waits for each to be
// confirmed, and acknowledges the prefix: one acknowledgement for many.
func settle[C, A any](n int, window <-chan sent[C, A], confirmed func(C) error, acknowledge func(A) error) error {
	open := 0
	for i := range n {
		m := <-window
		if err := confirmed(m.confirm); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if open++; open == ackEvery || len(window) == 0 || i == n-1 {
			if err := acknowledge(m.ack); err != nil {
				return err
			}
			open = 0
		}
	}
	return nil
}

// loopContestant copies with the client libraries, as its route says.
func loopContestant(ctx context.Context, j job, w *watch) error {
	switch j.Route {
	case "kafka-kafka":
		return withKafka(j.Kafka, func(client *kgo.Client) error { return kafkaToKafka(ctx, j, w, client) }, consuming(j)...)
	case "kafka-jetstream":
		return withKafka(j.Kafka, func(client *kgo.Client) error {
			return withJetStream(j.NATS, func(_ *nats.Conn, js jetstream.JetStream) error {
				return fromKafka(ctx, j, w, client, func(r *kgo.Record) (jetstream.PubAckFuture, error) {
					id, err := kafkaID(r)
					if err != nil {
						return nil, err
					}
					return toJetStream(js, j.To, string(r.Key), id, r.Value)
				}, func(f jetstream.PubAckFuture) error { return confirmed(ctx, f) })
			})
		}, consuming(j)...)
	case "jetstream-kafka":
		return withKafka(j.Kafka, func(client *kgo.Client) error {
			return withJetStream(j.NATS, func(nc *nats.Conn, js jetstream.JetStream) error {
				return fromJetStream(ctx, j, w, nc, js, func(m jetstream.Msg) (*produced, error) {
					return produce(ctx, client, j.To, m.Subject(), m.Headers().Get(msgID), m.Data()), nil
				}, func(p *produced) error { return p.wait(ctx) })
			})
		})
	}
	return withChannel(j.AMQP, func(ch *amqp.Channel) error { return rabbitLoop(ctx, j, w, ch) })
}

// rabbitLoop is the loop of a route with RabbitMQ at one end.
func rabbitLoop(ctx context.Context, j job, w *watch, ch *amqp.Channel) error {
	if j.Route == "quorum-kafka" {
		return withKafka(j.Kafka, func(client *kgo.Client) error {
			return fromRabbit(ctx, j, w, ch, func(d *amqp.Delivery) (*produced, error) {
				return produce(ctx, client, j.To, d.RoutingKey, d.MessageId, d.Body), nil
			}, func(p *produced) error { return p.wait(ctx) })
		})
	}
	return withJetStream(j.NATS, func(nc *nats.Conn, js jetstream.JetStream) error {
		if j.Route == "quorum-jetstream" {
			return fromRabbit(ctx, j, w, ch, func(d *amqp.Delivery) (jetstream.PubAckFuture, error) {
				return toJetStream(js, j.To, d.RoutingKey, d.MessageId, d.Body)
			}, func(f jetstream.PubAckFuture) error { return confirmed(ctx, f) })
		}
		return jetStreamToRabbit(ctx, j, w, nc, js, ch)
	})
}

func toJetStream(js jetstream.JetStream, stream, key, id string, body []byte) (jetstream.PubAckFuture, error) {
	m := &nats.Msg{Subject: stream + "." + key, Header: nats.Header{msgID: {id}}, Data: body}
	return js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
}

// fromRabbit copies what publish sends on, in order, and acknowledges what is
// confirmed.
func fromRabbit[C any](ctx context.Context, j job, w *watch, ch *amqp.Channel, publish func(*amqp.Delivery) (C, error), confirmed func(C) error) error {
	if err := ch.Qos(2*inFlight, 0, false); err != nil {
		return err
	}
	arrived, err := ch.ConsumeWithContext(ctx, j.From, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	window := make(chan sent[C, uint64], inFlight)
	settled := make(chan error, 1)
	go func() {
		settled <- settle(j.Messages, window, confirmed, func(tag uint64) error { return ch.Ack(tag, true) })
	}()
	for range j.Messages {
		d, ok := <-arrived
		if !ok {
			return errors.New("the reading ended")
		}
		w.begin()
		c, err := publish(&d)
		if err != nil {
			return err
		}
		select {
		case window <- sent[C, uint64]{c, d.DeliveryTag}:
		case err := <-settled:
			return err
		}
	}
	if err := <-settled; err != nil {
		return err
	}
	w.end(j.Messages)
	return nil
}

func jetStreamToRabbit(ctx context.Context, j job, w *watch, nc *nats.Conn, js jetstream.JetStream, ch *amqp.Channel) error {
	if err := ch.Confirm(false); err != nil {
		return err
	}
	return fromJetStream(ctx, j, w, nc, js, func(m jetstream.Msg) (*amqp.DeferredConfirmation, error) {
		return ch.PublishWithDeferredConfirmWithContext(ctx, "", j.To, false, false, amqp.Publishing{
			MessageId: m.Headers().Get(msgID), DeliveryMode: amqp.Persistent, Body: m.Data(),
		})
	}, func(c *amqp.DeferredConfirmation) error {
		ok, err := c.WaitContext(ctx)
		if err == nil && !ok {
			err = errors.New("the broker refused it, or the channel ended")
		}
		return err
	})
}

// fromJetStream is fromRabbit for a stream.
func fromJetStream[C any](ctx context.Context, j job, w *watch, nc *nats.Conn, js jetstream.JetStream, publish func(jetstream.Msg) (C, error), confirmed func(C) error) error {
	consumer, err := js.CreateConsumer(ctx, j.From, jetstream.ConsumerConfig{
		Durable: "loop", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 2 * inFlight,
	})
	if err != nil {
		return err
	}
	window := make(chan sent[C, jetstream.Msg], inFlight)
	settled := make(chan error, 1)
	go func() {
		settled <- settle(j.Messages, window, confirmed, func(m jetstream.Msg) error { return m.Ack() })
	}()
	failed := make(chan error, 1)
	taken := 0
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		if taken++; taken > j.Messages {
			return
		}
		w.begin()
		c, err := publish(m)
		if err != nil {
			select {
			case failed <- err:
			default:
			}
			return
		}
		window <- sent[C, jetstream.Msg]{c, m}
	}, jetstream.PullMaxMessages(2*inFlight))
	if err != nil {
		return err
	}
	defer reading.Stop()
	select {
	case err = <-settled:
	case err = <-failed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if err := nc.FlushWithContext(ctx); err != nil { // the last acknowledgement is with the server
		return err
	}
	w.end(j.Messages)
	return nil
}
