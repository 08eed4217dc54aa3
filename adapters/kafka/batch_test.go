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

func TestHeadersAddedOneByOneAreThoseOfAdd(t *testing.T) {
	var one, all batchWriter
	for _, n := range []int{0, 1, 63, 64, 65, 8191, 8192} {
		headers := make([]recordHeader, n)
		one.begin(7, 3, 100, codecNone)
		one.beginRecord(1, []byte("key"), nil)
		for i := range headers {
			headers[i] = recordHeader{[]byte("n"), []byte(fmt.Sprint(i))}
			if i%2 == 0 {
				one.addHeader("n", headers[i].value)
			} else {
				one.addHeaderText("n", fmt.Sprint(i))
			}
		}
		one.endRecord()
		all.begin(7, 3, 100, codecNone)
		all.add(1, []byte("key"), nil, headers)
		a, err := one.finish()
		if err != nil {
			t.Fatal(err)
		}
		b, _ := all.finish()
		if !bytes.Equal(a, b) {
			t.Errorf("%d headers: the two ways to write them differ", n)
		}
		var r batchReader
		hs, recs, err := readSet(&r, a)
		if err != nil || len(recs) != 1 || len(recs[0].headers) != n {
			t.Errorf("%d headers: read %d records, %v", n, len(recs), err)
		}
		if h := hs[0]; h.producerID != 7 || h.producerEpoch != 3 || h.baseSequence != 100 || h.leaderEpoch != -1 {
			t.Errorf("%d headers: header %+v", n, h)
		}
	}
}

// A record that is taken back leaves nothing of it in the batch.
func TestTakeBack(t *testing.T) {
	var w, want batchWriter
	w.begin(noProducer, noProducer, noProducer, codecNone)
	w.takeBack() // there is none
	w.add(900, []byte("first and gone"), nil, nil)
	w.takeBack()
	w.add(5, []byte("a"), []byte("1"), nil)
	size := w.size()
	w.add(1_000_000, []byte("gone"), nil, nil)
	w.takeBack()
	w.takeBack() // only once
	w.beginRecord(2_000_000, []byte("gone before its end"), nil)
	w.addHeaderText("h", "v")
	w.takeBack()
	if w.size() != size || w.count() != 1 {
		t.Errorf("size %d, count %d; want %d, 1", w.size(), w.count(), size)
	}
	w.add(6, []byte("b"), []byte("2"), nil)
	want.begin(noProducer, noProducer, noProducer, codecNone)
	want.add(5, []byte("a"), []byte("1"), nil)
	want.add(6, []byte("b"), []byte("2"), nil)
	a, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := want.finish(); !bytes.Equal(a, b) {
		t.Errorf("the batch is\n%x, want\n%x", a, b)
	}
}

func TestABatchThatBrokersWouldRefuseIsNotFinished(t *testing.T) {
	var w batchWriter
	w.begin(noProducer, noProducer, noProducer, codecNone)
	if _, err := w.finish(); err == nil {
		t.Error("an empty batch is finished")
	}
	w.beginRecord(0, nil, nil)
	if _, err := w.finish(); err == nil {
		t.Error("a batch with an open record is finished")
	}
	w.endRecord()
	if _, err := w.finish(); err != nil {
		t.Error(err)
	}
	w.begin(noProducer, noProducer, noProducer, codec(5))
	w.add(0, nil, nil, nil)
	if _, err := w.finish(); err == nil {
		t.Error("a codec that does not exist is written")
	}
}

// What a finish gives is the same each time, and what does not compress is not
// compressed.
func TestCompressionThatDoesNotPayIsLeftOut(t *testing.T) {
	for _, c := range allCodecs[1:] {
		var w batchWriter
		w.begin(noProducer, noProducer, noProducer, c)
		w.add(1, []byte("k"), []byte("v"), nil)
		plain, err := w.finish()
		if err != nil {
			t.Fatal(err)
		}
		plain = bytes.Clone(plain)
		if again, _ := w.finish(); !bytes.Equal(plain, again) {
			t.Errorf("%s: a second finish gives another batch", c)
		}
		if h, err := parseBatchHeader(plain); err != nil || h.compression() != codecNone {
			t.Errorf("%s: two octets are sent as %s, %v", c, h.compression(), err)
		}
		w.add(1, []byte("k"), bytes.Repeat([]byte("v"), 10_000), nil)
		packed, err := w.finish()
		if err != nil {
			t.Fatal(err)
		}
		if h, _ := parseBatchHeader(packed); h.compression() != c || len(packed) > 1000 {
			t.Errorf("%s: 10,000 octets are sent as %s in %d", c, h.compression(), len(packed))
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range allCodecs {
		if got, ok := codecOfName(c.String()); !ok || got != c {
			t.Errorf("%s is read as %s, %v", c, got, ok)
		}
	}
	if c, ok := codecOfName("LZ4"); ok {
		t.Errorf("LZ4 is taken for %s", c)
	}
	if s := codec(7).String(); s != "codec 7" {
		t.Error(s)
	}
}
