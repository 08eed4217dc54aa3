package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A conn is one connection with one broker, and one epoch: after the first error of
// the connection it is of no use any more. Its methods are safe for concurrent
// use; one request is under way at a time, the others wait.
type conn struct {
	system   *system
	broker   string // HOST:PORT
	raw      net.Conn
	reader   *bufio.Reader
	versions map[protocol.ApiKey]versions // what the broker has

	turn chan struct{} // holds one while nobody asks
	id   int32         // of the latest request; whoever has the turn uses it
	out  []byte        // likewise
	dead error         // likewise
	gone atomic.Bool   // dead, or closed
}

// versions are those of one API that a broker has.
type versions struct{ min, max int16 }

// maxResponse bounds an answer, so that what is no Kafka broker cannot make this
// process ask for all memory.
const maxResponse = 256 << 20

// errBroken is what a request on a connection answers that has ended.
var errBroken = errors.New("the connection has ended")

func newConn(s *system, broker string, raw net.Conn) *conn {
	c := &conn{system: s, broker: broker, raw: raw, reader: bufio.NewReaderSize(raw, 64<<10), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// close ends the connection at once, whatever is under way. Idempotent.
func (c *conn) close() {
	c.gone.Store(true)
	_ = c.raw.Close()
	c.system.closed(c)
}

// ended says that the connection is of no use any more.
func (c *conn) ended() bool { return c.gone.Load() }

// version gives the newest version of an API that we and the broker have.
func (c *conn) version(key protocol.ApiKey, least, most int16) (int16, error) {
	has, ok := c.versions[key]
	if !ok || has.min > most || has.max < least {
		return 0, bridge.Fatal(fmt.Errorf("%s: %s: broker %s has no version of %s that Crossfade has (%d to %d; it has %d to %d)", Kind, c.system.name, c.broker, key, least, most, has.min, has.max),
			"Crossfade speaks with Apache Kafka 2.1 to 4.x and what behaves like it.")
	}
	return min(most, has.max), nil
}

// ask sends a request of package protocol and waits for its answer, for as long as
// request_timeout beyond what the broker is allowed to wait. The answer's error codes are the
// caller's to read.
func (c *conn) ask(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	return c.askFor(ctx, 0, req)
}

// askFor is ask for requests at which the broker may wait for so long.
func (c *conn) askFor(ctx context.Context, wait time.Duration, req protocol.Message) (res protocol.Message, err error) {
	key := req.ApiKey()
	version, err := c.version(key, key.MinVersion(), key.MaxVersion())
	if err != nil {
		return nil, err
	}
	err = c.alone(ctx, wait, key.String(), func() error {
		c.id++
		res, err = protocol.RoundTrip(struct {
			io.Reader
			io.Writer
		}{c.reader, c.raw}, version, c.id, c.system.config.ClientID, req)
		return err
	})
	return res, err
}

// A frame is a request whose octets are our own.
type frame struct {
	key      protocol.ApiKey
	version  int16
	flexible bool          // its headers have tags: KIP-482
	wait     time.Duration // how long the broker may wait before it answers
	body     func(dst []byte) []byte
}

// exchange sends a frame and gives the octets of the answer's body, in memory of
// the caller: into, where that is large enough.
func (c *conn) exchange(ctx context.Context, f *frame, into []byte) (body []byte, err error) {
	err = c.alone(ctx, f.wait, f.key.String(), func() error {
		c.id++
		c.out = append(c.out[:0], 0, 0, 0, 0)
		c.out = appendHeader(c.out, f.key, f.version, c.id, c.system.config.ClientID, f.flexible)
		c.out = f.body(c.out)
		binary.BigEndian.PutUint32(c.out, uint32(len(c.out)-4))
		if _, err := c.raw.Write(c.out); err != nil {
			return err
		}
		if cap(c.out) > 4<<20 {
			c.out = nil
		}
		body, err = c.answer(f, into)
		return err
	})
	return body, err
}

// answer reads one answer.
func (c *conn) answer(f *frame, into []byte) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return nil, err
	}
	size, id := binary.BigEndian.Uint32(head[:]), int32(binary.BigEndian.Uint32(head[4:]))
	switch {
	case size < 4 || size > maxResponse:
		return nil, fmt.Errorf("an answer of %d octets is none of a Kafka broker", size)
	case id != c.id:
		return nil, fmt.Errorf("an answer to request %d, want %d", id, c.id)
	}
	n := int(size) - 4
	if cap(into) < n {
		into = make([]byte, n)
	}
	into = into[:n]
	if _, err := io.ReadFull(c.reader, into); err != nil {
		return nil, err
	}
	if f.flexible {
		return skipTags(into)
	}
	return into, nil
}

// alone makes one exchange at a time, within ctx and the time that the broker has.
// An exchange that did not come to its end breaks the connection.
func (c *conn) alone(ctx context.Context, wait time.Duration, what string, exchange func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { c.turn <- struct{}{} }()
	if c.dead != nil {
		return c.failed(what, c.dead)
	}
	if err := c.raw.SetDeadline(time.Now().Add(wait + c.system.config.RequestTimeout)); err != nil {
		c.dead = errBroken
		return c.failed(what, err)
	}
	stop := context.AfterFunc(ctx, c.close)
	err := exchange()
	if !stop() && ctx.Err() != nil {
		c.dead = errBroken
		return context.Cause(ctx)
	}
	if err != nil {
		c.close()
		c.dead = errBroken
		return c.failed(what, err)
	}
	return nil
}

// failed says where a request failed. A connection that ends is transient.
func (c *conn) failed(what string, err error) error {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return fmt.Errorf("%s: %s: broker %s did not answer within %s (%s): %w", Kind, c.system.name, c.broker, c.system.config.RequestTimeout, what, err)
	}
	return fmt.Errorf("%s: %s: broker %s: %s: %w", Kind, c.system.name, c.broker, what, err)
}

// skipTags passes over the tagged fields of an answer's header: KIP-482.
func skipTags(body []byte) ([]byte, error) {
	c := cursor{b: body, flexible: true}
	c.tags()
	if c.bad {
		return nil, errors.New("the answer's header cannot be read")
	}
	return c.b, nil
}
