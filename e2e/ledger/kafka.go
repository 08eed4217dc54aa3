package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DialKafka gives a client of the Kafka at a kafka:// URL, which notices soon that
// a broker is back. The caller closes it.
func DialKafka(rawURL string, opts ...kgo.Opt) (*kgo.Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(u.Host), kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return redial }),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return client, nil
}

// ProduceKafka is ProduceRabbitMQ for a topic of Kafka. The client sends again what
// was not confirmed, for as long as it takes, and the broker drops what it has
// already: a lost connection or broker leaves nothing unknown.
func ProduceKafka(ctx context.Context, b *Book, url string, pace Pace) error {
	m := &meter{rate: pace.Rate}
	for next := b.next(); b.more(next); {
		var err error
		if next, err = produceKafka(ctx, b, url, pace, m, next); err != nil {
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

// produceKafka is one producer ID's share: it answers the next number to send.
func produceKafka(ctx context.Context, b *Book, url string, pace Pace, m *meter, first int) (next int, err error) {
	client, err := DialKafka(url, kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(pace.window()), kgo.ProducerLinger(2*time.Millisecond),
		kgo.UnknownTopicRetries(-1)) // a broker that has just started knows no topics
	if err != nil {
		return first, err
	}
	defer client.Close()
	failed := make(chan error, 1)
	for next = first; len(failed) == 0 && ctx.Err() == nil && b.more(next); next++ {
		m.wait(ctx)
		n := next
		b.Sent(n)
		client.Produce(ctx, b.Plan.Record(n), func(_ *kgo.Record, err error) {
			if err == nil {
				b.Confirmed(n)
				return
			}
			select {
			case failed <- err:
			default:
			}
		})
	}
	_ = client.Flush(ctx)
	select {
	case err := <-failed:
		if refused(err) {
			return next, fmt.Errorf("%w: %w", errRefused, err)
		}
	default:
	}
	return next, nil
}

// refused says that Kafka does not want what it was sent, now or later.
func refused(err error) bool {
	for _, never := range []error{kerr.MessageTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.CorruptMessage, kerr.TopicAuthorizationFailed} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}
