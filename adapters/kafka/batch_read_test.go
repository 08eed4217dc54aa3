package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// seal gives a batch whose header or records were changed a length and a CRC that
// fit.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-batchPrefix))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

// batchOf makes a batch of octets that stand for count records, as the broker has
// it at offset 1000.
func batchOf(attributes int16, count int32, records []byte) []byte {
	b := make([]byte, batchHeaderSize, batchHeaderSize+len(records))
	binary.BigEndian.PutUint64(b, 1000)
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(attributes))
	binary.BigEndian.PutUint32(b[atLastOffsetDelta:], 9)
	binary.BigEndian.PutUint64(b[atBaseTimestamp:], 5_000)
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], 9_000)
	binary.BigEndian.PutUint64(b[atProducerID:], math.MaxUint64)
	binary.BigEndian.PutUint32(b[atCount:], uint32(count))
	return seal(append(b, records...))
}

// raw writes one record's octets: the length, then what body appends, in varints.
func raw(fields ...any) []byte {
	b := []byte{0}
	for _, f := range fields {
		switch f := f.(type) {
		case int:
			b = binary.AppendVarint(b, int64(f))
		case string:
			b = append(b, f...)
		}
	}
	return append(binary.AppendVarint(nil, int64(len(b))), b...)
}

func TestWhatBrokersAndCompactionMakeOfABatch(t *testing.T) {
	plain := raw(-7, 4, 1, "k", -1, 0)
	for _, c := range []struct {
		name      string
		set       []byte
		want      []record
		last      int64
		is        func(h *batchHeader) bool
		remaining int
	}{
		{name: "nothing", set: nil},
		{name: "absolute offset, negative delta of time", set: batchOf(0, 1, plain), last: 1009,
			want: []record{{offset: 1004, timestamp: 4_993, key: []byte("k")}}},
		{name: "log append time", set: batchOf(1<<3, 1, plain), last: 1009, is: (*batchHeader).logAppendTime,
			want: []record{{offset: 1004, timestamp: 9_000, key: []byte("k")}}},
		{name: "transactional", set: batchOf(1<<4, 1, plain), last: 1009, is: (*batchHeader).transactional,
			want: []record{{offset: 1004, timestamp: 4_993, key: []byte("k")}}},
		{name: "emptied by compaction", set: batchOf(0, 0, nil), last: 1009},
		{name: "emptied by compaction, still marked as compressed", set: batchOf(int16(codecZstd), 0, nil), last: 1009},
		{name: "delete horizon in place of the base timestamp", set: batchOf(1<<6, 1, plain), last: 1009,
			want: []record{{offset: 1004, timestamp: 4_993, key: []byte("k")}}},
		{name: "control", set: batchOf(1<<5|1<<4, 1, raw(0, 0, 4, "\x00\x00\x00\x01", 6, "\x00\x00\x00\x00\x00\x07", 0)), last: 1009, is: (*batchHeader).control,
			want: []record{{offset: 1000, timestamp: 5_000, key: []byte{0, 0, 0, 1}, value: []byte{0, 0, 0, 0, 0, 7}}}},
		{name: "any negative length is null", set: batchOf(0, 1, raw(0, 0, -5, -2, 1, 1, "h", -9)), last: 1009,
			want: []record{{offset: 1000, timestamp: 5_000, headers: []recordHeader{{[]byte("h"), nil}}}}},
		{name: "cut short", set: batchOf(0, 1, plain)[:batchHeaderSize+3], remaining: batchHeaderSize + 3},
		{name: "cut short in its length", set: batchOf(0, 1, plain)[:10], remaining: 10},
		{name: "two, the second cut short", set: append(batchOf(0, 1, plain), batchOf(0, 1, plain)[:30]...), last: 1009, remaining: 30,
			want: []record{{offset: 1004, timestamp: 4_993, key: []byte("k")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := batchReader{}
			hs, recs, err := readSet(&r, c.set)
			if err != nil {
				t.Fatal(err)
			}
			if len(recs) != len(c.want) || r.left() != c.remaining {
				t.Fatalf("%d records, %d octets left; want %d, %d", len(recs), r.left(), len(c.want), c.remaining)
			}
			for i := range recs {
				if d := differ(&recs[i], &c.want[i]); d != "" {
					t.Errorf("record %d: %s", i, d)
				}
			}
			if c.last != 0 && (len(hs) != 1 || hs[0].lastOffset != c.last) {
				t.Errorf("batches %+v; want one up to %d", hs, c.last)
			}
			if c.is != nil && !c.is(&hs[0]) {
				t.Errorf("its attributes are not seen: %b", hs[0].attributes)
			}
		})
	}
}

// Wherever a broker cuts a set, the batches before that are read.
func TestASetIsCutAnywhere(t *testing.T) {
	var w batchWriter
	one := write(t, &w, codecNone, recordsOfAllKinds()[:5])
	set := append(bytes.Clone(one), one...)
	for at := range len(set) + 1 {
		var r batchReader
		hs, recs, err := readSet(&r, set[:at])
		if want := at / len(one); err != nil || len(hs) != want || len(recs) != 5*want || r.left() != at%len(one) {
			t.Fatalf("%d of %d octets: %d batches, %d records, %d octets left, %v", at, len(set), len(hs), len(recs), r.left(), err)
		}
	}
}

func TestABrokenBatchIsAnError(t *testing.T) {
	good := raw(0, 0, 1, "k", 1, "v", 1, 1, "h", 1, "w")
	with := func(at int, v ...byte) []byte {
		b := batchOf(0, 1, good)
		copy(b[at:], v)
		return seal(b)
	}
	flipped := batchOf(0, 1, good)
	flipped[len(flipped)-1] ^= 1
	short := batchOf(0, 1, good)
	binary.BigEndian.PutUint32(short[atLength:], 48)
	for _, c := range []struct {
		name, says string
		set        []byte
	}{
		{"one bit is another", "CRC-32C", flipped},
		{"magic 1", "magic 1;", with(atMagic, 1)},
		{"magic 0", "magic 0;", with(atMagic, 0)},
		{"a magic of the future", "magic 3;", with(atMagic, 3)},
		{"no room for the header", "length of 48", short},
		{"negative base offset", "offset -", with(atBaseOffset, 0x80)},
		{"negative last offset", "last offset is -", with(atLastOffsetDelta, 0x80)},
		{"offsets that end behind the last one there is", "last offset", with(atBaseOffset, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		{"negative count", "records on", with(atCount, 0xff)},
		{"more records than offsets", "11 records on 10", with(atCount, 0, 0, 0, 11)},
		{"fewer records than it says", "record 1 of 2", with(atCount, 0, 0, 0, 2)},
		{"more records than it says", "behind its last record", with(atCount, 0, 0, 0, 0)},
		{"an unknown codec", "codec 7", with(atAttributes, 0, 7)},
		{"a codec that it is not in", "gzip", with(atAttributes, 0, byte(codecGzip))},
		{"not snappy", "snappy", with(atAttributes, 0, byte(codecSnappy))},
		{"not lz4", "lz4", with(atAttributes, 0, byte(codecLZ4))},
		{"not zstd", "zstd", with(atAttributes, 0, byte(codecZstd))},
		{"record longer than the batch", "record 0 of 1 is longer", batchOf(0, 1, []byte{0x7e, 0, 0})},
		{"negative record length", "record 0 of 1 is longer", batchOf(0, 1, []byte{0x01})},
		{"record without octets", "as its length says", batchOf(0, 1, []byte{0})},
		{"octets behind the record's headers", "as its length says", batchOf(0, 1, raw(0, 0, -1, -1, 0, "x"))},
		{"key longer than the record", "as its length says", batchOf(0, 1, raw(0, 0, 100, "k", -1, 0))},
		{"no count of headers", "as its length says", batchOf(0, 1, raw(0, 0, -1, -1))},
		{"negative count of headers", "as its length says", batchOf(0, 1, raw(0, 0, -1, -1, -1))},
		{"more headers than can be", "as its length says", batchOf(0, 1, raw(0, 0, -1, -1, math.MaxInt32, 0))},
		{"null header name", "as its length says", batchOf(0, 1, raw(0, 0, -1, -1, 1, -1, -1))},
		{"a varint without end", "as its length says", batchOf(0, 1, raw("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, -1, -1, 0))},
		{"offset in front of the batch", "as its length says", batchOf(0, 1, raw(0, -1, -1, -1, 0))},
		{"offset behind the batch", "has offset 1010", batchOf(0, 1, raw(0, 10, -1, -1, 0))},
		{"offset that repeats", "has offset 1001, behind 1001", batchOf(0, 2, append(raw(0, 1, -1, -1, 0), raw(0, 1, -1, -1, 0)...))},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r batchReader
			_, _, err := readSet(&r, c.set)
			if !errors.Is(err, errCorrupt) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v; want errCorrupt with %q", err, c.says)
			}
		})
	}
}

func TestMarkers(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []byte
		want controlKind
		bad  bool
	}{
		{"abort", batchOf(1<<5, 1, raw(0, 0, 4, "\x00\x00\x00\x00", 6, "\x00\x00\x00\x00\x00\x07", 0)), controlAbort, false},
		{"commit", batchOf(1<<5, 1, raw(0, 0, 4, "\x00\x00\x00\x01", -1, 0)), controlCommit, false},
		{"commit of a later version", batchOf(1<<5, 1, raw(0, 0, 6, "\x00\x05\x00\x01zz", -1, 0)), controlCommit, false},
		{"change of leader", batchOf(1<<5, 1, raw(0, 0, 4, "\x00\x00\x00\x02", -1, 0)), controlOther, false},
		{"emptied", batchOf(1<<5, 0, nil), controlOther, false},
		{"no control batch", batchOf(0, 1, raw(0, 0, 4, "\x00\x00\x00\x00", -1, 0)), controlOther, false},
		{"null key", batchOf(1<<5, 1, raw(0, 0, -1, -1, 0)), controlOther, true},
		{"short key", batchOf(1<<5, 1, raw(0, 0, 3, "\x00\x00\x00", -1, 0)), controlOther, true},
		{"version of no kind", batchOf(1<<5, 1, raw(0, 0, 4, "\x80\x00\x00\x00", -1, 0)), controlOther, true},
	} {
		var r batchReader
		r.reset(c.set)
		if _, ok, err := r.nextBatch(); !ok || err != nil {
			t.Fatal(c.name, err)
		}
		if got, err := r.marker(); got != c.want || (err != nil) != c.bad {
			t.Errorf("%s: %d, %v; want %d", c.name, got, err, c.want)
		}
	}
}

// Records that were handed over stay as they are, whatever becomes of the set and
// the reader; a batch that is skipped is not decompressed.
func TestWhatIsOwnedStays(t *testing.T) {
	var w batchWriter
	for _, c := range allCodecs {
		want := recordsOfAllKinds()
		set := write(t, &w, c, want)
		r := batchReader{owned: true}
		r.reset(set)
		if _, ok, err := r.nextBatch(); !ok || err != nil {
			t.Fatal(err)
		}
		got := make([]record, len(want))
		for i := range got {
			if ok, err := r.next(&got[i]); !ok || err != nil {
				t.Fatalf("%s: record %d: %v", c, i, err)
			}
			got[i].headers, want[i].headers = nil, nil
		}
		other := recordsOfAllKinds()
		for i := range other {
			other[i].value = bytes.Repeat([]byte{byte(i)}, 1000)
		}
		if _, _, err := readSet(&r, write(t, &w, c, other)); err != nil {
			t.Fatal(err)
		}
		for i := range set {
			set[i] = 0xff
		}
		for i := range want {
			if d := differ(&got[i], &want[i]); d != "" {
				t.Errorf("%s: record %d has changed: %s", c, i, d)
			}
		}
	}
	var r batchReader
	r.reset(append(batchOf(int16(codecZstd), 1, []byte("no zstd at all")), batchOf(0, 1, raw(0, 0, -1, -1, 0))...))
	for range 2 {
		if _, ok, err := r.nextBatch(); !ok || err != nil {
			t.Fatal("a batch that is skipped is looked into: ", err)
		}
	}
}

// javaSnappy is what snappy-java's output stream writes.
func javaSnappy(src []byte, block int) []byte {
	b := append([]byte(xerial), 0, 0, 0, 1, 0, 0, 0, 1)
	for len(src) > 0 {
		n := min(block, len(src))
		packed := s2.EncodeSnappy(nil, src[:n])
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(packed))), packed...)
		src = src[n:]
	}
	return b
}

func gzipped(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestWhatOtherWritersMakeOfACodec(t *testing.T) {
	var records []byte
	for i := range 10 {
		records = append(records, raw(0, i, -1, 2000, strings.Repeat("x", 2000), 0)...)
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	var streamed bytes.Buffer // frames that do not say how large they are
	e.Reset(&streamed)
	for i := 0; i < len(records); i += 1000 {
		if _, err := e.Write(records[i:min(i+1000, len(records))]); err != nil {
			t.Fatal(err)
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		by   codec
		set  []byte
	}{
		{"snappy-java, one block", codecSnappy, javaSnappy(records, 1<<20)},
		{"snappy-java, many blocks", codecSnappy, javaSnappy(records, 700)},
		{"gzip of several members", codecGzip, gzipped(t, records[:5000], records[5000:])},
		{"zstd as a stream", codecZstd, streamed.Bytes()},
		{"zstd of several frames", codecZstd, e.EncodeAll(records[7000:], e.EncodeAll(records[:7000], nil))},
	} {
		var r batchReader
		_, recs, err := readSet(&r, batchOf(int16(c.by), 10, c.set))
		if err != nil || len(recs) != 10 || len(recs[9].value) != 2000 {
			t.Errorf("%s: %d records, %v", c.name, len(recs), err)
		}
		if _, _, err = readSet(&r, batchOf(int16(c.by), 10, c.set[:len(c.set)-3])); !errors.Is(err, errCorrupt) {
			t.Errorf("%s, without its end: %v; want errCorrupt", c.name, err)
		}
	}
}

// A batch may decompress to what is allowed and to no octet more, and a reader
// that met one that does goes on.
func TestDecompressionIsBounded(t *testing.T) {
	var w batchWriter
	for _, c := range allCodecs[1:] {
		set := write(t, &w, c, []record{{value: make([]byte, 100_000)}})
		if c == codecSnappy { // the framing's sum is bounded too
			plain := write(t, &w, codecNone, []record{{value: make([]byte, 100_000)}})
			set = append(set[:batchHeaderSize:batchHeaderSize], javaSnappy(plain[batchHeaderSize:], 9_000)...)
			set = seal(set)
		}
		r := batchReader{maxDecoded: 100_000}
		if _, _, err := readSet(&r, set); !errors.Is(err, errDecodedSize) {
			t.Errorf("%s: %v; want errDecodedSize", c, err)
		}
		r.maxDecoded = 100_013
		if _, recs, err := readSet(&r, set); err != nil || len(recs) != 1 {
			t.Errorf("%s: %d records, %v", c, len(recs), err)
		}
	}
}

// Lengths that are made up cost next to nothing.
func TestHostileLengthsMakeNoRoom(t *testing.T) {
	d := &decompressor{}
	hostile := map[string]func() error{
		"raw snappy": func() error {
			_, err := d.decompress(codecSnappy, append(binary.AppendUvarint(nil, 100<<20), "x\xff\xff"...), 128<<20)
			return err
		},
		"framed snappy": func() error {
			block := append(binary.AppendUvarint(nil, 100<<20), "x\xff\xff"...)
			_, err := d.decompress(codecSnappy, append(append([]byte(xerial), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, byte(len(block))), block...), 128<<20)
			return err
		},
		"zstd": func() error { // a frame of one segment that says 100 MiB and holds 1 raw octet
			_, err := d.decompress(codecZstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0x40, 0x06, 0x09, 0, 0, 'x'}, 128<<20)
			return err
		},
		"header count": func() error {
			_, _, err := readSet(new(batchReader), batchOf(0, 1, raw(0, 0, -1, -1, math.MaxInt32, 0)))
			return err
		},
		"fetch": func() error {
			return readFetch([]byte{0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 't', 0x7f, 0xff, 0xff, 0xff}, 4, new(fetchResponse))
		},
		"produce": func() error {
			return readProduce([]byte{0x7f, 0xff, 0xff, 0xff, 0, 1, 't', 0x7f, 0xff, 0xff, 0xff}, 8, new(produceResponse))
		},
		"metadata": func() error {
			return readMetadata([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1}, 12, new(metadataResponse))
		},
	}
	for name, f := range hostile {
		if err := f(); err == nil { // and what is made once is made
			t.Errorf("%s: no error", name)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d octets are made room for", name, n)
		}
	}
}
