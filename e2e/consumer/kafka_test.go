package main

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

func TestKafka(t *testing.T) { story(t, inKafka(t)) }

func inKafka(t *testing.T) *place {
	url, name := brokers.Kafka(t), unique()
	p := &place{from: url, to: url, read: name, write: name + "-out", results: &results{}}
	for _, topic := range []string{p.read, p.write} {
		if err := ledger.MakeTopic(t.Context(), url, topic, 3); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ledger.DropTopic(context.Background(), url, topic) })
	}
	client, err := ledger.DialKafka(url, kgo.ConsumeTopics(p.write), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p.put = func(m message, headers map[string]string) error {
		r := &kgo.Record{Topic: name, Key: []byte(m.Key), Value: m.Body, Headers: []kgo.RecordHeader{{Key: ledger.IDHeader, Value: []byte(m.ID)}}}
		for name, value := range headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		if string(m.Body) == "null" {
			r.Value = nil
		}
		client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		return nil
	}
	go func() { // ends with the test
		for t.Context().Err() == nil {
			client.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) { p.results.add(found(r)) })
		}
	}()
	return p
}

func found(r *kgo.Record) message {
	m := message{Key: string(r.Key), Body: r.Value}
	for _, h := range r.Headers {
		if h.Key == ledger.IDHeader {
			m.ID = string(h.Value)
		}
	}
	return m
}

func TestKafkaWithoutTheRest(t *testing.T) {
	p := inKafka(t)
	missing := p.read + "-missing"
	p.read = missing
	c := consumerOf(t, p.flags("unused"))
	says(t, c.Run(t.Context()), "topic "+missing+" has to be there")
}
