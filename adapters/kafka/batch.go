package kafka

import (
	"errors"
	"hash/crc32"
)

// The record batch of magic 2 (Kafka protocol, "Record Batch"; KIP-98): what
// stands where, in octets from its beginning.
const (
	atBaseOffset      = 0
	atLength          = 8 // of what follows it
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17 // CRC-32C of what follows it
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57
	batchHeaderSize   = 61
	// batchPrefix is what Length does not count.
	batchPrefix = 12
)

// noProducer is the producer ID, epoch and sequence of a batch that has none.
const noProducer = -1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errCorrupt says that a record set is not what the broker was given, or that it
// should not have been taken.
var errCorrupt = errors.New("corrupt record batch")

// errDecodedSize says that a batch decompresses to more than the reader allows.
var errDecodedSize = errors.New("record batch decompresses to more than is allowed")

// A record is one record as it stands in a batch. nil is null, and an empty slice
// is empty. // I3
type record struct {
	offset int64 // absolute
	// timestamp is in milliseconds since 1970: the append time where the batch
	// says so.
	timestamp  int64
	key, value []byte
	headers    []recordHeader // in order, with repeats; valid until the next record is read
}

// A recordHeader is one header of a record. A nil value is null.
type recordHeader struct{ key, value []byte }

// A batchHeader is what stands before a batch's records.
type batchHeader struct {
	baseOffset int64
	// lastOffset is the last one that the batch stands for, also where compaction
	// has taken the records at its end, or all of them.
	lastOffset  int64
	leaderEpoch int32
	attributes  int16
	// baseTimestamp is what the records' timestamps count from. It is the first
	// one's, but where compaction has put the delete horizon in its place (KIP-534).
	baseTimestamp, maxTimestamp int64
	producerID                  int64 // noProducer where there is none
	producerEpoch               int16
	baseSequence                int32
	count                       int
}

func (h *batchHeader) compression() codec { return codec(h.attributes & 7) }

// logAppendTime says that the broker stamped the batch with maxTimestamp.
func (h *batchHeader) logAppendTime() bool { return h.attributes&(1<<3) != 0 }

func (h *batchHeader) transactional() bool { return h.attributes&(1<<4) != 0 }

// control says that the batch holds markers of the broker's, and nothing that
// anybody produced.
func (h *batchHeader) control() bool { return h.attributes&(1<<5) != 0 }

// A controlKind is what a control record marks.
type controlKind int16

// The markers that end a transaction, and what stands for every other one, none
// of which has any bearing on what is read.
const (
	controlAbort  controlKind = 0
	controlCommit controlKind = 1
	controlOther  controlKind = -1
)

// controlType reads the key of a control batch's record (ControlRecordType): ok is
// false where it is none.
func controlType(key []byte) (t controlKind, ok bool) {
	c := cursor{b: key}
	version := c.int16()
	t = controlKind(c.int16())
	if c.bad || version < 0 {
		return controlOther, false
	}
	if t != controlAbort && t != controlCommit {
		t = controlOther
	}
	return t, true
}
