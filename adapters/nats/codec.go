package nats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// hopOrder is the bridge's own header for the order of the native ones, which
// the clients keep in a map: written only where it is not the order of names.
const hopOrder = "crossfade-order"

// Headers of NATS itself.
const (
	headerMsgID     = "Nats-Msg-Id"
	headerExpectSeq = "Nats-Expected-Last-Sequence"
	headerExpectID  = "Nats-Expected-Last-Msg-Id"
	reserved        = "Nats-"
)

// A chain is what each message of a lane names of the one before it: the
// stream's newest sequence and its dedup header. The sequence alone would let a
// late message of an earlier session in as soon as the stream has grown to where
// that session thought it was; with the ID it gets in only behind the very
// message that it followed, at the very place. A lane's first message has the
// sequence that was read at Open, at which nothing else can be. // I2, I6
type chain struct {
	session string // unlike that of any other session
	seq     uint64
	id      []byte // empty in front of the first message
}

// unnamedPrefix begins the dedup header of messages without an ID that tells
// repeats: it is made up, for the chain's sake, and never comes twice. No ID is
// written that way, since those of this provenance stay out of the header.
const unnamedPrefix = "gc~~"

// An encoder turns messages into what goes over the wire. It reuses its memory:
// what encode gives is valid until the next call, which is enough, since the
// client has written a message into its buffer when PublishMsg returns. One
// caller at a time.
type encoder struct {
	relay    string
	template *bridge.Template
	native   bridge.Native
	carry    bridge.Carry

	msg     nats.Msg
	text    []byte // all values that are made here, one behind the other
	values  []value
	dedup   value    // the dedup header among the values
	entries []string // backing of the header's one-element slices
	order   []int
	names   []string
}

// A value is one header line in the making: text[from:to].
type value struct {
	name     string
	from, to int
}

func newEncoder(id bridge.Identity, t *bridge.Template) *encoder {
	e := &encoder{relay: id.String(), template: t}
	e.msg.Header = nats.Header{}
	e.native = bridge.Native{
		Header: nativeHeader,
		Address: func(m *bridge.Message) bool {
			a := &m.Address
			return a.Space == "" && a.Partition == 0 && a.Name == e.msg.Subject
		},
	}
	return e
}

// encode gives the message that m becomes. An error is a Reject. c is the chain
// that it continues; nil if there is none.
func (e *encoder) encode(m *bridge.Message, c *chain) (*nats.Msg, error) {
	e.text, e.values, e.dedup = e.text[:0], e.values[:0], value{}
	if err := readable(m.Headers); err != nil {
		return nil, err
	}
	var err error
	if e.text, err = e.template.Append(e.text, m, appendSubject); err != nil {
		return nil, err
	}
	e.msg.Subject = string(e.text) // apart from the rest: Carry has to know it
	e.msg.Data = m.Body
	e.text = e.text[:0]
	e.ownID(m, c)
	e.link(c)
	e.carry.Reset()
	e.carry.Message(m, e.relay, &e.native)
	e.carry.Each(func(name string, v []byte) {
		if name == bridge.HopID && string(v) == string(e.id()) {
			return // the dedup header holds the same
		}
		from := len(e.text)
		e.text = append(e.text, v...)
		e.add(name, from)
	})
	e.headers(m.Headers)
	e.fill()
	return &e.msg, nil
}

// readable refuses a message among whose own headers are the bridge's: a source
// leaves them there where it could not read them, or could not read the message.
// Sent on, they would be read again as what they are not. // I3
func readable(hs []bridge.Header) error {
	for i := range hs {
		if name := hs[i].Name; len(name) >= len(bridge.HopPrefix) && bridge.IsHop(name) {
			return bridge.Reject(bridge.ReasonPoison, fmt.Errorf("%s: header %q is the bridge's own and cannot be read", Kind, bridge.Printable(name, 64)))
		}
	}
	return nil
}

// ownID writes the dedup header: an injective encoding of scope and ID. An ID
// made of the content stays out of it, since it would swallow legitimate
// repetitions. // I4
func (e *encoder) ownID(m *bridge.Message, c *chain) {
	from := len(e.text)
	switch {
	case m.ID.Suppresses():
		e.text = m.ID.AppendNative(e.text, m.Key)
	case c != nil:
		e.text = append(append(append(e.text, unnamedPrefix...), c.session...), '.')
		e.text = strconv.AppendUint(e.text, c.seq, 36)
	default:
		return
	}
	e.add(headerMsgID, from)
	e.dedup = e.values[len(e.values)-1]
}

// id is the dedup header of the message that was encoded last.
func (e *encoder) id() []byte { return e.text[e.dedup.from:e.dedup.to] }

// link writes what the message has to follow.
func (e *encoder) link(c *chain) {
	if c == nil {
		return
	}
	from := len(e.text)
	e.text = strconv.AppendUint(e.text, c.seq, 10)
	e.add(headerExpectSeq, from)
	if len(c.id) > 0 {
		from = len(e.text)
		e.text = append(e.text, c.id...)
		e.add(headerExpectID, from)
	}
}

// extend makes the message that was encoded last the one to follow.
func (c *chain) extend(e *encoder) {
	c.seq++
	c.id = append(c.id[:0], e.id()...)
}

func (e *encoder) add(name string, from int) {
	e.values = append(e.values, value{name, from, len(e.text)})
}

// headers adds those that NATS carries by itself, and their order where it is
// not the one in which decoding finds them.
func (e *encoder) headers(hs []bridge.Header) {
	e.names = e.names[:0]
	sorted := true
	for i := range hs {
		h := &hs[i]
		if !nativeHeader(h) {
			continue
		}
		from := len(e.text)
		e.text = append(e.text, h.Value...)
		e.add(h.Name, from)
		sorted = sorted && (len(e.names) == 0 || e.names[len(e.names)-1] <= h.Name)
		e.names = append(e.names, h.Name)
	}
	if sorted {
		return
	}
	e.order = e.order[:0]
	for i := range e.names {
		e.order = append(e.order, i)
	}
	slices.SortStableFunc(e.order, func(a, b int) int { return strings.Compare(e.names[a], e.names[b]) })
	from := len(e.text)
	for i, at := range e.order {
		if i > 0 {
			e.text = append(e.text, ' ')
		}
		e.text = strconv.AppendInt(e.text, int64(at), 10)
	}
	e.add(hopOrder, from)
}

// fill puts the values into the client's map.
func (e *encoder) fill() {
	clear(e.msg.Header)
	all := string(e.text)
	e.entries = slices.Grow(e.entries[:0], len(e.values))
	for i := range e.values {
		v := &e.values[i]
		e.entries = append(e.entries, all[v.from:v.to])
		n := len(e.entries)
		if vs, ok := e.msg.Header[v.name]; ok {
			e.msg.Header[v.name] = append(vs[:len(vs):len(vs)], e.entries[n-1])
		} else {
			e.msg.Header[v.name] = e.entries[n-1 : n : n]
		}
	}
}

// headerSize is how many octets the headers take on the wire.
func (e *encoder) headerSize() int {
	n := len("NATS/1.0\r\n\r\n")
	for i := range e.values {
		n += len(e.values[i].name) + e.values[i].to - e.values[i].from + 4
	}
	return n
}

// nativeHeader says that a header arrives as it was at every reader: text with a
// name that the client writes and a value that no client trims, folds or
// refuses. What has a meaning to the server or to clients is not the producer's
// to say on another system. // I3, I4
func nativeHeader(h *bridge.Header) bool {
	if h.Type != bridge.TypeString || !nativeName(h.Name) {
		return false
	}
	n := len(h.Value)
	if n > 0 && (h.Value[0] == ' ' || h.Value[n-1] == ' ') {
		return false
	}
	ascii := true
	for _, c := range h.Value {
		if c < 0x20 || c == 0x7f {
			return false
		}
		ascii = ascii && c < 0x80
	}
	return ascii || utf8.Valid(h.Value)
}

func nativeName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte("\"()/,:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return name != "" && !bridge.IsHop(name) && !isReserved(name) && name != "Status" && name != "Description"
}

// isReserved says that NATS gives a meaning to the header.
func isReserved(name string) bool {
	return len(name) >= len(reserved) && strings.EqualFold(name[:len(reserved)], reserved)
}

// decode fills d's message with what the source read. stream is nil where the
// source has no positions.
func decode(msg *nats.Msg, pos position, stream *bridge.Stream, m *bridge.Message) {
	*m = bridge.Message{Body: msg.Data, Address: bridge.Address{Name: msg.Subject}}
	if m.Body == nil {
		m.Body = []byte{} // NATS has no null body; an empty one is not null
	}
	origin := bridge.Origin{Stream: stream, Offset: pos.stream}
	if len(msg.Header) > 0 {
		if _, hop := msg.Header[bridge.HopRelay]; hop && restore(msg, m) == nil {
			if m.Origin.Stream == nil {
				m.Origin = origin
			}
			return
		}
		// The producer's own words; also hop headers that cannot be read, which
		// are kept as they are: every sink of this package refuses them.
		*m = bridge.Message{Body: m.Body, Address: bridge.Address{Name: msg.Subject}}
		m.Headers = headersOf(msg.Header, func(string) bool { return true })
	}
	m.Origin = origin
	if pos.time != 0 {
		m.Time = time.Unix(0, pos.time)
	}
}

// restore reads a message that an earlier hop wrote: the reserved headers are
// the bridge's, and the hop headers say what the message was. // I3
func restore(msg *nats.Msg, m *bridge.Message) error {
	m.Headers = headersOf(msg.Header, func(name string) bool { return !isReserved(name) && !bridge.IsHop(name) })
	if err := reorder(m.Headers, msg.Header[hopOrder]); err != nil {
		return err
	}
	if _, has := msg.Header[bridge.HopID]; !has {
		if v := msg.Header[headerMsgID]; len(v) == 1 && !strings.HasPrefix(v[0], unnamedPrefix) {
			id, key, err := bridge.ParseNativeID(v[0])
			if err != nil {
				return err
			}
			m.ID, m.Key = id, key
		}
	}
	for name, values := range msg.Header {
		if !bridge.IsHop(name) || name == bridge.HopHeaders {
			continue
		}
		for _, v := range values {
			if err := m.Restore(name, v); err != nil {
				return err
			}
		}
	}
	for _, v := range msg.Header[bridge.HopHeaders] { // last: they go between the others
		if err := m.Restore(bridge.HopHeaders, v); err != nil {
			return err
		}
	}
	return nil
}

// headersOf lists the headers that keep lets through, by name, the values of a
// name in their order.
func headersOf(h nats.Header, keep func(name string) bool) []bridge.Header {
	n := 0
	for name, values := range h {
		if keep(name) {
			n += len(values)
		}
	}
	if n == 0 {
		return nil
	}
	list := make([]bridge.Header, 0, n)
	for name, values := range h {
		if !keep(name) {
			continue
		}
		for _, v := range values {
			list = append(list, bridge.Header{Name: name, Value: octets(v)})
		}
	}
	slices.SortStableFunc(list, func(a, b bridge.Header) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// octets reads a string as octets without copying: the client made the string
// for this message alone, and nobody writes into what a message holds.
func octets(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// reorder puts headers, which are by name, back into the order that hopOrder
// holds: the i-th number is the place of the i-th header.
func reorder(hs []bridge.Header, order []string) error {
	if len(order) == 0 {
		return nil
	}
	fields := strings.Fields(order[0])
	if len(order) != 1 || len(fields) != len(hs) {
		return fmt.Errorf("%s: %d places for %d headers", hopOrder, len(fields), len(hs))
	}
	list, taken := make([]bridge.Header, len(hs)), make([]bool, len(hs))
	for i, f := range fields {
		at, err := strconv.Atoi(f)
		if err != nil || at < 0 || at >= len(hs) || taken[at] {
			return fmt.Errorf("%s: bad place %q", hopOrder, bridge.Printable(f, 16))
		}
		list[at], taken[at] = hs[i], true
	}
	copy(hs, list)
	return nil
}
