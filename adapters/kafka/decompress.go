package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func (d *decompressor) gunzip(src []byte, limit int) ([]byte, error) {
	if d.gzip == nil {
		d.gzip = new(gzip.Reader)
	}
	d.in.Reset(src)
	if err := d.gzip.Reset(&d.in); err != nil {
		return nil, err
	}
	return d.stream(d.gzip, limit)
}

func (d *decompressor) unlz4(src []byte, limit int) ([]byte, error) {
	if d.lz4 == nil {
		d.lz4 = lz4.NewReader(nil)
	}
	d.in.Reset(src)
	d.lz4.Reset(&d.in)
	out, err := d.stream(d.lz4, limit)
	if err != nil {
		d.lz4 = nil // it holds on to blocks that it has not finished
	}
	return out, err
}

// stream reads all of from, up to limit octets.
func (d *decompressor) stream(from io.Reader, limit int) ([]byte, error) {
	out := d.buf[:0]
	for {
		if len(out) == cap(out) {
			out = append(out, make([]byte, max(len(out), 4096))...)[:len(out)]
		}
		n, err := from.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, errDecodedSize
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}

// unzstd relies on the decoder to make no more room than the frames' blocks can
// fill, whatever size they give themselves.
func (d *decompressor) unzstd(src []byte, limit int) ([]byte, error) {
	if d.zstd == nil || d.max != limit {
		var err error
		if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit))); err != nil {
			return nil, err
		}
		d.max = limit
	}
	out, err := d.zstd.DecodeAll(src, d.buf[:0])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, errDecodedSize
	}
	return out, err
}

// xerial begins what snappy-java's SnappyOutputStream writes, and with it every
// Java producer: two version numbers follow, then blocks with their sizes.
const xerial = "\x82SNAPPY\x00"

const xerialHeader = len(xerial) + 8

// unsnappy reads both one raw block, as librdkafka and franz-go write it, and
// xerial's framing.
func (d *decompressor) unsnappy(src []byte, limit int) (out []byte, err error) {
	out = d.buf[:0]
	if len(src) < xerialHeader || string(src[:len(xerial)]) != xerial {
		return snappyBlock(out, src, limit)
	}
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, fmt.Errorf("%d octets behind the last block", len(src))
		}
		size := binary.BigEndian.Uint32(src)
		if src = src[4:]; uint64(size) > uint64(len(src)) {
			return nil, fmt.Errorf("a block of %d octets, of which %d are there", size, len(src))
		}
		if out, err = snappyBlock(out, src[:size], limit); err != nil {
			return nil, err
		}
		src = src[size:]
	}
	return out, nil
}

// snappyRatio is more than what a snappy block can decompress to: its elements of
// three octets stand for 64.
const snappyRatio = 24

// snappyBlock appends src decompressed to dst, which has at most limit octets
// afterwards.
func snappyBlock(dst, src []byte, limit int) ([]byte, error) {
	size, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return nil, err
	case size > limit-len(dst):
		return nil, errDecodedSize
	case size > snappyRatio*len(src):
		return nil, fmt.Errorf("a block of %d octets cannot hold %d", len(src), size)
	}
	if need := len(dst) + size; need > cap(dst) {
		dst = append(dst, make([]byte, size)...)[:len(dst)]
	}
	if _, err := s2.Decode(dst[len(dst):len(dst)+size], src); err != nil {
		return nil, err
	}
	return dst[:len(dst)+size], nil
}
