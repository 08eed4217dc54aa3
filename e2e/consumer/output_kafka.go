package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A kafkaOutput writes to a topic, with the metric as the record's key.
type kafkaOutput struct {
	brokers, topic, idHeader string

	client *kgo.Client
}

func (o *kafkaOutput) open(ctx context.Context) (err error) {
	o.client, err = dialKafka(ctx, o.brokers, o.topic)
	return err
}

// publish relies on what is the default: all replicas confirm, and what the client
// sends again is neither twice there nor out of order.
func (o *kafkaOutput) publish(ctx context.Context, all []message) error {
	records := make([]*kgo.Record, len(all))
	for i, m := range all {
		records[i] = &kgo.Record{Topic: o.topic, Key: []byte(m.Key), Value: m.Body, Headers: []kgo.RecordHeader{
			{Key: o.idHeader, Value: []byte(m.ID)}, {Key: "content-type", Value: []byte("application/json")},
		}}
	}
	if err := o.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("kafka: write to topic %s: %w", o.topic, err)
	}
	return nil
}

func (o *kafkaOutput) close() {
	if o.client != nil {
		o.client.Close()
	}
}
