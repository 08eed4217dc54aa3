package rabbitmq

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The parts of AMQP 0-9-1 framing that messages use (specification, sections
// 2.3.5 and 4.2). Everything else on a connection is the client library's.
const (
	frameMethod = 1
	frameHeader = 2
	frameBody   = 3
	frameEnd    = 0xCE

	frameMax      = 131072 // what the bridge proposes and RabbitMQ's default; agreed on is this or less
	frameOverhead = 8      // type, channel, size, end
	headerPrefix  = 12     // class, weight, body size

	classChannel = 20
	classBasic   = 60

	channelOpen  = 10
	basicPublish = 40
	basicReturn  = 50
	basicDeliver = 60
	basicAck     = 80
	basicNack    = 120
)

var errFrame = errors.New("malformed frame")

// A delivery is a message as it lies in the octets of a connection: the slices
// point into what was read and are never written again.
type delivery struct {
	tag         uint64
	redelivered bool
	exchange    []byte
	key         []byte
	props       []byte // property flags, then the property list
	body        []byte // never nil
	code        uint16 // of a returned message, else 0
	text        string // of a returned message
}

// A cursor reads the fixed parts of a method's arguments. After a short read
// it is bad and gives zeroes.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || len(c.b) < n {
		c.bad = true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) octet() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) short() uint16 {
	if p := c.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) long() uint32 {
	if p := c.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) longlong() uint64 {
	if p := c.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (c *cursor) shortstr() []byte { return c.take(int(c.octet())) }

func (c *cursor) longstr() []byte {
	n := c.long()
	if uint64(n) > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

// parseDeliver reads the arguments of basic.deliver.
func parseDeliver(args []byte) (delivery, error) {
	c := cursor{b: args}
	c.shortstr() // consumer tag
	d := delivery{tag: c.longlong()}
	d.redelivered = c.octet()&1 != 0
	d.exchange, d.key = c.shortstr(), c.shortstr()
	if c.bad {
		return d, fmt.Errorf("basic.deliver: %w", errFrame)
	}
	return d, nil
}

// parseReturn reads the arguments of basic.return.
func parseReturn(args []byte) (delivery, error) {
	c := cursor{b: args}
	d := delivery{code: c.short()}
	d.text = string(c.shortstr())
	d.exchange, d.key = c.shortstr(), c.shortstr()
	if c.bad {
		return d, fmt.Errorf("basic.return: %w", errFrame)
	}
	return d, nil
}

// beginFrame appends a frame's head, whose size endFrame fills in.
func beginFrame(dst []byte, kind byte, channel uint16) ([]byte, int) {
	dst = append(dst, kind, byte(channel>>8), byte(channel), 0, 0, 0, 0)
	return dst, len(dst)
}

// endFrame closes the frame whose payload began at from.
func endFrame(dst []byte, from int) []byte {
	binary.BigEndian.PutUint32(dst[from-4:], uint32(len(dst)-from))
	return append(dst, frameEnd)
}

func appendShortstr[T string | []byte](dst []byte, s T) []byte {
	return append(append(dst, byte(len(s))), s...)
}

// appendPublishMethod appends the method frame of a mandatory basic.publish.
// Exchange and key have at most 255 octets.
func appendPublishMethod(dst []byte, channel uint16, exchange string, key []byte) []byte {
	dst, from := beginFrame(dst, frameMethod, channel)
	dst = append(dst, 0, classBasic, 0, basicPublish, 0, 0)
	dst = appendShortstr(dst, exchange)
	dst = appendShortstr(dst, key)
	dst = append(dst, 1) // mandatory
	return endFrame(dst, from)
}

// appendBody appends body in frames of at most frameMax octets. An empty body
// has no frame.
func appendBody(dst []byte, channel uint16, body []byte, frameMax int) []byte {
	room := frameMax - frameOverhead
	for len(body) > 0 {
		part := body[:min(room, len(body))]
		body = body[len(part):]
		var from int
		dst, from = beginFrame(dst, frameBody, channel)
		dst = append(dst, part...)
		dst = endFrame(dst, from)
	}
	return dst
}

// appendAck appends basic.ack.
func appendAck(dst []byte, channel uint16, tag uint64, multiple bool) []byte {
	dst, from := beginFrame(dst, frameMethod, channel)
	dst = append(dst, 0, classBasic, 0, basicAck)
	dst = binary.BigEndian.AppendUint64(dst, tag)
	if multiple {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return endFrame(dst, from)
}
