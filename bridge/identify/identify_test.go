package identify

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
)

var (
	stored = &bridge.Stream{System: "nats", Cluster: "c", Name: "S", Incarnation: "1", Replayable: true}
	tapped = &bridge.Stream{System: "rabbitmq", Cluster: "c", Name: "q", Incarnation: "1"}
)

func message() bridge.Message {
	return bridge.Message{
		Address: bridge.Address{Space: "telemetry", Name: "site.7.temp"},
		Body:    []byte(`{"metric":"t1","seq":10,"deep":{"a.b":"x"},"esc":"q\"\u00e9","ok":true,"none":null,"list":[1],"big":1.50e3}`),
		Headers: []bridge.Header{
			{Name: "metric", Value: []byte("h1")}, {Name: "empty"}, {Name: "raw", Value: []byte{0xff, 0}},
			{Name: "Nats-Msg-Id", Value: []byte("nats-1")}, {Name: "metric", Value: []byte("second")},
		},
		Properties: []bridge.Property{
			{Kind: bridge.KindMessageID, Text: "m-1"}, {Kind: bridge.KindPriority}, {Kind: bridge.KindReplyTo, Null: true}, {Kind: bridge.KindAppID, Text: "app"},
		},
		Origin: bridge.Origin{Stream: tapped, Shard: 0, Offset: 9},
	}
}

func identify(t testing.TB, s Spec, m bridge.Message) (bridge.Message, Counts) {
	t.Helper()
	i, err := New(s, bridge.SourceTraits{Replayable: true})
	if err != nil {
		t.Fatal(err)
	}
	d := &bridge.Delivery{Message: m}
	i.Identify(d)
	return d.Message, i.Counts()
}

func TestKey(t *testing.T) {
	for _, c := range []struct {
		name    string
		key     Key
		want    string
		missing uint64
	}{
		{"default", Key{}, "site.7.temp", 0},
		{"address", Key{From: "address"}, "site.7.temp", 0},
		{"routing key", Key{From: "routing-key"}, "site.7.temp", 0},
		{"subject", Key{From: "subject"}, "site.7.temp", 0},
		{"topic", Key{From: "topic"}, "site.7.temp", 0},
		{"shard", Key{From: "shard"}, "", 0},
		{"first token", Key{Token: 1}, "site", 0},
		{"last token", Key{Token: 3}, "temp", 0},
		{"token too far", Key{Token: 4}, "", 1},
		{"header, the first of two", Key{Header: "metric"}, "h1", 0},
		{"header of any octets", Key{Header: "raw"}, "\xff\x00", 0},
		{"header, another case", Key{Header: "Metric"}, "", 1},
		{"empty header", Key{Header: "empty"}, "", 1},
		{"property", Key{Property: "app-id"}, "app", 0},
		{"number", Key{Property: "priority"}, "0", 0},
		{"null property", Key{Property: "reply-to"}, "", 1},
		{"absent property", Key{Property: "user-id"}, "", 1},
		{"JSON text", Key{JSON: "metric"}, "t1", 0},
		{"JSON number as written", Key{JSON: "big"}, "1.50e3", 0},
		{"JSON boolean", Key{JSON: "ok"}, "true", 0},
		{"JSON with escapes", Key{JSON: "esc"}, "q\"é", 0},
		{"JSON path", Key{JSON: `deep.a\.b`}, "x", 0},
		{"JSON null", Key{JSON: "none"}, "", 1},
		{"JSON list", Key{JSON: "list"}, "", 1},
		{"JSON absent", Key{JSON: "other"}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, n := identify(t, Spec{Key: c.key}, message())
			if m.Key != c.want || n.KeyMissing != c.missing {
				t.Errorf("key %q, %d missing; want %q, %d", m.Key, n.KeyMissing, c.want, c.missing)
			}
		})
	}
}

func TestKeyOfAnEarlierHop(t *testing.T) {
	m := message()
	m.Key, m.ID = "hop", bridge.ID{Value: "1"}
	if got, _ := identify(t, Spec{}, m); got.Key != "hop" {
		t.Errorf("default: key %q, want that of the hop", got.Key)
	}
	if got, _ := identify(t, Spec{Key: Key{Token: 1}}, m); got.Key != "site" {
		t.Errorf("configured: key %q, want the token", got.Key)
	}
	m.Key = ""
	if got, n := identify(t, Spec{}, m); got.Key != "" || n.KeyMissing != 0 {
		t.Errorf("the hop's empty key became %q, %d missing", got.Key, n.KeyMissing)
	}
	m = message()
	m.Address.Name = ""
	if got, n := identify(t, Spec{}, m); got.Key != "" || n.KeyMissing != 1 {
		t.Errorf("no address: key %q, %d missing", got.Key, n.KeyMissing)
	}
}

func TestID(t *testing.T) {
	content := dedupe.FromContent([]byte("telemetry"), []byte("site.7.temp"), []byte("site.7.temp"), message().Body)
	origin := dedupe.FromOrigin("nats", "c", "S", "1", 0, 9)
	without := func(m *bridge.Message) { m.Headers, m.Properties = nil, nil }
	replayable := func(m *bridge.Message) { m.Headers, m.Properties, m.Origin.Stream = nil, nil, stored }
	hop := func(m *bridge.Message) {
		m.ID = bridge.ID{Value: "hop", Scope: bridge.ScopeGlobal, From: bridge.FromOrigin}
	}
	for _, c := range []struct {
		name    string
		id      ID
		change  func(*bridge.Message)
		want    bridge.ID
		missing uint64
	}{
		{"default: the hop's", ID{}, hop, bridge.ID{Value: "hop", Scope: bridge.ScopeGlobal, From: bridge.FromOrigin}, 0},
		{"default: message-id", ID{}, nil, bridge.ID{Value: "m-1"}, 0},
		{"default: Nats-Msg-Id", ID{}, func(m *bridge.Message) { m.Properties = nil }, bridge.ID{Value: "nats-1"}, 0},
		{"default: origin", ID{}, replayable, bridge.ID{Value: origin, From: bridge.FromOrigin}, 1},
		{"default: content", ID{}, without, bridge.ID{Value: content, From: bridge.FromContent}, 1},
		{"scope", ID{Scope: "global"}, nil, bridge.ID{Value: "m-1", Scope: bridge.ScopeGlobal}, 0},
		{"message-id", ID{From: "message-id"}, hop, bridge.ID{Value: "m-1"}, 0},
		{"nats-msg-id", ID{From: "nats-msg-id"}, nil, bridge.ID{Value: "nats-1"}, 0},
		{"header", ID{Header: "raw"}, nil, bridge.ID{Value: "\xff\x00"}, 0},
		{"header missing", ID{Header: "x"}, nil, bridge.ID{Value: content, From: bridge.FromContent}, 1},
		{"header missing, positions", ID{Header: "x"}, replayable, bridge.ID{Value: origin, From: bridge.FromOrigin}, 1},
		{"property", ID{Property: "app-id"}, nil, bridge.ID{Value: "app"}, 0},
		{"JSON", ID{JSON: "seq"}, nil, bridge.ID{Value: "10"}, 0},
		{"origin", ID{From: "origin", Scope: "global"}, replayable, bridge.ID{Value: origin, From: bridge.FromOrigin, Scope: bridge.ScopeGlobal}, 0},
		{"origin of a message without", ID{From: "origin"}, nil, bridge.ID{Value: content, From: bridge.FromContent}, 1},
		{"content", ID{From: "content"}, nil, bridge.ID{Value: content, From: bridge.FromContent}, 0},
		{"content suppresses when asked to", ID{From: "content", SuppressContent: true}, nil, bridge.ID{Value: content}, 0},
		{"suppress_content without an ID", ID{SuppressContent: true}, replayable, bridge.ID{Value: content}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message()
			if c.change != nil {
				c.change(&m)
			}
			got, n := identify(t, Spec{ID: c.id}, m)
			if got.ID != c.want || n.IDMissing != c.missing {
				t.Errorf("ID %+v, %d missing; want %+v, %d", got.ID, n.IDMissing, c.want, c.missing)
			}
			if suppresses := got.ID.From != bridge.FromContent; got.ID.Suppresses() != suppresses {
				t.Errorf("suppresses: %t, want %t", got.ID.Suppresses(), suppresses)
			}
		})
	}
}

func TestNullBodyIsOtherContent(t *testing.T) {
	var ids []string
	for _, body := range [][]byte{nil, {}, []byte("x")} {
		m, _ := identify(t, Spec{}, bridge.Message{Body: body})
		ids = append(ids, m.ID.Value)
	}
	if ids[0] == ids[1] || ids[1] == ids[2] || ids[0] == ids[2] {
		t.Errorf("IDs of null, empty and a body: %q", ids)
	}
}

// The address may come from a wire buffer or from a constant: where an empty
// text points must not make another ID.
func TestEmptyTextIsOneContent(t *testing.T) {
	backing := strings.Repeat("x", 8)
	a, _ := identify(t, Spec{}, bridge.Message{Address: bridge.Address{Space: backing[3:3], Name: "n"}, Body: []byte("b")})
	b, _ := identify(t, Spec{}, bridge.Message{Address: bridge.Address{Name: "n"}, Body: []byte("b")})
	if a.ID != b.ID {
		t.Errorf("IDs %v and %v", a.ID, b.ID)
	}
}

func TestSpecsThatCannotHold(t *testing.T) {
	for _, c := range []struct {
		spec   Spec
		traits bridge.SourceTraits
		want   string
	}{
		{Spec{Key: Key{From: "address", Token: 1}}, bridge.SourceTraits{}, "key: 2 places are named"},
		{Spec{Key: Key{From: "adress"}}, bridge.SourceTraits{}, `key: from: "adress" is none of`},
		{Spec{Key: Key{Token: -1}}, bridge.SourceTraits{}, "key: token: -1: tokens count from 1"},
		{Spec{Key: Key{Property: "msg-id"}}, bridge.SourceTraits{}, `key: property: there is no "msg-id"; there are content-type, `},
		{Spec{Key: Key{Header: "Crossfade-ID"}}, bridge.SourceTraits{}, "key: header: "},
		{Spec{ID: ID{From: "content", JSON: "x"}}, bridge.SourceTraits{}, "id: 2 places are named"},
		{Spec{ID: ID{From: "uuid"}}, bridge.SourceTraits{}, `id: from: "uuid" is none of`},
		{Spec{ID: ID{Property: "x"}}, bridge.SourceTraits{}, "id: property: "},
		{Spec{ID: ID{Scope: "shard"}}, bridge.SourceTraits{}, "id: scope: "},
		{Spec{ID: ID{From: "origin"}}, bridge.SourceTraits{}, "id: from: origin: this source has no positions"},
		{Spec{ID: ID{From: "origin", SuppressContent: true}}, bridge.SourceTraits{Replayable: true}, "id: suppress_content has no effect"},
		{Spec{Key: Key{Token: -1}, ID: ID{Scope: "x"}}, bridge.SourceTraits{}, "id: scope"},
	} {
		if err := c.spec.Validate(c.traits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
}

// A message gets the same key and ID each time, and what an earlier hop gave it
// comes through a hop header unchanged. // I4
func TestTheSameEachTimeAndOverAHop(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := bridge.Message{
			Address: bridge.Address{Space: rapid.String().Draw(rt, "space"), Name: rapid.String().Draw(rt, "name")},
			Body:    rapid.SliceOf(rapid.Byte()).Draw(rt, "body"),
			Origin:  bridge.Origin{Stream: rapid.SampledFrom([]*bridge.Stream{stored, tapped}).Draw(rt, "stream"), Offset: rapid.Uint64().Draw(rt, "offset")},
		}
		if rapid.Bool().Draw(rt, "own id") {
			m.Properties = []bridge.Property{{Kind: bridge.KindMessageID, Text: rapid.String().Draw(rt, "id")}}
		}
		spec := Spec{
			Key: rapid.SampledFrom([]Key{{}, {Token: 1}, {From: "shard"}, {JSON: "a"}}).Draw(rt, "key"),
			ID:  rapid.SampledFrom([]ID{{}, {Scope: "global"}, {From: "content"}, {From: "origin"}}).Draw(rt, "how"),
		}
		first, _ := identify(t, spec, m)
		second, _ := identify(t, spec, m)
		if first.Key != second.Key || first.ID != second.ID || first.ID.IsZero() {
			rt.Fatalf("%q %+v, then %q %+v", first.Key, first.ID, second.Key, second.ID)
		}
		next := bridge.Message{Address: m.Address, Body: m.Body, Origin: bridge.Origin{Stream: stored, Offset: 1}}
		if err := next.Restore(bridge.HopID, first.ID.Text(first.Key)); err != nil {
			rt.Fatal(err)
		}
		over, _ := identify(t, Spec{}, next)
		if over.Key != first.Key || over.ID != first.ID {
			rt.Fatalf("%q %+v, over a hop %q %+v", first.Key, first.ID, over.Key, over.ID)
		}
	})
}

func TestNoAllocationForTheProducersOwn(t *testing.T) {
	for _, spec := range []Spec{
		{}, {Key: Key{Token: 2}, ID: ID{Header: "metric"}}, {Key: Key{Header: "metric"}, ID: ID{From: "nats-msg-id"}}, {Key: Key{JSON: "metric"}, ID: ID{JSON: "seq"}},
	} {
		i, err := New(spec, bridge.SourceTraits{})
		if err != nil {
			t.Fatal(err)
		}
		d := &bridge.Delivery{Message: message()}
		n := testing.AllocsPerRun(100, func() {
			d.Key, d.ID = "", bridge.ID{}
			i.Identify(d)
		})
		if n != 0 {
			t.Errorf("%+v: %v allocations", spec, n)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	for name, spec := range map[string]Spec{"default": {}, "token+header": {Key: Key{Token: 2}, ID: ID{Header: "metric"}}, "json": {Key: Key{JSON: "metric"}, ID: ID{JSON: "seq"}}, "content": {ID: ID{From: "content"}}} {
		b.Run(name, func(b *testing.B) {
			i, err := New(spec, bridge.SourceTraits{})
			if err != nil {
				b.Fatal(err)
			}
			d := &bridge.Delivery{Message: message()}
			b.ReportAllocs()
			for b.Loop() {
				d.Key, d.ID = "", bridge.ID{}
				i.Identify(d)
			}
		})
	}
}

// A Kafka record without a key is in order within its partition, and with no other
// of its topic.
func TestKeyOfARecordWithoutOne(t *testing.T) {
	for _, p := range []bridge.Property{{Kind: bridge.KindKey, Null: true}, {Kind: bridge.KindKey}} {
		m := message()
		m.Properties = []bridge.Property{p}
		if got, n := identify(t, Spec{}, m); got.Key != "" || n.KeyMissing != 0 {
			t.Errorf("%+v: key %q, %d missing", p, got.Key, n.KeyMissing)
		}
		if got, _ := identify(t, Spec{Key: Key{Token: 1}}, m); got.Key != "site" {
			t.Errorf("%+v, configured: key %q, want the token", p, got.Key)
		}
	}
}
