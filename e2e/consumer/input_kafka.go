package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A kafkaInput reads a topic as a consumer group of one, from the beginning if the
// group is new. It is the group's static member, so that the one after a crash takes
// its place at once, and a second one puts an end to the first.
type kafkaInput struct {
	brokers, topic, group, idHeader string
	batch                           int

	client *kgo.Client
}

// dialKafka gives a client of a Kafka that has the topic.
func dialKafka(ctx context.Context, brokers, topic string, opts ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ClientID("consumer"))...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	topics, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		client.CloseAllowingRebalance()
		return nil, fmt.Errorf("kafka: topic %s has to be there: %w", topic, err)
	}
	return client, nil
}

func (in *kafkaInput) open(ctx context.Context) (err error) {
	in.client, err = dialKafka(ctx, in.brokers, in.topic,
		kgo.ConsumeTopics(in.topic), kgo.ConsumerGroup(in.group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.InstanceID(in.group))
	return err
}

// receive lets the group change only here, when everything is committed.
func (in *kafkaInput) receive(ctx context.Context) (batch []message, err error) {
	in.client.AllowRebalance()
	ctx, cancel := context.WithTimeout(ctx, linger)
	defer cancel()
	for len(batch) < in.batch && ctx.Err() == nil {
		fetches := in.client.PollRecords(ctx, in.batch-len(batch))
		for _, f := range fetches.Errors() {
			if !errors.Is(f.Err, context.Canceled) && !errors.Is(f.Err, context.DeadlineExceeded) {
				return nil, fmt.Errorf("kafka: read topic %s, partition %d: %w", in.topic, f.Partition, f.Err)
			}
		}
		fetches.EachRecord(func(r *kgo.Record) { batch = append(batch, in.take(r)) })
	}
	return batch, nil
}

func (in *kafkaInput) take(r *kgo.Record) message {
	header := func(name string) string {
		for _, h := range r.Headers {
			if h.Key == name {
				return string(h.Value)
			}
		}
		return ""
	}
	return message{ID: producerID(header(relayed), header(in.idHeader)), Body: r.Value}
}

func (in *kafkaInput) acknowledge(ctx context.Context) error {
	if err := in.client.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("kafka: commit for group %s: %w", in.group, err)
	}
	return nil
}

func (in *kafkaInput) close() {
	if in.client != nil {
		in.client.CloseAllowingRebalance()
	}
}
