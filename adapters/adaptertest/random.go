package adaptertest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// RandomMessage makes a message of whatever a message can hold, with a liking for
// what systems trim, fold, forget or give a meaning to. It has an ID of its own
// or none, and an origin elsewhere or none.
func RandomMessage(r *rand.Rand) *bridge.Message {
	m := &bridge.Message{
		Key:     randomText(r),
		Address: bridge.Address{Name: randomText(r), Partition: r.Int32N(4)},
	}
	if r.IntN(2) == 0 {
		m.Address.Space = randomText(r)
	}
	for range r.IntN(6) {
		m.Headers = append(m.Headers, randomHeader(r))
	}
	m.Properties = randomProperties(r, m.Key)
	if v := randomText(r); v != "" {
		m.ID = bridge.ID{Value: v, Scope: bridge.Scope(r.IntN(2)), From: bridge.Provenance(r.IntN(3))}
	}
	if r.IntN(5) > 0 {
		m.Body = []byte(randomText(r))
	}
	if r.IntN(2) == 0 {
		m.Time = randomTime(r)
	}
	if r.IntN(4) == 0 {
		m.Expires = time.Now().Add(time.Hour).Add(time.Duration(r.Int64N(int64(time.Hour))))
	}
	if r.IntN(2) == 0 {
		m.Origin = bridge.Origin{
			Stream: &bridge.Stream{System: "elsewhere", Cluster: randomText(r), Name: randomText(r), Incarnation: "7", Replayable: r.IntN(2) == 0},
			Shard:  r.Int32(), Offset: r.Uint64(),
		}
	}
	return m
}

var strangeTexts = []string{
	"", "a", "A", " a", "a ", "a.b", "..", ".", "*", ">", "é", "\xff\xfe", "\x00", "a\r\nb: c", "\t", "kp~a~b", "gc~~x", "crossfad-x",
	"Nats-Rollup", "x y", "%", "%2E", "_", "_2E", "a_b", "none", "null",
}

func randomText(r *rand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return strangeTexts[r.IntN(len(strangeTexts))]
	case 1:
		b := make([]byte, r.IntN(13))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	b := make([]rune, r.IntN(13))
	for i := range b {
		b[i] = rune(' ' + r.IntN(0x250))
	}
	return string(b)
}

func randomTime(r *rand.Rand) time.Time {
	switch r.IntN(4) {
	case 0:
		return time.Unix(r.Int64N(4e9), 0)
	case 1:
		return time.UnixMilli(r.Int64N(4e12))
	case 2:
		return time.Unix(-r.Int64N(4e9), r.Int64N(1e9))
	}
	return time.Unix(r.Int64N(4e9), r.Int64N(1e9))
}

func randomHeader(r *rand.Rand) bridge.Header {
	names := []string{"a", "b", "B", "Status", "Nats-TTL", "x-death", "cross", "traceparent"}
	h := bridge.Header{Name: names[r.IntN(len(names))]}
	if r.IntN(3) == 0 {
		h.Name = randomText(r)
	}
	if bridge.IsHop(h.Name) {
		h.Name = "a"
	}
	if r.IntN(2) == 0 {
		h.Type = bridge.Type(r.IntN(int(bridge.TypeArray) + 1))
	}
	h.Value = randomValue(r, h.Type)
	return h
}

// widths are the octets of the types that have a fixed number of them.
var widths = map[bridge.Type]int{
	bridge.TypeBool: 1, bridge.TypeInt8: 1, bridge.TypeUint8: 1, bridge.TypeInt16: 2, bridge.TypeUint16: 2, bridge.TypeInt32: 4, bridge.TypeUint32: 4,
	bridge.TypeInt64: 8, bridge.TypeUint64: 8, bridge.TypeFloat32: 4, bridge.TypeFloat64: 8, bridge.TypeDecimal: 5, bridge.TypeTimestamp: 8,
}

// randomValue is a value that is a right one of its type.
func randomValue(r *rand.Rand, t bridge.Type) []byte {
	switch t {
	case bridge.TypeNull:
		return nil
	case bridge.TypeTable: // one entry: name "n", a boolean
		return []byte{1, 'n', 't', byte(r.IntN(2))}
	case bridge.TypeArray: // a boolean and an octet
		return []byte{'t', byte(r.IntN(2)), 'B', byte(r.Uint32())}
	case bridge.TypeBool:
		return []byte{byte(r.IntN(2))}
	}
	n, fixed := widths[t]
	if !fixed {
		return []byte(randomText(r))
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// randomProperties has no kind twice, and no native key that is the metric's, which
// goes without saying.
func randomProperties(r *rand.Rand, key string) (ps []bridge.Property) {
	for k := bridge.KindContentType; k <= bridge.KindKey; k++ {
		if r.IntN(4) > 0 {
			continue
		}
		p := bridge.Property{Kind: k}
		switch {
		case k == bridge.KindKey && r.IntN(3) == 0:
			p.Null = true
		case k.Number():
			p.Num = r.Int64N(256)
		default:
			p.Text = randomText(r)
		}
		if k != bridge.KindKey || p.Null && key != "" || !p.Null && p.Text != key {
			ps = append(ps, p)
		}
	}
	return ps
}

// Differs says in what two messages differ; empty where they are the same. The order
// of properties of different kinds says nothing, and an origin that one of them
// has not is not compared.
func Differs(a, b *bridge.Message) string {
	header := func(x, y bridge.Header) bool {
		return x.Name == y.Name && x.Type == y.Type && bytes.Equal(x.Value, y.Value) && (x.Value == nil) == (y.Value == nil)
	}
	switch {
	case a.Key != b.Key:
		return fmt.Sprintf("key %q and %q", a.Key, b.Key)
	case a.ID != b.ID && (!a.ID.IsZero() || !b.ID.IsZero()): // without a value there is none
		return fmt.Sprintf("id %+v and %+v", a.ID, b.ID)
	case a.Address != b.Address:
		return fmt.Sprintf("address %+v and %+v", a.Address, b.Address)
	case !bytes.Equal(a.Body, b.Body), (a.Body == nil) != (b.Body == nil):
		return fmt.Sprintf("body %q and %q", a.Body, b.Body)
	case !slices.EqualFunc(a.Headers, b.Headers, header):
		return fmt.Sprintf("headers %q and %q", a.Headers, b.Headers)
	case !slices.Equal(byKind(a.Properties), byKind(b.Properties)):
		return fmt.Sprintf("properties %v and %v", a.Properties, b.Properties)
	case !a.Time.Equal(b.Time):
		return fmt.Sprintf("time %v and %v", a.Time, b.Time)
	case !a.Expires.Equal(b.Expires):
		return fmt.Sprintf("expiry %v and %v", a.Expires, b.Expires)
	case a.Origin.Stream != nil && b.Origin.Stream != nil && a.Origin.String() != b.Origin.String():
		return fmt.Sprintf("origin %v and %v", a.Origin, b.Origin)
	}
	return ""
}

func byKind(ps []bridge.Property) []bridge.Property {
	return slices.SortedStableFunc(slices.Values(ps), func(a, b bridge.Property) int { return int(a.Kind) - int(b.Kind) })
}
