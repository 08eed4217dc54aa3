package nats

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An echo sends messages over a real wire and gives them back as a subscriber
// gets them.
type echo struct {
	nc  *nats.Conn
	sub *nats.Subscription
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	s := startServer(t, nil)
	nc, _ := s.client(t, nats.SkipSubjectValidation())
	sub, err := nc.SubscribeSync(">")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &echo{nc, sub}
}

func (e *echo) send(m *nats.Msg) (*nats.Msg, error) {
	if err := e.nc.PublishMsg(m); err != nil {
		return nil, err
	}
	return e.sub.NextMsg(5 * time.Second)
}

var (
	odd      = rapid.SampledFrom([]string{"", "a", "A", " a", "a ", "a.b", "..", "*", ">", "é", "\xff\xfe", "\x00", "a\r\nb: c", "\t", "kp~a~b", "gc~~x", "crossfad-x", "Nats-Rollup", "x y", "%"})
	anyText  = rapid.OneOf(odd, rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }))
	anyBytes = rapid.Map(anyText, func(s string) []byte { return []byte(s) })
	header   = rapid.Custom(func(t *rapid.T) bridge.Header {
		h := bridge.Header{Name: rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "B", "Status", "Nats-TTL", "cross"}), anyText).Draw(t, "name")}
		if rapid.Bool().Draw(t, "typed") {
			h.Type = bridge.Type(rapid.IntRange(0, int(bridge.TypeArray)).Draw(t, "type"))
		}
		if h.Type != bridge.TypeNull {
			h.Value = anyBytes.Draw(t, "value")
		}
		return h
	})
	property = rapid.Custom(func(t *rapid.T) bridge.Property {
		p := bridge.Property{Kind: bridge.PropertyKind(rapid.IntRange(1, int(bridge.KindKey)).Draw(t, "kind"))}
		switch {
		case rapid.IntRange(0, 9).Draw(t, "null") == 0:
			p.Null = true
		case p.Kind.Number():
			p.Num = rapid.Int64().Draw(t, "number")
		default:
			p.Text = anyText.Draw(t, "text")
		}
		return p
	})
	message = rapid.Custom(func(t *rapid.T) *bridge.Message {
		m := &bridge.Message{
			Key:     anyText.Draw(t, "key"),
			Address: bridge.Address{Space: rapid.OneOf(rapid.Just(""), anyText).Draw(t, "space"), Name: anyText.Draw(t, "name"), Partition: rapid.Int32Range(0, 3).Draw(t, "partition")},
			Headers: rapid.SliceOfN(header, 0, 6).Draw(t, "headers"), Properties: rapid.SliceOfN(property, 0, 4).Draw(t, "properties"),
		}
		m.Properties = slices.DeleteFunc(m.Properties, func(p bridge.Property) bool { // a native key that is the metric's goes without saying
			return p.Kind == bridge.KindKey && !p.Null && p.Text == m.Key && p.Text != ""
		})
		if rapid.IntRange(0, 4).Draw(t, "id") > 0 {
			m.ID = bridge.ID{Value: anyText.Draw(t, "id"), Scope: bridge.Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))}
			if m.ID.Value == "" {
				m.ID = bridge.ID{}
			}
		}
		if rapid.IntRange(0, 4).Draw(t, "null") > 0 {
			m.Body = anyBytes.Draw(t, "body")
		}
		if rapid.Bool().Draw(t, "timed") {
			m.Time = time.Unix(0, rapid.Int64().Draw(t, "time"))
		}
		if rapid.Bool().Draw(t, "expires") {
			m.Expires = time.Unix(0, rapid.Int64().Draw(t, "expiry"))
		}
		if rapid.Bool().Draw(t, "has origin") {
			m.Origin = bridge.Origin{
				Stream: &bridge.Stream{System: "rabbitmq", Cluster: anyText.Draw(t, "cluster"), Name: anyText.Draw(t, "stream"), Incarnation: "7", Replayable: rapid.Bool().Draw(t, "replayable")},
				Shard:  rapid.Int32().Draw(t, "shard"), Offset: rapid.Uint64().Draw(t, "offset"),
			}
		}
		return m
	})
)

// differs says in what two messages differ.
func differs(a, b *bridge.Message) string {
	header := func(x, y bridge.Header) bool {
		return x.Name == y.Name && x.Type == y.Type && bytes.Equal(x.Value, y.Value) && (x.Value == nil) == (y.Value == nil)
	}
	switch {
	case a.Key != b.Key:
		return fmt.Sprintf("key %q and %q", a.Key, b.Key)
	case a.ID != b.ID:
		return fmt.Sprintf("id %+v and %+v", a.ID, b.ID)
	case a.Address != b.Address:
		return fmt.Sprintf("address %+v and %+v", a.Address, b.Address)
	case !bytes.Equal(a.Body, b.Body), (a.Body == nil) != (b.Body == nil):
		return fmt.Sprintf("body %q and %q", a.Body, b.Body)
	case !slices.EqualFunc(a.Headers, b.Headers, header):
		return fmt.Sprintf("headers %q and %q", a.Headers, b.Headers)
	case !slices.Equal(a.Properties, b.Properties):
		return fmt.Sprintf("properties %v and %v", a.Properties, b.Properties)
	case !a.Time.Equal(b.Time):
		return fmt.Sprintf("time %v and %v", a.Time, b.Time)
	case !a.Expires.Equal(b.Expires):
		return fmt.Sprintf("expiry %v and %v", a.Expires, b.Expires)
	case a.Origin.Stream != nil && a.Origin.String() != b.Origin.String():
		return fmt.Sprintf("origin %v and %v", a.Origin, b.Origin)
	}
	return ""
}

func testTemplate(t interface{ Fatal(...any) }, s string) *bridge.Template {
	tm, err := bridge.ParseTemplate(s)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

// Whatever a message holds comes back from NATS, over one hop and over three,
// with the chain and without. // I3
func TestRoundTrip(t *testing.T) {
	wire := startEcho(t)
	rapid.Check(t, func(t *rapid.T) {
		want := message.Draw(t, "message")
		e := newEncoder(testIdentity, testTemplate(t, rapid.SampledFrom([]string{"{address}", "t.{address}", "t.{key}", "t.fixed"}).Draw(t, "template")))
		c := &chain{session: "s", seq: 7, id: []byte("before")}
		m := *want
		for hop := range 3 {
			if rapid.Bool().Draw(t, "unfenced") {
				c = nil
			}
			out, err := e.encode(&m, c)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.send(out)
			if err != nil {
				t.Fatalf("%q: %v", out.Subject, err)
			}
			if n, want := e.headerSize(), wireSize(got); n != want {
				t.Fatalf("headers of %d octets were thought to be %d", want, n)
			}
			var next bridge.Message
			decode(got, position{stream: 3, time: 5}, nil, &next)
			if d := differs(want, &next); d != "" {
				t.Fatalf("hop %d: %s; headers %q", hop+1, d, got.Header)
			}
			m = next
		}
	})
}

// wireSize is what the headers took on the wire: the client does not trim or
// fold any of ours.
func wireSize(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n")
	for k, vs := range m.Header {
		for _, v := range vs {
			n += len(k) + len(v) + 4
		}
	}
	return n
}

// What a producer at NATS writes comes back to another NATS as it was, and what
// has a meaning to the server does not act there.
func TestNativeMessageRoundTrip(t *testing.T) {
	wire := startEcho(t)
	name := rapid.OneOf(rapid.SampledFrom([]string{"a", "B", "b", "Nats-Msg-Id", "Nats-Rollup", "Nats-Expected-Stream", "Status", "traceparent"}), rapid.StringMatching(`[!#$%&'*+.^_|~0-9A-Za-z-]{1,8}`))
	value := rapid.StringOf(rapid.Rune())
	rapid.Check(t, func(t *rapid.T) {
		in := &nats.Msg{Subject: "a.b", Data: anyBytes.Draw(t, "body"), Header: nats.Header{}}
		for _, k := range rapid.SliceOfN(name, 0, 5).Draw(t, "names") {
			if !bridge.IsHop(k) {
				in.Header[k] = append(in.Header[k], value.Draw(t, "value"))
			}
		}
		got, err := wire.send(in)
		if err != nil {
			t.Fatal(err)
		}
		origin := &bridge.Stream{System: Kind, Cluster: "c", Name: "A", Incarnation: "1", Replayable: true}
		var first, again bridge.Message
		decode(got, position{stream: 42, time: 1_700_000_000_000_000_001}, origin, &first)
		out, err := newEncoder(testIdentity, testTemplate(t, "copy.{address}")).encode(&first, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k := range out.Header {
			if isReserved(k) && k != headerMsgID {
				t.Fatalf("header %q of the producer would act at the target", k)
			}
		}
		if got, err = wire.send(out); err != nil {
			t.Fatal(err)
		}
		decode(got, position{stream: 9, time: 9}, nil, &again)
		if d := differs(&first, &again); d != "" {
			t.Fatalf("%s; headers %q", d, got.Header)
		}
	})
}

// nativeHeader says yes exactly where a value arrives as it was: every octet at
// every place, and every name of one octet.
func TestEveryOctetOfHeaders(t *testing.T) {
	wire := startEcho(t)
	tm := testTemplate(t, "t.{address}")
	native := 0
	for c := range 256 {
		o := string([]byte{byte(c)})
		for _, h := range []bridge.Header{
			{Name: "h", Value: []byte(o)}, {Name: "h", Value: []byte(o + "x")}, {Name: "h", Value: []byte("x" + o)}, {Name: "h", Value: []byte("x" + o + "x")},
			{Name: o, Value: []byte("v")}, {Name: "x" + o, Value: []byte("v")}, {Name: o + "x", Value: []byte("v")},
		} {
			want := &bridge.Message{Body: []byte{}, Headers: []bridge.Header{h}, Address: bridge.Address{Name: "a"}}
			out, err := newEncoder(testIdentity, tm).encode(want, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.send(out)
			if err != nil {
				t.Fatalf("%q: %v", h, err)
			}
			if nativeHeader(&h) {
				native++
				if v := got.Header[h.Name]; len(v) != 1 || v[0] != string(h.Value) {
					t.Errorf("header %q: %q arrived as %q", h.Name, h.Value, v)
				}
			}
			var back bridge.Message
			decode(got, position{}, nil, &back)
			if d := differs(want, &back); d != "" {
				t.Errorf("header %q: %q: %s", h.Name, h.Value, d)
			}
		}
	}
	if native < 500 { // of 7 × 256; printable ASCII at least
		t.Errorf("only %d of the headers are native", native)
	}
}

// The producer's order is kept, natively for every consumer to see.
func TestHeaderOrderIsNative(t *testing.T) {
	wire := startEcho(t)
	text := func(n, v string) bridge.Header { return bridge.Header{Name: n, Value: []byte(v)} }
	want := &bridge.Message{Body: []byte{}, Address: bridge.Address{Name: "a"}, Headers: []bridge.Header{
		text("z", "1"), text("a", "2"), {Name: "t", Type: bridge.TypeBool, Value: []byte{1}}, text("z", "3"), text("m", "4"), text("a", "5"),
	}}
	out, err := newEncoder(testIdentity, testTemplate(t, "t.{address}")).encode(want, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.send(out)
	if err != nil {
		t.Fatal(err)
	}
	if z, a := got.Header["z"], got.Header["a"]; !slices.Equal(z, []string{"1", "3"}) || !slices.Equal(a, []string{"2", "5"}) {
		t.Errorf("z is %q, a is %q", z, a)
	}
	var back bridge.Message
	decode(got, position{}, nil, &back)
	if d := differs(want, &back); d != "" {
		t.Error(d)
	}
}

// The encoder's memory is used again, so the client must have written a message
// when PublishMsg returns.
func TestPublishCopies(t *testing.T) {
	wire := startEcho(t)
	e := newEncoder(testIdentity, testTemplate(t, "t.{address}"))
	const n = 500
	body := make([]byte, 300)
	for i := range n {
		fill := byte('a' + i%26)
		for j := range body {
			body[j] = fill
		}
		out, err := e.encode(&bridge.Message{Address: bridge.Address{Name: fmt.Sprint(i)}, Body: body, Headers: []bridge.Header{{Name: "h", Value: body[:8]}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.nc.PublishMsg(out); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		m, err := wire.sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte{byte('a' + i%26)}, 300)
		if m.Subject != fmt.Sprint("t.", i) || !bytes.Equal(m.Data, want) || m.Header.Get("h") != string(want[:8]) {
			t.Fatalf("message %d arrived as %q %q %q", i, m.Subject, m.Data[:4], m.Header.Get("h"))
		}
	}
}

// A message whose hop headers cannot be read keeps them all, and no sink of this
// package takes it: it is set aside with all that it had.
func TestUnreadableHopHeadersPark(t *testing.T) {
	for _, h := range []nats.Header{
		{"crossfade-relay": {"x"}, "crossfade-id": {"nonsense"}},
		{"crossfade-relay": {"x"}, "crossfade-headers": {"7/S"}},
		{"crossfade-relay": {"x"}, "crossfade-order": {"0 0"}, "a": {"1"}, "b": {"2"}},
		{"crossfade-relay": {"x"}, "crossfade-order": {"5"}, "a": {"1"}},
		{"crossfade-relay": {"x"}, "crossfade-address": {"%"}},
		{"crossfade-relay": {"x"}, "Nats-Msg-Id": {"kp~%~"}},
		{"crossfade-id": {"kp~k~v"}},
	} {
		var m bridge.Message
		decode(&nats.Msg{Subject: "s", Header: h, Data: []byte("b")}, position{stream: 4, time: 8}, nil, &m)
		if n := len(m.Headers); n != len(h) {
			t.Errorf("%v: %d headers are left", h, n)
		}
		if _, err := newEncoder(testIdentity, testTemplate(t, "t.{address}")).encode(&m, nil); bridge.ReasonOf(err) != bridge.ReasonPoison {
			t.Errorf("%v: a sink answers %v", h, err)
		}
	}
}

// What another adapter could not decode is marked by a header, which no sink
// passes on as if it were the producer's.
func TestUndecodableMessagesPark(t *testing.T) {
	e := newEncoder(testIdentity, testTemplate(t, "t.{address}"))
	m := plain(func(m *bridge.Message) {
		m.Headers = []bridge.Header{{Name: "a"}, {Name: "crossfade-unreadable", Type: bridge.TypeBytes, Value: []byte{1}}}
	})
	for _, c := range []*chain{nil, {session: "s"}} {
		if _, err := e.encode(m, c); bridge.ReasonOf(err) != bridge.ReasonPoison {
			t.Errorf("a sink answers %v", err)
		}
	}
	m.Headers = m.Headers[:1]
	if _, err := e.encode(m, nil); err != nil {
		t.Errorf("without it: %v", err)
	}
}

// decode takes anything and loses no body; what it gives can be sent on.
func FuzzDecode(f *testing.F) {
	f.Add("crossfade-relay", "b/r", "crossfade-order", "1 0", "k", "v", []byte("body"))
	f.Add("crossfade-relay", "b/r", "crossfade-headers", "0/S/a/YQ 1/V/n/", "Nats-Msg-Id", "kp~a~b", []byte{})
	f.Add("crossfade-relay", "b/r", "crossfade-body", "null", "crossfade-time", "-1", []byte(nil))
	f.Add("Status", "503", "Description", "x", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, a, av, b, bv, c, cv string, body []byte) {
		h := nats.Header{}
		for _, p := range [][2]string{{a, av}, {b, bv}, {c, cv}} {
			h[p[0]] = append(h[p[0]], p[1])
		}
		var m, again bridge.Message
		decode(&nats.Msg{Subject: "s", Header: h, Data: body}, position{stream: 1, time: 1}, nil, &m)
		if !bytes.Equal(m.Body, body) {
			t.Fatalf("body %q became %q", body, m.Body)
		}
		out, err := newEncoder(testIdentity, testTemplate(t, "t.x")).encode(&m, nil)
		if hop := slices.ContainsFunc(m.Headers, func(h bridge.Header) bool { return bridge.IsHop(h.Name) }); hop && bridge.ReasonOf(err) == bridge.ReasonPoison {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		decode(&nats.Msg{Subject: out.Subject, Header: out.Header, Data: out.Data}, position{}, nil, &again)
		if d := differs(&m, &again); d != "" {
			t.Fatalf("%s; %q", d, out.Header)
		}
	})
}

func TestParsePosition(t *testing.T) {
	for reply, want := range map[string]position{
		"$JS.ACK.S.C.1.7.3.1700000000000000000.9":                 {7, 3, 1_700_000_000_000_000_000, 9},
		"$JS.ACK._.hash.S.C.1.7.3.1700000000000000000.9":          {7, 3, 1_700_000_000_000_000_000, 9},
		"$JS.ACK.dom.hash.S.C.1.18446744073709551615.3.5.9.token": {math.MaxUint64, 3, 5, 9},
	} {
		if got, ok := parsePosition(reply); !ok || got != want {
			t.Errorf("%s: %+v, %v", reply, got, ok)
		}
	}
	for _, reply := range []string{"", "$JS.ACK.", "$JS.ACK.S.C.1.7.3.5", "$JS.ACK.S.C.1.x.3.5.9", "_INBOX.a", "$JS.ACK.S.C.1.7.3.5.9.10", "$JS.ACK.S.C.1.-7.3.5.9"} {
		if got, ok := parsePosition(reply); ok {
			t.Errorf("%q: %+v", reply, got)
		}
	}
}
