package compare

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

func message() bridge.Message {
	return bridge.Message{
		Key: "metric-1", ID: bridge.ID{Value: "17"}, Body: []byte(`{"value": 3}`),
		Headers: []bridge.Header{
			{Name: "trace", Type: bridge.TypeString, Value: []byte("abcdef")}, {Name: "n", Type: bridge.TypeInt32, Value: []byte{0, 0, 0, 7}},
			{Name: "tag", Type: bridge.TypeString, Value: []byte("x")}, {Name: "tag", Type: bridge.TypeString, Value: []byte("y")},
		},
		Properties: []bridge.Property{{Kind: bridge.KindContentType, Text: "application/json"}, {Kind: bridge.KindPriority, Num: 3}},
		Address:    bridge.Address{Space: "telemetry", Name: "a.b"},
		Time:       time.Unix(1_700_000_000, 123_456_789),
		Origin:     bridge.Origin{Stream: &bridge.Stream{System: "s"}, Shard: 2, Offset: 9},
	}
}

func TestEveryChangeIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		alter func(*bridge.Message)
		want  string
	}{
		{"a bit", func(m *bridge.Message) { m.Body[3] ^= 1 }, "body: changed"},
		{"cut", func(m *bridge.Message) { m.Body = m.Body[:4] }, "body: truncated, was 12 octets, is 4 octets"},
		{"null", func(m *bridge.Message) { m.Body = nil }, "body: dropped"},
		{"strip a header", func(m *bridge.Message) { m.Headers = m.Headers[1:] }, `header trace: dropped, was S "abcdef"`},
		{"add a header", func(m *bridge.Message) { m.Headers = append(m.Headers, bridge.Header{Name: "new"}) }, "header new: added"},
		{"rename a header", func(m *bridge.Message) { m.Headers[0].Name = "Trace" }, "header trace: renamed, was trace, is Trace"},
		{"narrow a header's type", func(m *bridge.Message) { m.Headers[1] = bridge.Header{Name: "n", Value: []byte("7")} }, "header n: narrowed, was I"},
		{"one of two", func(m *bridge.Message) { m.Headers = m.Headers[:3] }, "header tag: multivalue_collapsed"},
		{"cut a header", func(m *bridge.Message) { m.Headers[0].Value = m.Headers[0].Value[:2] }, `header trace: truncated, was "abcdef", is "ab"`},
		{"change a header", func(m *bridge.Message) { m.Headers[0].Value = []byte("xbcdef") }, "header trace: changed"},
		{"swap two values", func(m *bridge.Message) {
			m.Headers[2].Value, m.Headers[3].Value = m.Headers[3].Value, m.Headers[2].Value
		}, `header tag: changed, was "x", is "y"`},
		{"drop a property", func(m *bridge.Message) { m.Properties = m.Properties[:1] }, "property priority: dropped, was 3"},
		{"add a property", func(m *bridge.Message) {
			m.Properties = append(m.Properties, bridge.Property{Kind: bridge.KindReplyTo, Text: "q"})
		}, `property reply-to: added, is "q"`},
		{"zero for absent", func(m *bridge.Message) { m.Properties = append(m.Properties, bridge.Property{Kind: bridge.KindAppID}) }, "property app-id: added"},
		{"change a property", func(m *bridge.Message) { m.Properties[1].Num = 4 }, "property priority: changed, was 3, is 4"},
		{"address", func(m *bridge.Message) { m.Address.Space = "" }, `address: changed, was "telemetry" "a.b", is "a.b"`},
		{"cut time", func(m *bridge.Message) { m.Time = m.Time.Truncate(time.Millisecond) }, "time: truncated"},
		{"no time", func(m *bridge.Message) { m.Time = time.Time{} }, "time: dropped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			was, is := message(), message()
			tc.alter(&is)
			got := Explain(&was, &is, nil)
			if len(got) == 0 || len(got) > 1 && tc.name != "swap two values" || !strings.HasPrefix(got[0].String(), tc.want) {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			d := Digester{Seed: 5}
			if a, b := d.Of(&was, time.Time{}), d.Of(&is, time.Time{}); a.Body == b.Body && a.Head == b.Head {
				t.Error("the observations are the same")
			} else if a.Key != b.Key || a.ID != b.ID || a.Anonymous != b.Anonymous {
				t.Error("it is another message now")
			}
		})
	}
}

// What a message is given anew by each system makes no difference.
func TestWhatEachSystemGivesAnew(t *testing.T) {
	was, is := message(), message()
	is.Origin.Offset, is.Via, is.Expires = 12, "b/r", time.Unix(1_900_000_000, 0)
	slices.Reverse(is.Properties)
	is.Headers = append(slices.Clone(is.Headers[2:]), is.Headers[:2]...)
	if got := Explain(&was, &is, nil); len(got) > 0 {
		t.Errorf("%v", got)
	}
	d := Digester{}
	a, b := d.Of(&was, time.Time{}), d.Of(&is, time.Time{})
	if a.Expires = b.Expires; a != b {
		t.Errorf("%+v and %+v", a, b)
	}
}

func drawMessage(t *rapid.T) bridge.Message {
	texts := rapid.SampledFrom([]string{"", "a", "b", "ab", "\x00", "ü"})
	m := bridge.Message{Key: texts.Draw(t, "key"), ID: bridge.ID{Value: texts.Draw(t, "id"), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))}}
	if rapid.Bool().Draw(t, "body") {
		m.Body = []byte(texts.Draw(t, "octets"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		m.Headers = append(m.Headers, bridge.Header{Name: texts.Draw(t, "name"), Type: bridge.Type(rapid.IntRange(0, 2).Draw(t, "type")), Value: []byte(texts.Draw(t, "value"))})
	}
	if rapid.Bool().Draw(t, "property") {
		m.Properties = append(m.Properties, bridge.Property{Kind: bridge.KindAppID, Text: texts.Draw(t, "app")})
	}
	m.Address = bridge.Address{Space: texts.Draw(t, "space"), Name: texts.Draw(t, "to"), Partition: int32(rapid.IntRange(0, 1).Draw(t, "partition"))}
	if rapid.Bool().Draw(t, "time") {
		m.Time = time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "seconds")), 0)
	}
	return m
}

// Whatever two messages are, there is something to explain exactly where their
// observations differ.
func TestExplainsWhatIsObserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawMessage(t), drawMessage(t)
		if rapid.Bool().Draw(t, "alike") {
			part := rapid.IntRange(0, 4).Draw(t, "part")
			c := a
			switch part {
			case 0:
				c.Body = b.Body
			case 1:
				c.Headers = b.Headers
			case 2:
				c.Properties = b.Properties
			case 3:
				c.Address = b.Address
			}
			b = c
		}
		ignore := Ignore(rapid.SampledFrom([][]string{nil, {"address", "time"}, {"headers"}, {"header:A", "property:app-id"}, {"properties"}}).Draw(t, "ignore"))
		if err := ignore.Validate(); err != nil {
			t.Fatal(err)
		}
		d := Digester{Seed: 1, Ignore: ignore}
		x, y := d.Of(&a, time.Time{}), d.Of(&b, time.Time{})
		same := x.Body == y.Body && x.Head == y.Head
		if got := Explain(&a, &b, ignore); same != (len(got) == 0) {
			t.Fatalf("observed the same: %v; explained: %v", same, got)
		}
	})
}

// The two sides of a comparison agree about a message with every key and ID.
func TestAnonymousIsWhatNothingTellsApart(t *testing.T) {
	d := Digester{Seed: 3}
	seen := map[[2]uint64]string{}
	for name, m := range map[string]bridge.Message{
		"an ID": {Key: "k", ID: bridge.ID{Value: "1"}}, "a global ID": {Key: "k", ID: bridge.ID{Value: "1", Scope: bridge.ScopeGlobal}},
		"of another key": {Key: "l", ID: bridge.ID{Value: "1"}}, "another": {Key: "k", ID: bridge.ID{Value: "2"}},
		"no ID": {Key: "k", Body: []byte("x")}, "no ID and no body": {Key: "k"}, "no ID, other body": {Key: "k", Body: []byte("y")},
		"from the content": {Key: "k", ID: bridge.ID{Value: "9", From: bridge.FromContent}},
		"no key":           {ID: bridge.ID{Value: "1"}}, "no key, another shard": {ID: bridge.ID{Value: "1"}, Origin: bridge.Origin{Shard: 1}},
	} {
		o := d.Of(&m, time.Time{})
		if was, ok := seen[[2]uint64{o.Key, o.ID}]; ok {
			t.Errorf("%s is taken for %s", name, was)
		}
		seen[[2]uint64{o.Key, o.ID}] = name
		if o.Anonymous != (strings.HasPrefix(name, "no ID") || name == "from the content") {
			t.Errorf("%s: anonymous is %v", name, o.Anonymous)
		}
	}
}

// Kafka's own key is no more than the message's, unless it is another one.
func TestTheKeyOfARecord(t *testing.T) {
	d := Digester{}
	head := func(p ...bridge.Property) uint32 {
		m := bridge.Message{Key: "k", Properties: p}
		return d.Of(&m, time.Time{}).Head
	}
	none := head()
	if same := head(bridge.Property{Kind: bridge.KindKey, Text: "k"}); same != none {
		t.Error("the message's key, as a property, makes a difference")
	}
	for _, p := range []bridge.Property{{Kind: bridge.KindKey, Text: "other"}, {Kind: bridge.KindKey}, {Kind: bridge.KindKey, Null: true}} {
		if head(p) == none {
			t.Errorf("%+v makes no difference", p)
		}
	}
}

func TestWordsToIgnore(t *testing.T) {
	for _, w := range []string{"", "body", "Address", "header:", "property:none", "time:x", "header"} {
		if (Ignore{w}).Validate() == nil {
			t.Errorf("%q is taken", w)
		}
	}
}
