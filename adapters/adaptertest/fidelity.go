package adaptertest

import (
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Crossing is what became of a message in a system.
type Crossing struct {
	// Seen is what a consumer there reads who knows nothing of the bridge: all but
	// the crossfade- headers, as the adapter reads what producers write.
	Seen bridge.Message
	// Back is what the adapter's source reads.
	Back bridge.Message
}

// A Claim is what an adapter declares of one target, with what it takes to prove
// it.
type Claim struct {
	Carries []bridge.Mapping
	// Gives are the source's lines of the same place.
	Gives []bridge.Mapping
	// Own is an address that the target would give by itself.
	Own bridge.Address
	// Cross puts a message through the codec, into the target's own form and back.
	// An error is what the sink answers.
	Cross func(*bridge.Message) (Crossing, error)
	// Beyond has a message for each line that says what is parked; nil where that is
	// not the codec's doing and another test shows it.
	Beyond map[bridge.Field]*bridge.Message

	made int // samples, each of an ID of its own
}

// Prove holds each line of a claim against what becomes of samples of its field.
// The samples come back whole, whatever the line says. // I3
func (c *Claim) Prove(t T) {
	t.Helper()
	if len(c.Carries) != len(bridge.Fields()) {
		t.Fatalf("%d lines for %d fields", len(c.Carries), len(bridge.Fields()))
	}
	for i, line := range c.Carries {
		if line.Field != bridge.Field(i) {
			t.Fatalf("line %d is about %s; want one for each field, in order", i, line.Field)
		}
		if d := c.flaw(line); d != "" {
			t.Errorf("%s, said to be carried %s: %s", line.Field, line.Carriage, d)
		}
	}
}

// flaw says in what a line is not true.
func (c *Claim) flaw(line bridge.Mapping) string {
	samples := c.samples(line.Field)
	stood := 0
	for _, s := range samples {
		cross, err := c.Cross(&s.Message)
		if line.Carriage == bridge.CarriedNot {
			if err == nil || bridge.ReasonOf(err) != line.Parks {
				return fmt.Sprintf("%s: the sink answers %v, want %s", s.name, err, line.Parks)
			}
			continue
		}
		if err != nil {
			return s.name + ": " + err.Error()
		}
		if d := DiffersBut(&s.Message, &cross.Back, c.Gives); d != "" {
			return s.name + " comes back with " + d
		}
		if s.stands(&cross.Seen) {
			stood++
		}
	}
	switch is, all := line.Carriage, len(samples); {
	case is == bridge.CarriedNatively && stood < all, is == bridge.CarriedInHop && stood > 0,
		is == bridge.CarriedPartly && (stood == 0 || stood == all):
		return fmt.Sprintf("consumers see %d of %d samples", stood, all)
	case is == bridge.CarriedPartly && line.Note == "":
		return "it does not say where"
	case is >= bridge.CarriedLost:
		return "a target loses nothing: it parks"
	}
	beyond, has := c.Beyond[line.Field]
	switch {
	case (line.Parks == "") == has && line.Carriage != bridge.CarriedNot:
		return "what is parked has no sample, or a sample has no reason"
	case line.Parks != "" && line.Limit == "":
		return "it does not say what is parked"
	case beyond == nil:
		return ""
	}
	if _, err := c.Cross(beyond); bridge.ReasonOf(err) != line.Parks {
		return fmt.Sprintf("what is said to be parked as %s is answered with %v", line.Parks, err)
	}
	return ""
}

// DiffersBut is Differs, but for what places on the way are said to change: one that
// gives both a time to live and a point in time at which messages expire makes the one
// of the other.
func DiffersBut(want, got *bridge.Message, gives ...[]bridge.Mapping) string {
	for _, lines := range gives {
		_, ttl := want.Property(bridge.KindExpiration)
		if ttl && want.Expires.IsZero() && has(lines, bridge.FieldTTL) && has(lines, bridge.FieldExpiration) {
			begun := *want
			begun.Expires = got.Expires
			want = &begun
		}
	}
	return Differs(want, got)
}

func has(lines []bridge.Mapping, f bridge.Field) bool {
	for _, l := range lines {
		if l.Field == f && l.Carriage != bridge.CarriedLost {
			return true
		}
	}
	return false
}

// Found says which of the fields are in a message, as far as can be seen from it.
// Every message has a key and may have an ID by its relay's settings.
func Found(m *bridge.Message) map[bridge.Field]bool {
	found := map[bridge.Field]bool{bridge.FieldKey: true, bridge.FieldID: true, bridge.FieldAddress: true}
	switch {
	case m.Body == nil:
		found[bridge.FieldNullBody] = true
	case len(m.Body) == 0:
		found[bridge.FieldEmptyBody] = true
	default:
		found[bridge.FieldBody] = true
	}
	if !m.Time.IsZero() {
		found[bridge.FieldTime] = true
	}
	if !m.Expires.IsZero() {
		found[bridge.FieldExpiration] = true
	}
	for _, p := range m.Properties {
		found[propertyField(p.Kind)] = true
		if p.Text == "" && p.Num == 0 && p.Kind != bridge.KindKey {
			found[bridge.FieldZero] = true
		}
	}
	for i, h := range m.Headers {
		found[headerField(h.Type)] = true
		switch {
		case i == 0:
		case m.Headers[i-1].Name > h.Name:
			found[bridge.FieldHeaderOrder] = true
		case m.Headers[i-1].Name == h.Name:
			found[bridge.FieldHeaderRepeats] = true
		}
	}
	return found
}

func propertyField(k bridge.PropertyKind) bridge.Field {
	switch k {
	case bridge.KindKey:
		return bridge.FieldNativeKey
	case bridge.KindExpiration:
		return bridge.FieldTTL
	case bridge.KindPriority:
		return bridge.FieldPriority
	case bridge.KindContentType, bridge.KindContentEncoding:
		return bridge.FieldContentType
	case bridge.KindCorrelationID:
		return bridge.FieldCorrelation
	case bridge.KindReplyTo:
		return bridge.FieldReplyTo
	case bridge.KindMessageID:
		return bridge.FieldID
	}
	return bridge.FieldProperties
}

func headerField(t bridge.Type) bridge.Field {
	switch t {
	case bridge.TypeString:
		return bridge.FieldHeaderText
	case bridge.TypeBytes:
		return bridge.FieldHeaderBytes
	case bridge.TypeNull:
		return bridge.FieldHeaderNull
	case bridge.TypeUint64:
		return bridge.FieldHeaderUint64
	case bridge.TypeFloat32, bridge.TypeFloat64:
		return bridge.FieldHeaderFloat
	case bridge.TypeDecimal:
		return bridge.FieldHeaderDecimal
	case bridge.TypeTimestamp:
		return bridge.FieldHeaderTimestamp
	case bridge.TypeTable, bridge.TypeArray:
		return bridge.FieldHeaderTable
	}
	return bridge.FieldHeaderInteger
}

// Undeclared says which of the fields that were found in messages are not declared
// to be given, or which are declared and were not found; "" if they agree. Lost
// fields, and what Found cannot see, are not looked for.
func Undeclared(found map[bridge.Field]bool, gives []bridge.Mapping) string {
	for f := range found {
		if !has(gives, f) {
			return fmt.Sprintf("%s was found and is not declared", f)
		}
	}
	for i, l := range gives {
		switch {
		case i > 0 && gives[i-1].Field >= l.Field:
			return fmt.Sprintf("%s is not in the order of fields", l.Field)
		case l.Carriage == bridge.CarriedLost, l.Field >= bridge.FieldHeaderBinary, found[l.Field]:
		default:
			return fmt.Sprintf("%s is declared and was not found", l.Field)
		}
	}
	return ""
}
