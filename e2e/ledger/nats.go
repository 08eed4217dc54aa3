package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// dialNATS opens a connection that ends with its first loss.
func dialNATS(url string) (*nats.Conn, <-chan struct{}, error) {
	closed := make(chan struct{})
	nc, err := nats.Connect(url, nats.NoReconnect(), nats.Timeout(5*time.Second),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	return nc, closed, nil
}

// ProduceNATS is ProduceRabbitMQ for a JetStream stream that takes the plan's
// subjects.
func ProduceNATS(ctx context.Context, b *Book, url string, pace Pace) error {
	m := &meter{rate: pace.Rate}
	for next := b.next(); b.more(next); {
		var err error
		if next, err = produceNATS(ctx, b, url, pace, m, next); err != nil {
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

type published struct {
	n   int
	ack jetstream.PubAckFuture
}

func produceNATS(ctx context.Context, b *Book, url string, pace Pace, m *meter, first int) (next int, err error) {
	nc, closed, err := dialNATS(url)
	if err != nil {
		return first, nil // not there yet: try again
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*pace.window()))
	if err != nil {
		return first, fmt.Errorf("ledger: %w", err)
	}
	pending := make(chan published, pace.window())
	var refusal error
	var wg sync.WaitGroup
	wg.Go(func() { // ends with pending
		for p := range pending {
			stalled := time.AfterFunc(stall, nc.Close)
			select {
			case <-p.ack.Ok():
				b.Confirmed(p.n)
			case err := <-p.ack.Err():
				var api *jetstream.APIError
				if errors.As(err, &api) {
					refusal = fmt.Errorf("%w: %w", errRefused, err)
				}
			case <-closed:
			}
			stalled.Stop()
		}
	})
	next = first
	for alive := true; alive && b.more(next); {
		m.wait(ctx)
		b.Sent(next)
		// A second attempt of the client's own would come after later messages.
		ack, err := js.PublishMsgAsync(b.Plan.Msg(next), jetstream.WithRetryAttempts(0), jetstream.WithStallWait(time.Minute))
		if alive = err == nil && ctx.Err() == nil; err == nil {
			pending <- published{next, ack}
		}
		next++
	}
	close(pending)
	wg.Wait()
	return next, refusal
}

// A NATSReader reads a stream from its first message. One caller at a time.
type NATSReader struct {
	URL, Stream string
	last        uint64 // sequence
}

// Read observes every message, in order, until ctx ends. Lost connections are
// opened again.
func (r *NATSReader) Read(ctx context.Context, b *Book) error {
	for ctx.Err() == nil {
		err := r.read(ctx, b)
		if errors.Is(err, errGap) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("ledger: read stream %s: %w", r.Stream, err)
		}
		pause(ctx, redial)
	}
	return nil
}

var errGap = errors.New("the stream has a gap, or lost its end")

func (r *NATSReader) read(ctx context.Context, b *Book) error {
	nc, _, err := dialNATS(r.URL)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, r.Stream)
	if err != nil {
		return err
	}
	if stream.CachedInfo().State.LastSeq < r.last {
		return errGap
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.last + 1,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	for {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Stream != r.last+1 {
			return fmt.Errorf("%w: %d follows %d", errGap, meta.Sequence.Stream, r.last)
		}
		r.last++
		found, err := fromNATS(m.Subject(), m.Headers(), m.Data())
		if err != nil {
			b.Unreadable(m.Subject(), err)
			continue
		}
		b.Observe(&found)
	}
}
