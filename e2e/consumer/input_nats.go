package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A natsInput reads a JetStream stream by a durable consumer, from the beginning if
// that is new.
type natsInput struct {
	url, stream, name, idHeader string
	batch                       int

	conn      *nats.Conn
	consumer  jetstream.Consumer
	delivered uint64 // deliveries so far, as the server counts them
	taken     []jetstream.Msg
}

// dialNATS opens a connection that ends with its first loss.
func dialNATS(url string) (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(url, nats.Name("consumer"), nats.NoReconnect(), nats.Timeout(5*time.Second))
	if err != nil {
		return nil, nil, fmt.Errorf("nats: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("nats: %w", err)
	}
	return conn, js, nil
}

func (in *natsInput) open(ctx context.Context) error {
	conn, js, err := dialNATS(in.url)
	if err != nil {
		return err
	}
	in.conn = conn
	stream, err := js.Stream(ctx, in.stream)
	if err != nil {
		return fmt.Errorf("nats: stream %s has to be there: %w", in.stream, err)
	}
	if in.consumer, err = in.durable(ctx, stream); err != nil {
		return fmt.Errorf("nats: consumer %s of stream %s: %w", in.name, in.stream, err)
	}
	in.delivered = in.consumer.CachedInfo().Delivered.Consumer
	return nil
}

// durable gives the durable consumer. One that has handed out what nobody
// acknowledged is made again where that begins: it would hand it out a second time
// only after what is newer.
func (in *natsInput) durable(ctx context.Context, stream jetstream.Stream) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: in.name, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: in.batch, AckWait: 2 * patience,
	}
	c, err := stream.Consumer(ctx, in.name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return nil, err
	case c.CachedInfo().NumAckPending == 0:
		return c, nil
	default:
		config.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		config.OptStartSeq = c.CachedInfo().AckFloor.Stream + 1
		if err := stream.DeleteConsumer(ctx, in.name); err != nil {
			return nil, err
		}
	}
	return stream.CreateConsumer(ctx, config)
}

func (in *natsInput) receive(ctx context.Context) (batch []message, err error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	fetch, err := in.consumer.Fetch(in.batch, jetstream.FetchMaxWait(linger))
	if err != nil {
		return nil, fmt.Errorf("nats: read stream %s: %w", in.stream, err)
	}
	in.taken = in.taken[:0]
	for m := range fetch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("nats: read stream %s: %w", in.stream, err)
		}
		if in.delivered++; meta.Sequence.Consumer != in.delivered {
			return nil, fmt.Errorf("nats: read stream %s: delivery %d of consumer %s went elsewhere; does another process read with this -name?",
				in.stream, in.delivered, in.name)
		}
		h := m.Headers()
		id := producerID(h.Get(relayed), h.Get(jetstream.MsgIDHeader), h.Get(in.idHeader))
		in.taken, batch = append(in.taken, m), append(batch, message{ID: id, Body: m.Data()})
	}
	if err := fetch.Error(); err != nil {
		return nil, fmt.Errorf("nats: read stream %s: %w", in.stream, err)
	}
	return batch, nil
}

// acknowledge waits for the server's answer to the last one: it takes them in order.
func (in *natsInput) acknowledge(ctx context.Context) (err error) {
	last := len(in.taken) - 1
	for _, m := range in.taken[:last] {
		err = errors.Join(err, m.Ack())
	}
	if err = errors.Join(err, in.taken[last].DoubleAck(ctx)); err != nil {
		return fmt.Errorf("nats: acknowledge in stream %s: %w", in.stream, err)
	}
	return nil
}

func (in *natsInput) close() {
	if in.conn != nil {
		in.conn.Close()
	}
}
