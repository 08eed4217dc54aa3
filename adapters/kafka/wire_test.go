package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A bareWire is a connection that carries this package's frames and nothing else.
type bareWire struct {
	t *testing.T
	net.Conn
	id int32
}

// fakeCluster starts a broker in this process with a topic "t" of two partitions.
func fakeCluster(t *testing.T) (seed string, w *bareWire) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	seed = c.ListenAddrs()[0]
	conn, err := net.Dial("tcp", seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return seed, &bareWire{t: t, Conn: conn}
}

// ask sends one request and gives the body of the response.
func (w *bareWire) ask(key protocol.ApiKey, version int16, flexible bool, body []byte) []byte {
	w.t.Helper()
	w.id++
	b := append(appendHeader(make([]byte, 4), key, version, w.id, "crossfade", flexible), body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(w, size[:]); err != nil {
		w.t.Fatalf("%s v%d: %v", key, version, err)
	}
	res := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(w, res); err != nil {
		w.t.Fatal(err)
	}
	c := cursor{b: res, flexible: flexible}
	if id := c.int32(); id != w.id {
		w.t.Fatalf("%s v%d: answer %d to request %d", key, version, id, w.id)
	}
	c.tags()
	return c.b
}

func (w *bareWire) produce(version int16, partition int32, batch []byte) *produceResult {
	w.t.Helper()
	req := produceRequest{timeout: 10_000, partitions: []producePartition{{"t", partition, batch}}}
	var res produceResponse
	if err := readProduce(w.ask(protocol.Produce, version, false, appendProduce(nil, version, &req)), version, &res); err != nil {
		w.t.Fatal(err)
	}
	if len(res.partitions) != 1 || res.partitions[0].topic != "t" || res.partitions[0].index != partition {
		w.t.Fatalf("produce v%d: %+v", version, res)
	}
	return &res.partitions[0]
}

func (w *bareWire) fetch(version int16, partition int32, offset int64, isolation int8) *fetchedPartition {
	w.t.Helper()
	req := fetchRequest{maxWait: 5000, minBytes: 1, maxBytes: 50 << 20, isolation: isolation,
		partitions: []fetchPartition{{topic: "t", index: partition, leaderEpoch: -1, offset: offset, maxBytes: 50 << 20}}}
	var res fetchResponse
	if err := readFetch(w.ask(protocol.Fetch, version, false, appendFetch(nil, version, &req)), version, &res); err != nil {
		w.t.Fatal(err)
	}
	if res.errorCode != 0 || len(res.partitions) != 1 || res.partitions[0].topic != "t" || res.partitions[0].index != partition {
		w.t.Fatalf("fetch v%d: %+v", version, res)
	}
	return &res.partitions[0]
}

// consumed is what franz-go reads of a partition, n records of it.
func consumed(t *testing.T, seed string, partition int32, n int, opts ...kgo.Opt) (recs []record) {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(seed), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		"t": {partition: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(recs) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", len(recs), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			rec := record{offset: r.Offset, timestamp: r.Timestamp.UnixMilli(), key: r.Key, value: r.Value}
			for _, h := range r.Headers {
				rec.headers = append(rec.headers, recordHeader{[]byte(h.Key), h.Value})
			}
			recs = append(recs, rec)
		})
	}
	return recs
}

func TestMetadataOverAConnection(t *testing.T) {
	_, w := fakeCluster(t)
	var first topicID
	for version := int16(1); version <= 12; version++ {
		for _, req := range []metadataRequest{{all: true}, {topics: []string{"t"}}} {
			var res metadataResponse
			flexible := version >= metadataFlexible
			if err := readMetadata(w.ask(protocol.Metadata, version, flexible, appendMetadata(nil, version, &req)), version, &res); err != nil {
				t.Fatal(err)
			}
			if len(res.brokers) != 1 || len(res.topics) != 1 || res.topics[0].name != "t" || res.topics[0].errorCode != 0 || len(res.topics[0].partitions) != 2 {
				t.Fatalf("v%d: %+v", version, res)
			}
			if version >= 2 && res.clusterID == "" {
				t.Errorf("v%d: no cluster ID", version)
			}
			id := res.topics[0].id
			if version == metadataIDs {
				first = id
			}
			if version >= metadataIDs && (id == topicID{} || id != first) || version < metadataIDs && id != (topicID{}) {
				t.Errorf("v%d: topic ID %x, before %x", version, id, first)
			}
		}
	}
	var res metadataResponse
	absent := metadataRequest{topics: []string{"absent"}}
	for range 2 { // the first one has not made it
		if err := readMetadata(w.ask(protocol.Metadata, 12, true, appendMetadata(nil, 12, &absent)), 12, &res); err != nil {
			t.Fatal(err)
		}
		if len(res.topics) != 1 || res.topics[0].errorCode != 3 {
			t.Fatalf("a topic that is not there: %+v", res.topics)
		}
	}
}

// Every version carries every codec that it may to the broker and back, and an
// independent client reads the same.
func TestRecordsOverAConnection(t *testing.T) {
	seed, w := fakeCluster(t)
	var writer batchWriter
	var reader batchReader
	var want []record
	send := func(version int16, c codec) {
		recs := recordsOfAllKinds()
		recs[5].timestamp = 1 << 40 // within what a time.Time of franz-go holds
		got := w.produce(version, 1, write(t, &writer, c, recs))
		if got.errorCode != 0 || got.baseOffset != int64(len(want)) {
			t.Fatalf("produce v%d, %s: %+v; want base offset %d", version, c, got, len(want))
		}
		for _, r := range recs {
			r.offset += got.baseOffset
			want = append(want, r)
		}
	}
	compare := func(what string, got []record) {
		if len(got) != len(want) {
			t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
		}
		for i := range got {
			if d := differ(&got[i], &want[i]); d != "" {
				t.Errorf("%s: record %d: %s", what, i, d)
			}
		}
	}
	receive := func(version int16) {
		p := w.fetch(version, 1, 0, readUncommitted)
		if p.errorCode != 0 || p.highWatermark != int64(len(want)) {
			t.Fatalf("fetch v%d: %+v", version, p)
		}
		hs, recs, err := readSet(&reader, p.records)
		if err != nil {
			t.Fatalf("fetch v%d: %v", version, err)
		}
		compare(fmt.Sprintf("fetch v%d", version), recs)
		if h := hs[len(hs)-1]; h.lastOffset != int64(len(want))-1 {
			t.Errorf("fetch v%d: the last batch ends at %d", version, h.lastOffset)
		}
	}
	for version := int16(3); version <= 8; version++ {
		for _, c := range allCodecs[:codecZstd] {
			send(version, c)
		}
	}
	for version := int16(4); version <= 9; version++ {
		receive(version)
	}
	send(7, codecZstd)
	send(8, codecZstd)
	for version := int16(10); version <= 11; version++ {
		receive(version)
	}
	compare("franz-go", consumed(t, seed, 1, len(want)))
	if p := w.fetch(11, 1, int64(len(want))+5, readUncommitted); p.errorCode != 1 {
		t.Errorf("an offset out of range: %+v", p)
	}
	if p := w.produce(8, 1, []byte("no batch at all")); p.errorCode == 0 {
		t.Errorf("no batch at all: %+v", p)
	}
}

// produceTransactions writes n records in transactions of two producers that lie in
// between each other, every other one aborted, and a plain record with each.
func produceTransactions(t *testing.T, seed string, rounds int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := func(opts ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(seed), kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b, plain := client(kgo.TransactionalID("a")), client(kgo.TransactionalID("b")), client()
	send := func(c *kgo.Client, value string) { must(c.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr()) }
	for i := range rounds {
		must(a.BeginTransaction())
		must(b.BeginTransaction())
		send(a, fmt.Sprint("a", i))
		send(b, fmt.Sprint("b", i))
		send(plain, fmt.Sprint("plain", i))
		send(a, fmt.Sprint("a again", i))
		must(a.EndTransaction(ctx, kgo.TransactionEndTry(i%2 == 0)))
		send(b, fmt.Sprint("b again", i))
		must(b.EndTransaction(ctx, kgo.TransactionEndTry(i%3 == 0)))
	}
	send(plain, "the end")
}

// From whatever offset it reads, a reader of committed records gets those that
// franz-go gets, and no marker.
func TestCommittedRecordsOverAConnection(t *testing.T) {
	const rounds = 6
	seed, w := fakeCluster(t)
	produceTransactions(t, seed, rounds)
	want := consumed(t, seed, 0, rounds+1+2*3+2*2, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var r batchReader
	var f abortedFilter
	for from := int64(0); from <= want[len(want)-1].offset; from++ {
		var got []record
		p := w.fetch(11, 0, from, readCommitted)
		f.reset(p.aborted)
		r.reset(p.records)
		for {
			h, ok, err := r.nextBatch()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			marker, err := r.marker()
			if err != nil {
				t.Fatal(err)
			}
			if f.skip(&h, marker) {
				continue
			}
			var rec record
			for ok, err = r.next(&rec); ok; ok, err = r.next(&rec) {
				if rec.offset >= from {
					got = append(got, cloned(&rec))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for len(want) > 0 && want[0].offset < from {
			want = want[1:]
		}
		if len(got) != len(want) {
			t.Fatalf("from %d: %d records, want %d", from, len(got), len(want))
		}
		for i := range got {
			if d := differ(&got[i], &want[i]); d != "" {
				t.Errorf("from %d: record %d: %s", from, i, d)
			}
		}
	}
}
