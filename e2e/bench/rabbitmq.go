package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A rabbitQueue is a durable queue, bound to an exchange of the same name with
// every routing key.
type rabbitQueue struct {
	broker *brokers
	queue  string
	kind   string // quorum or classic
}

func quorumQueue(b *brokers, name string) place  { return &rabbitQueue{b, name, "quorum"} }
func classicQueue(b *brokers, name string) place { return &rabbitQueue{b, name, "classic"} }

func (q *rabbitQueue) name() string   { return q.queue }
func (q *rabbitQueue) prefix() string { return "" }

// idOf is the ID as it was: RabbitMQ makes nothing of it.
func (q *rabbitQueue) idOf(_, id string) string { return id }

func (q *rabbitQueue) do(f func(*amqp.Channel) error) error {
	if err := withChannel(q.broker.amqp, f); err != nil {
		return fmt.Errorf("rabbitmq: queue %s: %w", q.queue, err)
	}
	return nil
}

// withChannel calls f with a channel of a connection of its own.
func withChannel(url string, f func(*amqp.Channel) error) error {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return f(ch)
}

func (q *rabbitQueue) create(context.Context) error {
	return q.do(func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare(q.queue, "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(q.queue, true, false, false, false, amqp.Table{"x-queue-type": q.kind}); err != nil {
			return err
		}
		return ch.QueueBind(q.queue, "#", q.queue, false, nil)
	})
}

func (q *rabbitQueue) remove(context.Context) error {
	return q.do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(q.queue, false, false, false)
		return errors.Join(err, ch.ExchangeDelete(q.queue, false, false))
	})
}

// fill publishes the load in order and waits until all of it is confirmed.
func (q *rabbitQueue) fill(ctx context.Context, l *load) error {
	return q.do(func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		var open []*amqp.DeferredConfirmation
		settle := func(left int) error {
			for len(open) > left {
				ok, err := open[0].WaitContext(ctx)
				if err != nil {
					return err
				}
				if !ok {
					return errors.New("the broker refused a message")
				}
				open = open[1:]
			}
			return nil
		}
		for i := range l.n {
			c, err := ch.PublishWithDeferredConfirmWithContext(ctx, q.queue, l.key(i), true, false, amqp.Publishing{
				MessageId: l.id(i), DeliveryMode: amqp.Persistent, Body: l.body(i),
			})
			if err != nil {
				return err
			}
			open = append(open, c)
			if err := settle(inFlight); err != nil {
				return err
			}
		}
		return settle(0)
	})
}

// read takes n messages, and looks whether more are there.
func (q *rabbitQueue) read(ctx context.Context, n int, each func(body []byte, id string)) error {
	return q.do(func(ch *amqp.Channel) error {
		if err := ch.Qos(inFlight, 0, false); err != nil {
			return err
		}
		arrived, err := ch.ConsumeWithContext(ctx, q.queue, "", false, true, false, false, nil)
		if err != nil {
			return err
		}
		quiet := time.NewTimer(quietFor)
		defer quiet.Stop()
		for taken := 0; ; taken++ {
			if taken == n {
				quiet.Reset(nothingMore)
			} else if taken%256 == 0 {
				quiet.Reset(quietFor)
			}
			select {
			case d, ok := <-arrived:
				if !ok {
					return errors.New("the reading ended")
				}
				each(d.Body, d.MessageId)
				if taken%256 == 255 || taken == n-1 {
					if err := d.Ack(true); err != nil {
						return err
					}
				}
			case <-quiet.C:
				return nil
			}
		}
	})
}
