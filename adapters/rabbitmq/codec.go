package rabbitmq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Hop headers of this adapter, beside those that all share.
const (
	// hopAdded names the properties that the sink set and the message lacked.
	hopAdded = "crossfade-added"
	// hopOrder lists header names in their order, where the target sorts them.
	hopOrder = "crossfade-order"
	// hopUnreadable holds a message's property flags and property list as they
	// came. Only this adapter's source makes it, and it is never restored.
	hopUnreadable = "crossfade-unreadable"
)

// propertyKinds are the basic class's properties in the order of the wire; the
// first has the highest flag. 0 stands for the headers.
var propertyKinds = [...]bridge.PropertyKind{
	bridge.KindContentType, bridge.KindContentEncoding, 0, bridge.KindDeliveryMode,
	bridge.KindPriority, bridge.KindCorrelationID, bridge.KindReplyTo, bridge.KindExpiration,
	bridge.KindMessageID, bridge.KindTimestamp, bridge.KindMessageType, bridge.KindUserID,
	bridge.KindAppID, bridge.KindClusterID,
}

// A decoder makes Messages of what was delivered. It is one goroutine's.
type decoder struct {
	origin   *bridge.Stream
	counts   func() time.Time  // the clock of a tap that counts times to live; nil where it does not
	headers  []bridge.Header   // arena
	props    []bridge.Property // arena
	hops     []hop
	exchange string // the last message's: few are in use
}

type hop struct{ name, value string }

// arena is how many entries are allocated at a time.
const arena = 256

// text makes a string of octets that are never written again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decode fills into with all of d but its receipt. A message whose hop headers
// cannot be read keeps them among its headers as they are, and one whose
// properties or headers cannot be read has them whole in hopUnreadable, behind
// what could be: that makes every sink of this package reject it, so that it is
// parked rather than altered, and never in the way of those behind it. // I3
func (c *decoder) decode(d *delivery, offset uint64, into *bridge.Delivery) {
	if string(d.exchange) != c.exchange {
		c.exchange = string(d.exchange)
	}
	m := &into.Message
	c.hops = c.hops[:0]
	readable := c.message(d, m, false)
	into.Redelivered = d.redelivered
	into.Stored = bridge.Origin{Stream: c.origin, Offset: offset}
	m.Origin = into.Stored
	if c.counts != nil && len(m.Properties) > 0 {
		countdown(m, c.counts())
	}
	if len(c.hops) == 0 || readable && c.restore(m) == nil {
		return
	}
	c.message(d, m, true) // which is parked, and so does not expire
	m.Origin = into.Stored
}

// message reads everything that is native; hop headers are set aside, or kept
// among the headers where raw. It says whether all could be read.
func (c *decoder) message(d *delivery, m *bridge.Message, raw bool) bool {
	*m = bridge.Message{Address: bridge.Address{Space: c.exchange, Name: text(d.key)}, Body: d.body}
	if cap(c.props)-len(c.props) < len(propertyKinds) {
		c.props = make([]bridge.Property, 0, arena)
	}
	if cap(c.headers)-len(c.headers) < 16 {
		c.headers = make([]bridge.Header, 0, arena)
	}
	p, h := len(c.props), len(c.headers)
	in := cursor{b: d.props}
	flags := in.short()
	readable := true
	for i, kind := range propertyKinds {
		if flags&(1<<(15-i)) == 0 {
			continue
		}
		had := len(c.props)
		switch kind {
		case 0:
			readable = c.table(in.longstr(), d.redelivered, raw) == nil
		case bridge.KindDeliveryMode, bridge.KindPriority:
			c.props = append(c.props, bridge.Property{Kind: kind, Num: int64(in.octet())})
		case bridge.KindTimestamp:
			seconds := int64(in.longlong())
			if !in.bad {
				m.Time = time.Unix(seconds, 0)
			}
			c.props = append(c.props, bridge.Property{Kind: kind, Num: seconds})
		default:
			c.props = append(c.props, bridge.Property{Kind: kind, Text: text(in.shortstr())})
		}
		if in.bad {
			c.props = c.props[:had]
			break
		}
	}
	readable = readable && !in.bad && len(in.b) == 0
	if !readable {
		c.headers = append(c.headers, bridge.Header{Name: hopUnreadable, Type: bridge.TypeBytes, Value: d.props})
	}
	if len(c.props) > p {
		m.Properties = c.props[p:len(c.props):len(c.props)]
	}
	if len(c.headers) > h {
		m.Headers = c.headers[h:len(c.headers):len(c.headers)]
	}
	return readable
}

// table reads the headers. What the broker itself adds at delivery is left out.
func (c *decoder) table(table []byte, redelivered, raw bool) error {
	return eachField(table, func(name []byte, t bridge.Type, value []byte) {
		switch {
		case len(name) > 0 && name[0]|0x20 == 'c' && !raw && bridge.IsHop(text(name)):
			c.hops = append(c.hops, hop{text(name), text(value)})
			return
		case len(name) > 0 && name[0] == 'x' && c.brokerHeader(text(name), redelivered):
			return
		}
		c.headers = append(c.headers, bridge.Header{Name: text(name), Type: t, Value: value})
	})
}

// brokerHeader says that the broker adds a header of that name at delivery.
func (c *decoder) brokerHeader(name string, redelivered bool) bool {
	switch name {
	case "x-stream-offset":
		return c.origin != nil && c.origin.Replayable
	case "x-delivery-count", "x-acquired-count":
		return redelivered
	}
	return false
}

// restore applies the hop headers to m, whose slices have no spare capacity and
// share nothing. On an error m is half done.
func (c *decoder) restore(m *bridge.Message) error {
	for _, h := range c.hops {
		switch strings.ToLower(h.name) {
		case hopAdded:
			m.Properties = slices.DeleteFunc(m.Properties, func(p bridge.Property) bool {
				return slices.Contains(strings.Split(h.value, " "), p.Kind.String())
			})
		case hopOrder:
			if err := reorder(m.Headers, h.value); err != nil {
				return err
			}
		}
	}
	carried := false
	for _, h := range c.hops {
		carried = carried || strings.EqualFold(h.name, bridge.HopProperty)
		if err := m.Restore(h.name, h.value); err != nil {
			return err
		}
	}
	if carried {
		slices.SortStableFunc(m.Properties, func(a, b bridge.Property) int { return rank(a.Kind) - rank(b.Kind) })
	}
	if len(m.Headers) == 0 {
		m.Headers = nil
	}
	if len(m.Properties) == 0 {
		m.Properties = nil
	}
	return nil
}

// rank is the place of a property on the wire; len(propertyKinds) if it has none.
func rank(k bridge.PropertyKind) int {
	if int(k) < len(ranks) {
		return ranks[k]
	}
	return len(propertyKinds)
}

var ranks = func() (ranks [bridge.KindKey + 1]int) {
	for k := range ranks {
		ranks[k] = len(propertyKinds)
	}
	for i, k := range propertyKinds {
		if k != 0 {
			ranks[k] = i
		}
	}
	return ranks
}()

// reorder puts headers into the order of the names listed.
func reorder(headers []bridge.Header, names string) error {
	place := make(map[string]int, len(headers))
	for i, n := range strings.Split(names, " ") {
		name, err := bridge.Unescape(n)
		if err != nil {
			return err
		}
		place[name] = i
	}
	for i := range headers {
		if _, ok := place[headers[i].Name]; !ok {
			return errors.New(hopOrder + ": a header is not listed")
		}
	}
	slices.SortStableFunc(headers, func(a, b bridge.Header) int { return place[a.Name] - place[b.Name] })
	return nil
}

// peekOffset reads the broker's x-stream-offset from a message's properties
// without making anything of the rest.
func peekOffset(d *delivery) (uint64, bool) {
	var offset uint64
	found := false
	_ = eachHeader(d, func(name []byte, t bridge.Type, value []byte) {
		if t == bridge.TypeInt64 && string(name) == "x-stream-offset" {
			offset, found = binary.BigEndian.Uint64(value), true
		}
	})
	return offset, found
}

// eachHeader calls f for every header of d.
func eachHeader(d *delivery, f func(name []byte, t bridge.Type, value []byte)) error {
	in := cursor{b: d.props}
	flags := in.short()
	for i := range 2 {
		if flags&(1<<(15-i)) != 0 {
			in.shortstr()
		}
	}
	if flags&(1<<13) == 0 {
		return nil
	}
	table := in.longstr()
	if in.bad {
		return fmt.Errorf("message properties: %w", errFrame)
	}
	return eachField(table, f)
}
