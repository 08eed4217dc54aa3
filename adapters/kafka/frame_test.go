package kafka

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Requests are written here and read by kmsg, responses the other way round, in
// every version: kmsg is generated from Kafka's own definitions.

func drawName(t *rapid.T, what string) string { return rapid.StringN(0, 20, 200).Draw(t, what) }

// drawTopics gives names of topics, each once.
func drawTopics(t *rapid.T) []string {
	return rapid.SliceOfNDistinct(rapid.StringN(1, 20, 100), 0, 4, rapid.ID[string]).Draw(t, "topics")
}

// drawOctets gives nil, nothing or something.
func drawOctets(t *rapid.T, what string) []byte {
	switch rapid.IntRange(0, 4).Draw(t, what+"?") {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	return rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, what)
}

func drawInt32s(t *rapid.T, what string) []int32 {
	v := rapid.SliceOfN(rapid.Int32(), 0, 4).Draw(t, what)
	if len(v) == 0 {
		return nil
	}
	return v
}

func TestHeader(t *testing.T) {
	for _, req := range []kmsg.Request{
		&kmsg.ProduceRequest{Version: 8}, &kmsg.FetchRequest{Version: 11},
		&kmsg.MetadataRequest{Version: 8}, &kmsg.MetadataRequest{Version: 12},
	} {
		want := kmsg.NewRequestFormatter(kmsg.FormatterClientID("crossfade")).AppendRequest(nil, req, 77)
		body := req.AppendTo(nil)
		got := appendHeader(nil, protocol.ApiKey(req.Key()), req.GetVersion(), 77, "crossfade", req.IsFlexible())
		if want = want[4 : len(want)-len(body)]; !bytes.Equal(got, want) {
			t.Errorf("key %d: header %x, want %x", req.Key(), got, want)
		}
	}
}

func TestProduceRequestsAsKmsgReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(3, 8).Draw(t, "version")
		req := produceRequest{timeout: rapid.Int32().Draw(t, "timeout")}
		want := kmsg.ProduceRequest{Version: version, Acks: -1, TimeoutMillis: req.timeout}
		for _, name := range drawTopics(t) {
			topic := kmsg.ProduceRequestTopic{Topic: name}
			for range rapid.IntRange(1, 3).Draw(t, "partitions") {
				p := producePartition{name, rapid.Int32().Draw(t, "partition"), rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "batch")}
				req.partitions = append(req.partitions, p)
				topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: p.index, Records: p.batch})
			}
			want.Topics = append(want.Topics, topic)
		}
		if got := appendProduce(nil, version, &req); !bytes.Equal(got, want.AppendTo(nil)) {
			t.Fatalf("v%d: %x, want %x", version, got, want.AppendTo(nil))
		}
	})
}

func TestFetchRequestsAsKmsgReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(4, 13).Draw(t, "version")
		req := fetchRequest{maxWait: rapid.Int32().Draw(t, "wait"), minBytes: rapid.Int32().Draw(t, "min"), maxBytes: rapid.Int32().Draw(t, "max"),
			isolation: rapid.SampledFrom([]int8{readUncommitted, readCommitted}).Draw(t, "isolation"), rack: drawName(t, "rack")}
		want := kmsg.NewPtrFetchRequest()
		want.Version, want.SessionID, want.SessionEpoch = version, 0, -1
		want.MaxWaitMillis, want.MinBytes, want.MaxBytes, want.IsolationLevel, want.Rack = req.maxWait, req.minBytes, req.maxBytes, req.isolation, req.rack
		for _, name := range drawTopics(t) {
			topic := kmsg.FetchRequestTopic{Topic: name, TopicID: drawID(t, name)}
			for range rapid.IntRange(1, 3).Draw(t, "partitions") {
				p := fetchPartition{name, rapid.Int32().Draw(t, "partition"), rapid.Int32().Draw(t, "epoch"), rapid.Int64().Draw(t, "offset"), rapid.Int32().Draw(t, "bytes"), topic.TopicID}
				req.partitions = append(req.partitions, p)
				q := kmsg.NewFetchRequestTopicPartition()
				q.Partition, q.CurrentLeaderEpoch, q.FetchOffset, q.PartitionMaxBytes = p.index, p.leaderEpoch, p.offset, p.maxBytes
				topic.Partitions = append(topic.Partitions, q)
			}
			want.Topics = append(want.Topics, topic)
		}
		if got := appendFetch(nil, version, &req); !bytes.Equal(got, want.AppendTo(nil)) {
			t.Fatalf("v%d: %x, want %x", version, got, want.AppendTo(nil))
		}
	})
}

func TestMetadataRequestsAsKmsgReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(1, 12).Draw(t, "version")
		req := metadataRequest{all: rapid.Bool().Draw(t, "all"), topics: drawTopics(t)}
		want := kmsg.MetadataRequest{Version: version, Topics: []kmsg.MetadataRequestTopic{}}
		for i := range req.topics {
			want.Topics = append(want.Topics, kmsg.MetadataRequestTopic{Topic: &req.topics[i]})
		}
		if req.all {
			want.Topics = nil
		}
		if got := appendMetadata(nil, version, &req); !bytes.Equal(got, want.AppendTo(nil)) {
			t.Fatalf("v%d: %x, want %x", version, got, want.AppendTo(nil))
		}
	})
}

// cutShort asks that every body that ends too early is an error, and one that ends
// too late.
func cutShort(t *rapid.T, body []byte, read func(body []byte) error) {
	at := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
	if err := read(body[:at]); err == nil {
		t.Fatalf("%d octets of %d are read without error", at, len(body))
	}
	if err := read(append(body[:len(body):len(body)], 0)); err == nil {
		t.Fatal("an octet behind the body is no error")
	}
}

func TestProduceResponsesOfKmsg(t *testing.T) {
	var got produceResponse
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(3, 8).Draw(t, "version")
		res := kmsg.ProduceResponse{Version: version, ThrottleMillis: rapid.Int32().Draw(t, "throttle")}
		want := produceResponse{throttle: res.ThrottleMillis}
		for _, name := range drawTopics(t) {
			topic := kmsg.ProduceResponseTopic{Topic: name}
			for range rapid.IntRange(0, 3).Draw(t, "partitions") {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = rapid.Int32().Draw(t, "partition"), rapid.Int16().Draw(t, "code")
				p.BaseOffset, p.LogAppendTime = rapid.Int64().Draw(t, "base"), rapid.Int64().Draw(t, "time")
				w := produceResult{topic: name, index: p.Partition, errorCode: p.ErrorCode, baseOffset: p.BaseOffset, logAppendTime: p.LogAppendTime, logStartOffset: -1}
				if version >= 5 {
					p.LogStartOffset = rapid.Int64().Draw(t, "start")
					w.logStartOffset = p.LogStartOffset
				}
				if version >= 8 {
					for i := range rapid.IntRange(0, 3).Draw(t, "records") {
						message := drawName(t, "message")
						p.ErrorRecords = append(p.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: int32(i), ErrorMessage: &message})
						w.records = append(w.records, refusedRecord{int32(i), message})
					}
					if rapid.Bool().Draw(t, "message?") {
						w.message = drawName(t, "message")
						p.ErrorMessage = &w.message
					}
				}
				topic.Partitions = append(topic.Partitions, p)
				want.partitions = append(want.partitions, w)
			}
			res.Topics = append(res.Topics, topic)
		}
		body := res.AppendTo(nil)
		if err := readProduce(body, version, &got); err != nil {
			t.Fatal(err)
		}
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
			t.Fatalf("v%d: %s, want %s", version, g, w)
		}
		cutShort(t, body, func(b []byte) error { return readProduce(b, version, new(produceResponse)) })
	})
}

func TestFetchResponsesOfKmsg(t *testing.T) {
	var got fetchResponse
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(4, 13).Draw(t, "version")
		res := kmsg.FetchResponse{Version: version, ThrottleMillis: rapid.Int32().Draw(t, "throttle")}
		want := fetchResponse{throttle: res.ThrottleMillis}
		if version >= 7 {
			res.ErrorCode = rapid.Int16().Draw(t, "code")
			want.errorCode = res.ErrorCode
		}
		for _, name := range drawTopics(t) {
			topic := kmsg.FetchResponseTopic{Topic: name, TopicID: drawID(t, name)}
			for range rapid.IntRange(0, 3).Draw(t, "partitions") {
				p, w := drawFetched(t, version, name)
				if version >= fetchIDs {
					w.topic, w.id = "", topic.TopicID
				}
				topic.Partitions = append(topic.Partitions, p)
				want.partitions = append(want.partitions, w)
			}
			res.Topics = append(res.Topics, topic)
		}
		body := res.AppendTo(nil)
		if err := readFetch(body, version, &got); err != nil {
			t.Fatal(err)
		}
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
			t.Fatalf("v%d: %s, want %s", version, g, w)
		}
		for i := range want.partitions {
			if !alike(got.partitions[i].records, want.partitions[i].records) {
				t.Fatalf("v%d: records %#v, want %#v", version, got.partitions[i].records, want.partitions[i].records)
			}
		}
		cutShort(t, body, func(b []byte) error { return readFetch(b, version, new(fetchResponse)) })
	})
}

// drawID gives a topic an ID of its own.
func drawID(t *rapid.T, name string) (id topicID) {
	copy(id[:], name)
	id[15] = rapid.Byte().Draw(t, "id")
	return id
}

func drawFetched(t *rapid.T, version int16, name string) (kmsg.FetchResponseTopicPartition, fetchedPartition) {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode = rapid.Int32().Draw(t, "partition"), rapid.Int16().Draw(t, "code")
	p.HighWatermark, p.LastStableOffset = rapid.Int64().Draw(t, "high"), rapid.Int64().Draw(t, "stable")
	if version >= 5 {
		p.LogStartOffset = rapid.Int64().Draw(t, "start")
	}
	if version >= 11 {
		p.PreferredReadReplica = rapid.Int32().Draw(t, "replica")
	}
	p.RecordBatches = drawOctets(t, "records")
	w := fetchedPartition{topic: name, index: p.Partition, errorCode: p.ErrorCode, highWatermark: p.HighWatermark, lastStableOffset: p.LastStableOffset,
		logStartOffset: p.LogStartOffset, preferredReplica: p.PreferredReadReplica, records: p.RecordBatches}
	for range rapid.IntRange(0, 3).Draw(t, "aborted") {
		a := kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: rapid.Int64().Draw(t, "producer"), FirstOffset: rapid.Int64().Draw(t, "first")}
		p.AbortedTransactions = append(p.AbortedTransactions, a)
		w.aborted = append(w.aborted, abortedTransaction{a.ProducerID, a.FirstOffset})
	}
	return p, w
}

func TestMetadataResponsesOfKmsg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(1, 12).Draw(t, "version")
		res := kmsg.NewPtrMetadataResponse()
		res.Version, res.ControllerID = version, rapid.Int32().Draw(t, "controller")
		want := metadataResponse{controller: res.ControllerID}
		if version >= 3 {
			res.ThrottleMillis = rapid.Int32().Draw(t, "throttle")
			want.throttle = res.ThrottleMillis
		}
		if version >= 2 && rapid.Bool().Draw(t, "cluster?") {
			want.clusterID = drawName(t, "cluster")
			res.ClusterID = &want.clusterID
		}
		for range rapid.IntRange(0, 3).Draw(t, "brokers") {
			b := kmsg.MetadataResponseBroker{NodeID: rapid.Int32().Draw(t, "id"), Host: drawName(t, "host"), Port: rapid.Int32().Draw(t, "port")}
			w := metadataBroker{id: b.NodeID, host: b.Host, port: b.Port}
			if rapid.Bool().Draw(t, "rack?") {
				w.rack = drawName(t, "rack")
				b.Rack = &w.rack
			}
			b.UnknownTags.Set(3, []byte("a field of the future"))
			res.Brokers = append(res.Brokers, b)
			want.brokers = append(want.brokers, w)
		}
		for _, name := range drawTopics(t) {
			p, w := drawTopic(t, version, name)
			res.Topics = append(res.Topics, p)
			want.topics = append(want.topics, w)
		}
		body := res.AppendTo(nil)
		var got metadataResponse
		if err := readMetadata(body, version, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("v%d: %+v, want %+v", version, got, want)
		}
		cutShort(t, body, func(b []byte) error { return readMetadata(b, version, new(metadataResponse)) })
	})
}

func drawTopic(t *rapid.T, version int16, name string) (kmsg.MetadataResponseTopic, metadataTopic) {
	p := kmsg.NewMetadataResponseTopic()
	p.Topic, p.ErrorCode, p.IsInternal = &name, rapid.Int16().Draw(t, "code"), rapid.Bool().Draw(t, "internal")
	w := metadataTopic{name: name, errorCode: p.ErrorCode, internal: p.IsInternal}
	if version >= metadataIDs {
		copy(w.id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		p.TopicID = w.id
	}
	for range rapid.IntRange(0, 3).Draw(t, "partitions") {
		q := kmsg.NewMetadataResponseTopicPartition()
		q.ErrorCode, q.Partition, q.Leader = rapid.Int16().Draw(t, "code"), rapid.Int32().Draw(t, "partition"), rapid.Int32().Draw(t, "leader")
		q.Replicas, q.ISR = drawInt32s(t, "replicas"), drawInt32s(t, "in sync")
		if version >= 5 {
			q.OfflineReplicas = drawInt32s(t, "offline")
		}
		if version >= 7 {
			q.LeaderEpoch = rapid.Int32().Draw(t, "epoch")
		}
		p.Partitions = append(p.Partitions, q)
		w.partitions = append(w.partitions, metadataPartition{errorCode: q.ErrorCode, index: q.Partition, leader: q.Leader,
			leaderEpoch: q.LeaderEpoch, replicas: q.Replicas, inSync: q.ISR, offline: q.OfflineReplicas})
	}
	return p, w
}

// What a response says of a partition is not left over from the one before.
func TestAResponseIsReadIntoAnother(t *testing.T) {
	message := "no"
	full := kmsg.ProduceResponse{Version: 8, Topics: []kmsg.ProduceResponseTopic{{Topic: "a", Partitions: []kmsg.ProduceResponseTopicPartition{
		{Partition: 1, ErrorCode: 2, ErrorMessage: &message, ErrorRecords: []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: 3}}}}}}}
	bare := kmsg.ProduceResponse{Version: 3, Topics: []kmsg.ProduceResponseTopic{{Topic: "a", Partitions: []kmsg.ProduceResponseTopicPartition{{Partition: 1}}}}}
	var got, want produceResponse
	if err := readProduce(full.AppendTo(nil), 8, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.partitions[0].records) != 1 || got.partitions[0].message != "no" {
		t.Errorf("%+v", got)
	}
	for _, into := range []*produceResponse{&got, &want} {
		if err := readProduce(bare.AppendTo(nil), 3, into); err != nil {
			t.Fatal(err)
		}
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s, want %s", g, w)
	}
	body := bare.AppendTo(nil)
	if n := testing.AllocsPerRun(100, func() {
		if err := readProduce(body, 3, &got); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each response", n)
	}
}
