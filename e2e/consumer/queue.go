package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// A message is what is read from a queue or written into one. One that was read
// has no Key: its sample says whose it is.
type message struct {
	Key, ID string
	Body    []byte
}

// An input is where samples come from, in the order of each metric.
type input interface {
	// open connects. Nothing is received before.
	open(ctx context.Context) error
	// receive gives what comes within linger, but not much more than one batch. When
	// ctx has ended it gives what it has by then, without waiting.
	receive(ctx context.Context) ([]message, error)
	// acknowledge tells the broker that everything received is done with.
	acknowledge(ctx context.Context) error
	// close hangs up. What was not acknowledged will come again, in its order.
	close()
}

// An output is where alerts and rollups go.
type output interface {
	// open connects.
	open(ctx context.Context) error
	// publish sends messages in their order and returns when all are confirmed.
	publish(ctx context.Context, all []message) error
	// close hangs up.
	close()
}

// linger is how long a batch waits to become full.
const linger = 200 * time.Millisecond

func newInput(s settings) (input, error) {
	u, err := url.Parse(s.from)
	if err != nil {
		return nil, badURL("-from")
	}
	switch u.Scheme {
	case "amqp", "amqps":
		return &rabbitMQInput{url: s.from, exchange: s.read, queue: s.queue, name: s.name, idHeader: s.idHeader, batch: s.batch}, nil
	case "kafka":
		return &kafkaInput{brokers: u.Host, topic: s.read, group: s.name, idHeader: s.idHeader, batch: s.batch}, nil
	case "nats", "tls":
		return &natsInput{url: s.from, stream: s.read, name: s.name, idHeader: s.idHeader, batch: s.batch}, nil
	}
	return nil, badURL("-from")
}

func newOutput(s settings) (output, error) {
	u, err := url.Parse(s.to)
	if err != nil {
		return nil, badURL("-to")
	}
	switch u.Scheme {
	case "amqp", "amqps":
		return &rabbitMQOutput{url: s.to, exchange: s.write}, nil
	case "kafka":
		return &kafkaOutput{brokers: u.Host, topic: s.write, idHeader: s.idHeader}, nil
	case "nats", "tls":
		return &natsOutput{url: s.to, prefix: s.write}, nil
	}
	return nil, badURL("-to")
}

// badURL does not show the URL, which may hold a password.
func badURL(flag string) error {
	return fmt.Errorf("%s is not a URL of the form amqp://…, kafka://host:port or nats://…", flag)
}
