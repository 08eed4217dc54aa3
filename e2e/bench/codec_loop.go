package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// codecLoopContestant copies from topic to topic without a client: three connections,
// one request under way on each, and the octets of record batches. The topics' partitions
// have one leader, the broker of the address.
//
//	fetch ──answers──► encode, produce ──offsets──► commit
func codecLoopContestant(ctx context.Context, j job, w *watch) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var ends [3]*wire
	for i := range ends {
		var err error
		if ends[i], err = dialKafka(ctx, j.Kafka); err != nil {
			return err
		}
		defer ends[i].close()
	}
	c := &copier{job: j, out: ends[1]}
	if err := c.begin(); err != nil {
		return err
	}
	if err := coordinates(ctx, ends[2], j.Bridge); err != nil {
		return err
	}
	answers, offsets := make(chan *kmsg.FetchResponse, 2), make(chan [partitions]int64, 1)
	go func() { stop(fetchAll(ctx, ends[0], j, answers)) }()
	committed := make(chan error, 1)
	go func() { committed <- commitAll(ends[2], j, offsets) }()
	for c.copied < j.Messages {
		select {
		case a := <-answers:
			w.begin()
			if err := c.copy(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select { // what is newer takes the place of what waits
		case <-offsets:
		default:
		}
		offsets <- c.next
	}
	close(offsets)
	if err := <-committed; err != nil {
		return err
	}
	w.end(j.Messages)
	return nil
}

// fetchAll sends on what it fetches, one answer after the other, until ctx ends.
func fetchAll(ctx context.Context, k *wire, j job, answers chan<- *kmsg.FetchResponse) error {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, 250, 1, 16<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = j.From, make([]kmsg.FetchRequestTopicPartition, partitions)
	for i := range topic.Partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = int32(i), 1<<20
		topic.Partitions[i] = p
	}
	req.Topics = []kmsg.FetchRequestTopic{topic}
	for {
		res := kmsg.NewPtrFetchResponse()
		if err := k.ask(req, res); err != nil {
			return err
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("fetch: partition %d: %w", p.Partition, err)
				}
				if end := behind(p.RecordBatches); end > 0 {
					topic.Partitions[p.Partition].FetchOffset = end
				}
			}
		}
		select {
		case answers <- res:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// A copier puts records into the batches of their partitions, and sends one batch of
// each partition at a time.
type copier struct {
	job    job
	out    *wire
	spread kgo.TopicPartitioner
	record kgo.Record // whose key is being spread
	id     int64
	epoch  int16
	sent   [partitions]int32 // sequences
	to     [partitions]batch
	next   [partitions]int64 // offsets to be committed
	copied int
}

// begin gets the producer ID, and connects what is to be connected before the clock
// starts.
func (c *copier) begin() error {
	c.spread = kgo.StickyKeyPartitioner(nil).ForTopic(c.job.To)
	req, res := kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrInitProducerIDResponse()
	req.Version = 1
	if err := c.out.ask(req, res); err != nil {
		return err
	}
	c.id, c.epoch = res.ProducerID, res.ProducerEpoch
	return kerr.ErrorForCode(res.ErrorCode)
}

// copy is over once all records of an answer are placed.
func (c *copier) copy(a *kmsg.FetchResponse) error {
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			err := eachRecord(p.RecordBatches, func(time int64, key, rest []byte) error {
				c.record.Key = key
				b := &c.to[c.spread.Partition(&c.record, partitions)]
				b.add(time, rest)
				c.copied++
				if len(b.octets) >= batchSize {
					return c.flush()
				}
				return nil
			})
			if err != nil {
				return err
			}
			if end := behind(p.RecordBatches); end > 0 {
				c.next[p.Partition] = end
			}
		}
	}
	return c.flush()
}

// flush sends what there is, in one request, and waits for the answer.
func (c *copier) flush() error {
	req, res := kmsg.NewPtrProduceRequest(), kmsg.NewPtrProduceResponse()
	req.Version, req.Acks, req.TimeoutMillis = 8, -1, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = c.job.To
	for i := range c.to {
		if b := &c.to[i]; b.records > 0 {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = int32(i), b.finish(c.id, c.epoch, c.sent[i])
			topic.Partitions = append(topic.Partitions, p)
			c.sent[i] += int32(b.records)
			b.records = 0
		}
	}
	if len(topic.Partitions) == 0 {
		return nil
	}
	req.Topics = []kmsg.ProduceRequestTopic{topic}
	if err := c.out.ask(req, res); err != nil {
		return err
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("produce: partition %d: %w", p.Partition, err)
			}
		}
	}
	return nil
}

// commitAll commits the offsets that come, for a group without members.
func commitAll(k *wire, j job, offsets <-chan [partitions]int64) error {
	for next := range offsets {
		req, res := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
		req.Version, req.Group, req.Generation = 7, j.Bridge, -1
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic = j.From
		for i, offset := range next {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset = int32(i), offset
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = []kmsg.OffsetCommitRequestTopic{topic}
		if err := k.ask(req, res); err != nil {
			return err
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("commit: partition %d: %w", p.Partition, err)
				}
			}
		}
	}
	return nil
}
