package kafka

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// benchRecords are 1,000 records of 200 octets each, with a key and one header:
// telemetry, which compresses to about a third.
func benchRecords() []record {
	rng := rand.New(rand.NewPCG(1, 2))
	recs := make([]record, 1000)
	for i := range recs {
		value := make([]byte, 200)
		for j := range value {
			value[j] = "0123456789abcdef"[rng.IntN(16)]
			if j%2 == 0 {
				value[j] = '.'
			}
		}
		recs[i] = record{timestamp: 1_700_000_000_000 + int64(i), key: []byte("host-1234.cpu.user"), value: value,
			headers: []recordHeader{{[]byte("unit"), []byte("percent")}}}
	}
	return recs
}

func perSecond(b *testing.B, records int) {
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkBatchWrite(b *testing.B) {
	recs := benchRecords()
	for _, c := range allCodecs {
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			var w batchWriter
			for b.Loop() {
				w.begin(1, 0, 0, c)
				for i := range recs {
					r := &recs[i]
					w.beginRecord(r.timestamp, r.key, r.value)
					w.addHeaderText("unit", "percent")
					w.endRecord()
				}
				if _, err := w.finish(); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b, len(recs))
		})
	}
}

func BenchmarkBatchRead(b *testing.B) {
	for _, c := range allCodecs {
		var w batchWriter
		set := write(b, &w, c, benchRecords())
		for name, owned := range map[string]bool{"lent": false, "owned": true} {
			b.Run(c.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				r := batchReader{owned: owned}
				var rec record
				for b.Loop() {
					r.reset(set)
					if _, ok, err := r.nextBatch(); !ok || err != nil {
						b.Fatal(err)
					}
					n := 0
					for ; ; n++ {
						ok, err := r.next(&rec)
						if err != nil {
							b.Fatal(err)
						}
						if !ok {
							break
						}
					}
					if n != 1000 {
						b.Fatal(n)
					}
				}
				perSecond(b, 1000)
			})
		}
	}
}

// No record costs an allocation, neither written nor read.
func TestNoAllocationForARecord(t *testing.T) {
	recs := benchRecords()
	var w batchWriter
	var r batchReader
	var rec record
	var set []byte
	for _, c := range allCodecs {
		wrote := testing.AllocsPerRun(10, func() {
			w.begin(1, 0, 0, c)
			for i := range recs {
				w.beginRecord(recs[i].timestamp, recs[i].key, recs[i].value)
				w.addHeader("unit", recs[i].headers[0].value)
				w.endRecord()
			}
			b, err := w.finish()
			if err != nil {
				t.Fatal(err)
			}
			set = append(set[:0], b...)
		})
		read := testing.AllocsPerRun(10, func() {
			r.reset(set)
			if _, ok, err := r.nextBatch(); !ok || err != nil {
				t.Fatal(err)
			}
			for ok, err := r.next(&rec); ok; ok, err = r.next(&rec) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
		if wrote > 20 || read > 20 {
			t.Errorf("%s: %v allocations for a batch of 1,000 records written, %v for one read", c, wrote, read)
		}
		if h, err := parseBatchHeader(set); err != nil || h.compression() != c || !bytes.Equal(rec.headers[0].key, []byte("unit")) {
			t.Errorf("%s: the batch is %+v, %v", c, h, err)
		}
	}
}
