package rabbitmq

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

var noon = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// crossAt sends m to a target at one time and reads it at another, as a tap of that
// target does. It gives the expiration on the wire too.
func crossAt(t fataler, to hopTo, m *bridge.Message, sent, read time.Time) (*bridge.Message, string) {
	t.Helper()
	e := testEncoder(to)
	e.now = func() time.Time { return sent }
	frames, err := e.append(nil, m)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	d := asDelivery(t, frames)
	to.kept(d)
	c := decoder{}
	if to.kind != typeStream {
		c.counts = func() time.Time { return read }
	}
	var plain bridge.Message
	c.message(d, &plain, true)
	p, _ := plain.Property(bridge.KindExpiration)
	var got bridge.Delivery
	c.decode(d, 7, &got)
	return &got.Message, p.Text
}

func living(ttl string) *bridge.Message {
	return &bridge.Message{Body: []byte("b"), Properties: []bridge.Property{{Kind: bridge.KindExpiration, Text: ttl}}}
}

// A time to live ends when it would have ended at the first queue, however many
// queues it crosses: each is given what remains.
func TestRemainingTimeCrosses(t *testing.T) {
	for name, to := range kinds() {
		first, _ := crossAt(t, to, living("60000"), noon, noon)
		if to.kind == typeStream {
			if !first.Expires.IsZero() {
				t.Errorf("%s: a stream counts until %v", name, first.Expires)
			}
			continue
		}
		if want := noon.Add(time.Minute); !first.Expires.Equal(want) {
			t.Fatalf("%s: expires at %v, want %v", name, first.Expires, want)
		}
		second, wire := crossAt(t, to, first, noon.Add(20*time.Second), noon.Add(25*time.Second))
		if wire != "40000" {
			t.Errorf("%s: after 20s the target is given %s ms", name, wire)
		}
		if err := same(first, second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, wire = crossAt(t, to, second, noon.Add(59*time.Second+999*time.Millisecond+1), noon.Add(time.Hour))
		if wire != "1" {
			t.Errorf("%s: at the end the target is given %s ms", name, wire)
		}
		if _, wire = crossAt(t, to, second, noon.Add(time.Hour), noon.Add(time.Hour)); wire != "1" {
			t.Errorf("%s: past the end the target is given %s ms", name, wire)
		}
	}
}

// What a stream gives begins anew where it goes.
func TestStreamsDoNotCount(t *testing.T) {
	to := kinds()[typeQuorum]
	m, wire := crossAt(t, kinds()[typeStream], living("60000"), noon, noon.Add(time.Hour))
	if wire != "60000" || !m.Expires.IsZero() {
		t.Fatalf("%s ms, until %v", wire, m.Expires)
	}
	m, wire = crossAt(t, to, m, noon.Add(time.Hour), noon.Add(2*time.Hour))
	if wire != "60000" || !m.Expires.Equal(noon.Add(2*time.Hour+time.Minute)) {
		t.Fatalf("%s ms, until %v", wire, m.Expires)
	}
}

// What AMQP cannot say stays as it is and gives no point in time.
func TestExpirationsThatAreNone(t *testing.T) {
	for _, ttl := range []string{"", "soon", "-1", "007", "4294967296", "1.5", " 1"} {
		for name, to := range kinds() {
			m, wire := crossAt(t, to, living(ttl), noon, noon)
			if err := same(living(ttl), m); err != nil || wire != "" {
				t.Errorf("%s: %q: wire %q, %v", name, ttl, wire, err)
			}
		}
	}
	if m, wire := crossAt(t, kinds()[typeQuorum], living("0"), noon, noon); !m.Expires.IsZero() || wire != "0" {
		t.Errorf("0: wire %q, until %v", wire, m.Expires)
	}
	far := &bridge.Message{Body: []byte("b"), Expires: noon.Add((math.MaxUint32 + 1) * time.Millisecond)}
	for name, to := range kinds() {
		m, wire := crossAt(t, to, far, noon, noon)
		if err := same(far, m); err != nil || wire != "" {
			t.Errorf("%s: in 50 days: wire %q, %v", name, wire, err)
		}
	}
}

// What remains is never less than what remains, by a millisecond at most more.
func TestAppendRemaining(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := time.Duration(rapid.Int64Range(1, math.MaxUint32*int64(time.Millisecond)).Draw(t, "left"))
		text := appendRemaining(nil, noon.Add(left), noon)
		if !validExpiration(string(text)) || string(text) == "0" {
			t.Fatalf("%v became %q", left, text)
		}
		var ms int64
		if _, err := fmt.Sscan(string(text), &ms); err != nil {
			t.Fatal(err)
		}
		if d := time.Duration(ms)*time.Millisecond - left; d < 0 || d >= time.Millisecond {
			t.Fatalf("%v became %d ms", left, ms)
		}
	})
}
