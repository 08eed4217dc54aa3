package ledger

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
)

// The headers that a bridge adds, by the documented names and forms.
const (
	hopPrefix   = "crossfade-"
	hopID       = "crossfade-id"       // kp~KEY~VALUE, each escaped
	hopAddress  = "crossfade-address"  // SPACE/NAME/PARTITION, each escaped
	hopHeaders  = "crossfade-headers"  // INDEX/LETTER/NAME/BASE64, by spaces
	hopProperty = "crossfade-property" // NAME=VALUE escaped, by spaces
	hopBody     = "crossfade-body"     // "null"
	hopTime     = "crossfade-time"     // SECONDS.NANOSECONDS, or "none"
	hopTypes    = "crossfade-types"    // at Kafka: LETTER of each native header
	hopAdded    = "crossfade-added"    // property names, by spaces
	hopRelay    = "crossfade-relay"
)

// fromNATS reads a message that was found in a stream of NATS.
func fromNATS(subject string, h nats.Header, body []byte) (Message, error) {
	m := Message{Subject: subject, Key: subject, Name: subject, Body: notNull(body)}
	if h.Get(hopRelay) == "" { // straight from the producer
		m.ID, m.Headers = h.Get(IDHeader), natsFields(h)
		m.N = numberOf(m.Headers)
		return m, nil
	}
	hops, own := map[string]string{}, nats.Header{}
	for name, values := range h {
		switch {
		case isHop(name):
			hops[strings.ToLower(name)] = values[0]
		case !strings.HasPrefix(name, "Nats-"):
			own[name] = values
		}
	}
	m.Headers = natsFields(own)
	if hops[hopID] == "" {
		hops[hopID] = h.Get("Nats-Msg-Id")
	}
	return m, m.apply(hops)
}

// fromAMQP reads a message that was found in a queue or stream of RabbitMQ.
func fromAMQP(d *amqp.Delivery) (Message, error) {
	m := Message{Subject: d.RoutingKey, Key: d.RoutingKey, Space: d.Exchange, Name: d.RoutingKey, ID: d.MessageId, Body: notNull(d.Body), Mapped: true}
	m.Properties = propertyFields(d)
	hops, own := map[string]string{}, amqp.Table{}
	for name, v := range d.Headers {
		switch {
		case isHop(name):
			s, ok := v.(string)
			if !ok {
				return m, fmt.Errorf("header %s is a %T", name, v)
			}
			hops[strings.ToLower(name)] = s
		case name != "x-stream-offset" && name != "x-delivery-count": // the broker's
			own[name] = v
		}
	}
	m.Headers = tableFields(own)
	if len(hops) == 0 {
		m.N = numberOf(m.Headers)
		return m, nil
	}
	for name := range strings.FieldsSeq(hops[hopAdded]) {
		m.Properties = slices.DeleteFunc(m.Properties, func(f Field) bool { return f.Name == name })
	}
	return m, m.apply(hops)
}

// notNull is a body as systems have it that have no null one: the clients show an
// empty one in both ways.
func notNull(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

func isHop(name string) bool { return strings.HasPrefix(strings.ToLower(name), hopPrefix) }

// apply puts what the bridge's headers say into m.
func (m *Message) apply(hops map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(hops)) {
		var err error
		switch v := hops[name]; name {
		case hopID:
			err = m.applyID(v)
		case hopAddress:
			err = m.applyAddress(v)
		case hopHeaders:
			err = m.applyHeaders(v)
		case hopProperty:
			err = m.applyProperties(v)
		case hopTime:
			err = m.applyTime(v)
		case hopBody:
			if v != "null" || len(m.Body) > 0 {
				err = fmt.Errorf("%q with a body of %d octets", v, len(m.Body))
			}
			m.Body = nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	sortFields(m.Headers)
	sortFields(m.Properties)
	m.N = numberOf(m.Headers)
	return nil
}

func (m *Message) applyID(v string) error {
	parts := strings.Split(v, "~")
	if len(parts) != 3 || parts[0] != "kp" {
		return fmt.Errorf("%q is not a producer's ID in the scope of a key", v)
	}
	var err error
	if m.Key, err = unescape(parts[1]); err == nil {
		m.ID, err = unescape(parts[2])
	}
	return err
}

func (m *Message) applyAddress(v string) error {
	parts := strings.Split(v, "/")
	if len(parts) != 3 {
		return fmt.Errorf("%q has not three parts", v)
	}
	var err error
	if m.Space, err = unescape(parts[0]); err == nil {
		m.Name, err = unescape(parts[1])
	}
	if err == nil {
		m.Partition, err = strconv.Atoi(parts[2])
	}
	return err
}

func (m *Message) applyTime(v string) error {
	if v == "none" {
		m.Millis = 0
		return nil
	}
	seconds, nanos, _ := strings.Cut(v, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	ns, err := strconv.ParseInt(nanos, 10, 64)
	m.Millis = time.Unix(s, ns).UnixMilli()
	return err
}

func (m *Message) applyHeaders(v string) error {
	for item := range strings.FieldsSeq(v) {
		parts := strings.Split(item, "/")
		if len(parts) != 4 || len(parts[1]) != 1 {
			return fmt.Errorf("%q has not four parts", item)
		}
		name, err := unescape(parts[2])
		if err != nil {
			return err
		}
		wire, err := base64.RawURLEncoding.DecodeString(parts[3])
		if err != nil {
			return err
		}
		value, err := decodeValue(parts[1][0], wire)
		if err != nil {
			return fmt.Errorf("%q: %w", item, err)
		}
		m.Headers = append(m.Headers, Field{name, canonical(value)})
	}
	return nil
}

func (m *Message) applyProperties(v string) error {
	for item := range strings.FieldsSeq(v) {
		name, escaped, _ := strings.Cut(item, "=")
		text, err := unescape(escaped)
		if err != nil {
			return err
		}
		letter := "S:"
		if name == "priority" || name == "delivery-mode" || name == "timestamp" {
			letter = "l:"
		}
		m.Properties = append(m.Properties, Field{name, letter + text})
	}
	return nil
}

func numberOf(headers []Field) int {
	for _, f := range headers {
		if f.Name == NumberHeader {
			_, text, _ := strings.Cut(f.Value, ":") // text, or octets out of Kafka
			n, _ := strconv.Atoi(text)
			return n
		}
	}
	return 0
}

// unescape puts every %XX back.
func unescape(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if len(after) < 2 {
			return "", fmt.Errorf("%q: an escape is cut short", s)
		}
		c, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
		b.WriteByte(byte(c))
		s = after[2:]
	}
}
