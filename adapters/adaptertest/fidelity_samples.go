package adaptertest

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A fieldSample is a message that has a field, and whether the field stands in what
// a consumer sees of it.
type fieldSample struct {
	sample
	stands func(seen *bridge.Message) bool
}

// samples gives messages that have a field.
func (c *Claim) samples(f bridge.Field) []fieldSample {
	switch f {
	case bridge.FieldBody, bridge.FieldNullBody, bridge.FieldEmptyBody:
		return c.bodies(f)
	case bridge.FieldKey, bridge.FieldNativeKey, bridge.FieldID, bridge.FieldAddress, bridge.FieldForeignAddress:
		return c.coordinates(f)
	case bridge.FieldTime, bridge.FieldExpiration:
		return c.times(f)
	}
	if f < bridge.FieldHeaderText {
		return c.properties(f)
	}
	return c.headers(f)
}

// of is a sample: a message to the target's own address that differs from the
// ordinary in one thing.
func (c *Claim) of(name string, change func(*bridge.Message), stands func(want, seen *bridge.Message) bool) fieldSample {
	c.made++
	m := ordinary(c.made)
	m.Address = c.Own
	change(&m)
	return fieldSample{sample{name: name, Message: m}, func(seen *bridge.Message) bool { return stands(&m, seen) }}
}

func (c *Claim) bodies(f bridge.Field) []fieldSample {
	same := func(want, seen *bridge.Message) bool {
		return bytes.Equal(want.Body, seen.Body) && (want.Body == nil) == (seen.Body == nil)
	}
	body := func(name string, b []byte) fieldSample {
		return c.of(name, func(m *bridge.Message) { m.Body = b }, same)
	}
	switch f {
	case bridge.FieldNullBody:
		return []fieldSample{body("a null body", nil)}
	case bridge.FieldEmptyBody:
		return []fieldSample{body("an empty body", []byte{})}
	}
	return []fieldSample{body("a body of every octet", everyOctet())}
}

func (c *Claim) coordinates(f bridge.Field) []fieldSample {
	key := func(want, seen *bridge.Message) bool {
		p, ok := seen.Property(bridge.KindKey)
		return seen.Key == want.Key || ok && !p.Null && p.Text == want.Key
	}
	native := func(name string, p bridge.Property) fieldSample {
		return c.of(name, func(m *bridge.Message) { m.Properties = []bridge.Property{p} }, samePropertiesSeen)
	}
	id := func(name string, id bridge.ID) fieldSample {
		return c.of(name, func(m *bridge.Message) { m.ID = id }, sameIDSeen)
	}
	address := func(name string, change func(*bridge.Message)) fieldSample {
		return c.of(name, change, func(want, seen *bridge.Message) bool { return want.Address == seen.Address })
	}
	switch f {
	case bridge.FieldKey:
		return []fieldSample{c.of("a key", func(*bridge.Message) {}, key)}
	case bridge.FieldNativeKey:
		return []fieldSample{native("a null key", bridge.Property{Kind: bridge.KindKey, Null: true}), native("another key", bridge.Property{Kind: bridge.KindKey, Text: "other"}), native("an empty key", bridge.Property{Kind: bridge.KindKey})}
	case bridge.FieldID:
		return []fieldSample{
			id("an ID", bridge.ID{Value: "id-7"}), id("a global ID", bridge.ID{Value: "id-7", Scope: bridge.ScopeGlobal}),
			id("an ID of the content", bridge.ID{Value: "abc", From: bridge.FromContent}), id("an ID of 300 octets", bridge.ID{Value: string(bytes.Repeat([]byte("i"), 300))}),
		}
	case bridge.FieldAddress:
		return []fieldSample{address("the target's address", func(*bridge.Message) {})}
	}
	return []fieldSample{
		address("another exchange", func(m *bridge.Message) { m.Address = bridge.Address{Space: "elsewhere", Name: c.Own.Name} }),
		address("another partition", func(m *bridge.Message) { m.Address.Partition = 4711 }),
	}
}

// sameIDSeen says that the ID stands where the system's consumers look for one.
func sameIDSeen(want, seen *bridge.Message) bool {
	if p, ok := seen.Property(bridge.KindMessageID); ok && p.Text == want.ID.Value || seen.ID == want.ID {
		return true
	}
	text := want.ID.AppendNative(nil, want.Key)
	return slices.ContainsFunc(seen.Headers, func(h bridge.Header) bool { return bytes.Equal(h.Value, text) })
}

func (c *Claim) times(f bridge.Field) []fieldSample {
	if f == bridge.FieldExpiration {
		near := func(want, seen *bridge.Message) bool {
			p, ok := seen.Property(bridge.KindExpiration)
			ms, err := strconv.ParseInt(p.Text, 10, 64)
			left := time.Until(want.Expires).Milliseconds()
			return want.Expires.Equal(seen.Expires) || ok && err == nil && ms >= left && ms < left+60_000
		}
		ttl := []bridge.Property{{Kind: bridge.KindExpiration, Text: "86400000"}}
		return []fieldSample{
			c.of("an expiration", func(m *bridge.Message) { m.Expires = time.Now().Add(time.Hour) }, near),
			c.of("an expiration and a time to live", func(m *bridge.Message) { m.Expires, m.Properties = time.Now().Add(time.Hour), ttl }, near),
		}
	}
	at := func(name string, at time.Time, ps ...bridge.Property) fieldSample {
		return c.of(name, func(m *bridge.Message) { m.Time, m.Properties = at, ps }, func(want, seen *bridge.Message) bool { return want.Time.Equal(seen.Time) })
	}
	second := time.Unix(1_700_000_000, 0)
	return []fieldSample{
		at("a time to the nanosecond", second.Add(123456789)), at("a time to the millisecond", second.Add(123*time.Millisecond)),
		at("a timestamp property", second, bridge.Property{Kind: bridge.KindTimestamp, Num: second.Unix()}),
		at("a time before 1970", time.Unix(-7, 0)),
	}
}
