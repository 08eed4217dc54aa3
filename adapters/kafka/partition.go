package kafka

import (
	"cmp"
	"strings"
	"time"
)

// A partition is one that a lane writes to, in one session. What is said to be
// guarded is so by the lane's mutex.
type partition struct {
	topic *topic
	index int32

	producer producer // since the fence
	// fenced is the offset behind all that earlier sessions wrote: Recall reads up
	// to it.
	fenced int64

	keepTime bool      // its records keep the messages' own time
	limit    int       // octets of one batch; guarded
	leader   int32     // node; -1: not known; guarded
	queue    []*batch  // that are to be sent, oldest first; guarded
	sending  *batch    // is with a sender; guarded
	listed   bool      // is in the lane's list of what is ready; guarded
	sequence int32     // of the next record that is added; guarded
	next     int64     // the least offset that the next batch can get; guarded
	since    time.Time // when the batch that is being sent was tried first; guarded
}

// A producer is what brokers tell a session by (KIP-98).
type producer struct {
	id    int64
	epoch int16
}

// compare puts partitions of one topic next to each other.
func (p *partition) compare(o *partition) int {
	return cmp.Or(strings.Compare(p.topic.name, o.topic.name), cmp.Compare(p.index, o.index))
}

// A batch is records on their way to one partition.
type batch struct {
	batchWriter
	base    int32    // the first record's sequence
	numbers []uint64 // of its messages within the lane
	closed  bool     // no record is added any more
	packed  []byte   // as it goes out; nil until it is first sent
}

// open gives the batch to which the next record is added.
func (p *partition) open(l *lane) *batch {
	if n := len(p.queue); n > 0 && !p.queue[n-1].closed {
		return p.queue[n-1]
	}
	b := l.spare()
	b.start(p.producer, p.sequence, l.compression)
	p.queue = append(p.queue, b)
	return b
}

// start empties a batch for records from that sequence on.
func (b *batch) start(by producer, sequence int32, compression codec) {
	b.begin(by.id, by.epoch, sequence, compression)
	b.base, b.numbers, b.closed, b.packed = sequence, b.numbers[:0], false, nil
}

// sequenceAfter is n sequences on: behind the largest comes 0 (KIP-98).
func sequenceAfter(sequence int32, n int) int32 {
	return int32((uint32(sequence) + uint32(n)) & 0x7fffffff)
}

// ready says that the partition has something to be sent, and nothing is under way.
func (p *partition) ready() bool { return len(p.queue) > 0 && p.sending == nil && !p.listed }

// part makes a batch of some of b's records: from ≤ i < to. It is not added to.
func (b *batch) part(by producer, from, to int, compression codec) (*batch, error) {
	out := &batch{}
	out.start(by, sequenceAfter(b.base, from), compression)
	out.numbers = append(out.numbers, b.numbers[from:to]...)
	out.closed = true
	var r batchReader
	r.reset(b.packed)
	if _, _, err := r.nextBatch(); err != nil {
		return nil, err
	}
	var rec record
	for i := range to {
		ok, err := r.next(&rec)
		if err != nil {
			return nil, err
		}
		if ok && i >= from {
			out.add(rec.timestamp, rec.key, rec.value, rec.headers)
		}
	}
	return out, nil
}

// split puts parts of the batch that is being sent in its place: single records, or
// those up to one that was refused.
func (p *partition) split(sizes []int, compression codec) error {
	b := p.sending
	parts := make([]*batch, 0, len(sizes)+len(p.queue))
	from := 0
	for _, n := range sizes {
		part, err := b.part(p.producer, from, from+n, compression)
		if err != nil {
			return err
		}
		parts = append(parts, part)
		from += n
	}
	p.queue = append(parts, p.queue...)
	p.sending = nil
	return nil
}
