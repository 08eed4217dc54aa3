package adaptertest

import (
	"bytes"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// propertySets are properties of each field.
var propertySets = map[bridge.Field][]bridge.Property{
	bridge.FieldTTL:         {{Kind: bridge.KindExpiration, Text: "86400000"}, {Kind: bridge.KindExpiration, Text: "soon"}},
	bridge.FieldPriority:    {{Kind: bridge.KindPriority, Num: 7}, {Kind: bridge.KindPriority, Num: 255}},
	bridge.FieldContentType: {{Kind: bridge.KindContentType, Text: "application/json"}, {Kind: bridge.KindContentEncoding, Text: "gzip"}},
	bridge.FieldCorrelation: {{Kind: bridge.KindCorrelationID, Text: "c \xff"}},
	bridge.FieldReplyTo:     {{Kind: bridge.KindReplyTo, Text: "back.here"}, {Kind: bridge.KindReplyTo, Text: "amq.rabbitmq.reply-to"}},
	bridge.FieldProperties: {
		{Kind: bridge.KindMessageType, Text: "sample"}, {Kind: bridge.KindAppID, Text: "app"}, {Kind: bridge.KindUserID, Text: "somebody"},
		{Kind: bridge.KindClusterID, Text: "c"}, {Kind: bridge.KindDeliveryMode, Num: 2}, {Kind: bridge.KindDeliveryMode, Num: 1},
	},
	bridge.FieldZero: {{Kind: bridge.KindPriority}, {Kind: bridge.KindContentType}, {Kind: bridge.KindCorrelationID}},
}

func (c *Claim) properties(f bridge.Field) (all []fieldSample) {
	for _, p := range propertySets[f] {
		all = append(all, c.of(p.Kind.String()+" "+p.Text, func(m *bridge.Message) { m.Properties = []bridge.Property{p} }, samePropertiesSeen))
	}
	return all
}

// samePropertiesSeen says that every property is seen as it is.
func samePropertiesSeen(want, seen *bridge.Message) bool {
	for _, p := range want.Properties {
		if got, ok := seen.Property(p.Kind); !ok || got != p {
			return false
		}
	}
	return true
}

// headerTypes are the types of each field.
var headerTypes = map[bridge.Field][]bridge.Type{
	bridge.FieldHeaderText:  {bridge.TypeString},
	bridge.FieldHeaderBytes: {bridge.TypeBytes},
	bridge.FieldHeaderInteger: {
		bridge.TypeBool, bridge.TypeInt8, bridge.TypeUint8, bridge.TypeInt16, bridge.TypeUint16, bridge.TypeInt32, bridge.TypeUint32, bridge.TypeInt64,
	},
	bridge.FieldHeaderUint64:    {bridge.TypeUint64},
	bridge.FieldHeaderFloat:     {bridge.TypeFloat32, bridge.TypeFloat64},
	bridge.FieldHeaderDecimal:   {bridge.TypeDecimal},
	bridge.FieldHeaderTimestamp: {bridge.TypeTimestamp},
	bridge.FieldHeaderTable:     {bridge.TypeTable, bridge.TypeArray},
	bridge.FieldHeaderNull:      {bridge.TypeNull},
}

func (c *Claim) headers(f bridge.Field) (all []fieldSample) {
	add := func(name string, stands func(want, seen *bridge.Message) bool, hs ...bridge.Header) {
		all = append(all, c.of(name, headers(hs...), stands))
	}
	switch f {
	case bridge.FieldHeaderOrder:
		add("headers out of the order of names", sameHeadersSeen, text("z", "1"), text("a", "2"), text("m", "3"))
	case bridge.FieldHeaderRepeats:
		add("headers of one name", sameHeadersSeen, text("a", "1"), text("a", "2"), text("a", "1"))
	case bridge.FieldHeaderBinary:
		for _, v := range []string{" a ", "a\r\nb", "\xff\xfe", "\x00"} {
			add("a header of odd octets", sameHeadersSeen, text("h", v))
		}
	case bridge.FieldHeaderName:
		add("a name that is not UTF-8", sameHeadersSeen, text("\xff\xfe", "v"))
	case bridge.FieldHeaderControl:
		for _, h := range controls {
			add("control header "+h.Name, sameHeadersSeen, h)
		}
	default:
		for _, t := range headerTypes[f] {
			for _, v := range typedValues[t] {
				c.typed(&all, f, t, v)
			}
		}
	}
	return all
}

// typed adds a sample of a value, unless its octets are another field's matter.
func (c *Claim) typed(all *[]fieldSample, f bridge.Field, t bridge.Type, v string) {
	if f == bridge.FieldHeaderText && v != "text" && v != "" {
		return
	}
	value := []byte(v)
	if t == bridge.TypeNull {
		value = nil
	}
	*all = append(*all, c.of("a header of type "+string(rune(t.Letter())), headers(bridge.Header{Name: "h", Type: t, Value: value}), sameHeadersSeen))
}

// sameHeadersSeen says that a consumer sees the headers: names, octets, and types
// where they are more than text and octets, which some systems do not tell apart.
func sameHeadersSeen(want, seen *bridge.Message) bool {
	opaque := func(t bridge.Type) bool { return t == bridge.TypeString || t == bridge.TypeBytes }
	var got []bridge.Header
	for _, h := range seen.Headers {
		if slices.ContainsFunc(want.Headers, func(w bridge.Header) bool { return w.Name == h.Name }) {
			got = append(got, h)
		}
	}
	return slices.EqualFunc(want.Headers, got, func(a, b bridge.Header) bool {
		return a.Name == b.Name && bytes.Equal(a.Value, b.Value) && (a.Type == b.Type || opaque(a.Type) && opaque(b.Type))
	})
}
