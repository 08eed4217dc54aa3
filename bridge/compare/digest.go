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
	// Content says that IDs made of positions say nothing, since the two sides do not have
	// the same: such messages are told by their content.
	Content bool
	// Ignore names parts that make no difference.
	Ignore Ignore

	buf   []byte
	names map[string]int // of a message with many headers, how often each was there
}

// Of observes what a reader had at a time. What follows a message from system to system
// is in it: headers and properties with their types, those of one name in their order;
// its address and its own time. What each system gives anew is not: origin, relays, and
// how long it still has to live; nor in which order headers of different names come,
// which the tables of AMQP and the clients of NATS do not keep.
func (d *Digester) Of(m *bridge.Message, at time.Time) drift.Observation {
	o := drift.Observation{
		Body: d.body(m), Head: uint32(d.head(d.Ignore.of(m))), Shard: uint16(m.Origin.Shard), At: at.Sub(d.Epoch),
	}
	o.Key = max(d.key(m)&counts, 1)
	o.ID, o.Anonymous = d.id(m)
	o.ID &= counts
	if !m.Time.IsZero() {
		o.Time = m.Time.Sub(d.Epoch)
	}
	if !m.Expires.IsZero() {
		o.Expires = max(1, m.Expires.Sub(d.Epoch))
	}
	return o
}

// counts are the bits of an observation's hashes that count: findings name messages by
// them.
const counts = 1<<60 - 1

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
	if m.ID.IsZero() || d.Content && m.ID.From == bridge.FromOrigin {
		return d.body(m) + 1, true
	}
	b := append(d.buf[:0], byte(m.ID.Scope))
	b = append(b, m.ID.Value...)
	d.buf = b
	return d.hash(b), !m.ID.Suppresses()
}

func (d *Digester) body(m *bridge.Message) uint64 {
	if m.Body == nil || bridge.Planted(bridge.BugBodyUnseen) {
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
	var headers uint64 // a sum: in no order
	for i := range m.Headers {
		h := &m.Headers[i]
		b = append(b[:0], byte(h.Type))
		b = binary.AppendUvarint(b, uint64(d.occurrence(m.Headers, i)))
		text(h.Name)
		b = append(b, h.Value...)
		headers += d.hash(b)
	}
	b = binary.LittleEndian.AppendUint64(b[:0], headers)
	b = binary.AppendUvarint(b, uint64(len(m.Headers)))
	for k := bridge.PropertyKind(1); k.String() != "property?"; k++ { // in no order of their own
		p, ok := property(m, k)
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

// fewHeaders is up to how many are looked through one by one.
const fewHeaders = 64

// occurrence is how many headers of the name of header i come before it.
func (d *Digester) occurrence(hs []bridge.Header, i int) (n int) {
	if len(hs) > fewHeaders {
		if i == 0 {
			d.names = map[string]int{}
		}
		n = d.names[hs[i].Name]
		d.names[hs[i].Name]++
		return n
	}
	for j := range i {
		if hs[j].Name == hs[i].Name {
			n++
		}
	}
	return n
}

// property gives a message's property of that kind. Kafka's own key is one only where it
// is not the message's: else it says nothing more, and relays do not carry it.
func property(m *bridge.Message, k bridge.PropertyKind) (p bridge.Property, ok bool) {
	p, ok = m.Property(k)
	if k == bridge.KindKey && !p.Null && p.Text == m.Key && p.Text != "" {
		return bridge.Property{}, false
	}
	return p, ok
}
