package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// benchBatch is a batch of n records, as Kafka's own structures have it.
func benchBatch(n int) (set []byte, rests [][]byte) {
	var b batch
	for i := range n {
		r := kmsg.Record{Key: []byte{'k', byte(i)}, Value: bytes.Repeat([]byte{byte(i)}, i), Headers: []kmsg.Header{{Key: idHeader, Value: []byte("x")}}}
		rest := r.AppendTo(nil)[4:] // length, attributes and two deltas have one octet each
		rests = append(rests, rest)
		b.add(1_700_000_000_000-int64(3*i), rest)
	}
	return b.finish(7, 2, 40), rests
}

// What the codec loop writes is what another codec reads, and it reads that itself.
func TestCodecOfTheLoop(t *testing.T) {
	const n = 200
	set, rests := benchBatch(n)
	var as kmsg.RecordBatch
	if err := as.ReadFrom(set); err != nil {
		t.Fatal(err)
	}
	if as.ProducerID != 7 || as.ProducerEpoch != 2 || as.FirstSequence != 40 || as.NumRecords != n || as.LastOffsetDelta != n-1 ||
		as.FirstTimestamp != 1_700_000_000_000 || as.MaxTimestamp != as.FirstTimestamp || int(as.Length) != len(set)-12 {
		t.Errorf("the batch's header is %+v", as)
	}
	at := as.Records
	for i := range n {
		size, k := binary.Varint(at)
		var r kmsg.Record
		if err := r.ReadFrom(at[:k+int(size)]); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		at = at[k+int(size):]
		if r.TimestampDelta64 != int64(-3*i) || int(r.OffsetDelta) != i || len(r.Value) != i || len(r.Headers) != 1 || string(r.Headers[0].Value) != "x" {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	i := 0
	err := eachRecord(append(set, set[:100]...), func(time int64, key, rest []byte) error {
		if time != 1_700_000_000_000-int64(3*i) || !bytes.Equal(key, []byte{'k', byte(i)}) || !bytes.Equal(rest, rests[i]) {
			t.Errorf("record %d at %d has the key %q and %q", i, time, key, rest)
		}
		i++
		return nil
	})
	if err != nil || i != n {
		t.Errorf("%d records are read, %v", i, err)
	}
	if end := behind(set); end != n {
		t.Errorf("the batch ends in front of %d, want %d", end, n)
	}
}

func TestCodecOfTheLoopFindsWhatIsWrong(t *testing.T) {
	for at := atMagic; at < 200; at++ {
		set, _ := benchBatch(20)
		if at >= atMagic+1 && at < atAttributes {
			continue // the sum itself
		}
		set[at] ^= 1
		if err := eachRecord(set, func(int64, []byte, []byte) error { return nil }); !errors.Is(err, errBatch) {
			t.Errorf("octet %d altered: %v", at, err)
		}
	}
}
