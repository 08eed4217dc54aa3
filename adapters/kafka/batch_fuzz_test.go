package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// drawRecords gives records with the offsets 0, 1, 2, ….
func drawRecords(t *rapid.T) []record {
	recs := make([]record, rapid.IntRange(1, 20).Draw(t, "records"))
	for i := range recs {
		r := record{offset: int64(i), timestamp: rapid.Int64().Draw(t, "timestamp"), key: drawOctets(t, "key"), value: drawOctets(t, "value")}
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			name := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "name")
			if name == nil {
				name = []byte{}
			}
			r.headers = append(r.headers, recordHeader{name, drawOctets(t, "header")})
		}
		recs[i] = r
	}
	return recs
}

// roundTrip writes records and reads them back, as they are or handed over, by
// any codec.
func roundTrip(t *rapid.T) {
	want := drawRecords(t)
	c := rapid.SampledFrom(allCodecs).Draw(t, "codec")
	var w batchWriter
	w.begin(rapid.Int64().Draw(t, "producer"), rapid.Int16().Draw(t, "epoch"), rapid.Int32().Draw(t, "sequence"), c)
	for i := range want {
		if rapid.Bool().Draw(t, "take one back") {
			w.add(rapid.Int64().Draw(t, "gone"), drawOctets(t, "gone key"), nil, nil)
			w.takeBack()
		}
		w.add(want[i].timestamp, want[i].key, want[i].value, want[i].headers)
	}
	b, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	base := rapid.Int64Range(0, 1<<62).Draw(t, "base")
	binary.BigEndian.PutUint64(b, uint64(base)) // as the broker does; the CRC leaves it out
	r := batchReader{owned: rapid.Bool().Draw(t, "owned")}
	hs, recs, err := readSet(&r, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(hs) != 1 || len(recs) != len(want) {
		t.Fatalf("%d batches, %d records; want 1, %d", len(hs), len(recs), len(want))
	}
	latest := want[0].timestamp
	for i := range want {
		want[i].offset += base
		latest = max(latest, want[i].timestamp)
		if d := differ(&recs[i], &want[i]); d != "" {
			t.Fatalf("record %d: %s", i, d)
		}
	}
	if hs[0].maxTimestamp != latest || hs[0].baseTimestamp != want[0].timestamp {
		t.Fatalf("times %d and %d; want %d and %d", hs[0].baseTimestamp, hs[0].maxTimestamp, want[0].timestamp, latest)
	}
}

func TestBatchRoundTrip(t *testing.T) { rapid.Check(t, roundTrip) }

func FuzzBatchRoundTrip(f *testing.F) { f.Fuzz(rapid.MakeFuzz(roundTrip)) }

// ofKmsg is what kmsg makes of records.
func ofKmsg(recs []record, first int64) []byte {
	b := kmsg.RecordBatch{Magic: 2, PartitionLeaderEpoch: -1, LastOffsetDelta: int32(len(recs) - 1), FirstTimestamp: first, MaxTimestamp: first,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(len(recs))}
	for i, r := range recs {
		b.MaxTimestamp = max(b.MaxTimestamp, r.timestamp)
		k := kmsg.Record{TimestampDelta64: r.timestamp - first, OffsetDelta: int32(i), Key: r.key, Value: r.value}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: string(h.key), Value: h.value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // of a length of one octet
		b.Records = k.AppendTo(b.Records)
	}
	return seal(b.AppendTo(nil))
}

// The octets of a batch are those that kmsg writes, and what kmsg writes is read.
func TestBatchesAreThoseOfKmsg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecords(t)
		theirs := ofKmsg(want, want[0].timestamp)
		var w batchWriter
		w.begin(noProducer, noProducer, noProducer, codecNone)
		for _, r := range want {
			w.add(r.timestamp, r.key, r.value, r.headers)
		}
		ours, err := w.finish()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("%x\nkmsg has\n%x", ours, theirs)
		}
		_, recs, err := readSet(new(batchReader), theirs)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if d := differ(&recs[i], &want[i]); d != "" {
				t.Fatalf("record %d: %s", i, d)
			}
		}
	})
}

// resealed gives every batch in a set a CRC that fits, so that what is hostile is
// not found out by that alone.
func resealed(set []byte) []byte {
	set = bytes.Clone(set)
	for b := set; len(b) >= batchHeaderSize; {
		length := int64(int32(binary.BigEndian.Uint32(b[atLength:])))
		if length < batchHeaderSize-batchPrefix || length > int64(len(b)-batchPrefix) {
			break
		}
		size := batchPrefix + int(length)
		seal(b[:size])
		b = b[size:]
	}
	return set
}

// Whatever octets are read, nothing panics, what is read lies within what the
// batches say and within the bounds, and no octet of the set is changed.
func FuzzBatchReader(f *testing.F) {
	var w batchWriter
	for _, c := range allCodecs {
		b := write(f, &w, c, recordsOfAllKinds()[:5])
		f.Add(append(bytes.Clone(b), b...), true, true)
	}
	f.Add(batchOf(1<<5|1<<4, 1, raw(0, 0, 4, "\x00\x00\x00\x01", 6, "\x00\x00\x00\x00\x00\x07", 0)), false, false)
	f.Add(batchOf(int16(codecSnappy), 2, javaSnappy(append(raw(0, 0, -1, -1, 0), raw(0, 1, -1, -1, 0)...), 5)), true, false)
	f.Add(batchOf(int16(codecZstd)|1<<3, 0, nil), true, true)
	f.Fuzz(func(t *testing.T, set []byte, fits, owned bool) {
		if fits {
			set = resealed(set)
		}
		before := bytes.Clone(set)
		r := batchReader{owned: owned, maxDecoded: 1 << 20}
		hs, recs, err := readSet(&r, set)
		if !bytes.Equal(set, before) {
			t.Fatal("the set is changed")
		}
		if err != nil && !errors.Is(err, errCorrupt) && !errors.Is(err, errDecodedSize) {
			t.Fatalf("an error of no class: %v", err)
		}
		count := 0
		for _, h := range hs {
			if count += h.count; h.baseOffset < 0 || h.lastOffset < h.baseOffset {
				t.Fatalf("offsets %d to %d", h.baseOffset, h.lastOffset)
			}
		}
		if len(recs) > count || err == nil && len(recs) != count {
			t.Fatalf("%d records of %d, %v", len(recs), count, err)
		}
		if cap(r.inflate.buf) > 4<<20 {
			t.Fatalf("%d octets are kept for 1 MiB", cap(r.inflate.buf))
		}
		for _, rec := range recs {
			for _, h := range rec.headers {
				if h.key == nil {
					t.Fatal("a header without a name")
				}
			}
		}
	})
}
