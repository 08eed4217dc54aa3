package ledger

import (
	"context"
	"fmt"
	"io"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A RabbitMQReader reads a queue (which it empties) or a stream (from its first
// message). A queue is read by one connection: what is read must not come again,
// so its loss is an error. One caller at a time; Close it at the end.
type RabbitMQReader struct {
	URL, Queue string
	// Stream says that the queue is a stream.
	Stream bool
	// Rate is how many messages a second are taken at most; 0 is no bound.
	Rate int

	next    int64        // offset
	session *readSession // nil before the first Read, and after a loss
}

// A readSession is one consumer. It outlives a call of Read: a queue would
// deliver again what was acknowledged in the moment of a hang-up.
type readSession struct {
	conn       *amqp.Connection
	deliveries <-chan amqp.Delivery
	prefetch   int
	unacked    int
	last       amqp.Delivery
}

// Read calls each with every message, in order, until ctx ends.
func (r *RabbitMQReader) Read(ctx context.Context, b *Book) error {
	for ctx.Err() == nil {
		err := r.read(ctx, b)
		if err == nil {
			return nil
		}
		_ = r.Close() // the connection is lost
		if !r.Stream {
			return fmt.Errorf("ledger: read queue %s: %w", r.Queue, err)
		}
		pause(ctx, redial)
	}
	return nil
}

// Close ends the connection, if there is one.
func (r *RabbitMQReader) Close() error {
	if r.session != nil {
		hangUp(r.session.conn)
		r.session = nil
	}
	return nil
}

// read returns nil when ctx has ended.
func (r *RabbitMQReader) read(ctx context.Context, b *Book) error {
	if r.session == nil {
		var err error
		if r.session, err = r.open(); err != nil {
			return err
		}
	}
	s, m := r.session, &meter{rate: r.Rate}
	for {
		select {
		case <-ctx.Done():
			return s.acknowledge()
		case d, ok := <-s.deliveries:
			if !ok {
				return io.ErrUnexpectedEOF
			}
			if r.Stream {
				r.next, _ = d.Headers["x-stream-offset"].(int64)
				r.next++
			}
			b.ObserveAMQP(&d)
			s.last = d
			s.unacked++
			m.wait(ctx)
			if s.unacked >= s.prefetch/4 || len(s.deliveries) == 0 {
				if err := s.acknowledge(); err != nil {
					return err
				}
			}
		}
	}
}

func (r *RabbitMQReader) open() (*readSession, error) {
	conn, ch, err := dialAMQP(r.URL)
	if err != nil {
		return nil, err
	}
	s := &readSession{conn: conn, prefetch: 2000}
	if r.Rate > 0 {
		s.prefetch = 20 // what is prefetched has left the queue
	}
	args := amqp.Table{}
	if r.Stream {
		args["x-stream-offset"] = r.next
		if r.next == 0 {
			args["x-stream-offset"] = "first"
		}
	}
	if err = ch.Qos(s.prefetch, 0, false); err == nil {
		s.deliveries, err = ch.Consume(r.Queue, "ledger", false, false, false, false, args)
	}
	if err != nil {
		hangUp(conn)
		return nil, err
	}
	return s, nil
}

// acknowledge confirms all that was observed.
func (s *readSession) acknowledge() error {
	if s.unacked == 0 {
		return nil
	}
	s.unacked = 0
	return s.last.Ack(true)
}

// ObserveAMQP is Observe for what a client of RabbitMQ was given.
func (b *Book) ObserveAMQP(d *amqp.Delivery) {
	m, err := fromAMQP(d)
	if err != nil {
		b.Unreadable(d.RoutingKey, err)
		return
	}
	b.Observe(&m)
}
