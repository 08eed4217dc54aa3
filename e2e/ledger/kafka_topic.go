package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicConfigs let a topic take and keep everything, whatever its time: the planned
// times are in the past, and those of AMQP's timestamps in the future.
var topicConfigs = map[string]string{"retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807"}

// MakeTopic makes a topic that keeps everything, and returns when every partition
// has a leader.
func MakeTopic(ctx context.Context, url, name string, partitions int) error {
	client, err := DialKafka(url)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, int32(partitions), 1
	for name, value := range topicConfigs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		topic.Configs = append(topic.Configs, c)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics, create.TimeoutMillis = append(create.Topics, topic), 30_000
	made, err := create.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(made.Topics[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("ledger: make topic %s: %w", name, err)
	}
	for {
		if err := ledBy(ctx, client, name, partitions); err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		pause(ctx, redial)
	}
}

// ledBy says why a topic cannot be used yet.
func ledBy(ctx context.Context, client kmsg.Requestor, name string, partitions int) error {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	t := answer.Topics[0]
	err = kerr.ErrorForCode(t.ErrorCode)
	if len(t.Partitions) != partitions {
		err = errors.Join(err, fmt.Errorf("topic %s has %d partitions, want %d", name, len(t.Partitions), partitions))
	}
	for _, p := range t.Partitions {
		err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
	}
	return err
}

// DropTopic deletes a topic.
func DropTopic(ctx context.Context, url, name string) error {
	client, err := DialKafka(url)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.Topics, drop.TopicNames, drop.TimeoutMillis = append(drop.Topics, topic), append(drop.TopicNames, name), 30_000
	dropped, err := drop.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(dropped.Topics[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("ledger: drop topic %s: %w", name, err)
	}
	return nil
}
