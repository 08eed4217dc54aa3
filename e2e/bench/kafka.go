package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// partitions is how many each topic has.
	partitions = 8
	// idHeader holds a producer's ID at Kafka, which has no place of its own for it.
	idHeader = "id"
)

// A kafkaTopic is a topic whose records are spread by their keys, as Java's producer
// does it, and are not compressed.
type kafkaTopic struct {
	broker *brokers
	topic  string
}

func kafkaPlace(b *brokers, name string) place { return &kafkaTopic{b, name} }

func (t *kafkaTopic) name() string   { return t.topic }
func (t *kafkaTopic) prefix() string { return "" }

// idOf is the ID as it was: read takes it out of where it is.
func (t *kafkaTopic) idOf(_, id string) string { return id }

// seedOf is the HOST:PORT in a kafka:// URL.
func seedOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("kafka: %q is not kafka://HOST:PORT", address)
	}
	return u.Host, nil
}

// withKafka calls f with a client that writes without compression and is closed
// afterwards.
func withKafka(address string, f func(*kgo.Client) error, opts ...kgo.Opt) error {
	seed, err := seedOf(address)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seed), kgo.ProducerBatchCompression(kgo.NoCompression())}, opts...)...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	return f(client)
}

func (t *kafkaTopic) do(f func(*kgo.Client) error, opts ...kgo.Opt) error {
	if err := withKafka(t.broker.kafka, f, opts...); err != nil {
		return fmt.Errorf("kafka: topic %s: %w", t.topic, err)
	}
	return nil
}

func (t *kafkaTopic) create(ctx context.Context) error {
	return t.do(func(client *kgo.Client) error {
		_, err := kadm.NewClient(client).CreateTopic(ctx, partitions, -1, nil, t.topic)
		return err
	})
}

func (t *kafkaTopic) remove(ctx context.Context) error {
	return t.do(func(client *kgo.Client) error {
		_, err := kadm.NewClient(client).DeleteTopic(ctx, t.topic)
		return err
	})
}

// fill produces the load in order and waits until all of it is confirmed.
func (t *kafkaTopic) fill(ctx context.Context, l *load) error {
	return t.do(func(client *kgo.Client) error {
		first := kgo.AbortingFirstErrPromise(client)
		for i := range l.n {
			client.Produce(ctx, t.record(l, i), first.Promise())
		}
		return errors.Join(client.Flush(ctx), first.Err())
	})
}

func (t *kafkaTopic) record(l *load, i int) *kgo.Record {
	return &kgo.Record{
		Topic: t.topic, Key: []byte(l.key(i)), Value: l.body(i),
		Headers: []kgo.RecordHeader{{Key: idHeader, Value: []byte(l.id(i))}},
	}
}

// read takes n messages, and looks whether more are there.
func (t *kafkaTopic) read(ctx context.Context, n int, each func(body []byte, id string)) error {
	return t.do(func(client *kgo.Client) error {
		for taken := 0; ; {
			patience := quietFor
			if taken >= n {
				patience = nothingMore
			}
			fetches := poll(ctx, client, patience)
			if err := fetches.Err(); err != nil {
				if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
					return nil
				}
				return err
			}
			for it := fetches.RecordIter(); !it.Done(); taken++ {
				r := it.Next()
				id, err := kafkaID(r)
				if err != nil {
					return err
				}
				each(r.Value, id)
			}
		}
	}, kgo.ConsumeTopics(t.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}

func poll(ctx context.Context, client *kgo.Client, patience time.Duration) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return client.PollFetches(ctx)
}

// kafkaID is the producer's ID of a record: that of its own header, or, where the
// message came from another system, that of the header of the hop.
func kafkaID(r *kgo.Record) (string, error) {
	hop := ""
	for _, h := range r.Headers {
		switch h.Key {
		case idHeader:
			return string(h.Value), nil
		case bridge.HopID:
			hop = string(h.Value)
		}
	}
	if hop == "" {
		return "", nil
	}
	id, _, err := bridge.ParseID(hop)
	return id.Value, err
}

// removeFromKafka deletes the groups and topics that a contestant made for itself.
func removeFromKafka(ctx context.Context, address, containing string) error {
	return withKafka(address, func(client *kgo.Client) error {
		admin := kadm.NewClient(client)
		groups, err := admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return err
		}
		_, err = admin.DeleteGroups(ctx, naming(groups.Groups(), containing)...)
		_, errTopics := admin.DeleteTopics(ctx, naming(topics.Names(), containing)...)
		return errors.Join(err, errTopics)
	})
}

func naming(all []string, part string) (some []string) {
	for _, name := range all {
		if strings.Contains(name, part) {
			some = append(some, name)
		}
	}
	return some
}
