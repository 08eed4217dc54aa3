package kafka

import (
	"bytes"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Different values give different topics, wherever they stand in a template, and every
// topic is a legal one.
func FuzzTopicTemplates(f *testing.F) {
	f.Add("a.b", "a_2Eb", "x", "y")
	f.Add("", "_", ".", "..")
	tpl := testTemplate(f, "t.{key}.{exchange}.{address}")
	f.Fuzz(func(t *testing.T, k1, k2, a1, a2 string) {
		e1, e2 := newEncoder(testIdentity, tpl, true), newEncoder(testIdentity, tpl, true)
		r1, err1 := e1.topicOf(&bridge.Message{Key: k1, Address: bridge.Address{Space: a2, Name: a1}})
		r2, err2 := e2.topicOf(&bridge.Message{Key: k2, Address: bridge.Address{Space: a1, Name: a2}})
		if err1 != nil || err2 != nil {
			return
		}
		if !validTopic(string(r1)) || !validTopic(string(r2)) {
			t.Fatalf("%q or %q is no topic", r1, r2)
		}
		if bytes.Equal(r1, r2) && (k1 != k2 || a1 != a2) {
			t.Fatalf("%q and %q both give %q", []string{k1, a2, a1}, []string{k2, a1, a2}, r1)
		}
	})
}

// The names of the bridge's own things are different for different relays, purposes
// and uses.
func FuzzOwnNames(f *testing.F) {
	f.Add("a", "b", "a.b", "")
	f.Add("holdings", "x", "holdings.x", "parked")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		x, y := bridge.Identity{Bridge: a, Relay: b}, bridge.Identity{Bridge: c, Relay: d}
		if x != y && (groupOf(x) == groupOf(y) || journalOf(x, "p") == journalOf(y, "p") || journalOf(x, b) == journalOf(y, b)) {
			t.Fatalf("%v and %v share a name", x, y)
		}
		if a != c && holdingsOf(a) == holdingsOf(c) {
			t.Fatalf("bridges %q and %q share %s", a, c, holdingsOf(a))
		}
		if journalOf(x, c) == journalOf(x, d) && c != d {
			t.Fatalf("journals %q and %q share a name", c, d)
		}
	})
}

// Whatever stands in a record is read, with its body; what was read and is sent on
// reads as the same, or is refused.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("k"), []byte("v"), "crossfade-relay", []byte("b/r"), "crossfade-types", []byte("S"), "a", []byte("1"))
	f.Add([]byte(nil), []byte(nil), "crossfade-headers", []byte("0/S/a/YQ 1/V/n/"), "crossfade-relay", []byte("b/r"), "crossfade-id", []byte("kp~a~b"))
	f.Add([]byte{}, []byte{}, "crossfade-body", []byte("null"), "crossfade-time", []byte("none"), "\xff", []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte, a string, av []byte, b string, bv []byte, c string, cv []byte) {
		in := &record{offset: 7, timestamp: 1_700_000_000_000, key: key, value: value, headers: []recordHeader{
			{key: []byte(a), value: av}, {key: []byte(b), value: bv}, {key: []byte(c), value: cv},
		}}
		at := place{stream: &bridge.Stream{System: Kind, Name: "in", Replayable: true}, partition: 1}
		var first, again bridge.Message
		decode(in, at, &first, nil)
		if !bytes.Equal(first.Body, value) {
			t.Fatalf("body %q became %q", value, first.Body)
		}
		e := newEncoder(testIdentity, testTemplate(t, "t"), true)
		if _, err := e.topicOf(&first); err != nil {
			t.Fatal(err)
		}
		out, err := e.encode(&first, 0, time.UnixMilli(1))
		if err != nil {
			if bridge.ReasonOf(err) != bridge.ReasonPoison {
				t.Fatal(err)
			}
			return
		}
		decode(asRead(out, 9), at, &again, nil)
		if d := adaptertest.Differs(implied(&first), implied(&again)); d != "" {
			t.Fatalf("%s; %q", d, out.headers)
		}
	})
}

// implied is a message without a native key that says no more than the metric's, which
// goes without saying on its way.
func implied(m *bridge.Message) *bridge.Message {
	c := *m
	c.Properties = nil
	for _, p := range m.Properties {
		if p.Kind != bridge.KindKey || p.Null && m.Key != "" || !p.Null && (p.Text != m.Key || m.Key == "") {
			c.Properties = append(c.Properties, p)
		}
	}
	return &c
}
