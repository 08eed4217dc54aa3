package bridge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers that the bridge owns. They carry what a system cannot carry
// natively, they are never among a Message's Headers, and comparisons leave
// them out.
const (
	HopPrefix   = "crossfade-"
	HopID       = "crossfade-id"       // ID.Text: scope, provenance, key, value
	HopOrigin   = "crossfade-origin"   // Origin.String
	HopRelay    = "crossfade-relay"    // Identity.String of the last relay
	HopVia      = "crossfade-via"      // Message.Via: the relays before it
	HopAddress  = "crossfade-address"  // escaped space/name/partition
	HopTime     = "crossfade-time"     // seconds since 1970, '.', nanoseconds; or NoTime
	HopExpires  = "crossfade-expires"  // likewise
	HopBody     = "crossfade-body"     // "null"
	HopHeaders  = "crossfade-headers"  // headers not carried natively, see AppendHeaders
	HopProperty = "crossfade-property" // properties not carried natively, see AppendProperties
)

// NoTime in HopTime says that the message has no time of its own, where the system
// gives every message one.
const NoTime = "none"

// IsHop says that a header of that name is the bridge's own. Names are compared
// without case because some clients fold it.
func IsHop(name string) bool {
	return len(name) >= len(HopPrefix) && strings.EqualFold(name[:len(HopPrefix)], HopPrefix)
}

// A Carry collects what an adapter cannot carry natively, as text pairs that it
// adds to its own headers. The zero Carry is ready; Reset makes it so again. Not
// safe for concurrent use. The pairs are valid until the next Reset.
type Carry struct {
	buf   []byte
	spans []span

	// What many messages in a row have in common is written once.
	stream    *Stream
	origin    []byte // the origins' text for stream, up to the shard
	address   Address
	addressed []byte // address, as it is carried; empty before the first
}

type span struct {
	name     string
	from, to int
}

// Reset forgets everything and keeps the memory.
func (c *Carry) Reset() { c.buf, c.spans = c.buf[:0], c.spans[:0] }

// Each calls f with every pair.
func (c *Carry) Each(f func(name string, value []byte)) {
	for _, s := range c.spans {
		f(s.name, c.buf[s.from:s.to])
	}
}

// Len is the number of pairs.
func (c *Carry) Len() int { return len(c.spans) }

func (c *Carry) add(name string, from int) {
	c.spans = append(c.spans, span{name, from, len(c.buf)})
}

// Native says which parts of messages a target carries by its own means, so
// that Carry.Message leaves them out.
type Native struct {
	Address    func(*Message) bool
	Header     func(*Header) bool
	Property   func(*Property) bool
	Time       func(*Message) bool
	NullBody   bool
	Expiration bool
}

// Message adds every part of m that n does not carry natively, with the ID, the
// origin and the relays that carried it, this one included, which always travel. // I3
func (c *Carry) Message(m *Message, relay string, n *Native) {
	if !m.ID.IsZero() || m.Key != "" {
		from := len(c.buf)
		c.buf = m.ID.AppendText(c.buf, m.Key)
		c.add(HopID, from)
	}
	if m.Origin.Stream != nil {
		from := len(c.buf)
		if c.stream != m.Origin.Stream { // it never changes, and this keeps it from being another
			c.stream, c.origin = m.Origin.Stream, m.Origin.Stream.appendText(c.origin[:0])
		}
		c.buf = m.Origin.appendPosition(append(c.buf, c.origin...))
		c.add(HopOrigin, from)
	}
	from := len(c.buf)
	c.buf = append(c.buf, relay...)
	c.add(HopRelay, from)
	if m.Via != "" {
		from = len(c.buf)
		c.buf = append(c.buf, m.Via...)
		c.add(HopVia, from)
	}
	if n.Address == nil || !n.Address(m) {
		c.place(m.Address)
	}
	if !m.Time.IsZero() && (n.Time == nil || !n.Time(m)) {
		from = len(c.buf)
		c.buf = appendTime(c.buf, m.Time)
		c.add(HopTime, from)
	}
	if !m.Expires.IsZero() && !n.Expiration {
		from = len(c.buf)
		c.buf = appendTime(c.buf, m.Expires)
		c.add(HopExpires, from)
	}
	if m.Body == nil && !n.NullBody {
		from = len(c.buf)
		c.buf = append(c.buf, "null"...)
		c.add(HopBody, from)
	}
	c.headers(m.Headers, n.Header)
	c.properties(m, n.Property)
}

// appendTime writes any time, those that nanoseconds in 64 bits cannot say too: a
// producer may have put milliseconds where AMQP wants seconds.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(strconv.AppendInt(dst, t.Unix(), 10), '.')
	return strconv.AppendInt(dst, int64(t.Nanosecond()), 10)
}

func parseTime(s string) (time.Time, error) {
	seconds, nanos, _ := strings.Cut(s, ".")
	sec, err1 := strconv.ParseInt(seconds, 10, 64)
	ns, err2 := strconv.ParseInt(nanos, 10, 64)
	if err := errors.Join(err1, err2); err != nil || ns < 0 || ns >= 1e9 {
		return time.Time{}, fmt.Errorf("%q is not seconds and nanoseconds", Printable(s, 40))
	}
	return time.Unix(sec, ns), nil
}

func (c *Carry) place(a Address) {
	if len(c.addressed) == 0 || c.address != a {
		b := AppendEscaped(c.addressed[:0], a.Space, originSafe)
		b = append(b, '/')
		b = AppendEscaped(b, a.Name, originSafe)
		b = append(b, '/')
		c.address, c.addressed = a, strconv.AppendInt(b, int64(a.Partition), 10)
	}
	from := len(c.buf)
	c.buf = append(c.buf, c.addressed...)
	c.add(HopAddress, from)
}

// headers writes index:letter:name:value for each header not carried natively,
// separated by spaces; the name escaped, the value in base64.
func (c *Carry) headers(hs []Header, native func(*Header) bool) {
	from := len(c.buf)
	for i := range hs {
		h := &hs[i]
		if native != nil && native(h) {
			continue
		}
		if len(c.buf) > from {
			c.buf = append(c.buf, ' ')
		}
		c.buf = strconv.AppendInt(c.buf, int64(i), 10)
		c.buf = append(c.buf, '/', h.Type.Letter(), '/')
		c.buf = AppendEscaped(c.buf, h.Name, originSafe)
		c.buf = append(c.buf, '/')
		c.buf = base64.RawURLEncoding.AppendEncode(c.buf, h.Value)
	}
	if len(c.buf) > from {
		c.add(HopHeaders, from)
	}
}

// properties writes name=value for each property not carried natively, separated
// by spaces; the value escaped, "name" alone for a present null. A native key that
// is the metric's travels with the ID.
func (c *Carry) properties(m *Message, native func(*Property) bool) {
	from := len(c.buf)
	for i := range m.Properties {
		p := &m.Properties[i]
		if native != nil && native(p) || p.Kind == KindKey && !p.Null && p.Text == m.Key && p.Text != "" {
			continue
		}
		if len(c.buf) > from {
			c.buf = append(c.buf, ' ')
		}
		c.buf = append(c.buf, p.Kind.String()...)
		if p.Null {
			continue
		}
		c.buf = append(c.buf, '=')
		if p.Kind.Number() {
			c.buf = strconv.AppendInt(c.buf, p.Num, 10)
		} else {
			c.buf = AppendEscaped(c.buf, p.Text, propertySafe)
		}
	}
	if len(c.buf) > from {
		c.add(HopProperty, from)
	}
}

func propertySafe(c byte) bool { return c > 0x20 && c < 0x7f && c != '=' }

// Restore applies one hop header to m, which already holds what the system
// carried natively; call it for every header for which IsHop is true. The
// headers that HopHeaders holds are put back at their places, so it comes last.
// Hop headers of a later version are passed over. A value that cannot be read is
// an error: the message would be altered in silence otherwise.
func (m *Message) Restore(name, value string) error {
	switch strings.ToLower(name) {
	case HopID:
		id, key, err := ParseID(value)
		if err != nil {
			return err
		}
		m.ID, m.Key = id, key
	case HopOrigin:
		o, err := ParseOrigin(value)
		if err != nil {
			return err
		}
		m.Origin = o
	case HopRelay:
		m.Via = m.AppendVia(value)
	case HopVia: // the last one may be there already
		if m.Via != "" {
			value += " " + m.Via
		}
		m.Via = value
	case HopAddress:
		return m.restoreAddress(value)
	case HopTime, HopExpires:
		if value == NoTime && strings.EqualFold(name, HopTime) {
			m.Time = time.Time{}
			return nil
		}
		t, err := parseTime(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if strings.EqualFold(name, HopTime) {
			m.Time = t
		} else {
			m.Expires = t
		}
	case HopBody:
		if value == "null" && len(m.Body) == 0 {
			m.Body = nil
		}
	case HopHeaders:
		return m.restoreHeaders(value)
	case HopProperty:
		return m.restoreProperties(value)
	}
	return nil
}

func (m *Message) restoreAddress(value string) error {
	parts := strings.Split(value, "/")
	if len(parts) != 3 {
		return fmt.Errorf("%s %q: want space/name/partition", HopAddress, Printable(value, 64))
	}
	space, err1 := Unescape(parts[0])
	name, err2 := Unescape(parts[1])
	partition, err3 := strconv.ParseInt(parts[2], 10, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return fmt.Errorf("%s %q: cannot be read", HopAddress, Printable(value, 64))
	}
	m.Address = Address{Space: space, Name: name, Partition: int32(partition)}
	return nil
}

func (m *Message) restoreHeaders(value string) error {
	for item := range strings.SplitSeq(value, " ") {
		parts := strings.Split(item, "/")
		if len(parts) != 4 || len(parts[1]) != 1 {
			return fmt.Errorf("%s: %q: want index/type/name/value", HopHeaders, Printable(item, 64))
		}
		index, err := strconv.Atoi(parts[0])
		t, ok := TypeOfLetter(parts[1][0])
		if err != nil || index < 0 || !ok {
			return fmt.Errorf("%s: %q: bad index or type", HopHeaders, Printable(item, 64))
		}
		name, err := Unescape(parts[2])
		if err != nil {
			return fmt.Errorf("%s: %w", HopHeaders, err)
		}
		v, err := base64.RawURLEncoding.DecodeString(parts[3])
		if err != nil {
			return fmt.Errorf("%s: %q: %w", HopHeaders, Printable(item, 64), err)
		}
		if t == TypeNull {
			v = nil
		}
		index = min(index, len(m.Headers))
		m.Headers = append(m.Headers, Header{})
		copy(m.Headers[index+1:], m.Headers[index:])
		m.Headers[index] = Header{Name: name, Type: t, Value: v}
	}
	return nil
}

func (m *Message) restoreProperties(value string) error {
	for item := range strings.SplitSeq(value, " ") {
		name, text, found := strings.Cut(item, "=")
		k, ok := PropertyOfName(name)
		if !ok {
			continue // a later version's
		}
		p := Property{Kind: k, Null: !found}
		if found && k.Number() {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", HopProperty, name, err)
			}
			p.Num = n
		} else if found {
			u, err := Unescape(text)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", HopProperty, name, err)
			}
			p.Text = u
		}
		m.Properties = append(m.Properties, p)
	}
	return nil
}
