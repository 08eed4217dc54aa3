package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

// BenchmarkSinkKafka places messages of 200 octets with an ID on a real broker, over 8
// partitions and four lanes, as a relay does: one sender for each.
func BenchmarkSinkKafka(b *testing.B) {
	s := realSystem(b)
	for _, compression := range []string{"none", "lz4", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			name := fmt.Sprintf("bench-%x", time.Now().UnixNano())
			makeTopic(b, s, name, 8)
			benchmarkSink(b, s, SinkConfig{Topic: name, Compression: compression})
		})
	}
}

// BenchmarkFranzKafka is the same with franz-go, for comparison: as idempotent, with
// records that are made beforehand.
func BenchmarkFranzKafka(b *testing.B) {
	s := realSystem(b)
	name := fmt.Sprintf("bench-%x", time.Now().UnixNano())
	makeTopic(b, s, name, 8)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.config.Brokers...), kgo.DefaultProduceTopic(name), kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(512<<10), kgo.MaxBufferedRecords(1<<16))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	e := newEncoder(testIdentity, testTemplate(b, name), true)
	var rs []*kgo.Record
	for _, m := range benchMessages(1 << 16) {
		if _, err := e.topicOf(m); err != nil {
			b.Fatal(err)
		}
		out, err := e.encode(m, 0, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		r := asRead(out, 0)
		k := &kgo.Record{Key: r.key, Value: r.value, Timestamp: m.Time}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: string(h.key), Value: h.value})
		}
		rs = append(rs, k)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	for i := range b.N {
		r := *rs[i%len(rs)]
		cl.Produce(context.Background(), &r, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.Error(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(b.N), "cpu-s/M")
}

// BenchmarkEncode is what becomes of a message before it is sent.
func BenchmarkEncode(b *testing.B) {
	msgs := benchMessages(1 << 12)
	e := newEncoder(testIdentity, testTemplate(b, "t"), true)
	var w batchWriter
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			w.begin(1, 1, 0, codecNone)
		}
		if _, err := e.topicOf(msgs[i%len(msgs)]); err != nil {
			b.Fatal(err)
		}
		out, err := e.encode(msgs[i%len(msgs)], 1, time.Time{})
		if err != nil {
			b.Fatal(err)
		}
		w.add(out.timestamp, out.key, out.value, out.headers)
	}
}

func benchmarkSink(b *testing.B, s *system, c SinkConfig) {
	o := openerOf(b, s, c)
	o.lanes = 4
	sessions := make([]*session, o.lanes)
	var settled atomic.Int64
	want := int64(max(b.N/o.lanes, 1)) * int64(o.lanes)
	done := make(chan error, o.lanes)
	for i := range sessions {
		sessions[i] = openSession(b, o, i)
		laneOf(sessions[i]).tell = func(n int, _ []bridge.Placement, err error) {
			if settled.Add(int64(n)) == want || err != nil {
				done <- err
			}
		}
	}
	router := sessions[0].sink.(bridge.Router)
	routed := make([][]*bridge.Message, o.lanes)
	for _, m := range benchMessages(1 << 16) {
		lane := router.Route(m, o.lanes)
		routed[lane] = append(routed[lane], m)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			left, msgs := max(b.N/o.lanes, 1), routed[i]
			for at := 0; left > 0; at = (at + 512) % (len(msgs) - 512) {
				n := min(512, left)
				if _, err := s.Send(context.Background(), msgs[at:at+n]); err != nil {
					b.Error(err)
					return
				}
				left -= n
			}
		})
	}
	wg.Wait()
	if err := <-done; err != nil {
		b.Error(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(b.N), "cpu-s/M")
}

// benchMessages makes messages with a body of 200 octets over 10,000 keys.
func benchMessages(n int) []*bridge.Message {
	stream := &bridge.Stream{System: Kind, Cluster: "MkU3OEVBNTcwNTJENDM2Qg", Name: "from", Incarnation: "Xq3yVdRFQ1u1T0b7mBfJhA", Replayable: true}
	msgs := make([]*bridge.Message, n)
	for i := range msgs {
		body := make([]byte, 200)
		copy(body, fmt.Sprintf(`{"metric":"host-%d.cpu.load","value":%d.25,"unit":"percent"`, i%10000, i))
		for j := 80; j < len(body); j++ {
			body[j] = "0123456789abcdef"[(i*31+j*j)&15]
		}
		msgs[i] = &bridge.Message{
			Key: fmt.Sprintf("host-%d.cpu.load", i%10000), ID: bridge.ID{Value: fmt.Sprintf("id-%d", i)}, Body: body,
			Time: time.Now().Truncate(time.Millisecond), Address: bridge.Address{Name: "from", Partition: 3},
			Origin: bridge.Origin{Stream: stream, Shard: 2, Offset: uint64(i)},
		}
	}
	return msgs
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
