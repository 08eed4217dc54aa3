package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
)

// IDHeader carries the producer's ID on Kafka, which has no place of its own for
// it, and on NATS: Nats-Msg-Id would make the incumbent itself drop an ID that is
// equal on two keys.
const IDHeader = "Ledger-Id"

// Every message has its number; every eighth the whole selection.
const selectionEvery = 8

func (p *Plan) hasSelection(n int) bool { return n%selectionEvery == 0 }

// Table is the AMQP header table of message n.
func (p *Plan) Table(n int) amqp.Table {
	t := amqp.Table{NumberHeader: strconv.Itoa(n)}
	if !p.hasSelection(n) {
		return t
	}
	maps.Copy(t, amqp.Table{
		"text": "plain", "spaces": "  both ends  ", "octets": "\xff\x00\xfe", "lines": "a\r\nb", "empty": "",
		"bytes": []byte{0, 1, 0xff}, "null": nil, "true": true, "int8": int8(-8), "uint8": byte(200),
		"int16": int16(-1600), "uint16": uint16(60000), "int32": int32(-n), "uint32": uint32(4_000_000_000),
		"int64": int64(n) << 32, "float": float32(1.5), "double": math.Pi, "time": time.Unix(int64(n), 0),
		"Nats-Msg-Id": "not the bridge's", "Nats-Expected-Last-Sequence": "1", "ümlaut": "ü",
	})
	if p.Carries == CarriesAll {
		maps.Copy(t, amqp.Table{
			"decimal": amqp.Decimal{Scale: 2, Value: int32(n)},
			"table":   amqp.Table{"a": int64(1), "b": amqp.Table{"c": "d"}},
			"array":   []any{"x", int32(2), []byte("y")},
		})
	}
	return t
}

// Publishing is message n for a RabbitMQ exchange.
func (p *Plan) Publishing(n int) amqp.Publishing {
	m := amqp.Publishing{Headers: p.Table(n), MessageId: p.ID(n), DeliveryMode: amqp.Persistent, Body: p.Body(n)}
	if p.hasSelection(n) {
		m.ContentType, m.ContentEncoding = "application/json", "identity"
		m.CorrelationId, m.ReplyTo, m.Type, m.AppId = "corr \xff", "back.here", "sample", "ledger"
		m.Priority = 4 // what quorum queues take for none, so that nothing overtakes
		m.Timestamp = time.Unix(1_900_000_000+int64(n), 0)
		m.Expiration = "86400000"
	}
	return m
}

// Msg is message n for a JetStream stream.
func (p *Plan) Msg(n int) *nats.Msg {
	m := nats.NewMsg(p.Name(n))
	m.Data = p.Body(n)
	m.Header[NumberHeader] = []string{strconv.Itoa(n)}
	m.Header[IDHeader] = []string{p.ID(n)}
	if p.hasSelection(n) {
		m.Header["Several"] = []string{"b", "a", "b"}
		m.Header["several"] = []string{"another name"}
		m.Header["Empty"] = []string{""}
		m.Header["octets"] = []string{"ü \xfe"}
	}
	return m
}

// fields are the planned headers and properties of message n in canonical form.
func (p *Plan) fields(n int) (headers, properties []Field) {
	switch p.Carries {
	case CarriesText:
		return natsFields(p.Msg(n).Header), nil
	case CarriesOctets:
		return recordFields(p.Record(n).Headers, ""), nil
	}
	m := p.Publishing(n)
	return tableFields(m.Headers), propertyFields(&amqp.Delivery{
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, DeliveryMode: m.DeliveryMode,
		Priority: m.Priority, CorrelationId: m.CorrelationId, ReplyTo: m.ReplyTo, Expiration: m.Expiration,
		MessageId: m.MessageId, Timestamp: m.Timestamp, Type: m.Type, UserId: m.UserId, AppId: m.AppId,
	})
}

func natsFields(h nats.Header) []Field {
	var fs []Field
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			fs = append(fs, Field{name, "S:" + v})
		}
	}
	return fs
}

func tableFields(t amqp.Table) []Field {
	fs := make([]Field, 0, len(t))
	for name, v := range t {
		fs = append(fs, Field{name, canonical(v)})
	}
	sortFields(fs)
	return fs
}

// propertyFields lists the properties that are present as far as the client
// lets a reader see it.
func propertyFields(d *amqp.Delivery) []Field {
	var fs []Field
	text := func(name, v string) {
		if v != "" {
			fs = append(fs, Field{name, "S:" + v})
		}
	}
	number := func(name string, v int64) {
		if v != 0 {
			fs = append(fs, Field{name, "l:" + strconv.FormatInt(v, 10)})
		}
	}
	text("app-id", d.AppId)
	text("content-encoding", d.ContentEncoding)
	text("content-type", d.ContentType)
	text("correlation-id", d.CorrelationId)
	number("delivery-mode", int64(d.DeliveryMode))
	text("expiration", d.Expiration)
	text("message-id", d.MessageId)
	number("priority", int64(d.Priority))
	text("reply-to", d.ReplyTo)
	if !d.Timestamp.IsZero() {
		number("timestamp", d.Timestamp.Unix())
	}
	text("type", d.Type)
	text("user-id", d.UserId)
	return fs
}

// canonical is the Field form of a value of an AMQP table.
func canonical(v any) string {
	switch v := v.(type) {
	case nil:
		return "V:"
	case string:
		return "S:" + v
	case []byte:
		return "x:" + string(v)
	case bool:
		return fmt.Sprintf("t:%t", v)
	case int8:
		return fmt.Sprintf("b:%d", v)
	case uint8:
		return fmt.Sprintf("B:%d", v)
	case int16:
		return fmt.Sprintf("s:%d", v)
	case uint16:
		return fmt.Sprintf("u:%d", v)
	case int32:
		return fmt.Sprintf("I:%d", v)
	case uint32:
		return fmt.Sprintf("i:%d", v)
	case int64:
		return fmt.Sprintf("l:%d", v)
	case float32:
		return fmt.Sprintf("f:%x", math.Float32bits(v))
	case float64:
		return fmt.Sprintf("d:%x", math.Float64bits(v))
	case time.Time:
		return fmt.Sprintf("T:%d", v.Unix())
	case amqp.Decimal:
		return fmt.Sprintf("D:%d,%d", v.Scale, v.Value)
	case amqp.Table:
		return fmt.Sprintf("F:%q", tableFields(v))
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = canonical(v[i])
		}
		return fmt.Sprintf("A:%q", items)
	}
	return fmt.Sprintf("?:%T %v", v, v)
}

// decodeValue reads the wire form of one AMQP value of the type with that
// letter, as AMQP 0-9-1 with RabbitMQ's errata defines it.
func decodeValue(letter byte, b []byte) (any, error) {
	want, fixed := widths[letter]
	switch {
	case !fixed && !strings.ContainsRune("SxFA", rune(letter)):
		return nil, fmt.Errorf("unknown type %q", letter)
	case fixed && len(b) != want:
		return nil, fmt.Errorf("type %q with %d octets, want %d", letter, len(b), want)
	}
	switch letter {
	case 'V':
		return nil, nil
	case 'S':
		return string(b), nil
	case 'x':
		return b, nil
	case 't':
		return b[0] != 0, nil
	case 'b':
		return int8(b[0]), nil
	case 'B':
		return b[0], nil
	case 's':
		return int16(binary.BigEndian.Uint16(b)), nil
	case 'u':
		return binary.BigEndian.Uint16(b), nil
	case 'I':
		return int32(binary.BigEndian.Uint32(b)), nil
	case 'i':
		return binary.BigEndian.Uint32(b), nil
	case 'l':
		return int64(binary.BigEndian.Uint64(b)), nil
	case 'f':
		return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
	case 'd':
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case 'T':
		return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), nil
	case 'D':
		return amqp.Decimal{Scale: b[0], Value: int32(binary.BigEndian.Uint32(b[1:]))}, nil
	case 'F':
		return decodeTable(b)
	}
	return decodeArray(b)
}

// widths are the octets of the types that have a fixed number of them.
var widths = map[byte]int{
	'V': 0, 't': 1, 'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'l': 8, 'f': 4, 'd': 8, 'T': 8, 'D': 5,
}

func decodeTable(b []byte) (any, error) {
	t := amqp.Table{}
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < 1+n {
			return nil, errCut
		}
		name := string(b[1 : 1+n])
		v, rest, err := decodeTyped(b[1+n:])
		if err != nil {
			return nil, err
		}
		t[name], b = v, rest
	}
	return t, nil
}

func decodeArray(b []byte) (any, error) {
	items := []any{}
	for len(b) > 0 {
		v, rest, err := decodeTyped(b)
		if err != nil {
			return nil, err
		}
		items, b = append(items, v), rest
	}
	return items, nil
}

var errCut = errors.New("a value is cut short")

// decodeTyped reads a type octet and the value behind it, with its length where
// it has none of its own.
func decodeTyped(b []byte) (v any, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errCut
	}
	letter := b[0]
	b = b[1:]
	n, fixed := widths[letter]
	if !fixed {
		if len(b) < 4 {
			return nil, nil, errCut
		}
		n = int(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if n > len(b) {
		return nil, nil, errCut
	}
	v, err = decodeValue(letter, b[:n])
	return v, b[n:], err
}
