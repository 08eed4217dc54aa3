package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// kept is a port that keeps what it is given, as lanes do until it is settled.
type kept struct{ got []delivery }

func (k *kept) deliver(d *delivery)      { k.got = append(k.got, *d) }
func (*kept) confirm(uint64, bool, bool) {}
func (*kept) flush()                     {}

func frame(dst []byte, kind byte, channel uint16, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, kind), channel)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(append(dst, payload...), frameEnd)
}

func short(dst []byte, s string) []byte { return append(append(dst, byte(len(s))), s...) }

// delivered writes one basic.deliver with its content, the body in frames of at
// most piece octets.
func delivered(dst []byte, channel uint16, tag uint64, key string, body []byte, piece int) []byte {
	m := binary.BigEndian.AppendUint16(nil, classBasic)
	m = binary.BigEndian.AppendUint16(m, basicDeliver)
	m = short(m, "consumer")
	m = binary.BigEndian.AppendUint64(m, tag)
	m = append(m, 0)
	m = short(short(m, "exchange"), key)
	dst = frame(dst, frameMethod, channel, m)
	h := binary.BigEndian.AppendUint16(nil, classBasic)
	h = append(h, 0, 0)
	h = binary.BigEndian.AppendUint64(h, uint64(len(body)))
	h = append(h, 0, 0)
	dst = frame(dst, frameHeader, channel, h)
	for len(body) > 0 {
		n := min(piece, len(body))
		dst = frame(dst, frameBody, channel, body[:n])
		body = body[n:]
	}
	return dst
}

// What was handed over is never written again, wherever the reads end and
// whichever messages the channels have half received.
func TestMessagesStayAsTheyWereRead(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var wire []byte
		var want [][]byte
		for i := range 400 {
			body := bytes.Repeat([]byte(fmt.Sprintf("%04d.", i)), rng.IntN(200))
			want = append(want, body)
			wire = delivered(wire, 1, uint64(i+1), fmt.Sprint("key-", i), body, 1+rng.IntN(2000))
		}
		var s splitter
		var k kept
		s.attach(1, &k)
		biggest := 1 + rng.IntN(slabSize)
		for len(wire) > 0 {
			n := copy(s.space(), wire[:min(len(wire), 1+rng.IntN(biggest))])
			wire = wire[n:]
			s.filled(n)
			if f, err := s.next(); f != nil || err != nil {
				t.Fatalf("seed %d: %v, %v", seed, f, err)
			}
		}
		if len(k.got) != len(want) {
			t.Fatalf("seed %d: %d of %d messages", seed, len(k.got), len(want))
		}
		for i, d := range k.got {
			if !bytes.Equal(d.body, want[i]) || string(d.key) != fmt.Sprint("key-", i) || d.tag != uint64(i+1) {
				t.Fatalf("seed %d: message %d: key %q, body %.40q, want %.40q", seed, i, d.key, d.body, want[i])
			}
		}
	}
}
