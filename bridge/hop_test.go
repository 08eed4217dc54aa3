package bridge

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawMessage(t *rapid.T) Message {
	m := Message{
		Key:     anyString(t, "key"),
		ID:      ID{Value: anyString(t, "id"), Scope: Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: Provenance(rapid.IntRange(0, 2).Draw(t, "from"))},
		Address: Address{Space: anyString(t, "space"), Name: anyString(t, "name"), Partition: int32(rapid.IntRange(0, 4).Draw(t, "partition"))},
		Origin:  Origin{Stream: &Stream{System: "s", Name: anyString(t, "stream")}, Offset: rapid.Uint64().Draw(t, "offset")},
	}
	if m.ID.Value == "" {
		m.ID = ID{}
	}
	m.Via = rapid.SampledFrom([]string{"", "b/r", "b/r c/r-2 b/back"}).Draw(t, "via")
	if rapid.Bool().Draw(t, "body") {
		m.Body = []byte{}
	}
	if rapid.Bool().Draw(t, "time") {
		anyTime := func(label string) time.Time { // far beyond what nanoseconds in 64 bits can say, too
			return time.Unix(rapid.Int64Range(-1<<40, 1<<50).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, label+" ns"))
		}
		m.Time, m.Expires = anyTime("time"), anyTime("expires")
	}
	for range rapid.IntRange(0, 5).Draw(t, "headers") {
		h := Header{Name: anyString(t, "header"), Type: Type(rapid.IntRange(0, int(TypeArray)).Draw(t, "type"))}
		if h.Type != TypeNull {
			h.Value = []byte(anyString(t, "value"))
		}
		m.Headers = append(m.Headers, h)
	}
	for k := PropertyKind(1); k < kindEnd; k++ {
		p := Property{Kind: k}
		switch {
		case !rapid.Bool().Draw(t, "has "+k.String()):
			continue
		case k == KindKey && rapid.Bool().Draw(t, "null key"):
			p.Null = true
		case k.Number():
			p.Num = rapid.Int64().Draw(t, "num")
		default:
			p.Text = anyString(t, "text")
		}
		if k == KindKey && !p.Null && p.Text == m.Key && p.Text != "" {
			continue // a native key that is the metric's goes without saying
		}
		m.Properties = append(m.Properties, p)
	}
	return m
}

// What a target cannot carry natively comes back whole from the hop headers,
// whichever part that is, headers at their places. // I3
func TestCarryAndRestoreAreInverse(t *testing.T) { rapid.Check(t, carryAndRestore) }

func carryAndRestore(t *rapid.T) {
	m := drawMessage(t)
	nativeHeader := make(map[*Header]bool)
	for i := range m.Headers {
		nativeHeader[&m.Headers[i]] = rapid.Bool().Draw(t, "native header")
	}
	nativeProps := rapid.Bool().Draw(t, "native properties")
	n := &Native{
		Header:   func(h *Header) bool { return nativeHeader[h] },
		Property: func(*Property) bool { return nativeProps },
	}
	var c Carry
	c.Message(&m, "bridge/relay", n)

	got := Message{Body: []byte{}} // what the target carried by itself
	for i := range m.Headers {
		if nativeHeader[&m.Headers[i]] {
			got.Headers = append(got.Headers, m.Headers[i])
		}
	}
	if nativeProps {
		got.Properties = m.Properties
	}
	c.Each(func(name string, value []byte) {
		if !IsHop(name) {
			t.Fatalf("%q is not a hop header", name)
		}
		if err := got.Restore(name, string(value)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	})
	m.Via = m.AppendVia("bridge/relay")
	if !reflect.DeepEqual(got, m) {
		t.Fatalf("got  %+v\nwant %+v", got, m)
	}
}

// Via tells apart names that begin or end alike.
func TestPassed(t *testing.T) {
	m := Message{Via: "b/r c/r-2 b/back"}
	for relay, want := range map[string]bool{"b/r": true, "c/r-2": true, "b/back": true, "": false, "c/r": false, "b/r ": false, "r": false, "back": false} {
		if m.Passed(relay) != want {
			t.Errorf("passed %q: %t", relay, !want)
		}
	}
	odd := Message{Via: (&Message{Via: m.Via}).AppendVia("b/relay one%")}
	if !odd.Passed("b/relay one%") || odd.Passed("b/relay") || odd.Passed("one%") || !odd.Passed("b/back") {
		t.Errorf("an odd name: %q", odd.Via)
	}
	if m = (Message{}); m.Passed("b/r") || m.Passed("") || m.AppendVia("b/r") != "b/r" {
		t.Error("a message on its first way was carried by something")
	}
	// Whichever of the two headers is read first.
	for _, order := range [][2]string{{HopRelay, HopVia}, {HopVia, HopRelay}} {
		var m Message
		for _, name := range order {
			if err := m.Restore(name, map[string]string{HopRelay: "b/last", HopVia: "b/one c/two"}[name]); err != nil {
				t.Fatal(err)
			}
		}
		if m.Via != "b/one c/two b/last" {
			t.Errorf("%v: via %q", order, m.Via)
		}
	}
}

func FuzzRestore(f *testing.F) {
	for _, name := range []string{HopID, HopOrigin, HopAddress, HopTime, HopExpires, HopBody, HopHeaders, HopProperty, HopVia, "crossfade-later"} {
		f.Add(name, "0/S/x/eA kp~a~b 1=2")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		m := Message{Body: []byte{}}
		_ = m.Restore(name, value) // hostile values are errors, never panics
	})
}

func TestSecretsHide(t *testing.T) {
	s := Secret("hunter2")
	text, _ := s.MarshalText()
	for _, got := range []string{s.String(), s.GoString(), string(text)} {
		if got != "***" {
			t.Errorf("shows %q", got)
		}
	}
	if Secret("").String() != "" {
		t.Error("an empty secret looks set")
	}
}

// What a Carry keeps from the message before is not found in the next one.
func TestCarryOfManyMessages(t *testing.T) {
	a := &Stream{System: "kafka", Cluster: "c", Name: "a/b", Incarnation: "1", Replayable: true}
	b := &Stream{System: "kafka", Cluster: "c", Name: "a/b", Incarnation: "2"}
	var msgs []Message
	for _, stream := range []*Stream{a, a, b, nil, b, a} {
		for _, address := range []Address{{}, {Name: "x", Partition: 1}, {Name: "x", Partition: 2}, {Space: "x"}, {Space: "x"}} {
			msgs = append(msgs, Message{Address: address, Origin: Origin{Stream: stream, Shard: int32(len(msgs) % 3), Offset: uint64(len(msgs))}})
		}
	}
	pairs := func(c *Carry, m *Message) (all []string) {
		c.Reset()
		c.Message(m, "r", &Native{})
		c.Each(func(name string, v []byte) { all = append(all, name+"="+string(v)) })
		return all
	}
	var kept Carry
	for i := range msgs {
		var fresh Carry
		got, want := pairs(&kept, &msgs[i]), pairs(&fresh, &msgs[i])
		if !slices.Equal(got, want) {
			t.Errorf("message %d: %q, want %q", i, got, want)
		}
		if o := msgs[i].Origin; o.Stream != nil && !slices.Contains(got, HopOrigin+"="+o.String()) {
			t.Errorf("message %d: %q has no origin %s", i, got, o)
		}
	}
}
