package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// A codec is how a batch's records are compressed, by its number in the batch's
// attributes.
type codec int8

// The codecs of the protocol.
const (
	codecNone codec = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd // from Produce v7 and Fetch v10 on (KIP-110)
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the codec's name in Kafka's configuration.
func (c codec) String() string {
	if c >= 0 && int(c) < len(codecNames) {
		return codecNames[c]
	}
	return fmt.Sprintf("codec %d", int8(c))
}

// codecOfName is the inverse of String.
func codecOfName(name string) (codec, bool) {
	for i, n := range codecNames {
		if n == name {
			return codec(i), true
		}
	}
	return codecNone, false
}

// A compressor keeps what the codecs need from batch to batch; it makes that of
// the first batch that needs it. Not for concurrent use.
type compressor struct {
	out  appender
	gzip *gzip.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
}

// An appender is a writer to memory.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// compress appends src to dst, compressed. Snappy is one raw block, which Java's
// reader takes as well as the framing that its writer makes.
func (c *compressor) compress(by codec, dst, src []byte) ([]byte, error) {
	switch by {
	case codecGzip:
		if c.gzip == nil {
			c.gzip = gzip.NewWriter(nil)
		}
		return c.stream(c.gzip, dst, src)
	case codecLZ4:
		if c.lz4 == nil {
			c.lz4 = lz4.NewWriter(nil)
			// As Java writes it: blocks of 64 KiB, no checksum of the content.
			if err := c.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
				return nil, err
			}
		}
		return c.stream(c.lz4, dst, src)
	case codecSnappy:
		if need := s2.MaxEncodedLen(len(src)); need < 0 {
			return nil, fmt.Errorf("%d octets are too many", len(src))
		} else if need > cap(dst)-len(dst) {
			dst = append(make([]byte, 0, len(dst)+need), dst...)
		}
		return dst[:len(dst)+len(s2.EncodeSnappy(dst[len(dst):cap(dst)], src))], nil
	case codecZstd:
		if c.zstd == nil {
			var err error
			if c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)); err != nil {
				return nil, err
			}
		}
		return c.zstd.EncodeAll(src, dst), nil
	default:
		return nil, fmt.Errorf("%s cannot be written", by)
	}
}

func (c *compressor) stream(to interface {
	io.WriteCloser
	Reset(io.Writer)
}, dst, src []byte) ([]byte, error) {
	c.out.b = dst
	to.Reset(&c.out)
	_, err := to.Write(src)
	if err == nil {
		err = to.Close()
	}
	dst, c.out.b = c.out.b, nil
	return dst, err
}

// A decompressor keeps what the codecs need from batch to batch, the memory that
// they decompress into included. Not for concurrent use.
type decompressor struct {
	in   bytes.Reader
	buf  []byte
	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
	max  int // what zstd lets through
}

// decompress gives src decompressed, in memory of its own that is valid until the
// next call, and that grows with what src really holds. More than limit octets
// are errDecodedSize, anything that the codec does not understand errCorrupt.
func (d *decompressor) decompress(by codec, src []byte, limit int) (out []byte, err error) {
	switch by {
	case codecGzip:
		out, err = d.gunzip(src, limit)
	case codecSnappy:
		out, err = d.unsnappy(src, limit)
	case codecLZ4:
		out, err = d.unlz4(src, limit)
	case codecZstd:
		out, err = d.unzstd(src, limit)
	default:
		return nil, fmt.Errorf("%w: it is compressed by %s, which this version does not know", errCorrupt, by)
	}
	switch {
	case err == nil:
		d.buf = out[:0]
		return out, nil
	case errors.Is(err, errDecodedSize):
		return nil, fmt.Errorf("%w: %d octets (%s)", errDecodedSize, limit, by)
	}
	return nil, fmt.Errorf("%w: %s: %w", errCorrupt, by, err)
}
