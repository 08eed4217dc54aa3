package ledger

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

// wire is the big-endian form of a planned header value, for a bridge.Header.
func wire(t *testing.T, v any) (bridge.Type, []byte) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return bridge.TypeNull, nil
	case string:
		return bridge.TypeString, []byte(v)
	case []byte:
		return bridge.TypeBytes, v
	case bool:
		return bridge.TypeBool, []byte{1}
	case int8:
		return bridge.TypeInt8, []byte{byte(v)}
	case uint8:
		return bridge.TypeUint8, []byte{v}
	case int16:
		return bridge.TypeInt16, binary.BigEndian.AppendUint16(nil, uint16(v))
	case uint16:
		return bridge.TypeUint16, binary.BigEndian.AppendUint16(nil, v)
	case int32:
		return bridge.TypeInt32, binary.BigEndian.AppendUint32(nil, uint32(v))
	case uint32:
		return bridge.TypeUint32, binary.BigEndian.AppendUint32(nil, v)
	case int64:
		return bridge.TypeInt64, binary.BigEndian.AppendUint64(nil, uint64(v))
	case float32:
		return bridge.TypeFloat32, binary.BigEndian.AppendUint32(nil, math.Float32bits(v))
	case float64:
		return bridge.TypeFloat64, binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
	case amqp.Decimal:
		return bridge.TypeDecimal, binary.BigEndian.AppendUint32([]byte{v.Scale}, uint32(v.Value))
	case interface{ Unix() int64 }:
		return bridge.TypeTimestamp, binary.BigEndian.AppendUint64(nil, uint64(v.Unix()))
	case amqp.Table:
		var b []byte
		for name, v := range v {
			b = appendTyped(t, append(append(b, byte(len(name))), name...), v)
		}
		return bridge.TypeTable, b
	case []any:
		var b []byte
		for _, v := range v {
			b = appendTyped(t, b, v)
		}
		return bridge.TypeArray, b
	}
	t.Fatalf("no wire form for %T", v)
	return 0, nil
}

func appendTyped(t *testing.T, b []byte, v any) []byte {
	kind, value := wire(t, v)
	b = append(b, kind.Letter())
	if strings.ContainsRune("SxFA", rune(kind.Letter())) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	}
	return append(b, value...)
}

// bridged is planned message n in the vocabulary of the bridge.
func bridged(t *testing.T, p *Plan, n int) bridge.Message {
	pub := p.Publishing(n)
	m := bridge.Message{
		Key: p.Name(n), ID: bridge.ID{Value: p.ID(n)}, Body: pub.Body,
		Address: bridge.Address{Space: p.Space, Name: p.Name(n)},
	}
	for name, v := range pub.Headers {
		kind, value := wire(t, v)
		m.Headers = append(m.Headers, bridge.Header{Name: name, Type: kind, Value: value})
	}
	_, properties := p.fields(n)
	for _, f := range properties {
		k, ok := bridge.PropertyOfName(f.Name)
		if !ok {
			t.Fatalf("no property %s", f.Name)
		}
		p := bridge.Property{Kind: k, Text: f.Value[2:]}
		if k.Number() {
			p.Text = ""
			p.Num, _ = strconv.ParseInt(f.Value[2:], 10, 64)
		}
		m.Properties = append(m.Properties, p)
	}
	return m
}

// TestReadsWhatTheBridgeCarries checks the ledger's own reading of hop headers
// against the bridge's writing of them, with everything carried and nothing
// native.
func TestReadsWhatTheBridgeCarries(t *testing.T) {
	p := NewPlan(loads[0])
	for n := 1; n <= 64; n++ {
		planned, m := p.Message(n), bridged(t, p, n)
		var c bridge.Carry
		c.Message(&m, "b/r", &bridge.Native{})
		h, table := nats.Header{}, amqp.Table{}
		c.Each(func(name string, v []byte) {
			h[name] = []string{string(v)}
			table[name] = string(v)
		})
		found, err := fromNATS("t."+planned.Name, h, m.Body)
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(&planned, &found); d != "" || found.N != n {
			t.Fatalf("%d on NATS: %s", n, d)
		}
		table[hopAdded] = "message-id delivery-mode"
		found, err = fromAMQP(&amqp.Delivery{Headers: table, Body: m.Body, MessageId: "added", DeliveryMode: 2, RoutingKey: "q"})
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(&planned, &found); d != "" || found.N != n {
			t.Fatalf("%d on AMQP: %s", n, d)
		}
	}
}

func TestReadsTheIDFromTheTargetsOwnField(t *testing.T) {
	id := bridge.ID{Value: "a~b% "}
	h := nats.Header{"Nats-Msg-Id": {id.Text("k.é")}, hopRelay: {"b/r"}, NumberHeader: {"7"}}
	m, err := fromNATS("t.k", h, nil)
	if err != nil || m.Key != "k.é" || m.ID != "a~b% " || m.N != 7 {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestUnreadableHopHeadersAreErrors(t *testing.T) {
	for name, v := range map[string]string{
		hopID: "kp~a", hopAddress: "a/b", hopHeaders: "0/S/a/!", hopProperty: "type=%4",
	} {
		if _, err := fromNATS("s", nats.Header{hopRelay: {"b/r"}, name: {v}}, nil); err == nil {
			t.Errorf("%s: %q was read", name, v)
		}
	}
	for _, v := range []string{"0/I/a/AA", "0/?/a/AA", "0/F/a/BGFi", "0/A/a/Uw"} {
		if _, err := fromNATS("s", nats.Header{hopRelay: {"b/r"}, hopHeaders: {v}}, nil); err == nil {
			t.Errorf("%q was read", v)
		}
	}
}

// TestReadsRecordsAndSeesWhatKafkaAloneHas: a null body, null headers, a
// partition and a time are carried through systems that have none of them, and
// are missed where they are not.
func TestReadsRecordsAndSeesWhatKafkaAloneHas(t *testing.T) {
	p := NewPlan(loads[3])
	native := &bridge.Native{
		Address: func(*bridge.Message) bool { return false }, NullBody: true,
		Header: func(h *bridge.Header) bool { return h.Type == bridge.TypeBytes || h.Type == bridge.TypeNull },
		Time:   func(*bridge.Message) bool { return true },
	}
	for n := 1; n <= 64; n++ {
		planned, record := p.Message(n), p.Record(n)
		direct, err := fromKafka(record)
		if d := difference(&planned, &direct); err != nil || d != "" || direct.N != n {
			t.Fatalf("%d straight from the producer: %s, %v", n, d, err)
		}
		m := recorded(p, n)
		var c bridge.Carry
		c.Message(&m, "b/r", native)
		hop := *record
		hop.Topic, hop.Partition = "elsewhere", 9
		c.Each(func(name string, v []byte) {
			hop.Headers = append(hop.Headers, kgo.RecordHeader{Key: name, Value: bytes.Clone(v)})
		})
		found, err := fromKafka(&hop)
		if d := difference(&planned, &found); err != nil || d != "" || found.N != n || found.Subject != "elsewhere/9" {
			t.Fatalf("%d on Kafka: %s, %v", n, d, err)
		}
		hop.Key = []byte("another")
		if _, err := fromKafka(&hop); err == nil {
			t.Fatalf("%d: the key of another was read", n)
		}
		c.Reset()
		c.Message(&m, "b/r", &bridge.Native{})
		h := nats.Header{}
		c.Each(func(name string, v []byte) { h[name] = []string{string(v)} })
		found, err = fromNATS("t", h, []byte(string(m.Body)))
		if d := difference(&planned, &found); err != nil || d != "" {
			t.Fatalf("%d on NATS: %s, %v", n, d, err)
		}
	}
	for what, change := range map[string]func(m *Message){
		"an empty body for a null one": func(m *Message) { m.Body = []byte{} },
		"no partition":                 func(m *Message) { m.Partition = 0 },
		"another time":                 func(m *Message) { m.Millis++ },
		"an empty header for a null one": func(m *Message) {
			i := slices.Index(m.Headers, Field{"null", "V:"})
			m.Headers[i].Value = "x:"
		},
		"one null header of two": func(m *Message) {
			i := slices.Index(m.Headers, Field{"null", "V:"})
			m.Headers = slices.Delete(m.Headers, i, i+1)
		},
	} {
		planned, found := p.Message(8), p.Message(8)
		change(&found)
		if difference(&planned, &found) == "" {
			t.Errorf("%s is not seen", what)
		}
	}
}

// Text is octets at Kafka, with the types beside them.
func TestReadsTextHeadersOfRecords(t *testing.T) {
	p := NewPlan(loads[2])
	planned := p.Message(8)
	hop := kgo.Record{Topic: "elsewhere", Key: []byte(planned.Key), Value: planned.Body}
	id := bridge.ID{Value: planned.ID}
	add := func(name, value string) {
		hop.Headers = append(hop.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	for _, f := range planned.Headers {
		add(f.Name, strings.TrimPrefix(f.Value, "S:"))
	}
	types := strings.Repeat("S", len(planned.Headers))
	add(hopRelay, "b/r")
	add(hopID, id.Text(planned.Key))
	add(hopAddress, "/"+planned.Name+"/0")
	add(hopTime, "none")
	add(hopTypes, types)
	found, err := fromKafka(&hop)
	if d := difference(&planned, &found); err != nil || d != "" {
		t.Fatalf("%s, %v", d, err)
	}
	hop.Headers[len(hop.Headers)-1].Value = []byte("x" + types[1:])
	if found, err = fromKafka(&hop); err != nil || difference(&planned, &found) == "" {
		t.Errorf("octets in place of text are not seen: %v", err)
	}
	hop.Headers[len(hop.Headers)-1].Value = []byte(types[1:])
	if _, err = fromKafka(&hop); err == nil {
		t.Error("a type less than there are headers is not seen")
	}
}

// recorded is planned message n of Kafka in the vocabulary of the bridge.
func recorded(p *Plan, n int) bridge.Message {
	r := p.Record(n)
	m := bridge.Message{
		Key: p.Name(n), ID: bridge.ID{Value: p.ID(n)}, Body: r.Value, Time: r.Timestamp,
		Address: bridge.Address{Name: r.Topic, Partition: r.Partition + 1},
	}
	for _, h := range r.Headers {
		kind := bridge.TypeBytes
		if h.Value == nil {
			kind = bridge.TypeNull
		}
		m.Headers = append(m.Headers, bridge.Header{Name: h.Key, Type: kind, Value: h.Value})
	}
	return m
}
