package kafka

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Each line that is declared is what becomes of samples of its field.
func TestCarriesAsDeclared(t *testing.T) {
	for _, keepTime := range []bool{true, false} {
		at := place{stream: &bridge.Stream{System: Kind, Name: "t.fixed", Replayable: true}, partition: 3}
		e := newEncoder(testIdentity, testTemplate(t, "t.{header:to}"), keepTime)
		fixed := newEncoder(testIdentity, testTemplate(t, "t.fixed"), keepTime)
		claim := &adaptertest.Claim{
			Carries: carried(keepTime), Gives: given(), Own: bridge.Address{Name: "t.fixed", Partition: 4},
			Cross: func(m *bridge.Message) (x adaptertest.Crossing, err error) {
				with := fixed
				if _, ok := m.Header("to"); ok {
					with = e
				}
				if _, err := with.topicOf(m); err != nil {
					return x, err
				}
				out, err := with.encode(m, 3, time.Now())
				if err != nil {
					return x, err
				}
				r := asRead(out, 42)
				plain := *r
				plain.headers = nil
				for _, h := range r.headers {
					if !bridge.IsHop(string(h.key)) {
						plain.headers = append(plain.headers, h)
					}
				}
				decode(&plain, at, &x.Seen, nil)
				decode(r, at, &x.Back, nil)
				return x, nil
			},
			Beyond: map[bridge.Field]*bridge.Message{
				bridge.FieldBody:    nil, // the sink's matter, which knows the topic's limit
				bridge.FieldAddress: {Headers: []bridge.Header{{Name: "to", Value: []byte(strings.Repeat("x", 250))}}},
			},
		}
		claim.Prove(t)
	}
}

// What is read of what producers write has the fields that are declared, and every
// field that is declared is among it.
func TestGivesAsDeclared(t *testing.T) {
	at := place{stream: &bridge.Stream{System: Kind, Name: "in", Replayable: true}, partition: 1}
	header := func(name string, v []byte) recordHeader { return recordHeader{key: []byte(name), value: v} }
	found := map[bridge.Field]bool{}
	for _, r := range []*record{
		{timestamp: 7, key: []byte("k"), value: []byte("v"), headers: []recordHeader{header("z", []byte("1")), header("a", nil), header("a", []byte{})}},
		{timestamp: 7, value: []byte{}}, {timestamp: -1},
	} {
		var m bridge.Message
		decode(r, at, &m, nil)
		maps.Copy(found, adaptertest.Found(&m))
	}
	if d := adaptertest.Undeclared(found, given()); d != "" {
		t.Error(d)
	}
}
