package kafka

import (
	"context"
	"fmt"
	"maps"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// A lookback reads what the target's partitions hold, committed or not, over
// connections of its own. Not for concurrent use.
type lookback struct {
	cluster *cluster
	layout  *layout
	body    []byte
	res     fetchResponse
	batches batchReader
}

// end gives one end of the partition's log, committed or not: atLatest is behind the
// newest record that all in-sync replicas have.
func (r *lookback) end(ctx context.Context, p *partition, which int64) (int64, error) {
	at := spot{p.topic.name, p.index}
	found, err := r.cluster.positions(ctx, r.layout, which, false, at)
	return found[at], err
}

// patiently repeats what cannot be done yet, for request_timeout.
func (r *lookback) patiently(ctx context.Context, yet func(error) bool, try func() error) error {
	deadline := time.Now().Add(r.cluster.system.config.RequestTimeout)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, coordinatorPause) {
		err := try()
		if err == nil || !yet(err) || time.Now().After(deadline) {
			return err
		}
		if !pause(ctx, wait) {
			return context.Cause(ctx)
		}
	}
}

// from is fetch from whoever leads the partition by now.
func (r *lookback) from(ctx context.Context, p *partition, offset int64, wait time.Duration) (got *fetchedPartition, err error) {
	err = r.patiently(ctx, movedAway, func() error {
		if got, err = r.fetch(ctx, p, offset, wait); movedAway(err) {
			r.relook(ctx, p.topic.name)
		}
		return err
	})
	return got, err
}

// relook learns who leads a topic's partitions by now, if anybody can say.
func (r *lookback) relook(ctx context.Context, topic string) {
	l, err := r.cluster.look(ctx, topic)
	if err != nil || l.topics[topic] == nil {
		return
	}
	all := maps.Clone(r.layout.topics)
	all[topic] = l.topics[topic]
	l.topics = all
	r.layout = l
}

// readBytes is how much one fetch brings.
const readBytes = 4 << 20

// fetch gives what stands at an offset and behind it, and waits a while for
// something to be there. What it gives is valid until the next call.
func (r *lookback) fetch(ctx context.Context, p *partition, offset int64, wait time.Duration) (*fetchedPartition, error) {
	k, err := r.cluster.leader(ctx, r.layout, p.topic.name, p.index)
	if err != nil {
		return nil, err
	}
	version, err := k.version(protocol.Fetch, 4, 11)
	if err != nil {
		return nil, err
	}
	req := fetchRequest{
		maxWait: int32(wait.Milliseconds()), minBytes: 1, maxBytes: readBytes, isolation: readUncommitted,
		partitions: []fetchPartition{{topic: p.topic.name, index: p.index, leaderEpoch: -1, offset: offset, maxBytes: readBytes}},
	}
	r.body, err = k.exchange(ctx, &frame{
		key: protocol.Fetch, version: version, wait: wait,
		body: func(dst []byte) []byte { return appendFetch(dst, version, &req) },
	}, r.body)
	if err != nil {
		return nil, err
	}
	if err := readFetch(r.body, version, &r.res); err != nil {
		return nil, k.failed("Fetch", err)
	}
	switch {
	case r.res.errorCode != 0:
		return nil, r.refused(k, p, kafkago.Error(r.res.errorCode))
	case len(r.res.partitions) != 1:
		return nil, k.failed("Fetch", fmt.Errorf("%d partitions in the answer to one", len(r.res.partitions)))
	}
	got := &r.res.partitions[0]
	if got.errorCode != 0 {
		return nil, r.refused(k, p, kafkago.Error(got.errorCode))
	}
	return got, nil
}

func (r *lookback) refused(k *conn, p *partition, e kafkago.Error) error {
	return k.refused(fmt.Sprintf("Fetch of topic %s partition %d", p.topic.name, p.index), e)
}

// each calls batch with every batch of a record set from an offset on, which may
// read its records. It gives the offset behind the last one.
func (r *lookback) each(set []byte, from int64, batch func(h *batchHeader) error) (next int64, err error) {
	r.batches.reset(set)
	for {
		h, ok, err := r.batches.nextBatch()
		if err != nil || !ok {
			return from, err
		}
		if h.lastOffset < from {
			continue
		}
		if err := batch(&h); err != nil {
			return from, err
		}
		from = h.lastOffset + 1
	}
}

// between calls each with every record of [from, to) that anybody produced.
func (r *lookback) between(ctx context.Context, p *partition, from, to int64, each func(*record)) error {
	for from < to {
		got, err := r.from(ctx, p, from, time.Second)
		if err != nil {
			return err
		}
		next, err := r.each(got.records, from, func(h *batchHeader) error {
			if h.control() {
				return nil
			}
			var rec record
			for {
				ok, err := r.batches.next(&rec)
				if !ok || err != nil {
					return err
				}
				if rec.offset >= from && rec.offset < to {
					each(&rec)
				}
			}
		})
		if err != nil {
			return fmt.Errorf("%s: %s: topic %s partition %d: %w", Kind, r.cluster.system.name, p.topic.name, p.index, err)
		}
		if next == from {
			return fmt.Errorf("%s: %s: topic %s partition %d: nothing to be read at offset %d of %d", Kind, r.cluster.system.name, p.topic.name, p.index, from, to)
		}
		from = next
	}
	return nil
}
