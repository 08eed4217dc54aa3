package written

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

func draw(t *rapid.T) bridge.Message {
	octets := rapid.SliceOfN(rapid.Byte(), 0, 12)
	text := func(label string) string { return string(octets.Draw(t, label)) }
	m := bridge.Message{
		Key: text("key"), Via: "b/r",
		Address: bridge.Address{Space: text("space"), Name: text("name"), Partition: rapid.Int32().Draw(t, "partition")},
		ID:      bridge.ID{Value: text("id"), Scope: bridge.Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))},
	}
	if rapid.Bool().Draw(t, "body") {
		m.Body = append([]byte{}, octets.Draw(t, "octets")...)
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		m.Headers = append(m.Headers, bridge.Header{Name: text("header"), Type: bridge.TypeInt32, Value: append([]byte{}, octets.Draw(t, "value")...)})
	}
	if rapid.Bool().Draw(t, "property") {
		m.Properties = []bridge.Property{{Kind: bridge.KindAppID, Text: text("app")}, {Kind: bridge.KindPriority, Num: rapid.Int64().Draw(t, "priority")}, {Kind: bridge.KindKey, Null: true}}
	}
	times := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64().Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
	})
	if rapid.Bool().Draw(t, "timed") {
		m.Time = times.Draw(t, "time")
	}
	if rapid.Bool().Draw(t, "expires") {
		m.Expires = times.Draw(t, "expiry")
	}
	if rapid.Bool().Draw(t, "origin") {
		m.Origin = bridge.Origin{Stream: &bridge.Stream{System: "s", Cluster: text("cluster"), Name: text("stream"), Incarnation: "1", Replayable: true}, Shard: 3, Offset: 1 << 63}
	}
	return m
}

// Every message comes back as it was, whatever octets and times it holds: brokers bound
// neither.
func TestMessagesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		w := Of(&want)
		text, err := json.Marshal(&w)
		if err != nil {
			t.Fatal(err)
		}
		var in Message
		if err := json.Unmarshal(text, &in); err != nil {
			t.Fatal(err)
		}
		got, err := in.Read()
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Headers) == 0 {
			want.Headers = nil
		}
		if !got.Time.Equal(want.Time) || !got.Expires.Equal(want.Expires) {
			t.Fatalf("times %v and %v became %v and %v", want.Time, want.Expires, got.Time, got.Expires)
		}
		got.Time, want.Time, got.Expires, want.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v\n%s", got, want, text)
		}
	})
}

func TestWhatIsNoMessage(t *testing.T) {
	for _, text := range []string{`{"id":"x"}`, `{"origin":"a/b"}`, `{"headers":[{"n":"","t":"?","v":""}]}`, `{"headers":[{"t":""}]}`, `{"properties":[{"n":"?"}]}`} {
		var in Message
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		if m, err := in.Read(); err == nil {
			t.Errorf("%s is read as %+v", text, m)
		}
	}
	var in Message
	if err := json.Unmarshal([]byte(`{"time":"@x"}`), &in); err == nil {
		t.Errorf("a time that is none is read as %v", in.Time)
	}
}
