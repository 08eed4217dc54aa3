package main

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

func TestRabbitMQ(t *testing.T) {
	for _, kind := range []brokers.Kind{brokers.KindRabbitMQ, brokers.KindRabbitMQ4} {
		t.Run(string(kind), func(t *testing.T) { story(t, inRabbitMQ(t, kind)) })
	}
}

func inRabbitMQ(t *testing.T, kind brokers.Kind) *place {
	url, name := brokers.Shared(t, kind), unique()
	conn, ch, err := dialRabbitMQ(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, exchange := range []string{name, name + "-out"} {
		if err := ch.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ch.ExchangeDelete(exchange, false, false) })
	}
	t.Cleanup(func() { ch.QueueDelete("consumer."+name, false, false, false) })
	p := &place{from: url, to: url, read: name, write: name + "-out", results: &results{}}
	p.put = func(m message, headers map[string]string) error {
		table := amqp.Table{}
		for name, value := range headers {
			table[name] = value
		}
		return ch.Publish(name, m.Key, true, false, amqp.Publishing{MessageId: m.ID, Headers: table, DeliveryMode: amqp.Persistent, Body: m.Body})
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err == nil {
		err = ch.QueueBind(q.Name, "#", p.write, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the connection
		for d := range deliveries {
			p.results.add(message{Key: d.RoutingKey, ID: d.MessageId, Body: d.Body})
		}
	}()
	return p
}

// What nobody receives is not taken for confirmed, and what is missing is said.
func TestRabbitMQWithoutTheRest(t *testing.T) {
	p := inRabbitMQ(t, brokers.KindRabbitMQ)
	out := &rabbitMQOutput{url: p.to, exchange: p.read} // nobody has bound a queue to it
	defer out.close()
	if err := out.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, out.publish(t.Context(), []message{{Key: "cpu", ID: "1"}}), "bind one to the exchange")
	missing := p.read + "-missing"
	nowhere := &rabbitMQOutput{url: p.to, exchange: missing}
	defer nowhere.close()
	says(t, nowhere.open(t.Context()), "has to be there")
	in := &rabbitMQInput{url: p.from, exchange: missing, name: p.read, batch: 1}
	defer in.close()
	says(t, in.open(t.Context()), missing)
}
