package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A batchWriter builds one batch of magic 2 after the other, in memory of its own
// that it keeps. The zero batchWriter is ready for begin. Not for concurrent use.
//
//	w.begin(producerID, epoch, sequence, codecNone)
//	w.beginRecord(timestamp, key, value)
//	w.addHeader("name", value)
//	w.endRecord()
//	batch, err := w.finish()
type batchWriter struct {
	buf     []byte // header and records, uncompressed
	packed  []byte // header and records, compressed
	deflate compressor

	compression    codec
	records        int
	firstTime      int64
	maxTime        int64
	record         int   // where the record added last begins in buf
	maxTimeBefore  int64 // maxTime without it
	atHeaders      int   // where its count of headers stands
	headers        int
	open, takeable bool
}

// begin forgets the batch before. A batch that belongs to no producer has
// noProducer three times.
func (w *batchWriter) begin(producerID int64, epoch int16, sequence int32, compression codec) {
	var head [batchHeaderSize]byte
	head[atMagic] = 2
	binary.BigEndian.PutUint32(head[atLeaderEpoch:], math.MaxUint32) // -1: the leader puts its own
	binary.BigEndian.PutUint64(head[atProducerID:], uint64(producerID))
	binary.BigEndian.PutUint16(head[atProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(head[atBaseSequence:], uint32(sequence))
	w.buf = append(w.buf[:0], head[:]...)
	w.compression, w.records = compression, 0
	w.open, w.takeable = false, false
}

// lengthRoom is what is kept for a record's length, which is known at its end:
// two octets do for records of 64 octets to 8 KiB.
const lengthRoom = 2

// beginRecord begins the next record. key and value are copied; nil is null. // I3
func (w *batchWriter) beginRecord(timestamp int64, key, value []byte) {
	if w.records == 0 {
		w.firstTime, w.maxTime = timestamp, timestamp
	}
	w.record, w.maxTimeBefore = len(w.buf), w.maxTime
	w.maxTime = max(w.maxTime, timestamp)
	b := append(w.buf, 0, 0, 0) // lengthRoom, attributes
	b = binary.AppendVarint(b, timestamp-w.firstTime)
	b = binary.AppendVarint(b, int64(w.records))
	b = appendField(b, key)
	b = appendField(b, value)
	w.atHeaders, w.headers = len(b), 0
	w.buf = append(b, 0)
	w.open, w.takeable = true, true
}

// addHeader adds a header to the record that is open. A nil value is null. // I3
func (w *batchWriter) addHeader(key string, value []byte) {
	w.buf = append(binary.AppendVarint(w.buf, int64(len(key))), key...)
	w.buf = appendField(w.buf, value)
	w.headers++
}

// addHeaderText is addHeader of a value that is text.
func (w *batchWriter) addHeaderText(key, value string) {
	w.buf = append(binary.AppendVarint(w.buf, int64(len(key))), key...)
	w.buf = append(binary.AppendVarint(w.buf, int64(len(value))), value...)
	w.headers++
}

// endRecord ends the record that is open.
func (w *batchWriter) endRecord() {
	if w.headers < 64 {
		w.buf[w.atHeaders] = byte(w.headers << 1)
	} else {
		w.widen(w.atHeaders, 1, int64(w.headers))
	}
	w.widen(w.record, lengthRoom, int64(len(w.buf)-w.record-lengthRoom))
	w.records++
	w.open = false
}

// widen writes v as a varint over the room octets at at, and moves what is behind
// them where v takes more or fewer.
func (w *batchWriter) widen(at, room int, v int64) {
	var tmp [binary.MaxVarintLen64]byte
	n := binary.PutVarint(tmp[:], v)
	if n != room {
		size := len(w.buf)
		w.buf = append(w.buf, tmp[:max(n-room, 0)]...)
		copy(w.buf[at+n:], w.buf[at+room:size])
		w.buf = w.buf[:size+n-room]
	}
	copy(w.buf[at:], tmp[:n])
}

// add adds a record whose headers are known.
func (w *batchWriter) add(timestamp int64, key, value []byte, headers []recordHeader) {
	w.beginRecord(timestamp, key, value)
	for i := range headers {
		w.buf = append(binary.AppendVarint(w.buf, int64(len(headers[i].key))), headers[i].key...)
		w.buf = appendField(w.buf, headers[i].value)
	}
	w.headers = len(headers)
	w.endRecord()
}

// takeBack takes the record that was begun last out of the batch, ended or not.
// It can be called once for each record.
func (w *batchWriter) takeBack() {
	if !w.takeable {
		return
	}
	w.buf, w.maxTime = w.buf[:w.record], w.maxTimeBefore
	if !w.open {
		w.records--
	}
	w.open, w.takeable = false, false
}

// size is how many octets the batch has so far, uncompressed.
func (w *batchWriter) size() int { return len(w.buf) }

// count is how many records the batch has.
func (w *batchWriter) count() int { return w.records }

// finish gives the whole batch, valid until begin or finish. It goes out
// uncompressed where compression does not make it smaller. An empty batch is an
// error, as brokers refuse it, and so is one of 2 GiB.
func (w *batchWriter) finish() ([]byte, error) {
	switch {
	case w.open:
		return nil, errors.New("record batch: a record is not ended")
	case w.records == 0:
		return nil, errors.New("record batch: no record")
	case len(w.buf) > math.MaxInt32:
		return nil, fmt.Errorf("record batch: %d octets; at most %d can be written", len(w.buf), math.MaxInt32)
	}
	batch, used := w.buf, codecNone
	if w.compression != codecNone {
		packed, err := w.deflate.compress(w.compression, append(w.packed[:0], w.buf[:batchHeaderSize]...), w.buf[batchHeaderSize:])
		if err != nil {
			return nil, fmt.Errorf("record batch: %s: %w", w.compression, err)
		}
		w.packed = packed
		if len(packed) < len(w.buf) {
			batch, used = packed, w.compression
		}
	}
	be := binary.BigEndian
	be.PutUint32(batch[atLength:], uint32(len(batch)-batchPrefix))
	be.PutUint16(batch[atAttributes:], uint16(used))
	be.PutUint32(batch[atLastOffsetDelta:], uint32(w.records-1))
	be.PutUint64(batch[atBaseTimestamp:], uint64(w.firstTime))
	be.PutUint64(batch[atMaxTimestamp:], uint64(w.maxTime))
	be.PutUint32(batch[atCount:], uint32(w.records))
	be.PutUint32(batch[atCRC:], crc32.Checksum(batch[atAttributes:], castagnoli))
	return batch, nil
}

// appendField appends a length and the octets; nil is null.
func appendField(dst, v []byte) []byte {
	if v == nil {
		return append(dst, 1) // -1
	}
	return append(binary.AppendVarint(dst, int64(len(v))), v...)
}
