package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A wire is a connection with a broker, for one request after the other.
type wire struct {
	conn   net.Conn
	reader *bufio.Reader
	format *kmsg.RequestFormatter
	out    []byte
}

func dialKafka(ctx context.Context, address string) (*wire, error) {
	seed, err := seedOf(address)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", seed)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("loop"))}, nil
}

func (k *wire) close() { _ = k.conn.Close() }

// ask sends a request of a version that has no tags, and reads the answer, which has
// memory of its own.
func (k *wire) ask(req kmsg.Request, res kmsg.Response) error {
	if err := k.conn.SetDeadline(time.Now().Add(quietFor)); err != nil {
		return err
	}
	k.out = k.format.AppendRequest(k.out[:0], req, 1)
	if _, err := k.conn.Write(k.out); err != nil {
		return err
	}
	var head [8]byte // length, correlation ID
	if _, err := io.ReadFull(k.reader, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(k.reader, body); err != nil {
		return err
	}
	res.SetVersion(req.GetVersion())
	return res.ReadFrom(body)
}

// coordinates waits until the broker coordinates the group, for which a new one makes a
// topic first.
func coordinates(ctx context.Context, k *wire, group string) error {
	for {
		req, res := kmsg.NewPtrFindCoordinatorRequest(), kmsg.NewPtrFindCoordinatorResponse()
		req.Version, req.CoordinatorKey = 2, group
		if err := k.ask(req, res); err != nil {
			return err
		}
		err := kerr.ErrorForCode(res.ErrorCode)
		if !errors.Is(err, kerr.CoordinatorNotAvailable) {
			return err
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// Where things stand in a record batch of magic 2, in octets from its beginning.
const (
	atLength        = 8
	atMagic         = 16
	atCRC           = 17
	atAttributes    = 21
	atLastDelta     = 23
	atFirstTime     = 27
	atMaxTime       = 35
	atProducer      = 43
	atCount         = 57
	batchHeaderSize = 61
	// batchSize is about how large the loop makes its own, as Crossfade does.
	batchSize = 512 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBatch = errors.New("a record batch that cannot be read")

// wholeBatch gives the first batch of a record set and what follows it; nothing at its
// end, and where the broker has cut it short.
func wholeBatch(set []byte) (batch, following []byte) {
	if len(set) < batchHeaderSize {
		return nil, nil
	}
	size := int64(binary.BigEndian.Uint32(set[atLength:])) + atLength + 4
	if size < batchHeaderSize || size > int64(len(set)) {
		return nil, nil
	}
	return set[:size], set[size:]
}

// behind gives the offset behind a record set; 0 where nothing is in it.
func behind(set []byte) (end int64) {
	for b, following := wholeBatch(set); b != nil; b, following = wholeBatch(following) {
		end = int64(binary.BigEndian.Uint64(b)) + int64(binary.BigEndian.Uint32(b[atLastDelta:])) + 1
	}
	return end
}

// eachRecord calls f with every record of a set: its timestamp, its key, and all of it
// that does not depend on the batch, which are the key, the value and the headers.
func eachRecord(set []byte, f func(time int64, key, rest []byte) error) error {
	for b, following := wholeBatch(set); b != nil; b, following = wholeBatch(following) {
		if b[atMagic] != 2 || b[atAttributes+1]&7 != 0 || binary.BigEndian.Uint32(b[atCRC:]) != crc32.Checksum(b[atAttributes:], castagnoli) {
			return fmt.Errorf("%w: it is compressed, altered or of an old kind", errBatch)
		}
		first, at := int64(binary.BigEndian.Uint64(b[atFirstTime:])), b[batchHeaderSize:]
		for range binary.BigEndian.Uint32(b[atCount:]) {
			size, n := binary.Varint(at)
			if n <= 0 || size < 4 || size > int64(len(at)-n) {
				return errBatch
			}
			r := at[n+1 : n+int(size)] // without its attributes
			at = at[n+int(size):]
			time, n := binary.Varint(r)
			_, m := binary.Varint(r[max(n, 0):]) // offset
			if n <= 0 || m <= 0 {
				return errBatch
			}
			rest := r[n+m:]
			length, n := binary.Varint(rest)
			if n <= 0 || length > int64(len(rest)-n) {
				return errBatch
			}
			if err := f(first+time, rest[n:n+int(max(length, 0))], rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// A batch is being built. Its memory is used again.
type batch struct {
	octets         []byte
	records        int
	first, maxTime int64
}

func (b *batch) add(time int64, rest []byte) {
	if b.records == 0 {
		b.octets = append(b.octets[:0], make([]byte, batchHeaderSize)...)
		b.first, b.maxTime = time, time
	}
	b.maxTime = max(b.maxTime, time)
	var head [2 * binary.MaxVarintLen64]byte
	n := 1 // attributes
	n += binary.PutVarint(head[n:], time-b.first)
	n += binary.PutVarint(head[n:], int64(b.records))
	b.octets = binary.AppendVarint(b.octets, int64(n+len(rest)))
	b.octets = append(append(b.octets, head[:n]...), rest...)
	b.records++
}

// finish gives the batch as a producer's, from that sequence on.
func (b *batch) finish(id int64, epoch int16, sequence int32) []byte {
	o, be := b.octets, binary.BigEndian
	be.PutUint32(o[atLength:], uint32(len(o)-atLength-4))
	o[atMagic] = 2
	be.PutUint32(o[atLastDelta:], uint32(b.records-1))
	be.PutUint64(o[atFirstTime:], uint64(b.first))
	be.PutUint64(o[atMaxTime:], uint64(b.maxTime))
	be.PutUint64(o[atProducer:], uint64(id))
	be.PutUint16(o[atProducer+8:], uint16(epoch))
	be.PutUint32(o[atProducer+10:], uint32(sequence))
	be.PutUint32(o[atCount:], uint32(b.records))
	be.PutUint32(o[atCRC:], crc32.Checksum(o[atAttributes:], castagnoli))
	return o
}
