package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A rabbitMQInput reads a queue. The one that it declares itself hands out to one
// consumer at a time, and what that did not acknowledge comes before all else to
// the next one. It goes by hanging up and not by basic.cancel: where the active consumer
// is cancelled with messages in hand, RabbitMQ 3.10 now and then hands out the last ones
// to nobody.
type rabbitMQInput struct {
	url, exchange, queue, name, idHeader string
	batch                                int

	conn       *amqp.Connection
	ch         *amqp.Channel
	lost       chan *amqp.Error
	deliveries <-chan amqp.Delivery
	last       amqp.Delivery
}

// dialRabbitMQ opens a connection with a channel.
func dialRabbitMQ(url string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(5 * time.Second), Properties: amqp.Table{"connection_name": "consumer"}})
	if err != nil {
		return nil, nil, fmt.Errorf("rabbitmq: %w", err)
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("rabbitmq: %w", err), conn.Close())
	}
	return conn, ch, nil
}

func (in *rabbitMQInput) open(context.Context) (err error) {
	if in.conn, in.ch, err = dialRabbitMQ(in.url); err != nil {
		return err
	}
	in.lost = in.ch.NotifyClose(make(chan *amqp.Error, 1))
	if in.queue == "" {
		if err := in.declare("consumer." + in.name); err != nil {
			return fmt.Errorf("rabbitmq: queue consumer.%s, bound to exchange %s: %w", in.name, in.exchange, err)
		}
	}
	if err = in.ch.Qos(2*in.batch, 0, false); err == nil {
		in.deliveries, err = in.ch.Consume(in.queue, in.name, false, false, false, false, nil)
	}
	if err != nil {
		return fmt.Errorf("rabbitmq: read queue %s: %w", in.queue, err)
	}
	return nil
}

// declare makes the consumer's own queue. RabbitMQ 4 drops a message of it after 20
// deliveries, so after 20 crashes, unless a policy sets delivery-limit to -1.
func (in *rabbitMQInput) declare(queue string) error {
	in.queue = queue
	args := amqp.Table{"x-queue-type": "quorum", "x-single-active-consumer": true}
	if _, err := in.ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
		return err
	}
	return in.ch.QueueBind(queue, "#", in.exchange, false, nil)
}

func (in *rabbitMQInput) receive(ctx context.Context) (batch []message, err error) {
	full := time.NewTimer(linger)
	defer full.Stop()
	for len(batch) < in.batch {
		select {
		case <-ctx.Done():
			return batch, nil // what was handed out beyond it goes back when the connection ends
		case <-full.C:
			return batch, nil
		case d, ok := <-in.deliveries:
			if !ok {
				return nil, in.ended()
			}
			batch = append(batch, in.take(d))
		}
	}
	return batch, nil
}

func (in *rabbitMQInput) take(d amqp.Delivery) message {
	in.last = d
	header := func(name string) string { s, _ := d.Headers[name].(string); return s }
	return message{ID: producerID(header(relayed), d.MessageId, header(in.idHeader)), Body: d.Body}
}

// ended says why there are no more deliveries.
func (in *rabbitMQInput) ended() error {
	select {
	case err, ok := <-in.lost:
		if ok {
			return fmt.Errorf("rabbitmq: read queue %s: %w", in.queue, err)
		}
	default:
	}
	return fmt.Errorf("rabbitmq: read queue %s: it is gone, or the connection is", in.queue)
}

func (in *rabbitMQInput) acknowledge(context.Context) error {
	if err := in.last.Ack(true); err != nil {
		return fmt.Errorf("rabbitmq: acknowledge in queue %s: %w", in.queue, err)
	}
	return nil
}

func (in *rabbitMQInput) close() {
	if in.conn != nil {
		_ = in.conn.CloseDeadline(time.Now().Add(5 * time.Second))
	}
}
