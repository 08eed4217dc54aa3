package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

// benchFetch is a broker in this process that answers every fetch with batches of
// records of 200 octets, of 8 partitions. What it takes itself is in the figures of both.
func benchFetch(b *testing.B, compression kgo.CompressionCodec) *testCluster {
	b.Helper()
	return startCluster(b, kfake.SeedTopics(8, "a"), kfake.SyntheticFetch(kfake.SyntheticBatch{
		Records: 2000, RecordBytes: 200, RandomFrac: 0.3, Compression: compression,
	}))
}

var benchCodecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{{"none", kgo.NoCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}}

// BenchmarkSource receives and acknowledges as a relay does, 1024 at a time.
func BenchmarkSource(b *testing.B) {
	for _, x := range benchCodecs {
		b.Run(x.name, func(b *testing.B) {
			s, err := benchFetch(b, x.codec).system(b).from(b, SourceConfig{Topics: []string{"a"}}).Open(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			buf := make([]bridge.Delivery, 1024)
			receipts := make([]bridge.Receipt, 0, len(buf))
			unacked := 0
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			for n := 0; n < b.N; {
				k, err := s.Receive(b.Context(), buf[:min(len(buf), b.N-n)])
				if err != nil {
					b.Fatal(err)
				}
				n += k
				receipts = receipts[:0]
				for i := range buf[:k] {
					receipts = append(receipts, buf[i].Receipt)
				}
				s.(*source).settle(receipts)
				if unacked += k; unacked > 1<<16 {
					if err := s.Ack(b.Context(), nil); err != nil {
						b.Fatal(err)
					}
					unacked = 0
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(b.N), "cpu-s/M")
		})
	}
}

// BenchmarkFranzSource is the same with franz-go, for comparison: read-committed, no
// group, no commits, and no message made of a record.
func BenchmarkFranzSource(b *testing.B) {
	for _, x := range benchCodecs {
		b.Run(x.name, func(b *testing.B) {
			cl := benchFetch(b, x.codec).client(b, kgo.ConsumeTopics("a"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(defaultMaxBytes), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			for n := 0; n < b.N; {
				f := cl.PollRecords(b.Context(), min(1024, b.N-n))
				if err := f.Err(); err != nil {
					b.Fatal(err)
				}
				n += f.NumRecords()
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(b.N), "cpu-s/M")
		})
	}
}
