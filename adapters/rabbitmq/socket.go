package rabbitmq

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A socket lies between the client library and the network, and knows where
// frames begin and end. What the broker says about messages goes to ports and
// never through the library, what the bridge writes about messages goes out
// between the library's frames, and all of it leaves in as few writes as the
// network allows. The library keeps what it is good at: handshakes, heartbeats,
// channels, topology, errors.
//
//	library ──Write──► outbox ◄── push (publishings, acks)
//	                     │ flusher
//	                  network
//	                     │ splitter
//	library ◄──Read───   └──► ports (deliveries, returns, confirms)
type socket struct {
	net.Conn
	in       splitter
	pass     []byte        // the rest of a frame for the library; Read's
	idle     atomic.Int64  // nanoseconds until a silent broker counts as gone; 0 never
	armed    time.Time     // when the read deadline was last moved; Read's
	patience time.Duration // how long one write may stall while the broker has not blocked us
	once     bool          // a write that timed out has spoilt the connection, as over TLS
	stall    *time.Timer   // ends such a write
	blocked  atomic.Pointer[string]
	opened   atomic.Uint32 // the channel that the library opened last

	mu       sync.Mutex
	partial  []byte // octets of the library up to the end of a frame
	greeted  bool
	out      []byte // whole frames
	spare    []byte
	err      error
	wake     chan struct{} // something to write
	room     chan struct{} // closed and replaced when out has been taken
	finished chan struct{} // the flusher has returned
}

// outLimit is how many octets may wait to be written before push says so.
const outLimit = 1 << 20

func newSocket(conn net.Conn, patience time.Duration) *socket {
	s := &socket{
		Conn: conn, patience: patience,
		wake: make(chan struct{}, 1), room: make(chan struct{}), finished: make(chan struct{}),
	}
	if _, s.once = conn.(*tls.Conn); s.once {
		s.stall = time.AfterFunc(time.Hour, s.stalled)
		s.stall.Stop()
	}
	return s
}

// start begins to write what is pushed, until the socket is closed.
func (s *socket) start() { go s.flush() }

// Read gives the library the frames that are its own.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if len(s.pass) > 0 {
			n := copy(p, s.pass)
			s.pass = s.pass[n:]
			return n, nil
		}
		frame, err := s.in.next()
		if err != nil {
			return 0, err
		}
		if frame != nil {
			s.in.flush() // in the broker's order
			s.pass = frame
			continue
		}
		s.in.flush()
		n, err := s.Conn.Read(s.in.space())
		if err != nil {
			return 0, err
		}
		s.in.filled(n)
		s.rearm()
	}
}

// rearm moves the read deadline as the library would for every frame, since it
// does not see those that go to ports.
func (s *socket) rearm() {
	idle := time.Duration(s.idle.Load())
	if idle <= 0 {
		return
	}
	if now := time.Now(); now.Sub(s.armed) > idle/8 {
		s.armed = now
		_ = s.Conn.SetReadDeadline(now.Add(idle))
	}
}

// SetReadDeadline is how the library says for how long the broker may be silent.
func (s *socket) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		s.idle.Store(0)
	} else {
		s.idle.Store(int64(time.Until(t)))
	}
	return s.Conn.SetReadDeadline(t)
}

// SetDeadline bounds the closing handshake.
func (s *socket) SetDeadline(t time.Time) error {
	s.idle.Store(0)
	return s.Conn.SetDeadline(t)
}

// Write takes the library's octets, which become part of the stream once they
// make a whole frame.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.partial = append(s.partial, p...)
	rest := s.partial
	if !s.greeted && len(rest) >= 8 { // "AMQP" and the version
		s.greeted = true
		s.out = append(s.out, rest[:8]...)
		rest = rest[8:]
	}
	for s.greeted && len(rest) >= 7 {
		total := int(binary.BigEndian.Uint32(rest[3:])) + frameOverhead
		if len(rest) < total {
			break
		}
		if rest[0] == frameMethod && total >= 7+4 && binary.BigEndian.Uint16(rest[7:]) == classChannel && binary.BigEndian.Uint16(rest[9:]) == channelOpen {
			s.opened.Store(uint32(binary.BigEndian.Uint16(rest[1:])))
		}
		s.out = append(s.out, rest[:total]...)
		rest = rest[total:]
	}
	s.partial = s.partial[:copy(s.partial, rest)]
	s.notify()
	return len(p), nil
}

func (s *socket) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// push queues whole frames. If too much waits to be written it gives a channel
// that is closed when there is room again, and the caller pushes no more before.
func (s *socket) push(frames []byte) (full <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.out = append(s.out, frames...)
	s.notify()
	if len(s.out) > outLimit {
		return s.room, nil
	}
	return nil, nil
}

// flush writes what waits, all that has come together during the last write at
// once, until the socket fails or is closed.
func (s *socket) flush() {
	defer close(s.finished)
	for range s.wake {
		s.mu.Lock()
		batch := s.out
		s.out, s.spare = s.spare[:0], nil
		close(s.room)
		s.room = make(chan struct{})
		closed := s.err != nil
		s.mu.Unlock()
		if closed {
			return
		}
		if err := s.write(batch); err != nil {
			s.fail(err)
			return
		}
		if cap(batch) <= 4*outLimit {
			s.mu.Lock()
			s.spare = batch[:0]
			s.mu.Unlock()
		}
	}
}

// write writes all of b. While the broker has announced that it blocks
// publishers it is patient for ever, otherwise a write that stalls is an error.
func (s *socket) write(b []byte) error {
	if s.once {
		return s.writeOnce(b)
	}
	for len(b) > 0 {
		_ = s.SetWriteDeadline(time.Now().Add(s.patience))
		n, err := s.Conn.Write(b)
		b = b[n:]
		if err == nil || (errors.Is(err, os.ErrDeadlineExceeded) && (n > 0 || s.blocked.Load() != nil) && !s.failed()) {
			continue
		}
		return err
	}
	return nil
}

// pieceOctets is how much writeOnce writes with one patience.
const pieceOctets = 64 << 10

// writeOnce is write where a write that has timed out cannot be taken up again:
// it has no deadline until it has stalled while the broker did not block us.
func (s *socket) writeOnce(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), pieceOctets)]
		_ = s.SetWriteDeadline(time.Time{})
		s.stall.Reset(s.patience)
		_, err := s.Conn.Write(piece)
		s.stall.Stop()
		if err != nil {
			return err
		}
		b = b[len(piece):]
	}
	return nil
}

// stalled ends the write under way, unless the broker blocks publishers: then it
// looks again later.
func (s *socket) stalled() {
	switch {
	case s.failed():
	case s.blocked.Load() != nil:
		s.stall.Reset(s.patience)
	default:
		_ = s.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (s *socket) failed() bool { return s.cause() != nil }

// cause is what ended the socket, or nil.
func (s *socket) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the socket with the first error.
func (s *socket) fail(err error) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
		close(s.room)
		s.room = make(chan struct{})
	}
	s.mu.Unlock()
	if first {
		if secure, ok := s.Conn.(*tls.Conn); ok {
			_ = secure.NetConn().Close() // its own Close waits for a farewell that may stall
		}
		_ = s.Conn.Close()
		s.notify()
	}
}

// Close cuts the connection; what waits to be written is dropped.
func (s *socket) Close() error {
	s.fail(net.ErrClosed)
	return nil
}
