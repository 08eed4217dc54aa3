package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// published are the fields that producers can write, each in properties of its own,
// as they stand on the wire.
func published() map[bridge.Field][]byte {
	table := func(fields ...[]byte) []byte {
		all := slices.Concat(fields...)
		return append(binary.BigEndian.AppendUint32([]byte{0x20, 0}, uint32(len(all))), all...)
	}
	field := func(name string, t bridge.Type, value string) []byte {
		return appendField(nil, name, t, []byte(value))
	}
	return map[bridge.Field][]byte{
		bridge.FieldTime:            append([]byte{0, 0x40}, 0, 0, 0, 0, 0x65, 0, 0, 0),
		bridge.FieldTTL:             append([]byte{0x01, 0, 7}, "3600000"...),
		bridge.FieldPriority:        {0x08, 0, 7},
		bridge.FieldContentType:     append([]byte{0x80, 0, 4}, "text"...),
		bridge.FieldCorrelation:     append([]byte{0x04, 0, 1}, "c"...),
		bridge.FieldReplyTo:         append([]byte{0x02, 0, 1}, "r"...),
		bridge.FieldProperties:      append([]byte{0, 0x20, 1}, "t"...),
		bridge.FieldZero:            {0x08, 0, 0},
		bridge.FieldHeaderText:      table(field("h", bridge.TypeString, "v")),
		bridge.FieldHeaderBytes:     table(field("h", bridge.TypeBytes, "\xff")),
		bridge.FieldHeaderInteger:   table(field("h", bridge.TypeInt16, "\x01\x02")),
		bridge.FieldHeaderUint64:    table(field("h", bridge.TypeUint64, "\xff\x00\x00\x00\x00\x00\x00\x01")),
		bridge.FieldHeaderFloat:     table(field("h", bridge.TypeFloat32, "\x3f\xc0\x00\x00")),
		bridge.FieldHeaderTimestamp: table(field("h", bridge.TypeTimestamp, "\x00\x00\x00\x00\x65\x53\xf1\x00")),
		bridge.FieldHeaderTable:     table(field("h", bridge.TypeArray, "t\x01")),
		bridge.FieldHeaderNull:      table(field("h", bridge.TypeNull, "")),
		bridge.FieldHeaderOrder:     table(field("z", bridge.TypeString, "1"), field("a", bridge.TypeString, "2")),
		bridge.FieldHeaderRepeats:   table(field("a", bridge.TypeString, "1"), field("a", bridge.TypeString, "2")),
		bridge.FieldHeaderDecimal:   table(field("h", bridge.TypeDecimal, "\x02\x00\x00\x30\x39")),
		bridge.FieldHeaderName:      table(field("\xff\xfe", bridge.TypeString, "v")),
		bridge.FieldHeaderBinary:    table(field("h", bridge.TypeString, " \xff\r\n")),
		bridge.FieldHeaderControl:   table(field("x-own", bridge.TypeString, "v")),
	}
}

// expects is what of a field's message is to be read of a tap: all, or what is not
// lost.
func expects(lines []bridge.Mapping, f bridge.Field) (whole bool) {
	i := slices.IndexFunc(lines, func(l bridge.Mapping) bool { return l.Field == f })
	return i >= 0 && lines[i].Carriage != bridge.CarriedLost
}

// Every field that producers can write comes from every tap as it was, or is declared
// to be lost there, and then it is.
func TestGivesAsDeclared(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	for _, tap := range []string{typeClassic, typeQuorum, typeStream} {
		t.Run(tap, func(t *testing.T) {
			q := n.queue(t, unique(t), tap)
			block := "tap: queue\ncompetes: true\nqueue: " + q
			if tap == typeStream {
				block = "start: first\nstream: " + q
			}
			o := n.source(t, s, n.identity(t), block)
			src, err := o.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			lines := given(tap, int(s.major.Load()))
			found := map[bridge.Field]bool{}
			for f, props := range published() {
				if f == bridge.FieldHeaderDecimal && tap == typeStream {
					continue // it would end the connection
				}
				n.publishRaw(t, s, q, props)
				got := receive(t, src, 1)[0]
				if err := src.Ack(t.Context(), []bridge.Receipt{got.Receipt}); err != nil {
					t.Fatal(err)
				}
				var wrote bridge.Delivery
				c := decoder{counts: time.Now}
				c.decode(&delivery{props: props, body: []byte("x"), key: []byte(q)}, 1, &wrote)
				same := slices.EqualFunc(got.Headers, wrote.Headers, func(a, b bridge.Header) bool {
					return a.Name == b.Name && a.Type == b.Type && bytes.Equal(a.Value, b.Value)
				}) && slices.Equal(addedByStreams(got.Properties), wrote.Properties)
				if whole := expects(lines, f); same != whole {
					t.Errorf("%s: came as %q %v, wrote %q %v; declared as given: %v", f, got.Headers, got.Properties, wrote.Headers, wrote.Properties, whole)
				}
				maps.Copy(found, adaptertest.Found(&got.Message))
			}
			if _, ok := found[bridge.FieldExpiration]; ok != expects(lines, bridge.FieldExpiration) {
				t.Errorf("a time to live is counted: %v", ok)
			}
			for f := range found {
				if !expects(lines, f) {
					t.Errorf("%s was found and is declared lost", f)
				}
			}
		})
	}
}

// addedByStreams leaves out the delivery mode that streams of RabbitMQ 4 add.
func addedByStreams(ps []bridge.Property) []bridge.Property {
	return slices.DeleteFunc(slices.Clone(ps), func(p bridge.Property) bool { return p.Kind == bridge.KindDeliveryMode })
}
