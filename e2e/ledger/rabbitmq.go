package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// hangUp closes a connection, with a handshake only if the broker answers soon: one
// whose channel waits for a stream that never confirms does not answer at all.
func hangUp(conn *amqp.Connection) { _ = conn.CloseDeadline(time.Now().Add(2 * time.Second)) }

// dialAMQP opens a connection with a channel.
func dialAMQP(url string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(5 * time.Second), Heartbeat: 10 * time.Second})
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	ch, err := conn.Channel()
	if err != nil {
		hangUp(conn)
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	return conn, ch, nil
}

// ProduceRabbitMQ publishes the plan to its exchange, in the order of the
// numbers, and books what is sent and what is confirmed. A lost connection is
// opened again; what was not confirmed by then stays unknown and is not sent
// again, and neither is a message that no queue received: for a moment after a
// restart RabbitMQ does not route to streams. A refusal is an error.
func ProduceRabbitMQ(ctx context.Context, b *Book, url string, pace Pace) error {
	m := &meter{rate: pace.Rate}
	for next := b.next(); b.more(next); {
		var err error
		if next, err = produceRabbitMQ(ctx, b, url, pace, m, next); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if b.more(next) {
			pause(ctx, redial)
		}
	}
	return nil
}

// stall is how long a broker may leave everything unconfirmed before the
// connection is given up: what is published to a stream of RabbitMQ in the moment
// after a restart may never be answered.
const stall = 5 * time.Second

var errRefused = errors.New("ledger: the incumbent refused a message")

// produceRabbitMQ is one connection's share: it answers the next number to send.
func produceRabbitMQ(ctx context.Context, b *Book, url string, pace Pace, m *meter, first int) (next int, err error) {
	conn, ch, err := dialAMQP(url)
	if err != nil {
		return first, nil // not there yet: try again
	}
	defer hangUp(conn)
	if !follows(ch, "producer-of-"+b.Plan.Space) {
		return first, nil // not over yet: try again
	}
	// The client drops confirmations and returns that find no room.
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, pace.window()))
	returns := ch.NotifyReturn(make(chan amqp.Return, pace.window()))
	if err := ch.Confirm(false); err != nil {
		return first, nil
	}
	room := make(chan struct{}, pace.window())
	refused := false
	var wg sync.WaitGroup
	wg.Go(func() { // ends with the connection
		back := map[int]bool{} // returned
		for c := range confirms {
			n := first + int(c.DeliveryTag) - 1
			for len(returns) > 0 { // a return comes in front of its confirmation
				back[returnedNumber(<-returns)] = true
			}
			switch {
			case back[n]:
				b.Returned(n)
				delete(back, n)
			case c.Ack:
				b.Confirmed(n)
			case !c.Ack && !ch.IsClosed():
				refused = true
			}
			<-room
		}
	})
	lost := ch.NotifyClose(make(chan *amqp.Error, 1))
	// enter takes room for one more; false: the connection has to be given up.
	enter := func() bool {
		stalled := time.NewTimer(stall)
		defer stalled.Stop()
		select {
		case room <- struct{}{}:
			return true
		case <-lost:
		case <-stalled.C:
		case <-ctx.Done():
		}
		return false
	}
	alive := true
	for next = first; alive && b.more(next); {
		m.wait(ctx)
		if alive = enter(); alive {
			b.Sent(next)
			alive = ch.PublishWithContext(ctx, b.Plan.Space, b.Plan.Name(next), true, false, b.Plan.Publishing(next)) == nil
			next++
		}
	}
	for i := 0; alive && i < cap(room); i++ { // until everything sent has been answered
		alive = enter()
	}
	hangUp(conn)
	wg.Wait()
	if refused {
		return next, errRefused
	}
	return next, nil
}

// follows makes sure that the producer's connection before is over at the broker: one
// that was given up may have left messages there that are routed behind the next one's.
// The subscription of a channel ends with it.
func follows(ch *amqp.Channel, queue string) bool {
	if _, err := ch.QueueDeclare(queue, true, true, false, false, amqp.Table{"x-expires": int64(60_000)}); err != nil {
		return false
	}
	_, err := ch.Consume(queue, "", true, true, false, false, nil)
	return err == nil
}

// returnedNumber is the number of a message that reached no queue.
func returnedNumber(r amqp.Return) int {
	return numberOf(tableFields(r.Headers))
}
