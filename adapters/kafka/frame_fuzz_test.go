package kafka

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whatever octets a response has: no panic, nothing that is larger than they are,
// and no octet changed. What is read without error is what kmsg reads, in the
// parts that both give.

func FuzzFetchResponse(f *testing.F) {
	res := kmsg.FetchResponse{Topics: []kmsg.FetchResponseTopic{{Topic: "topic", Partitions: []kmsg.FetchResponseTopicPartition{
		{Partition: 1, RecordBatches: []byte("records"), AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 2}}}, {Partition: 2}}}}}
	for res.Version = 4; res.Version <= 13; res.Version++ {
		f.Add(res.AppendTo(nil), res.Version)
	}
	f.Add([]byte("0000\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff"), int16(1)) // a topic's name that is null
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		version = 4 + int16(uint16(version)%10)
		before := bytes.Clone(body)
		var got fetchResponse
		err := readFetch(body, version, &got)
		if !bytes.Equal(body, before) {
			t.Fatal("the body is changed")
		}
		size := 0
		for _, p := range got.partitions {
			size += 16*len(p.aborted) + len(p.records)
		}
		if size > len(body) {
			t.Fatalf("%d octets give %d", len(body), size)
		}
		if err != nil {
			return
		}
		want := kmsg.FetchResponse{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("kmsg: %v", err)
		}
		i := 0
		for _, topic := range want.Topics {
			for _, p := range topic.Partitions {
				g := got.partitions[i]
				if version < fetchIDs && g.topic != topic.Topic || version >= fetchIDs && g.id != topic.TopicID || g.index != p.Partition || g.errorCode != p.ErrorCode || !bytes.Equal(g.records, p.RecordBatches) || len(g.aborted) != len(p.AbortedTransactions) {
					t.Fatalf("partition %d is %+v, want %+v", i, g, p)
				}
				i++
			}
		}
		if i != len(got.partitions) {
			t.Fatalf("%d partitions, want %d", len(got.partitions), i)
		}
	})
}

func FuzzProduceResponse(f *testing.F) {
	message := "refused"
	res := kmsg.ProduceResponse{Topics: []kmsg.ProduceResponseTopic{{Topic: "topic", Partitions: []kmsg.ProduceResponseTopicPartition{
		{Partition: 1, ErrorCode: 87, ErrorMessage: &message, ErrorRecords: []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: 1, ErrorMessage: &message}}}}}}}
	for res.Version = 3; res.Version <= 8; res.Version++ {
		f.Add(res.AppendTo(nil), res.Version)
	}
	f.Add([]byte("\x00\x00\x00\x01\xff\xff\x00\x00\x00\x000000"), int16(5)) // a topic's name that is null
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		version = 3 + int16(uint16(version)%6)
		var got produceResponse
		if err := readProduce(body, version, &got); err != nil {
			return
		}
		want := kmsg.ProduceResponse{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("kmsg: %v", err)
		}
		i := 0
		for _, topic := range want.Topics {
			for _, p := range topic.Partitions {
				g := got.partitions[i]
				if g.topic != topic.Topic || g.index != p.Partition || g.errorCode != p.ErrorCode || g.baseOffset != p.BaseOffset || len(g.records) != len(p.ErrorRecords) {
					t.Fatalf("partition %d is %+v, want %+v", i, g, p)
				}
				i++
			}
		}
		if i != len(got.partitions) {
			t.Fatalf("%d partitions, want %d", len(got.partitions), i)
		}
	})
}

func FuzzMetadataResponse(f *testing.F) {
	name := "topic"
	res := kmsg.MetadataResponse{ClusterID: &name, Brokers: []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "host", Port: 9092, Rack: &name}},
		Topics: []kmsg.MetadataResponseTopic{{Topic: &name, TopicID: [16]byte{1}, Partitions: []kmsg.MetadataResponseTopicPartition{{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}}}}}
	for res.Version = 1; res.Version <= 12; res.Version++ {
		f.Add(res.AppendTo(nil), res.Version)
	}
	f.Add([]byte("0000\x020000\x000000\x01\x020\x000\x010\x000000\x00\x00"), int16(10)) // a host that is null
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		version = 1 + int16(uint16(version)%12)
		var got metadataResponse
		if err := readMetadata(body, version, &got); err != nil {
			return
		}
		want := kmsg.MetadataResponse{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("kmsg: %v", err)
		}
		if len(got.brokers) != len(want.Brokers) || len(got.topics) != len(want.Topics) || got.controller != want.ControllerID {
			t.Fatalf("%+v, want %+v", got, want)
		}
		for i, topic := range want.Topics {
			g := got.topics[i]
			if topic.Topic != nil && g.name != *topic.Topic || g.id != topic.TopicID || g.errorCode != topic.ErrorCode || len(g.partitions) != len(topic.Partitions) {
				t.Fatalf("topic %d is %+v, want %+v", i, g, topic)
			}
			for j, p := range topic.Partitions {
				if q := g.partitions[j]; q.index != p.Partition || q.leader != p.Leader || q.leaderEpoch != p.LeaderEpoch || len(q.replicas) != len(p.Replicas) {
					t.Fatalf("partition %d of topic %d is %+v, want %+v", j, i, q, p)
				}
			}
		}
	})
}
