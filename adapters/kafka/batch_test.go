package kafka

import (
	"bytes"
	"fmt"
	"testing"
)

// cloned is a record that stays.
func cloned(rec *record) record {
	c := *rec
	c.key, c.value = bytes.Clone(rec.key), bytes.Clone(rec.value)
	c.headers = nil
	for _, h := range rec.headers {
		c.headers = append(c.headers, recordHeader{bytes.Clone(h.key), bytes.Clone(h.value)})
	}
	return c
}

// readSet gives all batches of a set and all their records.
func readSet(r *batchReader, set []byte) (hs []batchHeader, recs []record, err error) {
	r.reset(set)
	for {
		h, ok, err := r.nextBatch()
		if !ok || err != nil {
			return hs, recs, err
		}
		hs = append(hs, h)
		var rec record
		for {
			ok, err := r.next(&rec)
			if err != nil {
				return hs, recs, err
			}
			if !ok {
				break
			}
			recs = append(recs, cloned(&rec))
		}
	}
}

// alike says that two octet strings are the same, null and empty apart.
func alike(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// differ says in what two records differ, and nothing where they do not.
func differ(a, b *record) string {
	switch {
	case a.offset != b.offset:
		return fmt.Sprintf("offset %d, %d", a.offset, b.offset)
	case a.timestamp != b.timestamp:
		return fmt.Sprintf("timestamp %d, %d", a.timestamp, b.timestamp)
	case !alike(a.key, b.key):
		return fmt.Sprintf("key %#v, %#v", a.key, b.key)
	case !alike(a.value, b.value):
		return fmt.Sprintf("value %#v, %#v", a.value, b.value)
	case len(a.headers) != len(b.headers):
		return fmt.Sprintf("%d headers, %d", len(a.headers), len(b.headers))
	}
	for i := range a.headers {
		if !alike(a.headers[i].key, b.headers[i].key) || !alike(a.headers[i].value, b.headers[i].value) {
			return fmt.Sprintf("header %d %q, %q", i, a.headers[i], b.headers[i])
		}
	}
	return ""
}

var allCodecs = []codec{codecNone, codecGzip, codecSnappy, codecLZ4, codecZstd}

// recordsOfAllKinds are what a record can hold, in the offsets 0, 1, 2, …
func recordsOfAllKinds() []record {
	many := make([]recordHeader, 200)
	for i := range many {
		many[i] = recordHeader{[]byte(fmt.Sprint(i % 3)), []byte(fmt.Sprint(i))}
	}
	recs := []record{
		{timestamp: 1_700_000_000_000},
		{timestamp: 1_700_000_000_001, key: []byte{}, value: []byte{}},
		{timestamp: -1, key: []byte("k"), value: nil},
		{timestamp: -9_000_000_000_000, key: nil, value: []byte("v")},
		{timestamp: 0, headers: []recordHeader{{[]byte("a"), nil}, {[]byte("a"), []byte{}}, {[]byte{}, []byte("x")}, {[]byte("a"), []byte("1")}}},
		{timestamp: 1 << 62, key: []byte("many"), headers: many},
		{value: bytes.Repeat([]byte("large "), 40_000)},
		{value: bytes.Repeat([]byte("s"), 40)}, // one octet of length
		{value: bytes.Repeat([]byte("s"), 120)},
	}
	for i := range recs {
		recs[i].offset = int64(i)
	}
	return recs
}

func write(t testing.TB, w *batchWriter, c codec, recs []record) []byte {
	t.Helper()
	w.begin(noProducer, noProducer, noProducer, c)
	for _, rec := range recs {
		w.add(rec.timestamp, rec.key, rec.value, rec.headers)
	}
	b, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

func TestABatchIsReadAsItWasWritten(t *testing.T) {
	var w batchWriter
	for _, owned := range []bool{false, true} {
		r := batchReader{owned: owned}
		for _, c := range allCodecs {
			want := recordsOfAllKinds()
			hs, recs, err := readSet(&r, write(t, &w, c, want))
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			if len(hs) != 1 || hs[0].compression() != c || hs[0].count != len(want) || hs[0].lastOffset != int64(len(want)-1) || hs[0].maxTimestamp != 1<<62 {
				t.Errorf("%s: batches %+v", c, hs)
			}
			if len(recs) != len(want) {
				t.Fatalf("%s: %d records, want %d", c, len(recs), len(want))
			}
			for i := range want {
				if d := differ(&recs[i], &want[i]); d != "" {
					t.Errorf("%s: record %d: %s", c, i, d)
				}
			}
		}
	}
}
