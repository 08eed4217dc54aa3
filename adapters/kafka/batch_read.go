package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// defaultMaxDecoded is how many octets a batch may decompress to. Brokers take
// compressed batches of 1 MiB unless told otherwise.
const defaultMaxDecoded = 128 << 20

// A batchReader walks over the batches of a record set, as a fetch brings it, and
// over their records. The zero batchReader is ready for reset. Not for concurrent
// use.
type batchReader struct {
	// owned hands the records of each batch over: their slices are in memory that
	// is made for the batch, and stay. Otherwise they are in the record set or in
	// the reader's own memory, valid until the next batch. One allocation for each
	// batch, which any one slice of it keeps alive.
	owned bool
	// maxDecoded is how many octets a batch may decompress to; 0 is
	// defaultMaxDecoded.
	maxDecoded int

	set     []byte // what is left of the record set
	records []byte // the batch's, as they stand in the set
	header  batchHeader
	opened  bool   // block is that of this batch
	block   []byte // the records' own octets, from the next one on
	read    int    // records of the batch that have been read
	offset  int64  // of the record read last
	headers []recordHeader
	inflate decompressor
}

// reset begins a record set, which stays the caller's; no octet of it is changed.
func (r *batchReader) reset(set []byte) {
	r.set = set
	r.header, r.records, r.block, r.opened, r.read = batchHeader{}, nil, nil, true, 0
}

// left is how many octets of the set have not been read. After the last batch it
// is the size of one that the broker cut short.
func (r *batchReader) left() int { return len(r.set) }

// nextBatch goes to the next batch, wherever in the one before it the reader is,
// and checks its CRC. It gives false at the end of the set and at a batch that is
// cut short. After an error the set cannot be read on.
func (r *batchReader) nextBatch() (h batchHeader, ok bool, err error) {
	b := r.set
	if len(b) <= atMagic {
		return h, false, nil
	}
	base := int64(binary.BigEndian.Uint64(b))
	if magic := int8(b[atMagic]); magic != 2 {
		return h, false, fmt.Errorf("%w at offset %d: magic %d; only 2 is read, which all brokers since 0.11 can write: the topic's log.message.format or its oldest segments are older", errCorrupt, base, magic)
	}
	length := int32(binary.BigEndian.Uint32(b[atLength:]))
	if length < batchHeaderSize-batchPrefix {
		return h, false, fmt.Errorf("%w at offset %d: its length of %d octets has no room for its header", errCorrupt, base, length)
	}
	if int64(len(b))-batchPrefix < int64(length) {
		return h, false, nil
	}
	size := batchPrefix + int(length)
	if want, got := binary.BigEndian.Uint32(b[atCRC:]), crc32.Checksum(b[atAttributes:size], castagnoli); want != got {
		return h, false, fmt.Errorf("%w at offset %d: its CRC-32C is %08x, that of its octets %08x", errCorrupt, base, want, got)
	}
	if h, err = parseBatchHeader(b); err != nil {
		return h, false, err
	}
	r.set, r.records, r.header = b[size:], b[batchHeaderSize:size:size], h
	r.block, r.opened, r.read, r.offset = nil, false, 0, h.baseOffset-1
	return h, true, nil
}

// parseBatchHeader reads the header that b begins with and refuses one that
// cannot be.
func parseBatchHeader(b []byte) (batchHeader, error) {
	c := cursor{b: b[:batchHeaderSize]}
	h := batchHeader{baseOffset: c.int64()}
	c.take(atLeaderEpoch - atLength)
	h.leaderEpoch = c.int32()
	c.take(atAttributes - atMagic)
	h.attributes = c.int16()
	delta := c.int32()
	h.baseTimestamp, h.maxTimestamp = c.int64(), c.int64()
	h.producerID, h.producerEpoch, h.baseSequence = c.int64(), c.int16(), c.int32()
	h.count = int(c.int32())
	if h.baseOffset < 0 || delta < 0 || h.baseOffset > math.MaxInt64-int64(delta) {
		return h, fmt.Errorf("%w at offset %d: its last offset is %d more", errCorrupt, h.baseOffset, delta)
	}
	if h.count < 0 || int64(h.count) > int64(delta)+1 {
		return h, fmt.Errorf("%w at offset %d: %d records on %d offsets", errCorrupt, h.baseOffset, h.count, int64(delta)+1)
	}
	h.lastOffset = h.baseOffset + int64(delta)
	return h, nil
}

// open makes the batch's records readable. It is put off until one is asked for,
// as a batch that is skipped is not worth decompressing.
func (r *batchReader) open() error {
	r.opened = true
	block := r.records
	if c := r.header.compression(); c != codecNone && len(block) > 0 {
		limit := r.maxDecoded
		if limit == 0 {
			limit = defaultMaxDecoded
		}
		var err error
		if block, err = r.inflate.decompress(c, block, limit); err != nil {
			return fmt.Errorf("record batch at offset %d: %w", r.header.baseOffset, err)
		}
	}
	if r.owned {
		block = bytes.Clone(block)
	}
	r.block = block
	return nil
}

// next reads the batch's next record into rec, whose slices live as owned says,
// but for the headers. It gives false behind the last one. After an error only
// nextBatch may be called.
func (r *batchReader) next(rec *record) (ok bool, err error) {
	if !r.opened {
		if err := r.open(); err != nil {
			return false, err
		}
	}
	if r.read == r.header.count {
		if len(r.block) > 0 {
			return false, r.corrupt("%d octets behind its last record", len(r.block))
		}
		return false, nil
	}
	size, n := varint(r.block)
	if n == 0 || size < 0 || size > int64(len(r.block)-n) {
		return false, r.corrupt("record %d of %d is longer than what is there", r.read, r.header.count)
	}
	body := r.block[n : n+int(size)]
	r.block = r.block[n+int(size):]
	if !r.parseRecord(body, rec) {
		return false, r.corrupt("record %d of %d is not as its length says", r.read, r.header.count)
	}
	if rec.offset <= r.offset || rec.offset > r.header.lastOffset {
		return false, r.corrupt("record %d of %d has offset %d, behind %d and up to %d", r.read, r.header.count, rec.offset, r.offset, r.header.lastOffset)
	}
	r.offset = rec.offset
	r.read++
	return true, nil
}

// marker reads what a control batch marks. It is controlOther for other batches,
// and for one that compaction has emptied.
func (r *batchReader) marker() (controlKind, error) {
	if !r.header.control() {
		return controlOther, nil
	}
	var rec record
	ok, err := r.next(&rec)
	if !ok {
		return controlOther, err
	}
	t, ok := controlType(rec.key)
	if !ok {
		return controlOther, r.corrupt("its marker has a key of %d octets", len(rec.key))
	}
	return t, nil
}

func (r *batchReader) corrupt(format string, args ...any) error {
	r.block, r.read = nil, r.header.count
	return fmt.Errorf("%w at offset %d: %s", errCorrupt, r.header.baseOffset, fmt.Sprintf(format, args...))
}

// parseRecord reads one record's octets, all of them.
func (r *batchReader) parseRecord(b []byte, rec *record) bool {
	if len(b) == 0 {
		return false
	}
	b = b[1:] // attributes, of which there are none yet
	timestamp, n := varint(b)
	offset, m := varint(b[n:])
	if n == 0 || m == 0 || offset < 0 || offset > math.MaxInt32 {
		return false
	}
	rec.offset = r.header.baseOffset + offset
	rec.timestamp = r.header.baseTimestamp + timestamp
	if r.header.logAppendTime() {
		rec.timestamp = r.header.maxTimestamp
	}
	var ok bool
	if rec.key, b, ok = field(b[n+m:]); !ok {
		return false
	}
	if rec.value, b, ok = field(b); !ok {
		return false
	}
	count, n := varint(b)
	if n == 0 || count < 0 || count > int64(len(b)-n)/2 {
		return false
	}
	b = b[n:]
	hs := r.headers[:0]
	for range count {
		var h recordHeader
		if h.key, b, ok = field(b); !ok || h.key == nil { // a header's name is never null
			return false
		}
		if h.value, b, ok = field(b); !ok {
			return false
		}
		hs = append(hs, h)
	}
	r.headers, rec.headers = hs, hs
	return len(b) == 0
}

// field reads a length and that many octets. Any negative length is null, as
// Kafka's own readers have it.
func field(b []byte) (v, rest []byte, ok bool) {
	size, n := varint(b)
	if n == 0 || size > int64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	if size < 0 {
		return nil, b, true
	}
	return b[:size:size], b[size:], true
}

// varint reads a zigzag varint and the number of its octets, which is 0 where
// there is none.
func varint(b []byte) (int64, int) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	case len(b) > 1 && b[1] < 0x80:
		return int64(b[1])<<6 | int64(b[0]&0x7f>>1) ^ -int64(b[0]&1), 2
	}
	v, n := binary.Varint(b)
	return v, max(n, 0)
}
