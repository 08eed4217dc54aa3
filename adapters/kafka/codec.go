package kafka

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/crossfade-mq/crossfade/bridge"
)

// hopTypes is the bridge's own header for the types of the native ones: one letter
// each, in their order, as bridge.Type.Letter has them. Kafka's headers have octets
// and no types. It is written only where one of them is a text: the others are
// octets or null by themselves.
const hopTypes = "crossfade-types"

// An encoder turns messages into records. It reuses its memory: what encode gives is
// valid until the next call. One caller at a time.
type encoder struct {
	relay    string
	template *bridge.Template
	native   bridge.Native
	carry    bridge.Carry

	original  bool   // the record's time is the message's, where the topic takes it
	takes     times  // which ones the topic takes
	timely    bool   // the one of the message at hand is among them
	topic     []byte // of the message at hand
	partition int32  // likewise
	out       outgoing
	types     []byte
}

// An outgoing record is what a message becomes. key and value nil are null.
type outgoing struct {
	timestamp  int64 // milliseconds since 1970
	key, value []byte
	headers    []recordHeader
}

// newEncoder makes one for a relay. keepTime says that records carry the message's
// own time: the topic keeps the producer's, and the settings want it.
func newEncoder(id bridge.Identity, t *bridge.Template, keepTime bool) *encoder {
	e := &encoder{relay: id.String(), template: t, original: keepTime}
	e.native = bridge.Native{
		NullBody: true,
		Header:   nativeHeader,
		Property: func(p *bridge.Property) bool { return p.Kind == bridge.KindKey },
		Time:     func(m *bridge.Message) bool { return e.timely && nativeTime(m.Time) },
		Address: func(m *bridge.Message) bool {
			a := &m.Address
			return a.Space == "" && a.Name == string(e.topic) && a.Partition == e.partition+1
		},
	}
	return e
}

// topicOf gives the topic that a message goes to, valid until the next call. An
// error is a Reject.
func (e *encoder) topicOf(m *bridge.Message) ([]byte, error) {
	var err error
	if e.topic, err = e.template.Append(e.topic[:0], m, appendTopic); err != nil {
		return nil, err
	}
	if len(e.topic) > maxTopic {
		return nil, bridge.Reject(bridge.ReasonName, fmt.Errorf("%s: the topic would have %d octets; Kafka's have %d at most", Kind, len(e.topic), maxTopic))
	}
	return e.topic, nil
}

// encode gives the record that m becomes in that partition of the topic that
// topicOf gave last. An error is a Reject.
func (e *encoder) encode(m *bridge.Message, partition int32, now time.Time) (*outgoing, error) {
	if err := readable(m.Headers); err != nil {
		return nil, err
	}
	e.partition = partition
	o := &e.out
	o.value, o.key, o.headers = m.Body, recordKey(m), o.headers[:0]
	o.timestamp = now.UnixMilli()
	if e.timely = e.original && e.takes.include(m.Time, now); e.timely {
		o.timestamp = max(0, m.Time.UnixMilli())
	}
	e.carry.Reset()
	e.carry.Message(m, e.relay, &e.native)
	e.carry.Each(func(name string, v []byte) {
		o.headers = append(o.headers, recordHeader{key: octets(name), value: v})
	})
	if m.Time.IsZero() { // or the record's time would be taken for it
		o.headers = append(o.headers, recordHeader{key: octets(bridge.HopTime), value: octets(bridge.NoTime)})
	}
	e.headers(m.Headers)
	return o, nil
}

// headers adds those that Kafka carries by itself, with their types where they do not
// follow from the octets.
func (e *encoder) headers(hs []bridge.Header) {
	e.types = e.types[:0]
	typed := false
	for i := range hs {
		h := &hs[i]
		if !nativeHeader(h) {
			continue
		}
		v := h.Value
		if h.Type != bridge.TypeNull && v == nil {
			v = []byte{}
		}
		e.out.headers = append(e.out.headers, recordHeader{key: octets(h.Name), value: v})
		e.types = append(e.types, h.Type.Letter())
		typed = typed || h.Type == bridge.TypeString
	}
	if typed {
		e.out.headers = append(e.out.headers, recordHeader{key: octets(hopTypes), value: e.types})
	}
}

// recordKey is the key of the record: the one that the message had at Kafka, else the
// metric's; null where there is neither.
func recordKey(m *bridge.Message) []byte {
	if p, ok := m.Property(bridge.KindKey); ok {
		if p.Null {
			return nil
		}
		return octets(p.Text)
	}
	if m.Key == "" {
		return nil
	}
	return octets(m.Key)
}

// nativeHeader says that a header arrives as it was: octets, a text or null, under a
// name that Kafka's clients can read.
func nativeHeader(h *bridge.Header) bool {
	switch h.Type {
	case bridge.TypeString, bridge.TypeBytes, bridge.TypeNull:
		return utf8.ValidString(h.Name) && !bridge.IsHop(h.Name)
	}
	return false
}

// times are those of messages that a topic takes, counted from the broker's own clock
// when it gets them: message.timestamp.before.max.ms and …after.max.ms. A limit of 0 is
// none.
type times struct{ before, after time.Duration }

// include says that the topic takes t, within a margin for the way and for clocks that
// differ: a tenth of the limit, a minute at most. Kafka's own limit is year 9999.
func (w times) include(t, now time.Time) bool {
	switch ahead := t.Sub(now); {
	case t.IsZero() || t.Year() >= 10000:
		return false
	case w.after > 0 && ahead > w.after-min(w.after/10, time.Minute):
		return false
	case w.before > 0 && -ahead > w.before-min(w.before/10, time.Minute):
		return false
	}
	return true
}

// nativeTime says that a record's time says all of t.
func nativeTime(t time.Time) bool {
	return t.Nanosecond()%int(time.Millisecond) == 0 && t.UnixMilli() >= 0 && t.Year() < 10000
}

// readable refuses a message among whose own headers are the bridge's: a source
// leaves them there where it could not read them, or could not read the message.
// Sent on, they would be read again as what they are not. // I3
func readable(hs []bridge.Header) error {
	for i := range hs {
		if bridge.IsHop(hs[i].Name) {
			return bridge.Reject(bridge.ReasonPoison, fmt.Errorf("%s: header %q is the bridge's own and cannot be read", Kind, bridge.Printable(hs[i].Name, 64)))
		}
	}
	return nil
}

// A place is the partition that records were read from.
type place struct {
	stream    *bridge.Stream
	partition int32
}

// at is the coordinate of a record.
func (p place) at(offset int64) bridge.Origin {
	return bridge.Origin{Stream: p.stream, Shard: p.partition, Offset: uint64(offset)}
}

// decode fills m with a record. What m holds is the record's memory, which has to be
// m's for good. Its lists are put into room.
func decode(r *record, at place, m *bridge.Message, room *room) {
	*m = bridge.Message{
		Body: r.value, Origin: at.at(r.offset), Time: time.UnixMilli(r.timestamp),
		Address: bridge.Address{Name: at.stream.Name, Partition: at.partition + 1},
	}
	if r.timestamp < 0 { // Kafka's word for none
		m.Time = time.Time{}
	}
	hops := 0
	for i := range r.headers {
		if bridge.IsHop(text(r.headers[i].key)) {
			hops++
		}
	}
	nativeKey(r, m, room)
	if n := len(r.headers) - hops; n > 0 {
		m.Headers = room.header(n)
		appendHeaders(r, m, false)
	}
	if hops == 0 {
		return
	}
	was := *m
	if restore(r, m) == nil {
		return
	}
	// Hop headers that cannot be read stay as they are: every sink refuses them.
	*m = was
	m.Headers = room.header(len(r.headers))
	appendHeaders(r, m, true)
}

// nativeKey gives m the record's key, and as a property too: the settings may take
// the metric's from elsewhere, and null is not empty.
func nativeKey(r *record, m *bridge.Message, room *room) {
	m.Key = text(r.key)
	m.Properties = append(room.key(), bridge.Property{Kind: bridge.KindKey, Text: m.Key, Null: r.key == nil})
}

func appendHeaders(r *record, m *bridge.Message, hops bool) {
	for i := range r.headers {
		h := &r.headers[i]
		name := text(h.key)
		if !hops && bridge.IsHop(name) {
			continue
		}
		t := bridge.TypeBytes
		if h.value == nil {
			t = bridge.TypeNull
		}
		m.Headers = append(m.Headers, bridge.Header{Name: name, Type: t, Value: h.value})
	}
}

// restore reads a message that an earlier hop wrote: its hop headers say what it
// was. // I3
func restore(r *record, m *bridge.Message) error {
	hopped := false
	m.Key = "" // unless the ID's header says otherwise: one with neither has none
	for i := range r.headers {
		h := &r.headers[i]
		name := text(h.key)
		if !bridge.IsHop(name) {
			continue
		}
		var err error
		switch {
		case strings.EqualFold(name, bridge.HopRelay):
			hopped, err = true, m.Restore(name, text(h.value))
		case strings.EqualFold(name, hopTypes):
			err = retype(m.Headers, h.value)
		case !strings.EqualFold(name, bridge.HopHeaders):
			err = m.Restore(name, text(h.value))
		}
		if err != nil {
			return err
		}
	}
	for i := range r.headers { // last: they go between the others
		if name := text(r.headers[i].key); strings.EqualFold(name, bridge.HopHeaders) {
			if err := m.Restore(name, text(r.headers[i].value)); err != nil {
				return err
			}
		}
	}
	if !hopped {
		return fmt.Errorf("%s: no relay wrote these headers", bridge.HopRelay)
	}
	dropImpliedKey(r, m)
	return nil
}

// dropImpliedKey takes the record's key from the properties of a message that may
// have had none, where it says no more than the metric's key does.
func dropImpliedKey(r *record, m *bridge.Message) {
	if (r.key == nil) != (m.Key == "") || text(r.key) != m.Key {
		return
	}
	m.Properties = m.Properties[1:] // nativeKey made it the first
	if len(m.Properties) == 0 {
		m.Properties = nil
	}
}

// retype gives headers the types that hopTypes holds.
func retype(hs []bridge.Header, letters []byte) error {
	if len(letters) != len(hs) {
		return fmt.Errorf("%s: %d types for %d headers", hopTypes, len(letters), len(hs))
	}
	for i, c := range letters {
		t, ok := bridge.TypeOfLetter(c)
		if !ok || (t == bridge.TypeNull) != (hs[i].Type == bridge.TypeNull) {
			return fmt.Errorf("%s: bad type %q", hopTypes, c)
		}
		hs[i].Type = t
	}
	return nil
}

// octets and text read the one as the other without copying: nobody writes into what
// a message holds.
func octets(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
