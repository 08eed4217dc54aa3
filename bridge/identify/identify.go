package identify

import (
	"errors"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
)

// An Identifier fills in key and ID. Its method Identify has one caller at a
// time; Counts is safe beside it.
type Identifier struct {
	key, id         finder
	scope           bridge.Scope
	suppressContent bool

	keyMissing, idMissing atomic.Uint64
}

// New checks the spec against what the source promises.
func New(s Spec, t bridge.SourceTraits) (*Identifier, error) {
	key, err1 := s.Key.finder()
	id, err2 := s.ID.finder()
	scope, err3 := s.ID.scope()
	var err4 error
	if id.place == inOrigin && !t.Replayable {
		err4 = errors.New("id: from: origin: this source has no positions to return to, so no ID can be made of them; " +
			"take a header, a property or a JSON field, or leave the ID out")
	}
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return &Identifier{key: key, id: id, scope: scope, suppressContent: s.ID.SuppressContent}, nil
}

// Counts are of messages without what the settings name.
type Counts struct {
	// KeyMissing is how many got the empty key for want of a key.
	KeyMissing uint64
	// IDMissing is how many got a derived ID for want of a producer's own.
	IDMissing uint64
}

// Counts gives the counts since New.
func (i *Identifier) Counts() Counts {
	return Counts{KeyMissing: i.keyMissing.Load(), IDMissing: i.idMissing.Load()}
}

// Identify fills in the key and the ID of d. It allocates for derived IDs, and
// for escaped JSON text and numeric properties, and nothing else; what it fills
// in may share the memory of d's headers and body.
func (i *Identifier) Identify(d *bridge.Delivery) {
	m := &d.Message
	i.giveKey(m)
	i.giveID(m)
}

func (i *Identifier) giveKey(m *bridge.Message) {
	var ok bool
	switch i.key.place {
	case byDefault:
		if m.Key != "" || !m.ID.IsZero() { // restored with the ID, or the source's own
			return
		}
		if p, ok := m.Property(bridge.KindKey); ok && p.Text == "" { // a record without a key: its partition is what is in order
			return
		}
		m.Key, ok = m.Address.Name, m.Address.Name != ""
	case inAddress:
		m.Key, ok = m.Address.Name, m.Address.Name != ""
	case inShard:
		m.Key, ok = "", true
	default:
		m.Key, ok = i.key.find(m)
	}
	if !ok {
		i.keyMissing.Add(1)
	}
}

// giveID is called with the key in place, which scopes the ID and is part of the
// content.
func (i *Identifier) giveID(m *bridge.Message) {
	switch i.id.place {
	case inOrigin:
		if fromOrigin(m, i.scope) {
			return
		}
	case inContent:
		i.fromContent(m)
		return
	case byDefault:
		if !m.ID.IsZero() {
			return
		}
		if v, ok := producers(m); ok {
			m.ID = bridge.ID{Value: v, Scope: i.scope, From: bridge.FromProducer}
			return
		}
	default:
		if v, ok := i.id.find(m); ok {
			m.ID = bridge.ID{Value: v, Scope: i.scope, From: bridge.FromProducer}
			return
		}
	}
	i.idMissing.Add(1)
	if i.suppressContent || !fromOrigin(m, i.scope) {
		i.fromContent(m)
	}
}

// producers finds the ID that the producer gave the message in the way of its
// system.
func producers(m *bridge.Message) (string, bool) {
	if p, ok := m.Property(bridge.KindMessageID); ok && p.Text != "" {
		return p.Text, true
	}
	if h, ok := m.Header(NatsMsgID); ok && len(h.Value) > 0 {
		return text(h.Value), true
	}
	return "", false
}

// fromOrigin makes the ID of the stored position, where there is one. // I4
func fromOrigin(m *bridge.Message, scope bridge.Scope) bool {
	s := m.Origin.Stream
	if s == nil || !s.Replayable {
		return false
	}
	m.ID = bridge.ID{
		Value: dedupe.FromOrigin(s.System, s.Cluster, s.Name, s.Incarnation, m.Origin.Shard, m.Origin.Offset),
		Scope: scope,
		From:  bridge.FromOrigin,
	}
	return true
}

// fromContent makes the ID of address, key and body. Legitimate repetitions
// share it, so it suppresses nothing, unless the operator says that such
// messages are repeats: then the content is the producer's own ID. // I4
func (i *Identifier) fromContent(m *bridge.Message) {
	m.ID = bridge.ID{
		Value: dedupe.FromContent(octets(m.Address.Space), octets(m.Address.Name), octets(m.Key), m.Body),
		Scope: i.scope,
		From:  bridge.FromContent,
	}
	if i.suppressContent {
		m.ID.From = bridge.FromProducer
	}
}

// find gives the value that f names, and false if the message has none or an
// empty one.
func (f *finder) find(m *bridge.Message) (string, bool) {
	v := ""
	switch f.place {
	case inToken:
		v, _ = bridge.Token(m.Address.Name, f.token)
	case inHeader:
		if h, ok := m.Header(f.name); ok {
			v = text(h.Value)
		}
	case inProperty:
		p, ok := m.Property(f.property)
		switch {
		case !ok || p.Null:
		case p.Kind.Number():
			v = strconv.FormatInt(p.Num, 10)
		default:
			v = p.Text
		}
	case inJSON:
		v = field(m.Body, f.name)
	}
	return v, v != ""
}

// field gives a text, number or boolean of a JSON body; numbers and booleans as
// they are written. A body that is not JSON gives "" or the same text each time.
func field(body []byte, path string) string {
	switch r := gjson.Get(text(body), path); r.Type {
	case gjson.String:
		return r.Str
	case gjson.Number, gjson.True, gjson.False:
		return r.Raw
	}
	return ""
}

// text reads octets as a string without copying them: what a delivered message
// holds is not changed by anyone until the message is forgotten.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// octets is the inverse of text, for reading only; never nil, which is another
// content than empty.
func octets(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
