package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// dialAMQP opens a connection with a channel.
// hangUp closes a connection, with a handshake only if the broker answers soon: one
// whose channel waits for a stream that never confirms does not answer at all.
func hangUp(conn *amqp.Connection) { _ = conn.CloseDeadline(time.Now().Add(2 * time.Second)) }

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
	for next := 1; b.more(next); {
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

// returnedNumber is the number of a message that reached no queue.
func returnedNumber(r amqp.Return) int {
	return numberOf(tableFields(r.Headers))
}

// A RabbitMQReader reads a queue (which it empties) or a stream (from its first
// message). A queue is read by one connection: what is read must not come again,
// so its loss is an error. One caller at a time.
type RabbitMQReader struct {
	URL, Queue string
	// Stream says that the queue is a stream.
	Stream bool
	// Rate is how many messages a second are taken at most; 0 is no bound.
	Rate int
	next int64 // offset
}

// Read calls each with every message, in order, until ctx ends.
func (r *RabbitMQReader) Read(ctx context.Context, b *Book) error {
	for ctx.Err() == nil {
		err := r.read(ctx, b)
		if ctx.Err() != nil && (err == nil || r.Stream) {
			return nil
		}
		if !r.Stream {
			return fmt.Errorf("ledger: read queue %s: %w", r.Queue, err)
		}
		pause(ctx, redial)
	}
	return nil
}

func (r *RabbitMQReader) read(ctx context.Context, b *Book) error {
	conn, ch, err := dialAMQP(r.URL)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	prefetch := 2000
	if r.Rate > 0 {
		prefetch = 20 // what is prefetched has left the queue
	}
	m := &meter{rate: r.Rate}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	args := amqp.Table{}
	if r.Stream {
		args["x-stream-offset"] = r.next
		if r.next == 0 {
			args["x-stream-offset"] = "first"
		}
	}
	deliveries, err := ch.Consume(r.Queue, "ledger", false, false, false, false, args)
	if err != nil {
		return err
	}
	unacked, last := 0, amqp.Delivery{}
	acknowledge := func() error {
		if unacked == 0 {
			return nil
		}
		unacked = 0
		return last.Ack(true)
	}
	for {
		select {
		case <-ctx.Done():
			return acknowledge() // what was observed must not come again
		case d, ok := <-deliveries:
			if !ok {
				return io.ErrUnexpectedEOF
			}
			if r.Stream {
				r.next, _ = d.Headers["x-stream-offset"].(int64)
				r.next++
			}
			b.observeAMQP(&d)
			last = d
			unacked++
			m.wait(ctx)
			if unacked >= prefetch/4 || len(deliveries) == 0 {
				if err := acknowledge(); err != nil {
					return err
				}
			}
		}
	}
}

func (b *Book) observeAMQP(d *amqp.Delivery) {
	m, err := fromAMQP(d)
	if err != nil {
		b.Unreadable(d.RoutingKey, err)
		return
	}
	b.Observe(&m)
}
