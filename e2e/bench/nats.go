package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// msgID is the header that holds a producer's ID.
const msgID = jetstream.MsgIDHeader

// A natsStream is a JetStream stream on file.
type natsStream struct {
	broker *brokers
	stream string
}

// The stream that a round reads from and the one that it writes into differ in
// nothing but their names, which are also the first tokens of their subjects.
func sourceStream(b *brokers, name string) place { return &natsStream{b, name} }
func targetStream(b *brokers, name string) place { return &natsStream{b, name} }

func (s *natsStream) name() string   { return s.stream }
func (s *natsStream) prefix() string { return s.stream + "." }

// idOf is the ID with its scope, since JetStream drops repeats by it.
func (s *natsStream) idOf(key, id string) string { return "kp~" + key + "~" + id }

func (s *natsStream) do(f func(*nats.Conn, jetstream.JetStream) error) error {
	err := withJetStream(s.broker.nats, f)
	if err != nil {
		return fmt.Errorf("nats: stream %s: %w", s.stream, err)
	}
	return nil
}

func withJetStream(url string, f func(*nats.Conn, jetstream.JetStream) error) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(inFlight+64))
	if err != nil {
		return err
	}
	return f(nc, js)
}

func (s *natsStream) create(ctx context.Context) error {
	return s.do(func(_ *nats.Conn, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.stream, Subjects: []string{s.stream + ".>"}, Storage: jetstream.FileStorage})
		return err
	})
}

func (s *natsStream) remove(ctx context.Context) error {
	return s.do(func(_ *nats.Conn, js jetstream.JetStream) error { return js.DeleteStream(ctx, s.stream) })
}

// fill publishes the load in order and waits until all of it is confirmed.
func (s *natsStream) fill(ctx context.Context, l *load) error {
	return s.do(func(_ *nats.Conn, js jetstream.JetStream) error {
		var open []jetstream.PubAckFuture
		settle := func(left int) error {
			for len(open) > left {
				if err := confirmed(ctx, open[0]); err != nil {
					return err
				}
				open = open[1:]
			}
			return nil
		}
		for i := range l.n {
			f, err := js.PublishMsgAsync(&nats.Msg{Subject: l.key(i), Header: nats.Header{msgID: {l.id(i)}}, Data: l.body(i)}, jetstream.WithRetryAttempts(0))
			if err != nil {
				return err
			}
			open = append(open, f)
			if err := settle(inFlight - 1); err != nil {
				return err
			}
		}
		return settle(0)
	})
}

// confirmed waits for the answer to one message.
func confirmed(ctx context.Context, f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read takes everything that the stream holds, in order.
func (s *natsStream) read(ctx context.Context, n int, each func(body []byte, id string)) error {
	return s.do(func(_ *nats.Conn, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, s.stream)
		if err != nil {
			return err
		}
		held := stream.CachedInfo().State.Msgs
		if held == 0 {
			return nil
		}
		consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
		if err != nil {
			return err
		}
		it, err := consumer.Messages(jetstream.PullMaxMessages(inFlight))
		if err != nil {
			return err
		}
		defer it.Stop()
		for range held {
			m, err := it.Next(jetstream.NextMaxWait(quietFor))
			if err != nil {
				return err
			}
			each(m.Data(), m.Headers().Get(msgID))
		}
		return nil
	})
}

// removeStreams deletes the streams that a relay made for itself.
func removeStreams(ctx context.Context, url, containing string) error {
	return withJetStream(url, func(_ *nats.Conn, js jetstream.JetStream) error {
		var errs []error
		names := js.StreamNames(ctx)
		for name := range names.Name() {
			if strings.Contains(name, containing) {
				errs = append(errs, js.DeleteStream(ctx, name))
			}
		}
		return errors.Join(append(errs, names.Err())...)
	})
}

const (
	// inFlight is the loop's window, and that of filling and reading.
	inFlight = 4096
	// quietFor is how long a reader waits for the next message before it takes the
	// rest as lost; nothingMore is how long it looks for more than there should be.
	quietFor    = 20 * time.Second
	nothingMore = 250 * time.Millisecond
)
