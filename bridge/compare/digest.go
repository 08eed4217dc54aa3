package compare

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Digester makes observations of messages. Two messages that a relay has not altered
// have the same, whichever systems they were read from. Not for concurrent use.
type Digester struct {
	// Seed goes into every hash, the same for both sides of a comparison. It is secret
	// where producers may be hostile.
	Seed uint64
	// Epoch is what times are counted from, likewise.
	Epoch time.Time
	// Place is where the mapping would have a message, or has it: nil is not judged.
	Place func(*bridge.Message) uint32

	buf []byte
}

// Of observes what a reader had at a time. What follows a message from system to system
// is in it: headers and properties with their types, in their order; its address and its
// own time. What each system gives anew is not: origin, relays, and how long it still
// has to live.
func (d *Digester) Of(m *bridge.Message, at time.Time) drift.Observation {
	o := drift.Observation{
		Body: d.body(m), Head: uint32(d.head(m)), Shard: uint16(m.Origin.Shard), At: at.Sub(d.Epoch),
	}
	o.Key = d.key(m)
	o.ID, o.Anonymous = d.id(m)
	if d.Place != nil {
		o.Place = d.Place(m)
	}
	if !m.Time.IsZero() {
		o.Time = m.Time.Sub(d.Epoch)
	}
	if !m.Expires.IsZero() {
		o.Expires = max(1, m.Expires.Sub(d.Epoch))
	}
	return o
}

func (d *Digester) hash(b []byte) uint64 { return xxh3.HashSeed(b, d.Seed) }

// key is the hash of what stays in order: what has no key, that of its shard where it
// first came from.
func (d *Digester) key(m *bridge.Message) uint64 {
	if m.Key != "" {
		return xxh3.HashStringSeed(m.Key, d.Seed)
	}
	b := append(d.buf[:0], 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Origin.Shard))
	d.buf = b
	return d.hash(b)
}

// id is the hash of a message's identity within its key. Where the ID says nothing of
// repetition it is that of the content.
func (d *Digester) id(m *bridge.Message) (hash uint64, anonymous bool) {
	if m.ID.IsZero() {
		return d.body(m) + 1, true
	}
	b := append(d.buf[:0], byte(m.ID.Scope))
	b = append(b, m.ID.Value...)
	d.buf = b
	return d.hash(b), !m.ID.Suppresses()
}

func (d *Digester) body(m *bridge.Message) uint64 {
	if m.Body == nil {
		return d.Seed ^ math.MaxUint64
	}
	return d.hash(m.Body)
}

// head is the hash of everything beside body, key and ID. Each part has its length in
// front of it, so that no two heads are the same text.
func (d *Digester) head(m *bridge.Message) uint64 {
	b := d.buf[:0]
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for i := range m.Headers {
		h := &m.Headers[i]
		b = append(b, 'h', byte(h.Type))
		text(h.Name)
		b = binary.AppendUvarint(b, uint64(len(h.Value)))
		b = append(b, h.Value...)
	}
	for k := bridge.PropertyKind(1); k.String() != "property?"; k++ { // in no order of their own
		p, ok := m.Property(k)
		if !ok {
			continue
		}
		b = append(b, 'p', byte(k))
		if p.Null {
			b = append(b, 'n')
			continue
		}
		text(p.Text)
		b = binary.AppendVarint(b, p.Num)
	}
	b = append(b, 'a')
	text(m.Address.Space)
	text(m.Address.Name)
	b = binary.AppendVarint(b, int64(m.Address.Partition))
	if !m.Time.IsZero() {
		b = append(b, 't')
		b = binary.AppendVarint(b, m.Time.Unix())
		b = binary.AppendVarint(b, int64(m.Time.Nanosecond()))
	}
	d.buf = b
	return d.hash(b)
}
