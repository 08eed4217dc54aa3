package kafka

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossfade-mq/crossfade/bridge"
)

// inOrder wants of each partition the numbers first..last-1 that put has put there, each
// once and in order.
func inOrder(t *testing.T, ds []bridge.Delivery, partitions, first, last int) {
	t.Helper()
	next := map[int]int{}
	for i := range ds {
		p := int(ds[i].Origin.Shard)
		n, err := strconv.Atoi(string(ds[i].Body))
		if err != nil || n%partitions != p {
			t.Fatalf("partition %d holds %q", p, ds[i].Body)
		}
		want, ok := next[p]
		if !ok {
			want = first + (p-first%partitions+partitions)%partitions
		}
		if n != want {
			t.Fatalf("partition %d: %d came, want %d", p, n, want)
		}
		next[p] = n + partitions
	}
	if len(ds) != last-first {
		t.Fatalf("%d messages, want %d", len(ds), last-first)
	}
}

// Faults of single partitions, whatever they are, cost neither a message nor the
// session.
func TestFetchFaults(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.KafkaStorageError, kerr.OffsetNotAvailable} {
		t.Run(e.Message, func(t *testing.T) {
			c := startCluster(t, kfake.NumBrokers(3))
			c.topic(t, "a", 4)
			cl := c.client(t)
			s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
			h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Partitions: []int32{1, 2}, Err: e, Count: 4})
			put(t, cl, "a", 4, 0, 200)
			inOrder(t, take(t, s, 200), 4, 0, 200)
			if h.Hits() == 0 {
				t.Error("no fetch was faulted")
			}
		})
	}
}

// Leaders that move, again and again, while messages come.
func TestLeadersMove(t *testing.T) {
	c := startCluster(t, kfake.NumBrokers(3))
	c.topic(t, "a", 6)
	cl := c.client(t)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	var all []bridge.Delivery
	for round := range 10 {
		for p := range int32(6) {
			if err := c.MoveTopicPartition("a", p, int32(rand.IntN(3))); err != nil {
				t.Fatal(err)
			}
		}
		put(t, cl, "a", 6, round*60, round*60+60)
		all = append(all, take(t, s, 60)...)
		ackAll(t, s, all[len(all)-60:]...)
	}
	inOrder(t, all, 6, 0, 600)
}

// A partition without a leader holds up nothing but itself, and is heard of in time.
func TestNoLeader(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t)
	s := openSource(t, c.system(t, func(c *SystemConfig) { c.RequestTimeout = time.Second }).from(t, SourceConfig{Topics: []string{"a"}}))
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "a", Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1})
	put(t, cl, "a", 2, 0, 40)
	for _, d := range take(t, s, 20) {
		if d.Origin.Shard != 1 {
			t.Errorf("a message of partition %d came", d.Origin.Shard)
		}
	}
	_, err := s.Receive(t.Context(), make([]bridge.Delivery, 4))
	if err == nil || bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("the session ends with %v", err)
	}
	t.Log(err)
}

// Connections that break cost nothing either.
func TestConnectionsBreak(t *testing.T) {
	c := startCluster(t, kfake.NumBrokers(3))
	c.topic(t, "a", 3)
	cl := c.client(t)
	sys := c.system(t)
	s := openSource(t, sys.from(t, SourceConfig{Topics: []string{"a"}}))
	var all []bridge.Delivery
	for round := range 8 {
		put(t, cl, "a", 3, round*30, round*30+30)
		sys.mu.Lock()
		alive := slices.Collect(maps.Keys(sys.alive))
		sys.mu.Unlock()
		for _, k := range alive {
			k.close()
		}
		all = append(all, take(t, s, 30)...)
		ackAll(t, s, all[len(all)-30:]...)
	}
	inOrder(t, all, 3, 0, 240)
}

// What waits in this process is bounded, and a partition that nobody receives does not
// keep the others from going on.
func TestBackPressure(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t, kgo.ProducerBatchMaxBytes(64<<10), kgo.ProducerBatchCompression(kgo.NoCompression()))
	const most = 200 << 10
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}, MaxBytes: most}))
	var rs []*kgo.Record
	for i := range 400 {
		rs = append(rs, &kgo.Record{Topic: "a", Partition: int32(i % 2), Value: append(fmt.Append(nil, i, " "), make([]byte, 4000)...)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	queued := func() int {
		s.reader.mu.Lock()
		defer s.reader.mu.Unlock()
		return s.parts[0].feed.queued + s.parts[1].feed.queued
	}
	eventually(t, "the reader has no room", func() bool {
		s.reader.mu.Lock()
		defer s.reader.mu.Unlock()
		return s.parts[0].feed.queued >= 2*s.reader.quantum && s.parts[1].feed.queued >= 2*s.reader.quantum
	})
	if n := queued(); n > most+2*64<<10 {
		t.Errorf("%d octets wait, of %d", n, most)
	}
	if n := len(take(t, s, 400)); n != 400 {
		t.Errorf("%d messages", n)
	}
}

// A partition that had no room is asked for as soon as it has: the broker is not made
// to wait meanwhile for the others, which have nothing.
func TestAFullPartitionIsReadOn(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t, kgo.ProducerBatchMaxBytes(16<<10), kgo.ProducerBatchCompression(kgo.NoCompression()))
	var rs []*kgo.Record
	for i := range 2000 {
		rs = append(rs, &kgo.Record{Topic: "a", Value: append(fmt.Append(nil, i, " "), make([]byte, 4000)...)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var atOnce, patient atomic.Int64
	c.ControlKey(int16(protocol.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		switch {
		case len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 || req.Topics[0].Partitions[0].Partition != 1:
		case req.MaxWaitMillis > 0:
			patient.Add(1)
		default:
			atOnce.Add(1)
		}
		return nil, nil, false
	})
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}, MaxBytes: 100 << 10}))
	take(t, s, 2000)
	a, p := atOnce.Load(), patient.Load()
	t.Logf("asked for the empty one alone: %d times at once, %d times with patience", a, p)
	if p > a {
		t.Errorf("the broker was made to wait %d of %d times", p, a+p)
	}
}

// All codecs, null and empty, and headers arrive as they were.
func TestRecordsArriveAsTheyWere(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl := c.client(t, kgo.ProducerBatchCompression(codec))
		at := time.UnixMilli(1_700_000_000_000 + int64(i))
		sent := []*kgo.Record{
			{Topic: "a", Timestamp: at, Key: nil, Value: nil},
			{Topic: "a", Timestamp: at, Key: []byte{}, Value: []byte{}},
			{Topic: "a", Timestamp: at, Key: []byte("k"), Value: make([]byte, 5000), Headers: []kgo.RecordHeader{{Key: "h", Value: nil}, {Key: "h", Value: []byte{}}, {Key: "", Value: []byte("v")}}},
		}
		if err := cl.ProduceSync(t.Context(), sent...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for j, d := range take(t, s, 3) {
			r := sent[j]
			if (d.Body == nil) != (r.Value == nil) || len(d.Body) != len(r.Value) || !d.Time.Equal(at) || d.Key != string(r.Key) {
				t.Errorf("codec %d: record %d: body %v %d, key %q, time %v", i, j, d.Body == nil, len(d.Body), d.Key, d.Time)
			}
			if p, ok := d.Property(bridge.KindKey); !ok || p.Null != (r.Key == nil) {
				t.Errorf("codec %d: record %d: key %+v, %v", i, j, p, ok)
			}
			if len(d.Headers) != len(r.Headers) {
				t.Fatalf("codec %d: record %d: %d headers", i, j, len(d.Headers))
			}
			for k, h := range d.Headers {
				if h.Name != r.Headers[k].Key || (h.Value == nil) != (r.Headers[k].Value == nil) || (h.Type == bridge.TypeNull) != (h.Value == nil) {
					t.Errorf("codec %d: header %d is %+v", i, k, h)
				}
			}
		}
	}
}

// transact produces numbers within a transaction, which ends as it says.
func transact(t *testing.T, cl *kgo.Client, how kgo.TransactionEndTry, numbers ...int) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: "a", Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(context.Background(), how); err != nil {
		t.Fatal(err)
	}
}

// Records of aborted transactions do not come, and neither do markers, from wherever the
// reading begins.
func TestAbortedTransactionsAreLeftOut(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	one, two := c.client(t, kgo.TransactionalID("one")), c.client(t, kgo.TransactionalID("two"))
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	if err := two.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := two.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("-1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	transact(t, one, kgo.TryCommit, 1, 2)
	transact(t, one, kgo.TryAbort, -2, -3)
	if b, err := s.Backlog(t.Context()); err != nil || b.Messages != 0 {
		t.Errorf("behind an open transaction: %+v, %v", b, err)
	}
	if err := two.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	transact(t, two, kgo.TryCommit, 3)
	transact(t, one, kgo.TryAbort, -4)
	put(t, c.client(t), "a", 1, 4, 6)
	got := take(t, s, 5)
	if bodiesOf(got) != "1 2 3 4 5" {
		t.Fatalf("got %s", bodiesOf(got))
	}
	for left := 5; left > 0; left-- {
		ackAll(t, s, got[0])
		s.Close()
		s = openSource(t, o)
		want := bodiesOf(got[1:])
		if got = take(t, s, left-1); bodiesOf(got) != want {
			t.Fatalf("got %s, want %s", bodiesOf(got), want)
		}
	}
}

// A topic of which a reader gets nothing any more, as all of it is markers and aborted,
// has its floor written all the same, or retention would be taken for a gap.
func TestFloorPassesWhatIsNotForTheRelay(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	one := c.client(t, kgo.TransactionalID("one"))
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	transact(t, one, kgo.TryAbort, -1, -2)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := s.Receive(ctx, make([]bridge.Delivery, 4))
		done <- err
	}()
	eventually(t, "the group holds the end", func() bool {
		m, err := (&coordinator{cluster: s.asks, group: groupOf(testIdentity)}).marks(t.Context())
		return err == nil && m[spot{"a", 0}].floor == 3
	})
	cancel()
	<-done
}

// A broker that throttles answers at once and tells of no partition (KIP-219): the rest of
// what is to come first is waited for still.
func TestAThrottledAnswerSaysNothing(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range 80 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Partition: int32(i % 2), Value: append(fmt.Append(nil, i, " "), make([]byte, 4000)...)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var answered, throttled atomic.Int64
	var over atomic.Bool
	c.ControlKey(int16(protocol.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if over.Load() || answered.Add(1) == 1 {
			return nil, nil, false
		}
		if kreq.(*kmsg.FetchRequest).MaxWaitMillis > 0 {
			throttled.Add(1)
		}
		resp := kreq.ResponseKind().(*kmsg.FetchResponse)
		resp.ThrottleMillis = 1
		return resp, nil, true
	})
	src, err := c.system(t).from(t, SourceConfig{Topics: []string{"a"}, MaxBytes: 100 << 10}).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	s := src.(*source)
	first := s.parts[1]
	s.First([]bridge.Origin{first.place.at(39)})
	all := make(chan []bridge.Delivery, 1)
	go func() { all <- take(t, s, 80) }()
	eventually(t, "answers that tell of nothing", func() bool { return throttled.Load() > 20 })
	over.Store(true)
	for i, d := range <-all {
		if now := i < 40; now != (d.Stored.Shard == first.partition) {
			t.Fatalf("number %d is of partition %d; all of %d was to come first", i, d.Stored.Shard, first.partition)
		}
	}
}
