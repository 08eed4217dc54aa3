package adaptertest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sample is a message that has to survive a hop.
type sample struct {
	name string
	bridge.Message
	// mayPark: a sink may refuse it as lossy or for its name, if it says so.
	mayPark bool
}

// ordinary is what each sample differs from in one thing.
func ordinary(n int) bridge.Message {
	return bridge.Message{
		Key:     "plant.line-1.temperature",
		ID:      bridge.ID{Value: fmt.Sprint("sample-", n)},
		Address: bridge.Address{Space: "telemetry", Name: "plant.line-1.temperature"},
		Body:    fmt.Appendf(nil, "sample %d", n),
	}
}

// samples collects them.
type samples struct{ all []sample }

func (s *samples) add(name string, change func(*bridge.Message)) *sample {
	m := ordinary(len(s.all))
	change(&m)
	s.all = append(s.all, sample{name: name, Message: m})
	return &s.all[len(s.all)-1]
}

func everyOctet() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func bodySamples() []sample {
	var s samples
	for _, b := range []struct {
		name string
		body []byte
	}{
		{"null", nil},
		{"empty", []byte{}},
		{"of every octet", everyOctet()},
		{"not UTF-8", []byte("\xff\xfe\x80")},
		{"of one zero octet", []byte{0}},
		{"of 64 KiB", bytes.Repeat([]byte("crossfade "), 6554)[:1<<16]},
	} {
		s.add("body "+b.name, func(m *bridge.Message) { m.Body = b.body })
	}
	return s.all
}

// oddTexts are texts that one system or another is known to change.
var oddTexts = []string{
	"a", "a ", " a", "a\t", "A", "a.b", "a..b", ".", "*", ">", "a.>", "#", "$JS.API.x", "a/b", "a%20b", "%", "~", "a~b",
	"kp~a~b", "gp~~x", "po~", "é", "e\u0301", "\xff\xfe", "\x00", "a\x00b", "a\r\nb", "\n", "\"quoted\"", "{key}",
	"日本語", strings.Repeat("k", 200), strings.Repeat("long ", 60),
}

func keySamples() []sample {
	var s samples
	for _, text := range append([]string{""}, oddTexts...) {
		s.add(fmt.Sprintf("key %.20q", text), func(m *bridge.Message) { m.Key = text })
	}
	return s.all
}

func idSamples() []sample {
	var s samples
	for _, text := range append(oddTexts, strings.Repeat("i", 5000)) {
		s.add(fmt.Sprintf("id %.20q", text), func(m *bridge.Message) { m.ID = bridge.ID{Value: text} })
		s.add(fmt.Sprintf("global id %.20q", text), func(m *bridge.Message) {
			m.ID = bridge.ID{Value: text, Scope: bridge.ScopeGlobal}
		})
	}
	for _, from := range []bridge.Provenance{bridge.FromOrigin, bridge.FromContent} {
		for _, scope := range []bridge.Scope{bridge.ScopeKey, bridge.ScopeGlobal} {
			s.add(fmt.Sprintf("id from %d, scope %s", from, scope), func(m *bridge.Message) {
				m.ID = bridge.ID{Value: "derived", Scope: scope, From: from}
			})
		}
	}
	s.add("no id", func(m *bridge.Message) { m.ID = bridge.ID{} })
	return s.all
}

func addressSamples() []sample {
	var s samples
	for _, text := range append([]string{""}, oddTexts...) {
		s.add(fmt.Sprintf("address name %.20q", text), func(m *bridge.Message) { m.Address.Name = text }).mayPark = true
		s.add(fmt.Sprintf("address space %.20q", text), func(m *bridge.Message) { m.Address.Space = text })
	}
	for _, partition := range []int32{1, 17, 1 << 30} {
		s.add(fmt.Sprint("partition ", partition), func(m *bridge.Message) { m.Address.Partition = partition })
	}
	return s.all
}

func headers(hs ...bridge.Header) func(*bridge.Message) {
	return func(m *bridge.Message) { m.Headers = hs }
}

// typedValues has values of every header type, in AMQP's wire forms.
var typedValues = map[bridge.Type][]string{
	bridge.TypeString:    {"text", "", "\xff\xfe", " a ", "a\r\nInjected: yes", "\x00"},
	bridge.TypeBytes:     {"octets", "", "\xff\x00\x80"},
	bridge.TypeNull:      {""},
	bridge.TypeBool:      {"\x00", "\x01"},
	bridge.TypeInt8:      {"\x80", "\x7f"},
	bridge.TypeUint8:     {"\x00", "\xff"},
	bridge.TypeInt16:     {"\x80\x00", "\x7f\xff"},
	bridge.TypeUint16:    {"\xff\xff"},
	bridge.TypeInt32:     {"\x80\x00\x00\x00", "\x00\x00\x00\x01"},
	bridge.TypeUint32:    {"\xff\xff\xff\xff"},
	bridge.TypeInt64:     {"\x80\x00\x00\x00\x00\x00\x00\x00"},
	bridge.TypeUint64:    {"\xff\xff\xff\xff\xff\xff\xff\xff"},
	bridge.TypeFloat32:   {"\x3f\xc0\x00\x00", "\x7f\xc0\x00\x01"},
	bridge.TypeFloat64:   {"\x3f\xf8\x00\x00\x00\x00\x00\x00", "\x7f\xf8\x00\x00\x00\x00\x00\x01", "\x80\x00\x00\x00\x00\x00\x00\x00"},
	bridge.TypeDecimal:   {"\x02\x00\x00\x30\x39", "\x00\xff\xff\xff\xff"},
	bridge.TypeTimestamp: {"\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x65\x53\xf1\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x7f\xff\xff\xff\xff\xff\xff\xff"},
	bridge.TypeTable: {
		"",
		"\x01aI\x00\x00\x00\x07\x01bS\x00\x00\x00\x02hi",
		"\x01bS\x00\x00\x00\x02hi\x01aI\x00\x00\x00\x07",
		"\x05innerF\x00\x00\x00\x03\x01zV",
		"\x04listA\x00\x00\x00\x03t\x01V",
	},
	bridge.TypeArray: {
		"",
		"I\x00\x00\x00\x01S\x00\x00\x00\x01xV",
		"F\x00\x00\x00\x03\x01zVA\x00\x00\x00\x00",
	},
}

func typeSamples() []sample {
	var s samples
	for t := bridge.TypeString; t <= bridge.TypeArray; t++ {
		for i, v := range typedValues[t] {
			value := []byte(v)
			if t == bridge.TypeNull {
				value = nil
			}
			s.add(fmt.Sprintf("header of type %c, value %d", t.Letter(), i), headers(bridge.Header{Name: "h", Type: t, Value: value}))
		}
	}
	return s.all
}

func text(name, value string) bridge.Header { return bridge.Header{Name: name, Value: []byte(value)} }

func headerSamples() []sample {
	var s samples
	s.add("repeated headers", headers(text("a", "1"), text("a", "2"), text("a", "1")))
	s.add("interleaved headers", headers(text("z", "1"), text("a", "2"), text("z", "3"), text("m", "4")))
	s.add("names that differ in case", headers(text("Name", "1"), text("name", "2"), text("NAME", "3")))
	s.add("repeated nulls", headers(bridge.Header{Name: "n", Type: bridge.TypeNull}, bridge.Header{Name: "n", Type: bridge.TypeNull}))
	s.add("one name, several types", headers(text("n", "1"), bridge.Header{Name: "n", Type: bridge.TypeBytes, Value: []byte("1")}, bridge.Header{Name: "n", Type: bridge.TypeNull}))
	s.add("an empty and a full value", headers(text("e", ""), text("f", "x")))
	for _, name := range []string{
		"", " lead", "trail ", "two words", "a:b", "a\r\nb", "é", "\xff\xfe", "a=b", "a,b", "a/b", "x-y_z.0", strings.Repeat("n", 255), strings.Repeat("n", 300),
	} {
		s.add(fmt.Sprintf("header name %.20q", name), headers(text(name, "v")))
	}
	var many []bridge.Header
	for i := range 200 {
		many = append(many, text(fmt.Sprint("header-", i%150), fmt.Sprint(i)))
	}
	s.add("200 headers", headers(many...))
	s.add("a header of 32 KiB", headers(text("big", strings.Repeat("v", 32<<10))))
	s.add("64 KiB of headers", headers(text("one", strings.Repeat("v", 32<<10)), text("two", strings.Repeat("\xff", 32<<10)))).mayPark = true
	return s.all
}

// controls are headers that make some system do something.
var controls = []bridge.Header{
	text("Nats-Msg-Id", "not-the-id"), text("Nats-Rollup", "all"), text("Nats-TTL", "1s"), text("Nats-Expected-Stream", "OTHER"),
	text("Nats-Expected-Last-Sequence", "999999"), text("Nats-Expected-Last-Msg-Id", "other"), text("Nats-Expected-Last-Subject-Sequence", "999999"),
	text("Nats-Marker-Reason", "MaxAge"), text("Nats-Schedule", "@every 1s"), text("Nats-Incr", "1"), text("Nats-Batch-Id", "b"),
	text("Nats-Stream", "OTHER"), text("Nats-Sequence", "7"), text("Status", "503"), text("Description", "no"),
	text("CC", "elsewhere"), text("BCC", "elsewhere"), {Name: "CC", Type: bridge.TypeArray, Value: []byte("S\x00\x00\x00\x04else")},
	text("x-death", "no"), text("x-first-death-queue", "q"), {Name: "x-delay", Type: bridge.TypeInt32, Value: []byte{0, 0, 0x10, 0}},
	text("x-match", "all"), {Name: "x-stream-offset", Type: bridge.TypeInt64, Value: []byte{0, 0, 0, 0, 0, 0, 0, 9}},
	text("x-delivery-count", "3"), text("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
}

func controlSamples() []sample {
	var s samples
	s.add("before the control headers", func(*bridge.Message) {})
	for _, h := range controls {
		s.add("control header "+h.Name, headers(h))
	}
	s.add("behind the control headers", func(*bridge.Message) {})
	return s.all
}

func propertySamples() []sample {
	var s samples
	property := func(name string, ps ...bridge.Property) {
		s.add(name, func(m *bridge.Message) { m.Properties = ps })
	}
	var every []bridge.Property
	for k := bridge.KindContentType; k <= bridge.KindKey; k++ {
		full, zero := bridge.Property{Kind: k, Text: "some " + k.String()}, bridge.Property{Kind: k}
		switch k {
		case bridge.KindExpiration:
			full.Text = "3600000"
		case bridge.KindPriority:
			full.Num = 7
		case bridge.KindDeliveryMode:
			full.Num, zero.Num = 2, 1
		case bridge.KindTimestamp:
			full.Num = 1_700_000_000
		}
		if k.Number() {
			full.Text = ""
		}
		property("property "+k.String(), full)
		property("property "+k.String()+", zero", zero)
		every = append(every, full)
	}
	property("every property", every...)
	property("a null key", bridge.Property{Kind: bridge.KindKey, Null: true})
	property("a reply-to that means something", bridge.Property{Kind: bridge.KindReplyTo, Text: "amq.rabbitmq.reply-to"})
	property("a long correlation-id", bridge.Property{Kind: bridge.KindCorrelationID, Text: strings.Repeat("c", 300)})
	property("a correlation-id that is not UTF-8", bridge.Property{Kind: bridge.KindCorrelationID, Text: "\xff = ~ %"})
	property("a delivery mode that there is not", bridge.Property{Kind: bridge.KindDeliveryMode, Num: 97})
	property("a delivery mode of 0", bridge.Property{Kind: bridge.KindDeliveryMode})
	s.add("a timestamp of far away", func(m *bridge.Message) {
		m.Time, m.Properties = time.Unix(1<<60, 0), []bridge.Property{{Kind: bridge.KindTimestamp, Num: 1 << 60}}
	})
	property("an expiration that is no number", bridge.Property{Kind: bridge.KindExpiration, Text: "soon"})
	property("no property")
	return s.all
}

func timeSamples() []sample {
	var s samples
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)
	s.add("a time to the nanosecond", func(m *bridge.Message) { m.Time = at })
	s.add("a time before 1970", func(m *bridge.Message) { m.Time = time.Unix(-5, 7) })
	s.add("an expiry to the nanosecond", func(m *bridge.Message) {
		m.Expires = time.Now().Add(time.Hour).Truncate(time.Hour).Add(2*time.Hour + 1)
	})
	s.add("no expiry", func(m *bridge.Message) {})
	for _, replayable := range []bool{true, false} {
		s.add(fmt.Sprint("an origin, replayable ", replayable), func(m *bridge.Message) {
			m.Origin = bridge.Origin{
				Stream: &bridge.Stream{System: "elsewhere", Cluster: "a/b %", Name: "queue one", Incarnation: "2", Replayable: replayable},
				Shard:  3, Offset: 1<<63 + 5,
			}
		})
	}
	return s.all
}
