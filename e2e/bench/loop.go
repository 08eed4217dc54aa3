package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
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
	conn, err := amqp.Dial(j.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return withJetStream(j.NATS, func(nc *nats.Conn, js jetstream.JetStream) error {
		if j.Route == "quorum-jetstream" {
			return rabbitToJetStream(ctx, j, w, ch, js)
		}
		return jetStreamToRabbit(ctx, j, w, nc, js, ch)
	})
}

func rabbitToJetStream(ctx context.Context, j job, w *watch, ch *amqp.Channel, js jetstream.JetStream) error {
	if err := ch.Qos(2*inFlight, 0, false); err != nil {
		return err
	}
	arrived, err := ch.ConsumeWithContext(ctx, j.From, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	window := make(chan sent[jetstream.PubAckFuture, uint64], inFlight)
	settled := make(chan error, 1)
	go func() {
		settled <- settle(j.Messages, window,
			func(f jetstream.PubAckFuture) error { return confirmed(ctx, f) },
			func(tag uint64) error { return ch.Ack(tag, true) })
	}()
	for range j.Messages {
		d, ok := <-arrived
		if !ok {
			return errors.New("the reading ended")
		}
		w.begin()
		m := &nats.Msg{Subject: j.To + "." + d.RoutingKey, Header: nats.Header{msgID: {d.MessageId}}, Data: d.Body}
		f, err := js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		if err != nil {
			return err
		}
		select {
		case window <- sent[jetstream.PubAckFuture, uint64]{f, d.DeliveryTag}:
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
	consumer, err := js.CreateConsumer(ctx, j.From, jetstream.ConsumerConfig{
		Durable: "loop", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 2 * inFlight,
	})
	if err != nil {
		return err
	}
	window := make(chan sent[*amqp.DeferredConfirmation, jetstream.Msg], inFlight)
	settled := make(chan error, 1)
	go func() {
		settled <- settle(j.Messages, window,
			func(c *amqp.DeferredConfirmation) error {
				ok, err := c.WaitContext(ctx)
				if err == nil && !ok {
					err = errors.New("the broker refused it, or the channel ended")
				}
				return err
			},
			func(m jetstream.Msg) error { return m.Ack() })
	}()
	failed := make(chan error, 1)
	taken := 0
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		if taken++; taken > j.Messages {
			return
		}
		w.begin()
		c, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", j.To, false, false, amqp.Publishing{
			MessageId: m.Headers().Get(msgID), DeliveryMode: amqp.Persistent, Body: m.Data(),
		})
		if err != nil {
			select {
			case failed <- err:
			default:
			}
			return
		}
		window <- sent[*amqp.DeferredConfirmation, jetstream.Msg]{c, m}
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
