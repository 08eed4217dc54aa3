package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A rabbitMQOutput publishes to an exchange, with the metric as routing key. A
// message that reaches no queue is an error.
type rabbitMQOutput struct {
	url, exchange string

	conn     *amqp.Connection
	ch       *amqp.Channel
	returned chan amqp.Return
}

func (o *rabbitMQOutput) open(context.Context) (err error) {
	if o.conn, o.ch, err = dialRabbitMQ(o.url); err != nil {
		return err
	}
	o.returned = o.ch.NotifyReturn(make(chan amqp.Return, 1))
	if err = o.ch.ExchangeDeclarePassive(o.exchange, "topic", true, false, false, false, nil); err == nil {
		err = o.ch.Confirm(false)
	}
	if err != nil {
		return fmt.Errorf("rabbitmq: exchange %s has to be there: %w", o.exchange, err)
	}
	return nil
}

func (o *rabbitMQOutput) publish(ctx context.Context, all []message) error {
	confirms := make([]*amqp.DeferredConfirmation, 0, len(all))
	for _, m := range all {
		c, err := o.ch.PublishWithDeferredConfirmWithContext(ctx, o.exchange, m.Key, true, false, amqp.Publishing{
			MessageId: m.ID, ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: m.Body,
		})
		if err != nil {
			return fmt.Errorf("rabbitmq: publish to exchange %s: %w", o.exchange, err)
		}
		confirms = append(confirms, c)
	}
	for _, c := range confirms {
		if err := o.settle(ctx, c); err != nil {
			return fmt.Errorf("rabbitmq: publish to exchange %s: %w", o.exchange, err)
		}
	}
	return nil
}

// settle waits for one confirmation. RabbitMQ returns a message before it confirms
// it.
func (o *rabbitMQOutput) settle(ctx context.Context, c *amqp.DeferredConfirmation) error {
	confirmed, err := c.WaitContext(ctx)
	if err != nil {
		return err
	}
	select {
	case r, ok := <-o.returned:
		if ok {
			return fmt.Errorf("no queue takes routing key %s: bind one to the exchange", r.RoutingKey)
		}
	default:
	}
	if !confirmed {
		return errors.New("the broker refused a message, or the connection is lost")
	}
	return nil
}

func (o *rabbitMQOutput) close() {
	if o.conn != nil {
		_ = o.conn.CloseDeadline(time.Now().Add(5 * time.Second))
	}
}
