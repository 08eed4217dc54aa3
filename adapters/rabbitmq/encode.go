package rabbitmq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An encoder makes frames of Messages. It is one goroutine's.
type encoder struct {
	target   *target
	relay    string
	user     string
	channel  uint16
	frameMax int
	limit    *sizeLimit
	sorts    bool // the target gives headers back by name, each name once
	stream4  bool // the target is a stream of RabbitMQ 4, which sets a delivery mode and makes text of octets
	now      func() time.Time

	carry  bridge.Carry
	native bridge.Native

	// Of the message at hand:
	m       *bridge.Message
	key     []byte
	first   [len(propertyKinds)]*bridge.Property
	addID   bool                      // message-id is set from the ID
	addMode bool                      // delivery-mode is set to persistent
	addTTL  bool                      // expiration is set to what remains of Expires, if AMQP can say it
	ttl     []byte                    // what remains; empty if AMQP cannot
	firsts  map[string]*bridge.Header // the first header of each name, where that matters
	order   []byte
	added   []byte
}

// newEncoder makes an encoder for one channel of a broker. Streams sort headers,
// and since RabbitMQ 4 everything does.
func newEncoder(t *target, b broker, relay, user string, channel uint16, frameMax int, limit *sizeLimit) *encoder {
	e := &encoder{
		target: t, relay: relay, user: user, channel: channel, frameMax: frameMax, limit: limit,
		sorts:   t.kind == typeStream || b.major >= 4,
		stream4: t.kind == typeStream && b.major >= 4,
		now:     time.Now,
	}
	e.native = bridge.Native{
		Address: func(m *bridge.Message) bool {
			return m.Address.Space == t.exchange && m.Address.Name == string(e.key) && m.Address.Partition == 0
		},
		Header:   e.nativeHeader,
		Property: e.nativeProperty,
		Time: func(m *bridge.Message) bool {
			p := e.first[rank(bridge.KindTimestamp)]
			return p != nil && e.nativeProperty(p) && m.Time.Nanosecond() == 0 && m.Time.Unix() == p.Num
		},
	}
	return e
}

// append appends the frames of m to dst. An error is a Reject about m, and dst
// is as it was.
func (e *encoder) append(dst []byte, m *bridge.Message) ([]byte, error) {
	e.m = m
	if err := e.prepare(); err != nil {
		return dst, err
	}
	was := len(dst)
	dst = appendPublishMethod(dst, e.channel, e.target.exchange, e.key)
	dst, from := beginFrame(dst, frameHeader, e.channel)
	dst = append(dst, 0, classBasic, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(m.Body)))
	dst = e.properties(dst)
	if size := len(dst) - from; size > e.frameMax-frameOverhead {
		return dst[:was], bridge.Reject(bridge.ReasonOversized, fmt.Errorf("rabbitmq: headers and properties take %d octets; a frame holds %d", size, e.frameMax-frameOverhead))
	}
	dst = endFrame(dst, from)
	return appendBody(dst, e.channel, m.Body, e.frameMax), nil
}

// prepare finds the routing key and what is native in the message at hand.
func (e *encoder) prepare() error {
	m := e.m
	if most := e.limit.octets(); len(m.Body) > most {
		return bridge.Reject(bridge.ReasonOversized, fmt.Errorf("rabbitmq: the body has %d octets; the broker takes %d (max_message_size; where it was raised, say so in max_message of the system, and start the bridge again)", len(m.Body), most))
	}
	var err error
	if e.key, err = e.target.routingKey(e.key[:0], m); err != nil {
		return err
	}
	e.first = [len(propertyKinds)]*bridge.Property{}
	for i := range m.Properties {
		if r := rank(m.Properties[i].Kind); r < len(propertyKinds) && e.first[r] == nil {
			e.first[r] = &m.Properties[i]
		}
	}
	id := e.first[rank(bridge.KindMessageID)]
	e.addID = id == nil && m.ID.Value != "" && len(m.ID.Value) <= 255
	e.addMode = e.stream4 || e.target.persistent && (e.target.kind == toExchange || e.target.kind == typeClassic)
	if mode := e.first[rank(bridge.KindDeliveryMode)]; mode != nil && mode.Num == 2 && !mode.Null {
		e.addMode = false
	}
	e.ttl = e.ttl[:0]
	if e.addTTL = !m.Expires.IsZero(); e.addTTL {
		e.ttl = appendRemaining(e.ttl, m.Expires, e.now())
	}
	return e.prepareHeaders()
}

// prepareHeaders finds repeated names and the order, where the target keeps
// neither.
func (e *encoder) prepareHeaders() error {
	hs := e.m.Headers
	e.firsts, e.order = nil, e.order[:0]
	sorted := true
	for i := range hs {
		if len(hs[i].Name) >= len(bridge.HopPrefix) && bridge.IsHop(hs[i].Name) {
			return bridge.Reject(bridge.ReasonPoison, fmt.Errorf("rabbitmq: header %q is the bridge's own and cannot be read", printable(hs[i].Name)))
		}
		sorted = sorted && (i == 0 || hs[i-1].Name < hs[i].Name)
	}
	if !e.sorts || sorted {
		return nil
	}
	e.firsts = make(map[string]*bridge.Header, len(hs))
	for i := range hs {
		if h := &hs[i]; e.firsts[h.Name] == nil {
			e.firsts[h.Name] = h
		}
	}
	for i := range hs {
		if e.nativeHeader(&hs[i]) {
			e.order = bridge.AppendEscaped(e.order, hs[i].Name, nameSafe)
			e.order = append(e.order, ' ')
		}
	}
	return nil
}

// nativeHeader says that the target keeps a header exactly. Control headers
// would act there, and so are carried. // I3 I4
func (e *encoder) nativeHeader(h *bridge.Header) bool {
	if len(h.Name) > 255 || actsAtBroker(h.Name) || !canWrite(h.Type, h.Value, 0) {
		return false
	}
	if h.Type == bridge.TypeBool && h.Value[0] > 1 {
		return false
	}
	if e.firsts != nil && e.firsts[h.Name] != h {
		return false
	}
	if !e.mayBeStream() {
		return true
	}
	switch h.Type {
	case bridge.TypeDecimal:
		return false // it ends the connection
	case bridge.TypeTimestamp:
		if !fitsStream(int64(binary.BigEndian.Uint64(h.Value))) {
			return false
		}
	case bridge.TypeTable, bridge.TypeArray:
		return e.target.kind != typeStream // where they vanish
	case bridge.TypeBytes:
		if e.stream4 {
			return false
		}
	}
	return e.target.kind != typeStream || len(h.Name) < 2 || h.Name[0]|0x20 != 'x' || h.Name[1] != '-'
}

// mayBeStream says that the target is a stream, or an exchange that may lead to one.
func (e *encoder) mayBeStream() bool {
	return e.target.kind == typeStream || e.target.kind == toExchange
}

// fitsStream says that a stream keeps a timestamp: it counts milliseconds in 64 bits,
// and what does not fit comes back as another.
func fitsStream(seconds int64) bool {
	return seconds >= math.MinInt64/1000 && seconds <= math.MaxInt64/1000
}

// actsAtBroker says that RabbitMQ, or a plugin of it, does something on reading
// a header of that name.
func actsAtBroker(name string) bool {
	switch name {
	case "CC", "BCC", "x-death", "x-delay", "x-stream-offset", "x-stream-filter-value", "x-delivery-count",
		"x-acquired-count", "x-deduplication-header", "x-cache-ttl", "x-received-from", "x-exchange", "x-routing-key",
		"x-first-death-queue", "x-first-death-reason", "x-first-death-exchange",
		"x-last-death-queue", "x-last-death-reason", "x-last-death-exchange":
		return true
	}
	return false
}

// nativeProperty says that a property of the message at hand is written as it is.
func (e *encoder) nativeProperty(p *bridge.Property) bool {
	r := rank(p.Kind)
	if r >= len(propertyKinds) || e.first[r] != p || p.Null {
		return false
	}
	switch p.Kind {
	case bridge.KindPriority:
		return p.Num >= 0 && p.Num <= 255
	case bridge.KindDeliveryMode:
		return !e.addMode && (p.Num == 1 || p.Num == 2) // the broker closes the channel on any other
	case bridge.KindTimestamp:
		// A message without Time would have one afterwards.
		return !e.m.Time.IsZero() && (!e.mayBeStream() || fitsStream(p.Num))
	case bridge.KindUserID:
		return p.Text == e.user // the broker refuses any other
	case bridge.KindExpiration:
		return !e.addTTL && validExpiration(p.Text)
	case bridge.KindReplyTo: // the broker looks for the consumer of a direct reply, and closes the channel without
		return len(p.Text) <= 255 && !strings.HasPrefix(p.Text, "amq.rabbitmq.reply-to")
	case bridge.KindClusterID:
		return e.target.kind != typeStream && len(p.Text) <= 255
	}
	return len(p.Text) <= 255
}

// validExpiration says that the broker takes s: it closes the channel on
// anything but milliseconds within 32 bits.
func validExpiration(s string) bool {
	if len(s) == 0 || len(s) > 10 || (len(s) > 1 && s[0] == '0') {
		return false
	}
	n := uint64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n <= 1<<32-1
}

// properties appends flags and list of the message at hand.
func (e *encoder) properties(dst []byte) []byte {
	at := len(dst)
	flags := uint16(0)
	dst = append(dst, 0, 0)
	for i, kind := range propertyKinds {
		was := len(dst)
		switch p := e.first[i]; {
		case kind == 0:
			dst = e.headers(dst)
		case kind == bridge.KindMessageID && e.addID:
			dst = appendShortstr(dst, e.m.ID.Value)
		case kind == bridge.KindDeliveryMode && e.addMode:
			dst = append(dst, 2)
		case kind == bridge.KindExpiration && len(e.ttl) > 0:
			dst = appendShortstr(dst, e.ttl)
		case p == nil || !e.nativeProperty(p):
		case kind == bridge.KindTimestamp:
			dst = binary.BigEndian.AppendUint64(dst, uint64(p.Num))
		case kind.Number():
			dst = append(dst, byte(p.Num))
		default:
			dst = appendShortstr(dst, p.Text)
		}
		if len(dst) > was {
			flags |= 1 << (15 - i)
		}
	}
	binary.BigEndian.PutUint16(dst[at:], flags)
	return dst
}

// headers appends the message's native headers and the hop headers.
func (e *encoder) headers(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for i := range e.m.Headers {
		if h := &e.m.Headers[i]; e.nativeHeader(h) {
			dst = appendField(dst, h.Name, h.Type, h.Value)
		}
	}
	e.carry.Reset()
	e.carry.Message(e.m, e.relay, &e.native)
	e.carry.Each(func(name string, value []byte) {
		dst = appendField(dst, name, bridge.TypeString, value)
	})
	if n := len(e.order); n > 0 {
		dst = appendField(dst, hopOrder, bridge.TypeString, e.order[:n-1])
	}
	if added := e.additions(); len(added) > 0 {
		dst = appendField(dst, hopAdded, bridge.TypeString, added)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// additions names the properties that are written and the message has not.
func (e *encoder) additions() []byte {
	e.added = e.added[:0]
	for _, a := range [...]struct {
		is   bool
		kind bridge.PropertyKind
	}{{e.addID, bridge.KindMessageID}, {e.addMode, bridge.KindDeliveryMode}, {len(e.ttl) > 0, bridge.KindExpiration}} {
		if !a.is {
			continue
		}
		if len(e.added) > 0 {
			e.added = append(e.added, ' ')
		}
		e.added = append(e.added, a.kind.String()...)
	}
	return e.added
}

// routingKey appends the key that m gets.
func (t *target) routingKey(dst []byte, m *bridge.Message) ([]byte, error) {
	if t.key == nil {
		return append(dst, t.queue...), nil
	}
	dst, err := t.key.Append(dst, m, keyToken)
	if err != nil {
		return dst, err
	}
	if len(dst) > 255 {
		return dst, bridge.Reject(bridge.ReasonName, fmt.Errorf("rabbitmq: the routing key has %d octets; 255 are allowed", len(dst)))
	}
	return dst, nil
}

// keyToken spells a value in a routing key, where only the dot means something.
func keyToken(dst []byte, value string, dotted bool) ([]byte, error) {
	if dotted {
		return append(dst, value...), nil
	}
	return bridge.AppendEscaped(dst, value, func(c byte) bool { return c != '.' }), nil
}

// matches says that d, which the broker returned, is what became of m.
func (e *encoder) matches(m *bridge.Message, d *delivery) bool {
	if string(d.exchange) != e.target.exchange || string(d.body) != string(m.Body) {
		return false
	}
	key, err := e.target.routingKey(nil, m)
	if err != nil || string(key) != string(d.key) {
		return false
	}
	id := ""
	_ = eachHeader(d, func(name []byte, _ bridge.Type, value []byte) {
		if string(name) == bridge.HopID {
			id = string(value)
		}
	})
	if m.ID.IsZero() && m.Key == "" {
		return id == ""
	}
	return id == m.ID.Text(m.Key)
}

var errUnroutable = errors.New("no queue is bound for that routing key")

// unroutable is the Reject for a returned message.
func unroutable(d *delivery) error {
	return bridge.Reject(bridge.ReasonUnroutable, fmt.Errorf("rabbitmq: exchange %s, routing key %q: %w (%d %s)",
		d.exchange, printable(string(d.key)), errUnroutable, d.code, d.text))
}
