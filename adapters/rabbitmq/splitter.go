package rabbitmq

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
)

// A port takes what the broker sends on one channel about messages. Its
// methods are called on the connection's reading goroutine and do not block.
type port interface {
	// deliver hands over a message that was delivered, or returned if its code
	// is not 0. What its slices hold belongs to the port.
	deliver(d *delivery)
	// confirm says what became of publishings.
	confirm(tag uint64, multiple, ack bool)
	// flush ends a batch: nothing more can be had without waiting.
	flush()
}

// slabSize is how much one read from a socket may bring. Messages point into
// slabs, so a slab lives as long as the last of its messages.
const slabSize = 64 << 10

// A splitter parts the octets that a broker sends into messages, which go to
// ports, and everything else, which goes on to the client library. One caller,
// but for attach.
type splitter struct {
	slab    []byte // octets read; the parsed ones may be in use by messages
	start   int    // where the next frame begins
	shared  bool   // a message points into slab
	touched []*inlet

	ports atomic.Pointer[[]*inlet] // by channel; replaced, never changed
}

// An inlet is the state of one channel with a port.
type inlet struct {
	port    port
	message delivery
	wants   int // what the channel's next frame has to be
	left    uint64
	dirty   bool
}

const (
	wantsMethod = iota
	wantsHeader
	wantsBody
)

// space gives the buffer for the next read.
func (s *splitter) space() []byte {
	rest := s.slab[s.start:]
	need := 4096
	if len(rest) >= 7 {
		need = max(need, int(binary.BigEndian.Uint32(rest[3:]))+frameOverhead-len(rest))
	}
	if !s.shared && s.start > 0 {
		s.slab = s.slab[:copy(s.slab, rest)]
		s.start = 0
	}
	if cap(s.slab)-len(s.slab) < need {
		slab := make([]byte, 0, max(slabSize, len(rest)+need))
		s.slab = append(slab, rest...)
		s.start, s.shared = 0, false
	}
	return s.slab[len(s.slab):cap(s.slab)]
}

// filled says that n octets were read into space.
func (s *splitter) filled(n int) { s.slab = s.slab[:len(s.slab)+n] }

// next parses frames up to one that belongs to the client library, and returns
// that whole, or nil when more octets are needed. What it returns stays valid
// until space is called.
func (s *splitter) next() ([]byte, error) {
	for {
		rest := s.slab[s.start:]
		if len(rest) < 7 {
			return nil, nil
		}
		size := binary.BigEndian.Uint32(rest[3:])
		if size > frameMax {
			return nil, fmt.Errorf("%w: %d octets are more than the %d agreed on", errFrame, size, frameMax)
		}
		total := int(size) + frameOverhead
		if len(rest) < total {
			return nil, nil
		}
		frame := rest[:total:total]
		s.start += total
		in := s.inlet(binary.BigEndian.Uint16(frame[1:]))
		if in == nil {
			return frame, nil
		}
		if frame[total-1] != frameEnd {
			return nil, fmt.Errorf("%w: no end octet", errFrame)
		}
		taken, err := s.take(in, frame[0], frame[7:total-1:total-1])
		if err != nil {
			return nil, err
		}
		if !taken {
			return frame, nil
		}
	}
}

func (s *splitter) inlet(channel uint16) *inlet {
	if ports := s.ports.Load(); ports != nil && int(channel) < len(*ports) {
		return (*ports)[channel]
	}
	return nil
}

// attach gives a channel's messages to p; nil gives them back to the client
// library. It may be called beside everything else, but not beside itself.
func (s *splitter) attach(channel uint16, p port) {
	var ports []*inlet
	if old := s.ports.Load(); old != nil {
		ports = slices.Clone(*old)
	}
	for int(channel) >= len(ports) {
		ports = append(ports, nil)
	}
	ports[channel] = nil
	if p != nil {
		ports[channel] = &inlet{port: p}
	}
	s.ports.Store(&ports)
}

// take handles one frame of a channel with a port, if it is about a message.
func (s *splitter) take(in *inlet, kind byte, payload []byte) (bool, error) {
	switch {
	case kind == frameMethod && len(payload) >= 4:
		return s.method(in, payload)
	case kind == frameHeader && in.wants == wantsHeader && len(payload) >= headerPrefix+2:
		in.left = binary.BigEndian.Uint64(payload[4:])
		in.message.props = payload[headerPrefix:]
		s.shared = true
		in.wants = wantsBody
		if in.left == 0 {
			in.message.body = payload[:0:0]
			s.complete(in)
		}
		return true, nil
	case kind == frameBody && in.wants == wantsBody && uint64(len(payload)) <= in.left:
		s.body(in, payload)
		return true, nil
	}
	return false, fmt.Errorf("%w: type %d out of place", errFrame, kind)
}

func (s *splitter) method(in *inlet, payload []byte) (bool, error) {
	if binary.BigEndian.Uint16(payload) != classBasic {
		return false, nil
	}
	args := payload[4:]
	var err error
	switch binary.BigEndian.Uint16(payload[2:]) {
	case basicDeliver:
		in.message, err = parseDeliver(args)
		in.wants, s.shared = wantsHeader, true
	case basicReturn:
		in.message, err = parseReturn(args)
		in.wants, s.shared = wantsHeader, true
	case basicAck, basicNack:
		if len(args) < 9 {
			return false, fmt.Errorf("confirm: %w", errFrame)
		}
		in.port.confirm(binary.BigEndian.Uint64(args), args[8]&1 != 0, payload[3] == basicAck)
		s.touch(in)
	default:
		return false, nil
	}
	return true, err
}

// body takes one frame of a body: the only one is used where it lies, several
// are put together.
func (s *splitter) body(in *inlet, payload []byte) {
	whole := uint64(len(payload)) == in.left
	switch {
	case in.message.body == nil && whole:
		in.message.body = payload
		s.shared = true // perhaps another slab than that of the header
	default:
		if in.message.body == nil {
			in.message.body = make([]byte, 0, min(in.left, 1<<20))
		}
		in.message.body = append(in.message.body, payload...)
	}
	if in.left -= uint64(len(payload)); in.left == 0 {
		s.complete(in)
	}
}

func (s *splitter) complete(in *inlet) {
	in.port.deliver(&in.message)
	in.message = delivery{}
	in.wants = wantsMethod
	s.touch(in)
}

func (s *splitter) touch(in *inlet) {
	if !in.dirty {
		in.dirty = true
		s.touched = append(s.touched, in)
	}
}

// flush tells the ports that something was given to that a batch has ended.
func (s *splitter) flush() {
	for _, in := range s.touched {
		in.dirty = false
		in.port.flush()
	}
	s.touched = s.touched[:0]
}
