package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A place to go: a target at a version of the broker.
type hopTo struct {
	*target
	broker
}

func kinds() map[string]hopTo {
	key, err := bridge.ParseTemplate("{address}")
	if err != nil {
		panic(err)
	}
	all := map[string]hopTo{}
	for _, major := range []int{3, 4} {
		for name, t := range map[string]*target{
			typeQuorum:  {kind: typeQuorum, queue: "q", persistent: true},
			typeClassic: {kind: typeClassic, queue: "q", persistent: true},
			typeStream:  {kind: typeStream, queue: "s", persistent: true},
			toExchange:  {kind: toExchange, exchange: "x", key: key, persistent: true},
			"transient": {kind: typeClassic, queue: "q"},
		} {
			if major == 4 {
				name += " 4"
			}
			all[name] = hopTo{t, broker{major: major}}
		}
	}
	return all
}

func testEncoder(t hopTo) *encoder {
	return newEncoder(t.target, t.broker, "bridge/relay", "guest", 1, 4096*8, newSizeLimit(1<<20))
}

// A fataler is what a *testing.T and a *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// collect reads frames back as a connection does.
func collect(t fataler, frames []byte) []delivery {
	t.Helper()
	var s splitter
	var k collector
	s.attach(1, &k)
	for len(frames) > 0 {
		n := copy(s.space(), frames)
		frames = frames[n:]
		s.filled(n)
		if f, err := s.next(); err != nil || f != nil {
			t.Fatalf("frame %v, %v", f, err)
		}
	}
	return k.got
}

type collector struct{ got []delivery }

func (k *collector) deliver(d *delivery)      { k.got = append(k.got, *d) }
func (*collector) confirm(uint64, bool, bool) {}
func (*collector) flush()                     {}

// asDelivery turns a publishing into the delivery that a broker makes of it.
func asDelivery(t fataler, frames []byte) *delivery {
	t.Helper()
	c := cursor{b: frames}
	c.take(7 + 4 + 2)
	exchange, key := c.shortstr(), c.shortstr()
	c.take(2) // flags, end
	method, from := beginFrame(nil, frameMethod, 1)
	method = append(method, 0, classBasic, 0, basicDeliver)
	method = appendShortstr(method, "consumer")
	method = binary.BigEndian.AppendUint64(method, 1)
	method = append(method, 0)
	method = appendShortstr(method, exchange)
	method = appendShortstr(method, key)
	got := collect(t, append(endFrame(method, from), c.b...))
	if c.bad || len(got) != 1 {
		t.Fatalf("%d messages in %d octets", len(got), len(frames))
	}
	return &got[0]
}

// kept does to a message what the broker does: streams, and from RabbitMQ 4 on
// everything, give each name's first header back, by name, and streams of
// RabbitMQ 4 set a delivery mode.
func (t hopTo) kept(d *delivery) {
	if t.kind != typeStream && t.major < 4 {
		return
	}
	var names []string
	fields := map[string][]byte{}
	if err := eachHeader(d, func(name []byte, typ bridge.Type, value []byte) {
		if t.kind == typeStream && typ == bridge.TypeTimestamp { // it counts milliseconds
			value = binary.BigEndian.AppendUint64(nil, uint64(int64(binary.BigEndian.Uint64(value))*1000/1000))
		}
		if _, again := fields[string(name)]; !again {
			names = append(names, string(name))
			fields[string(name)] = appendField(nil, string(name), typ, value)
		}
	}); err != nil {
		panic(err)
	}
	slices.Sort(names)
	var table []byte
	for _, name := range names {
		table = append(table, fields[name]...)
	}
	c := cursor{b: d.props}
	flags := c.short()
	var front []byte
	for i := range 2 {
		if flags&(1<<(15-i)) != 0 {
			front = appendShortstr(front, c.shortstr())
		}
	}
	if flags&(1<<13) != 0 {
		c.longstr()
		front = append(binary.BigEndian.AppendUint32(front, uint32(len(table))), table...)
	}
	if flags&(1<<12) == 0 && t.kind == typeStream && t.major >= 4 {
		flags |= 1 << 12
		front = append(front, 1)
	}
	d.props = append(append(binary.BigEndian.AppendUint16(nil, flags), front...), c.b...)
}

var someTexts = []string{"", "a", "a ", "\x00", "\xff\xfe", "é", "a.b", "~%/= ", "\r\n", strings.Repeat("k", 255), strings.Repeat("k", 256)}

func genText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(someTexts), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }))
}

func genHeader() *rapid.Generator[bridge.Header] {
	return rapid.Custom(func(t *rapid.T) bridge.Header {
		h := bridge.Header{
			Name: rapid.OneOf(genText(), rapid.SampledFrom([]string{"a", "b", "x-death", "CC", "x-own", "x-stream-offset", "x-delivery-count"})).Draw(t, "name"),
			Type: bridge.Type(rapid.IntRange(0, int(bridge.TypeArray)).Draw(t, "type")),
		}
		if bridge.IsHop(h.Name) {
			h.Name = "own"
		}
		switch n := lengthOf(h.Type); {
		case h.Type == bridge.TypeNull:
		case h.Type == bridge.TypeUint64:
			h.Value = rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "value")
		case h.Type == bridge.TypeBool:
			h.Value = []byte{byte(rapid.IntRange(0, 1).Draw(t, "value"))}
		case n > 0 && rapid.IntRange(0, 9).Draw(t, "whole") > 0:
			h.Value = rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "value")
		default: // tables and arrays that are none, and numbers of a wrong length, too
			h.Value = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		}
		return h
	})
}

func genMessage() *rapid.Generator[bridge.Message] {
	return rapid.Custom(func(t *rapid.T) bridge.Message {
		m := bridge.Message{
			Key:     genText().Draw(t, "key"),
			Address: bridge.Address{Space: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "space"), Name: genText().Draw(t, "name"), Partition: int32(rapid.IntRange(0, 3).Draw(t, "partition"))},
			Headers: rapid.SliceOfN(genHeader(), 0, 6).Draw(t, "headers"),
			Body:    rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "body"),
		}
		if rapid.Bool().Draw(t, "null body") {
			m.Body = nil
		}
		if len(m.Headers) == 0 {
			m.Headers = nil
		}
		if v := genText().Draw(t, "id"); v != "" {
			m.ID = bridge.ID{Value: v, Scope: bridge.Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))}
		}
		for k := bridge.KindContentType; k <= bridge.KindKey; k++ {
			if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
				continue
			}
			p := bridge.Property{Kind: k, Null: rapid.IntRange(0, 9).Draw(t, "null") == 0}
			switch {
			case p.Null:
			case k.Number():
				p.Num = rapid.SampledFrom([]int64{0, 1, 2, 9, 255, 256, -1, 1 << 40, 1 << 60}).Draw(t, "num")
			case k == bridge.KindUserID:
				p.Text = rapid.SampledFrom([]string{"guest", "other", ""}).Draw(t, "user")
			case k == bridge.KindExpiration:
				p.Text = rapid.SampledFrom([]string{"0", "60000", "soon", "007", "", "4294967295", "4294967296"}).Draw(t, "expiration")
			default:
				p.Text = genText().Draw(t, "text")
			}
			if k != bridge.KindKey || p.Null || p.Text != m.Key { // which goes without saying
				m.Properties = append(m.Properties, p)
			}
		}
		switch rapid.IntRange(0, 3).Draw(t, "time") {
		case 0:
			m.Time = time.Unix(1_700_000_000, 123)
		case 1:
			if p, ok := m.Property(bridge.KindTimestamp); ok && !p.Null {
				m.Time = time.Unix(p.Num, 0)
			}
		}
		if rapid.Bool().Draw(t, "expires") {
			m.Expires = time.Unix(1_800_000_000, 7)
		}
		return m
	})
}

// same compares two messages in all but what a hop may not keep.
func same(a, b *bridge.Message) error {
	switch {
	case a.Key != b.Key, a.ID != b.ID, a.Address != b.Address:
		return fmt.Errorf("key %q %q, id %v %v, address %v %v", a.Key, b.Key, a.ID, b.ID, a.Address, b.Address)
	case (a.Body == nil) != (b.Body == nil), !bytes.Equal(a.Body, b.Body):
		return fmt.Errorf("body %q %q", a.Body, b.Body)
	case !slices.EqualFunc(a.Headers, b.Headers, func(x, y bridge.Header) bool {
		return x.Name == y.Name && x.Type == y.Type && bytes.Equal(x.Value, y.Value)
	}):
		return fmt.Errorf("headers %q, want %q", b.Headers, a.Headers)
	case !a.Time.Equal(b.Time), !a.Expires.Equal(b.Expires):
		return fmt.Errorf("times %v %v, %v %v", a.Time, b.Time, a.Expires, b.Expires)
	case len(a.Properties) != len(b.Properties):
		return fmt.Errorf("properties %v, want %v", b.Properties, a.Properties)
	}
	for _, p := range a.Properties {
		if !slices.Contains(b.Properties, p) {
			return fmt.Errorf("properties %v, want %v", b.Properties, a.Properties)
		}
	}
	return nil
}

// A message from anywhere that goes to any target and comes back is the same. // I3
func TestAnyMessageComesBack(t *testing.T) {
	for name, target := range kinds() {
		t.Run(name, func(t *testing.T) {
			e := testEncoder(target)
			c, here := decoder{}, &bridge.Stream{System: Kind, Name: "here"}
			rapid.Check(t, func(t *rapid.T) {
				m := genMessage().Draw(t, "message")
				m.Via = rapid.SampledFrom([]string{"", "b/r c/back"}).Draw(t, "via")
				frames, err := e.append(nil, &m)
				if bridge.ReasonOf(err) == bridge.ReasonName && len(m.Address.Name) > 255 {
					return
				}
				if err != nil {
					t.Fatalf("encode: %v", err)
				}
				d := asDelivery(t, frames)
				target.kept(d)
				var got bridge.Delivery
				c.decode(d, 7, &got)
				if err := same(&m, &got.Message); err != nil {
					t.Fatal(err)
				}
				if want := m.AppendVia(e.relay); got.Via != want {
					t.Fatalf("via %q, want %q", got.Via, want)
				}
				(&decoder{origin: here}).decode(d, 7, &got)
				if want := (bridge.Origin{Stream: here, Offset: 7}); got.Stored != want {
					t.Fatalf("stored at %v, want %v", got.Stored, want)
				}
			})
		})
	}
}

// Properties and headers as a producer wrote them, octet for octet, come back
// octet for octet in meaning: what was decoded and encoded decodes to the same.
func FuzzNativeComesBack(f *testing.F) {
	f.Add([]byte{0, 0}, []byte("body"))
	for name := range kinds() {
		e := testEncoder(kinds()[name])
		m := bridge.Message{
			Body: []byte("b"), ID: bridge.ID{Value: "i"},
			Headers:    []bridge.Header{{Name: "h", Value: []byte("v")}, {Name: "t", Type: bridge.TypeTable, Value: []byte("\x01aI\x00\x00\x00\x07")}},
			Properties: []bridge.Property{{Kind: bridge.KindPriority}, {Kind: bridge.KindContentType, Text: "text/plain"}},
		}
		frames, err := e.append(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(asDelivery(f, frames).props, []byte("body"))
	}
	targets := kinds()
	f.Fuzz(func(t *testing.T, props, body []byte) {
		var c decoder
		var first, second bridge.Delivery
		d := delivery{exchange: []byte("x"), key: []byte("k"), props: props, body: body}
		c.decode(&d, 1, &first)
		for name, target := range targets {
			frames, err := testEncoder(target).append(nil, &first.Message)
			if err != nil {
				if bridge.ClassOf(err) != bridge.Rejected {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			back := asDelivery(t, frames)
			target.kept(back)
			c.decode(back, 2, &second)
			if err := same(&first.Message, &second.Message); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

// Whatever a broker sends, reading it ends in messages or an error.
func FuzzFrames(f *testing.F) {
	frames, err := testEncoder(kinds()[typeQuorum]).append(nil, &bridge.Message{Body: []byte("b")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frames)
	f.Fuzz(func(t *testing.T, octets []byte) {
		var s splitter
		var k collector
		s.attach(1, &k)
		s.attach(0, nil)
		for len(octets) > 0 {
			n := copy(s.space(), octets)
			octets = octets[n:]
			s.filled(n)
			for {
				frame, err := s.next()
				if err != nil {
					return
				}
				if frame == nil {
					break
				}
			}
		}
		var c decoder
		var into bridge.Delivery
		for i := range k.got {
			if c.decode(&k.got[i], 0, &into); into.Body == nil && len(c.hops) == 0 {
				t.Fatal("a null body out of AMQP")
			}
		}
	})
}

// A hop header that cannot be read leaves the message as it is, and no sink of
// this adapter takes it.
func TestUnreadableHopHeadersPark(t *testing.T) {
	table := appendField(nil, "n", bridge.TypeString, []byte("1"))
	table = appendField(table, bridge.HopID, bridge.TypeString, []byte("no id"))
	props := binary.BigEndian.AppendUint16(nil, 1<<13)
	props = append(binary.BigEndian.AppendUint32(props, uint32(len(table))), table...)
	var c decoder
	var got bridge.Delivery
	c.decode(&delivery{props: props, body: []byte("b")}, 1, &got)
	if len(got.Headers) != 2 || got.Headers[1].Name != bridge.HopID || !got.ID.IsZero() {
		t.Fatalf("headers %v, id %v", got.Headers, got.ID)
	}
	_, err := testEncoder(kinds()[typeQuorum]).append(nil, &got.Message)
	if bridge.ReasonOf(err) != bridge.ReasonPoison {
		t.Fatalf("a sink answers %v", err)
	}
}

// What a broker passes unread and nobody can read comes with all its octets and
// with what could be read, and no sink of this adapter takes it.
func TestUnreadablePropertiesPark(t *testing.T) {
	headers := func(table ...byte) []byte {
		return append(append([]byte{0x20, 0x80, 0, 0, 0, byte(len(table))}, table...), 1, 'i')
	}
	for name, c := range map[string]struct {
		props   []byte
		headers int
		id      bool
	}{
		"a header of no type":    {headers(1, 'a', 't', 1, 1, 'h', '!', 0), 1, true},
		"a header cut short":     {headers(1, 'a', 't', 1, 1, 'h', 'l', 0), 1, true},
		"a hop header before it": {headers(12, 'c', 'r', 'o', 's', 's', 'f', 'a', 'd', 'e', '-', 'i', 'd', 't', 1, 9), 1, true},
		"octets behind the list": {[]byte{0, 0x80, 1, 'i', 9, 9}, 0, true},
		"a list cut short":       {[]byte{0, 0xc0, 1, 'i', 0, 0}, 0, true},
		"a table cut short":      {[]byte{0x20, 0x80, 0, 0, 0, 9, 1}, 0, false},
		"no flags":               {[]byte{1}, 0, false},
	} {
		var d decoder
		var got bridge.Delivery
		d.decode(&delivery{props: c.props, body: []byte("b"), key: []byte("k")}, 1, &got)
		last := len(got.Headers) - 1
		if last != c.headers || got.Headers[last].Name != hopUnreadable || !bytes.Equal(got.Headers[last].Value, c.props) {
			t.Errorf("%s: headers %q", name, got.Headers)
			continue
		}
		if id, ok := got.Property(bridge.KindMessageID); ok != c.id || ok && id.Text != "i" || !got.Time.IsZero() || string(got.Body) != "b" || got.Address.Name != "k" {
			t.Errorf("%s: read %+v", name, got.Message)
		}
		for kind, to := range kinds() {
			if _, err := testEncoder(to).append(nil, &got.Message); bridge.ReasonOf(err) != bridge.ReasonPoison {
				t.Errorf("%s: %s answers %v", name, kind, err)
			}
		}
	}
}

// A broker passes an unsigned number of 64 bits. It is read as one, also within
// tables, and carried.
func TestUnsignedHeadersCross(t *testing.T) {
	number := []byte{0xff, 0, 1, 0x8c, 0, 0, 0, 1}
	table := append([]byte{1, 'h', 'L'}, number...)
	nested := append([]byte{1, 'n', 'F', 0, 0, 0, byte(len(table))}, table...)
	all := append(table, nested...)
	d := delivery{props: append([]byte{0x20, 0, 0, 0, 0, byte(len(all))}, all...), body: []byte("b")}
	for name, to := range kinds() {
		var c decoder
		var first, second bridge.Delivery
		c.decode(&d, 1, &first)
		if len(first.Headers) != 2 || first.Headers[0].Type != bridge.TypeUint64 || !bytes.Equal(first.Headers[0].Value, number) {
			t.Fatalf("headers %v", first.Headers)
		}
		frames, err := testEncoder(to).append(nil, &first.Message)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back := asDelivery(t, frames)
		if err := eachHeader(back, func(name []byte, _ bridge.Type, _ []byte) {
			if !bridge.IsHop(string(name)) {
				t.Errorf("header %s is written as it is", name)
			}
		}); err != nil {
			t.Fatal(err)
		}
		to.kept(back)
		c.decode(back, 2, &second)
		if err := same(&first.Message, &second.Message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The broker closes the channel on a delivery mode that there is not, for ever: none is
// written.
func TestNoOtherDeliveryModeIsWritten(t *testing.T) {
	for name, to := range kinds() {
		for mode := range int64(300) {
			m := &bridge.Message{Body: []byte("b"), Properties: []bridge.Property{{Kind: bridge.KindDeliveryMode, Num: mode}}}
			got, err := crossing(t, to, m)
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := got.Seen.Property(bridge.KindDeliveryMode); ok && p.Num != 1 && p.Num != 2 {
				t.Errorf("%s: %d is written", name, p.Num)
			}
			if err := same(m, &got.Back); err != nil {
				t.Errorf("%s: %d: %v", name, mode, err)
			}
		}
	}
}

func TestRejects(t *testing.T) {
	e := testEncoder(kinds()[toExchange])
	for name, c := range map[string]struct {
		m    bridge.Message
		want bridge.Reason
	}{
		"body above the limit":        {bridge.Message{Body: make([]byte, 1<<20+1)}, bridge.ReasonOversized},
		"routing key of 256 octets":   {bridge.Message{Address: bridge.Address{Name: strings.Repeat("k", 256)}}, bridge.ReasonName},
		"headers larger than a frame": {bridge.Message{Headers: []bridge.Header{{Name: "h", Value: make([]byte, 1<<15)}}}, bridge.ReasonOversized},
	} {
		dst, err := e.append([]byte("before"), &c.m)
		if bridge.ReasonOf(err) != c.want || string(dst) != "before" {
			t.Errorf("%s: %v, %d octets", name, err, len(dst))
		}
	}
	if _, err := e.append(nil, &bridge.Message{Body: make([]byte, 1<<20)}); err != nil {
		t.Errorf("a body of the limit: %v", err)
	}
}

// Different values give different keys, wherever they stand in a template.
func FuzzRoutingKeys(f *testing.F) {
	f.Add("a.b", "a%2Eb", "x", "y")
	tpl, err := bridge.ParseTemplate("t.{key}.{exchange}.{address}")
	if err != nil {
		f.Fatal(err)
	}
	to := &target{kind: toExchange, exchange: "x", key: tpl}
	f.Fuzz(func(t *testing.T, k1, k2, a1, a2 string) {
		m1 := bridge.Message{Key: k1, Address: bridge.Address{Space: a2, Name: a1}}
		m2 := bridge.Message{Key: k2, Address: bridge.Address{Space: a1, Name: a2}}
		r1, err1 := to.routingKey(nil, &m1)
		r2, err2 := to.routingKey(nil, &m2)
		if err1 != nil || err2 != nil {
			return
		}
		if string(r1) == string(r2) && (k1 != k2 || a1 != a2) {
			t.Fatalf("%q and %q both give %q", []string{k1, a2, a1}, []string{k2, a1, a2}, r1)
		}
	})
}

// The names of the bridge's own things are different for different parts, and
// never longer than AMQP allows.
func FuzzNames(f *testing.F) {
	f.Add("a", "b.c", "a.b", "c")
	f.Add(strings.Repeat("x", 300), "1", strings.Repeat("x", 300), "2")
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		a, b := ownName(a1, a2), ownName(b1, b2)
		if len(a) > 255 || len(b) > 255 {
			t.Fatalf("%d and %d octets", len(a), len(b))
		}
		if a == b && (a1 != b1 || a2 != b2) {
			t.Fatalf("%q and %q both give %s", []string{a1, a2}, []string{b1, b2}, a)
		}
	})
}
