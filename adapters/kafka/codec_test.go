package kafka

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

var testIdentity = bridge.Identity{Bridge: "b", Relay: "r"}

func testTemplate(t interface{ Fatal(...any) }, s string) *bridge.Template {
	tm, err := bridge.ParseTemplate(s)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

// asRead is the record that a reader gets of one that was sent.
func asRead(o *outgoing, offset int64) *record {
	r := &record{offset: offset, timestamp: o.timestamp, key: copied(o.key), value: copied(o.value)}
	for _, h := range o.headers {
		r.headers = append(r.headers, recordHeader{key: copied(h.key), value: copied(h.value)})
	}
	return r
}

func copied(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// Whatever a message holds comes back from Kafka, over one hop and over three,
// whether or not the topic keeps the producer's time. // I3
func TestRoundTrip(t *testing.T) {
	at := place{stream: &bridge.Stream{System: Kind, Cluster: "c", Name: "t.x", Incarnation: "1", Replayable: true}, partition: 3}
	rapid.Check(t, func(t *rapid.T) {
		want := adaptertest.RandomMessage(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		m := *want
		for hop := range 3 {
			keepTime := rapid.Bool().Draw(t, "keep time")
			e := newEncoder(testIdentity, testTemplate(t, rapid.SampledFrom([]string{"{address}", "t.{address}", "t.{key}", "t.fixed"}).Draw(t, "template")), keepTime)
			if _, err := e.topicOf(&m); err != nil {
				if bridge.ReasonOf(err) != bridge.ReasonName {
					t.Fatal(err)
				}
				return
			}
			out, err := e.encode(&m, 3, time.UnixMilli(7))
			if err != nil {
				t.Fatal(err)
			}
			r := asRead(out, 42)
			if !keepTime {
				r.timestamp = 1
			}
			var next bridge.Message
			decode(r, place{stream: &bridge.Stream{System: Kind, Cluster: "c", Name: string(e.topic), Incarnation: "1", Replayable: true}, partition: at.partition}, &next, nil)
			if d := adaptertest.Differs(want, &next); d != "" {
				t.Fatalf("hop %d: %s; headers %q", hop+1, d, r.headers)
			}
			m = next
		}
	})
}

// A message without a key and an ID has none afterwards, whatever the record's key is.
func TestNoKeyStaysNone(t *testing.T) {
	for _, p := range []bridge.Property{{Kind: bridge.KindKey, Text: "other"}, {Kind: bridge.KindKey}} {
		want := &bridge.Message{Body: []byte("b"), Properties: []bridge.Property{p}, Address: bridge.Address{Name: "t", Partition: 1}}
		e := newEncoder(testIdentity, testTemplate(t, "t"), true)
		if _, err := e.topicOf(want); err != nil {
			t.Fatal(err)
		}
		out, err := e.encode(want, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var got bridge.Message
		decode(asRead(out, 1), place{stream: &bridge.Stream{System: Kind, Name: "t"}}, &got, nil)
		if d := adaptertest.Differs(want, &got); d != "" {
			t.Errorf("%+v: %s", p, d)
		}
	}
}

// What a producer at Kafka writes comes to another topic octet for octet, and null
// stays apart from empty.
func TestNativeRecordRoundTrip(t *testing.T) {
	octets := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 0, 9))
	rapid.Check(t, func(t *rapid.T) {
		in := &record{offset: 9, timestamp: rapid.Int64Range(0, 4e12).Draw(t, "time"), key: octets.Draw(t, "key"), value: octets.Draw(t, "value")}
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			in.headers = append(in.headers, recordHeader{key: []byte(rapid.SampledFrom([]string{"a", "b", "", "é", "crossfad"}).Draw(t, "name")), value: octets.Draw(t, "header")})
		}
		var m bridge.Message
		decode(in, place{stream: &bridge.Stream{System: Kind, Name: "in", Replayable: true}, partition: 1}, &m, nil)
		e := newEncoder(testIdentity, testTemplate(t, "copy.{topic}"), true)
		if topic, err := e.topicOf(&m); err != nil || string(topic) != "copy.in" {
			t.Fatalf("topic %q, %v", topic, err)
		}
		out, err := e.encode(&m, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		same := func(x, y []byte) bool { return bytes.Equal(x, y) && (x == nil) == (y == nil) }
		if !same(out.key, in.key) || !same(out.value, in.value) || out.timestamp != in.timestamp {
			t.Fatalf("%q %q %d became %q %q %d", in.key, in.value, in.timestamp, out.key, out.value, out.timestamp)
		}
		own := slices.DeleteFunc(slices.Clone(out.headers), func(h recordHeader) bool { return bridge.IsHop(string(h.key)) })
		if !slices.EqualFunc(own, in.headers, func(x, y recordHeader) bool { return same(x.key, y.key) && same(x.value, y.value) }) {
			t.Fatalf("headers %q became %q", in.headers, own)
		}
	})
}

// A text header is there for every consumer to read, under its own name.
func TestTextHeadersAreNative(t *testing.T) {
	e := newEncoder(testIdentity, testTemplate(t, "t"), true)
	m := &bridge.Message{Body: []byte{}, Headers: []bridge.Header{{Name: "trace", Value: []byte("1")}, {Name: "n", Type: bridge.TypeNull}}}
	if _, err := e.topicOf(m); err != nil {
		t.Fatal(err)
	}
	out, err := e.encode(m, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(out.headers, func(h recordHeader) bool { return string(h.key) == "trace" })
	if i < 0 || string(out.headers[i].value) != "1" {
		t.Errorf("headers %q", out.headers)
	}
}

// A message with headers of the bridge's that cannot be read keeps them, and no
// sink takes it.
func TestForgedHopHeadersArePoison(t *testing.T) {
	for _, headers := range [][]recordHeader{
		{{key: []byte("crossfade-id"), value: []byte("nonsense")}, {key: []byte(bridge.HopRelay), value: []byte("b/r")}},
		{{key: []byte("crossfade-id"), value: []byte("kp~a~b")}}, // no relay
		{{key: []byte("Crossfade-Types"), value: []byte("SS")}, {key: []byte(bridge.HopRelay), value: []byte("b/r")}},
	} {
		var m bridge.Message
		decode(&record{key: []byte("k"), value: []byte("v"), headers: headers}, place{stream: &bridge.Stream{System: Kind, Name: "in"}}, &m, nil)
		if len(m.Headers) != len(headers) || m.Key != "k" || !m.ID.IsZero() {
			t.Errorf("%q: decoded as %+v", headers, m)
		}
		e := newEncoder(testIdentity, testTemplate(t, "t"), true)
		if _, err := e.encode(&m, 0, time.Now()); bridge.ReasonOf(err) != bridge.ReasonPoison {
			t.Errorf("%q: %v", headers, err)
		}
	}
}

// Topics' names are injective and legal, and can be read back.
func FuzzTopicNames(f *testing.F) {
	f.Add("a", "a_")
	f.Add("a.b", "a_2Eb")
	f.Add("", "_")
	f.Add("..", "é")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, dotted := range []bool{true, false} {
			x, _ := appendTopic(nil, a, dotted)
			y, _ := appendTopic(nil, b, dotted)
			if (a == b) != bytes.Equal(x, y) {
				t.Errorf("%q and %q became %q and %q", a, b, x, y)
			}
			if len(x) <= maxTopic && len(a) > 0 && !validTopic(string(x)) && string(x) != "." && string(x) != ".." {
				t.Errorf("%q became %q, which is no topic's name", a, x)
			}
			if back, err := decodeTopic(string(x)); err != nil || back != a {
				t.Errorf("%q became %q became %q, %v", a, x, back, err)
			}
			// Names that differ in '.' and '_' only are one to Kafka's metrics.
			if a != b && bytes.Equal(bytes.ReplaceAll(x, []byte("."), []byte("_")), bytes.ReplaceAll(y, []byte("."), []byte("_"))) && !dotted {
				t.Errorf("%q and %q became %q and %q, which collide", a, b, x, y)
			}
		}
	})
}
