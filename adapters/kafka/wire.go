package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

// errFrame says that octets are not what the protocol has in their place.
var errFrame = errors.New("not as the Kafka protocol has it")

// A cursor reads the protocol's primitive types off the front of b. Once
// something is not there it is bad, and everything that it reads is zero. What it
// gives aliases b.
type cursor struct {
	b        []byte
	flexible bool // compact lengths and tagged fields (KIP-482)
	bad      bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.bad = nil, true
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) int8() int8 {
	if v := c.take(1); v != nil {
		return int8(v[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if v := c.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if v := c.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if v := c.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.take(-1)
		return 0
	}
	c.b = c.b[n:]
	return v
}

// length is a compact length, or the plain one given by plain; -1 is null.
func (c *cursor) length(plain func() int) int {
	if !c.flexible {
		return plain()
	}
	n := c.uvarint()
	if n > uint64(len(c.b))+1 {
		c.take(-1)
		return 0
	}
	return int(n) - 1
}

func (c *cursor) plain16() int { return int(c.int16()) }
func (c *cursor) plain32() int { return int(c.int32()) }

// text is a string, nullable or not; nil is null.
func (c *cursor) text() []byte { return c.octets(c.length(c.plain16)) }

// name is a string that is never null.
func (c *cursor) name() []byte {
	v := c.text()
	if v == nil {
		c.take(-1)
	}
	return v
}

// bytes is the type BYTES, RECORDS included; nil is null.
func (c *cursor) bytes() []byte { return c.octets(c.length(c.plain32)) }

func (c *cursor) octets(n int) []byte {
	if n == -1 {
		return nil
	}
	return c.take(n)
}

// count is an array's number of entries, each of which takes at least least
// octets, so that a made-up count is refused before anything is done for it. A
// null array has none, whether or not it may be null.
func (c *cursor) count(least int) int {
	n := c.length(c.plain32)
	if n < -1 || n > len(c.b)/least {
		c.take(-1)
		return 0
	}
	return max(n, 0)
}

// int32s is an array of numbers.
func (c *cursor) int32s() []int32 {
	n := c.count(4)
	if n == 0 {
		return nil
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = c.int32()
	}
	return v
}

// tags skips the tagged fields at the end of a structure.
func (c *cursor) tags() {
	if !c.flexible {
		return
	}
	for n := c.uvarint(); n > 0 && !c.bad; n-- {
		c.uvarint()
		size := c.uvarint()
		c.take(int(min(size, uint64(len(c.b))+1)))
	}
}

// end says what is wrong with a body that has been read, if anything is.
func (c *cursor) end(what string, version int16) error {
	switch {
	case c.bad:
		return fmt.Errorf("%s v%d: the response is cut short or %w", what, version, errFrame)
	case len(c.b) > 0:
		return fmt.Errorf("%s v%d: %d octets behind the response: %w", what, version, len(c.b), errFrame)
	}
	return nil
}

// same gives old where it is b's text already, so that names that come with every
// response are made once.
func same(old string, b []byte) string {
	if string(b) == old {
		return old
	}
	return string(b)
}

// grown gives s one entry more: the one that was there before it was emptied,
// where it has room, so that what that holds is used again.
func grown[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// appendText appends a string of at most 32,767 octets, which is more than any
// name may have.
func appendText(dst []byte, s string, flexible bool) []byte {
	if flexible {
		return append(binary.AppendUvarint(dst, uint64(len(s))+1), s...)
	}
	return append(appendInt16(dst, int16(len(s))), s...)
}

// appendCount appends an array's number of entries; -1 is null.
func appendCount(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(dst, uint64(n+1))
	}
	return appendInt32(dst, int32(n))
}

// appendNoTags ends a structure that has no tagged fields.
func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendHeader appends a request's header, version 1, or version 2 where the
// request's own version is flexible. The size in front of it is the caller's.
func appendHeader(dst []byte, apiKey protocol.ApiKey, version int16, correlationID int32, clientID string, flexible bool) []byte {
	dst = appendInt16(dst, int16(apiKey))
	dst = appendInt16(dst, version)
	dst = appendInt32(dst, correlationID)
	dst = appendText(dst, clientID, false) // not compact in version 2 either
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}
