package rabbitmq

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

func TestHeldSince(t *testing.T) {
	h := heldSince{bound: 8 * time.Second}
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for _, v := range []struct {
		now           int
		newest, floor uint64
		want          bool
	}{
		{0, 0, 0, false},
		{1, 5, 0, false},
		{2, 9, 0, false},
		{8, 20, 4, false},   // 5 is held since 1
		{9, 30, 4, true},    // for 8 s
		{9, 30, 5, false},   // 9 since 2
		{10, 30, 9, false},  // 20 since 8
		{15, 30, 20, false}, // 30 since 9
		{17, 30, 20, true},
		{40, 30, 30, false}, // nothing is held
		{99, 31, 30, false},
		{107, 31, 30, true},
	} {
		if got := h.look(v.newest, v.floor, at(v.now)); got != v.want {
			t.Errorf("at %d, %d delivered and %d acknowledged: %v", v.now, v.newest, v.floor, got)
		}
	}
}

// A session that holds a message for too long ends by itself, and the next gets
// all of it in order. One that acknowledges in time goes on.
func TestWhatIsHeldForLongIsGivenBack(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t, "unacked_timeout: 400ms")
	x := n.exchange(t, unique(t), "topic")
	o := n.source(t, s, n.identity(t), "tap: classic\nbindings: [{exchange: "+x+", routing_key: a}, {exchange: "+x+", routing_key: k}]")
	src := openSource(t, o)
	n.publish(t, x, bodies(0, 10, 0)...)
	if err := src.Ack(t.Context(), receipts(receive(t, src, 10)[:4])); err != nil {
		t.Fatal(err)
	}
	_, err := src.Receive(t.Context(), make([]bridge.Delivery, 1))
	if bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "unacked_timeout") {
		t.Fatalf("after the bound: %v", err)
	}
	_ = src.Close()
	src = openSource(t, o)
	ds := receive(t, src, 6)
	if string(ds[0].Body) != "00000004" {
		t.Fatalf("the next session begins with %s", ds[0].Body)
	}
	if err := src.Ack(t.Context(), receipts(ds)); err != nil {
		t.Fatal(err)
	}
	for i := range 8 { // for twice the bound
		<-time.After(100 * time.Millisecond)
		n.publish(t, x, bodies(i, 1, 0)...)
		if err := src.Ack(t.Context(), receipts(receive(t, src, 1))); err != nil {
			t.Fatal(err)
		}
	}
}

// Messages too large to wait in full number end the session, and fewer are asked
// for until they fit. None is lost, and the order holds.
func TestTheIntakeIsBoundInOctets(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range []string{typeClassic, typeStream} {
		x := n.exchange(t, unique(t), "topic")
		o := n.source(t, s, n.identity(t), "tap: "+kind+"\naccept: [stream-headers]\nprefetch: 64\nbindings: [{exchange: "+x+", routing_key: k}]")
		_ = openSource(t, o).Close()
		const count, size = 80, 2 << 20
		for i := range count {
			n.publish(t, x, bodies(i, 1, size)...)
		}
		next, ends := 0, 0
		for next < count {
			src := openSource(t, o)
			eventually(t, "the intake is full or holds all it asked for", func() bool {
				in := intakeOf(src)
				in.mu.Lock()
				defer in.mu.Unlock()
				return in.err != nil || len(in.queued) >= min(o.prefetch(), count-next)
			})
			ctx := t.Context()
			into := make([]bridge.Delivery, 8)
			k, err := src.Receive(ctx, into)
			if err != nil {
				if bridge.ClassOf(err) != bridge.Transient || errors.Is(err, amqp.ErrClosed) {
					t.Fatal(err)
				}
				ends++
			}
			for i := range k {
				if want := bodies(next, 1, 0)[0].Body; string(into[i].Body[:8]) != string(want) {
					t.Fatalf("%s came, want %s", into[i].Body[:8], want)
				}
				next++
			}
			if err := src.Ack(ctx, receipts(into[:k])); k > 0 && err != nil {
				t.Fatal(err)
			}
			_ = src.Close()
		}
		if ends == 0 || ends > 3 || o.prefetch() > intakeOctets/size {
			t.Errorf("%s: %d sessions ended, and %d are asked for", kind, ends, o.prefetch())
		}
	}
}

func intakeOf(s bridge.Source) *intake {
	if q, ok := s.(*queueSource); ok {
		return q.intake
	}
	return s.(*streamSource).reader.intake
}

// Recall passes over what a stranger wrote and nobody can read, and knows where it
// is by the one before it.
func TestRecallPassesOverWhatCannotBeRead(t *testing.T) {
	headers := func(table []byte) *delivery {
		props := binary.BigEndian.AppendUint32([]byte{0x20, 0}, uint32(len(table)))
		return &delivery{props: append(props, table...)}
	}
	offset := appendField(nil, "x-stream-offset", bridge.TypeInt64, []byte{0, 0, 0, 0, 0, 0, 0, 9})
	ours := appendField(offset, bridge.HopRelay, bridge.TypeString, []byte("b/r"))
	id := bridge.ID{Value: "1"}
	ours = appendField(ours, bridge.HopID, bridge.TypeString, []byte(id.Text("k")))
	broken := append(appendShortstr([]byte(nil), "h"), 'Z')
	for _, v := range []struct {
		d    *delivery
		at   uint64
		ours bool
	}{
		{headers(ours), 9, true},
		{headers(append(slices.Clone(ours), broken...)), 9, false},
		{headers(append(broken, offset...)), 5, false},
		{&delivery{props: []byte{0x20}}, 5, false},
	} {
		p, got := readPlaced(v.d, 5, "b/r")
		if p.Position != v.at || got != v.ours || got && (p.ID != id || p.Key != "k") {
			t.Errorf("%x: %+v, %v; want %d, %v", v.d.props, p, got, v.at, v.ours)
		}
	}
}

// Once it is settled, what was acknowledged is not given again, however soon the connection
// breaks.
func TestSettled(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range []string{typeClassic, typeQuorum} {
		x := n.exchange(t, unique(t), "topic")
		o := n.source(t, s, n.identity(t), "tap: "+kind+"\nbindings: [{exchange: "+x+", routing_key: k}]")
		src := openSource(t, o)
		n.publish(t, x, bodies(0, 100, 0)...)
		if err := src.Ack(t.Context(), receipts(receive(t, src, 100)[:60])); err != nil {
			t.Fatal(err)
		}
		if err := src.(bridge.Settler).Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = src.(*queueSource).session.sock.Close()
		if d := receive(t, openSource(t, o), 1)[0]; string(d.Body) != "00000060" {
			t.Errorf("%s: the next session begins with %s", kind, d.Body)
		}
		_ = src.Close()
		if err := src.(bridge.Settler).Settled(t.Context()); err == nil {
			t.Errorf("%s: settled when it is closed", kind)
		}
	}
}

// What is acknowledged seconds later needs more than the usual prefetch; what is configured
// stays.
func TestWithholding(t *testing.T) {
	for block, want := range map[string]int{
		"bindings: [{exchange: x}]":                                        65535,
		"tap: classic\nbindings: [{exchange: x}]":                          65535,
		"prefetch: 100\nbindings: [{exchange: x}]":                         100,
		"tap: stream\naccept: [stream-headers]\nbindings: [{exchange: x}]": 0,
		"tap: stream\nstream: s":                                           0,
		"tap: queue\nqueue: q\ncompetes: true":                             65535,
	} {
		o, err := (&system{}).Source(bridge.Identity{Bridge: "b", Relay: "r"}, settings(block))
		if err != nil {
			t.Fatalf("%s: %v", block, err)
		}
		o.(bridge.Withholder).Withhold()
		if got := o.Traits().Unacked; got != want {
			t.Errorf("%s: %d may be un-acknowledged, want %d", block, got, want)
		}
		if src := o.(*sourceOpener); want > 0 && src.prefetch() != want {
			t.Errorf("%s: %d are asked for", block, src.prefetch())
		}
	}
}
