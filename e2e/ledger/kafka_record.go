package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// bodilessEvery is how many messages out of Kafka hold one null and one empty
// body among them.
const bodilessEvery = 16

// Record is message n for a topic of Kafka.
func (p *Plan) Record(n int) *kgo.Record {
	r := &kgo.Record{
		Topic: p.Topic, Partition: p.partition(n), Key: []byte(p.Name(n)), Value: p.Body(n), Timestamp: p.time(n),
		Headers: []kgo.RecordHeader{
			{Key: NumberHeader, Value: []byte(strconv.Itoa(n))},
			{Key: IDHeader, Value: []byte(p.ID(n))},
		},
	}
	if p.hasSelection(n) {
		add := func(name string, value []byte) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: value})
		}
		add("several", []byte("b"))
		add("empty", []byte{})
		add("several", nil)
		add("octets", []byte("\xff\x00\xfe\r\n"))
		add("several", []byte("a"))
		add("null", nil)
		add("spaces", []byte("  both ends  "))
		add("null", nil)
		add("several", []byte("b"))
		add("ümlaut", []byte("ü"))
		add("CC", []byte("not a route"))
		add("x-death", []byte("not dead"))
		add("Nats-Msg-Id", []byte("not the bridge's"))
		add("Nats-Expected-Last-Sequence", []byte("1"))
	}
	return r
}

// partition is where message n goes: not where a hash of the key would put it, so
// that a partition that was not carried is seen.
func (p *Plan) partition(n int) int32 { return int32(int(p.of[n].key) % max(1, p.Partitions)) }

// hourAgo is when the first message is from. The time has to be a recent one: brokers
// forget a producer whose newest record is older than producer.id.expiration.ms by its
// own time, and then take its repeats for news.
var hourAgo = time.Now().Add(-time.Hour).Truncate(time.Second).UTC()

// time is the producer's time of message n: in the past, since Kafka refuses the
// future. Topics that hold it must not have a retention by time.
func (p *Plan) time(n int) time.Time {
	began, due := p.Began, p.Due
	if began.IsZero() {
		began, due = hourAgo, 1000
	}
	return began.Add(time.Duration(n) * time.Second / time.Duration(due)).Truncate(time.Millisecond)
}

// recordFields are the headers of a record in canonical form: octets or null, where
// no letter of their types says that they are text.
func recordFields(hs []kgo.RecordHeader, types string) []Field {
	fs := make([]Field, 0, len(hs))
	for i, h := range hs {
		value := "V:"
		switch {
		case h.Value == nil:
		case i < len(types) && types[i] == 'S':
			value = "S:" + string(h.Value)
		default:
			value = "x:" + string(h.Value)
		}
		fs = append(fs, Field{h.Key, value})
	}
	sortFields(fs)
	return fs
}

// fromKafka reads a record that was found in a topic.
func fromKafka(r *kgo.Record) (Message, error) {
	m := Message{
		Subject: place(r.Topic, r.Partition), Key: string(r.Key), Name: r.Topic, Partition: int(r.Partition) + 1,
		Millis: r.Timestamp.UnixMilli(), Body: r.Value,
	}
	hops := map[string]string{}
	own := slices.DeleteFunc(slices.Clone(r.Headers), func(h kgo.RecordHeader) bool {
		if isHop(h.Key) {
			hops[strings.ToLower(h.Key)] = string(h.Value)
		}
		return isHop(h.Key)
	})
	m.Headers = recordFields(own, hops[hopTypes])
	if len(hops) == 0 { // straight from the producer
		m.N, m.ID = numberOf(m.Headers), idOf(m.Headers)
		return m, nil
	}
	if types := hops[hopTypes]; types != "" && len(types) != len(own) {
		return m, fmt.Errorf("%s: %q for %d headers", hopTypes, types, len(own))
	}
	if err := m.apply(hops); err != nil {
		return m, err
	}
	if m.Key != string(r.Key) {
		return m, fmt.Errorf("the record's key is %q, the message's is %q", r.Key, m.Key)
	}
	return m, nil
}

func idOf(headers []Field) string {
	for _, f := range headers {
		if f.Name == IDHeader {
			return strings.TrimPrefix(f.Value, "x:")
		}
	}
	return ""
}

// place is a partition in words.
func place(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// KafkaPlace says where in a topic the records of a key belong, by the hash that
// the clients of Java and most others have by default.
func KafkaPlace(topic string, partitions int) func(key string) string {
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	return func(key string) string {
		return place(topic, int32(partitioner.Partition(&kgo.Record{Key: []byte(key)}, partitions)))
	}
}
