package rabbitmq

import (
	"encoding/binary"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A message with a header of a type that the client library does not write comes
// through, and what follows comes behind it.
func TestUnsignedHeadersAreDelivered(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range []string{typeClassic, typeQuorum, typeStream} {
		t.Run(kind, func(t *testing.T) {
			q := n.queue(t, unique(t), kind)
			n.publishRaw(t, s, q, []byte{0x20, 0, 0, 0, 0, 11, 1, 'h', 'L', 0, 0, 1, 0x8c, 0, 0, 0, 1})
			n.publishRaw(t, s, q, []byte{0, 0x80, 1, 'z'})
			want := bridge.TypeInt64 // the broker has written it anew
			if kind == typeClassic {
				want = bridge.TypeUint64
			}
			block := "tap: queue\ncompetes: true\nqueue: " + q
			if kind == typeStream {
				block = "start: first\nstream: " + q
			}
			src, err := n.source(t, s, n.identity(t), block).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			got := receive(t, src, 2)
			if h := got[0].Headers; len(h) != 1 || h[0].Type != want || binary.BigEndian.Uint64(h[0].Value) != 0x18c00000001 {
				t.Errorf("the unsigned number came as %v", h)
			}
			if id, _ := got[1].Property(bridge.KindMessageID); id.Text != "z" {
				t.Errorf("behind it came %+v", got[1].Message)
			}
		})
	}
}

// publishRaw publishes to a queue with properties of these octets.
func (n *node) publishRaw(t *testing.T, s *system, queue string, props []byte) {
	t.Helper()
	conn, err := s.connect(t.Context(), "raw")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	ch, id, err := conn.channel(nil)
	if err != nil {
		t.Fatal(err)
	}
	frames := appendPublishMethod(nil, id, "", []byte(queue))
	frames, from := beginFrame(frames, frameHeader, id)
	frames = append(frames, 0, classBasic, 0, 0)
	frames = binary.BigEndian.AppendUint64(frames, 1)
	frames = endFrame(append(frames, props...), from)
	frames = appendBody(frames, id, []byte("x"), 4096)
	if _, err := conn.sock.push(frames); err != nil {
		t.Fatal(err)
	}
	if err := ch.Qos(1, 0, false); err != nil { // answered behind the message
		t.Fatalf("the broker does not take %v: %v", props, err)
	}
}
