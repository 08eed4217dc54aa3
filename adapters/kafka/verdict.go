package kafka

import (
	"fmt"
	"slices"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// answered deals with what a leader says of the batch that is under way. again is why
// the same batch has to be sent once more; an error ends the lane.
func (l *lane) answered(p *partition, r *produceResult) (again, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, e := p.sending, kafkago.Error(r.errorCode)
	switch {
	case e == 0 && r.baseOffset < p.next:
		return nil, fmt.Errorf("a batch was stored at offset %d, behind one before %d: the topic was deleted and made again, or its log was cut", r.baseOffset, p.next)
	case e == 0:
		l.placed(p, r.baseOffset, false)
	case e == kafkago.DuplicateSequenceNumber:
		l.placed(p, -1, true)
	case unwell(e):
		return e, nil
	case tooLong(e) && b.count() > 1:
		p.limit = max(1, min(p.limit, len(b.packed)/2))
		return nil, l.apart(p, singly(b.count())...)
	case tooLong(e), aboutRecords(e):
		return nil, l.refused(p, r, e)
	default:
		return nil, ending(p, r, e)
	}
	l.rouse()
	return nil, nil
}

// tooLong says that a batch is larger than the topic, or a segment of it, takes.
func tooLong(e kafkago.Error) bool {
	return e == kafkago.MessageSizeTooLarge || e == kafkago.RecordListTooLarge
}

// aboutRecords says that a leader refuses a batch for what is in it.
func aboutRecords(e kafkago.Error) bool {
	return e == kafkago.InvalidTimestamp || e == kafkago.InvalidRecord
}

// refused ends what is sent to a partition with the first message that it refuses:
// the answer names it (KIP-467), or it is found by sending each alone. What stands in
// front of it in the batch is sent again, by the same sequences, as nothing of the
// batch was stored.
func (l *lane) refused(p *partition, r *produceResult, e kafkago.Error) error {
	b := p.sending
	first := 0
	if n := b.count(); n > 1 {
		if first = firstOf(r.records, n); first < 0 {
			return l.apart(p, singly(n)...)
		}
	}
	l.refuse(b.numbers[first], p.reject(r, e))
	p.queue = nil // what is behind it is sent in another session
	if first > 0 {
		return l.apart(p, first)
	}
	p.sending = nil
	return nil
}

// firstOf is the first of the records that were refused, by its index in a batch of
// n; negative where none is named.
func firstOf(records []refusedRecord, n int) int {
	first := -1
	for _, r := range records {
		if i := int(r.index); 0 <= i && i < n && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// reject is what is said of a message that the partition refuses.
func (p *partition) reject(r *produceResult, e kafkago.Error) error {
	text := said(r)
	if text != "" {
		text = ": " + bridge.Printable(text, 300)
	}
	err := fmt.Errorf("topic %s partition %d: %w%s", p.topic.name, p.index, e, text)
	switch e {
	case kafkago.InvalidTimestamp:
		return bridge.Reject(bridge.ReasonPoison, fmt.Errorf("%w (message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic say which times it takes; timestamp: append does without)", err))
	case kafkago.InvalidRecord:
		return bridge.Reject(bridge.ReasonPoison, fmt.Errorf("%w (a compacted topic takes no message without a key)", err))
	}
	return bridge.Reject(bridge.ReasonOversized, fmt.Errorf("%w (max.message.bytes of the topic says how large a batch may be)", err))
}

// ending is what it means for the lane that a leader refuses a batch.
func ending(p *partition, r *produceResult, e kafkago.Error) error {
	err := error(e)
	if text := said(r); text != "" {
		err = fmt.Errorf("%w: %s", e, bridge.Printable(text, 300))
	}
	switch e {
	case kafkago.InvalidProducerEpoch, kafkago.ProducerFenced:
		return fmt.Errorf("%w: %w", err, errSuperseded)
	case kafkago.OutOfOrderSequenceNumber:
		return fmt.Errorf("%w: the leader has not all that this session sent: records were lost there, or the topic was made anew", err)
	case kafkago.UnknownProducerId, kafkago.InvalidProducerIDMapping:
		return fmt.Errorf("%w: the broker has forgotten this session's producer (producer.id.expiration.ms, transactional.id.expiration.ms)", err)
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.TransactionalIDAuthorizationFailed:
		return bridge.Fatal(err, "Grant the bridge's user Write on the topic, and Write on transactional IDs that begin with crossfade.")
	case kafkago.UnsupportedCompressionType:
		return bridge.Fatal(err, "Choose another compression for the target: these brokers are too old for it, or their topic forbids it.")
	case kafkago.UnsupportedForMessageFormat:
		return bridge.Fatal(err, "The topic keeps a message format before 0.11 (message.format.version): raise it.")
	}
	return err
}

// stopping says that no retry mends it.
func stopping(err error) bool { return bridge.ClassOf(err) == bridge.Stopping }

// apart puts parts of the batch under way in its place, of so many records each. What
// is behind them in the batch is left out. The mutex is held.
func (l *lane) apart(p *partition, sizes ...int) error {
	l.octets -= p.sending.size()
	if err := p.split(sizes, l.compression); err != nil {
		return fmt.Errorf("a batch of our own cannot be read: %w", err)
	}
	for _, part := range p.queue[:len(sizes)] {
		l.octets += part.size()
	}
	l.enlist(p)
	l.rouse()
	return nil
}

// singly is how a batch of n is split into records.
func singly(n int) []int { return slices.Repeat([]int{1}, n) }
