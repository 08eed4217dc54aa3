package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A KafkaReader reads all partitions of a topic from their first record, and
// nothing of transactions that were given up. One caller at a time; Close it at
// the end.
type KafkaReader struct {
	URL, Topic string

	client *kgo.Client     // nil before the first Read
	next   map[int32]int64 // offsets, by partition
}

// Read observes every record, each partition in its order, until ctx ends. Lost
// connections are opened again. Offsets without a gap are part of what is read:
// where one is missing, and is not a mark of the broker's, that is an error.
func (r *KafkaReader) Read(ctx context.Context, b *Book) error {
	if r.client == nil {
		client, err := DialKafka(r.URL, kgo.ConsumeTopics(r.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
		if err != nil {
			return err
		}
		r.client, r.next = client, map[int32]int64{}
	}
	for ctx.Err() == nil {
		fetches := r.client.PollFetches(ctx)
		for records := fetches.RecordIter(); !records.Done(); {
			if err := r.observe(records.Next(), b); err != nil {
				return fmt.Errorf("ledger: read topic %s: %w", r.Topic, err)
			}
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil && !errors.Is(e.Err, context.Canceled) {
				return fmt.Errorf("ledger: read topic %s, partition %d: %w", r.Topic, e.Partition, e.Err)
			}
		}
	}
	return nil
}

// Close ends the client, if there is one.
func (r *KafkaReader) Close() error {
	if r.client != nil {
		r.client.Close()
		r.client = nil
	}
	return nil
}

func (r *KafkaReader) observe(record *kgo.Record, b *Book) error {
	if want := r.next[record.Partition]; record.Offset != want {
		return fmt.Errorf("%w: partition %d: %d follows %d", errGap, record.Partition, record.Offset, want-1)
	}
	r.next[record.Partition]++
	if record.Attrs.IsControl() {
		return nil
	}
	m, err := fromKafka(record)
	if err != nil {
		b.Unreadable(place(record.Topic, record.Partition), err)
		return nil
	}
	b.Observe(&m)
	return nil
}
