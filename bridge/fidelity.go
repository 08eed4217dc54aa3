package bridge

// A Field is a part of a message that one system carries and another may not: a
// row of the mapping table.
type Field uint8

// The fields, in the order of the mapping table.
const (
	FieldBody            Field = iota // octets, at least one
	FieldNullBody                     // a body that is nil
	FieldEmptyBody                    // a body of no octets
	FieldKey                          // what is kept in order
	FieldNativeKey                    // KindKey: null, or not the metric's
	FieldID                           // the dedup identity
	FieldAddress                      // one that the system itself would give
	FieldForeignAddress               // any other
	FieldTime                         // the source's timestamp
	FieldExpiration                   // Expires: a point in time
	FieldTTL                          // KindExpiration: a time to live that each queue begins anew
	FieldPriority                     // KindPriority
	FieldContentType                  // KindContentType and KindContentEncoding
	FieldCorrelation                  // KindCorrelationID
	FieldReplyTo                      // KindReplyTo
	FieldProperties                   // all other kinds
	FieldZero                         // a property that is there and zero or empty
	FieldHeaderText                   // TypeString
	FieldHeaderBytes                  // TypeBytes
	FieldHeaderInteger                // whole numbers and TypeBool
	FieldHeaderUint64                 // TypeUint64
	FieldHeaderFloat                  // TypeFloat32, TypeFloat64
	FieldHeaderDecimal                // TypeDecimal
	FieldHeaderTimestamp              // TypeTimestamp
	FieldHeaderTable                  // TypeTable, TypeArray
	FieldHeaderNull                   // TypeNull
	FieldHeaderOrder                  // the order of names
	FieldHeaderRepeats                // several of one name
	FieldHeaderBinary                 // text that some client trims, folds or cannot read
	FieldHeaderName                   // a name that is not UTF-8
	FieldHeaderControl                // a header by which some system acts
	fieldEnd
)

var fieldWords = [...]string{
	"body", "null body", "empty body", "key", "native key that differs", "ID", "address", "foreign address", "time",
	"expiration", "time to live", "priority", "content type and encoding", "correlation ID", "reply-to", "other properties",
	"property that is zero", "header: text", "header: octets", "header: integer and bool", "header: unsigned 64 bits", "header: float",
	"header: decimal", "header: timestamp", "header: table and array", "header: null", "header order", "header repeats",
	"header: odd text", "header name not UTF-8", "control header",
}

// String is the field's name in tables.
func (f Field) String() string {
	if f < fieldEnd {
		return fieldWords[f]
	}
	return "field?"
}

// Fields gives every field, in the order of the mapping table.
func Fields() []Field {
	all := make([]Field, fieldEnd)
	for i := range all {
		all[i] = Field(i)
	}
	return all
}

// A Carriage says how a field is carried.
type Carriage uint8

// The kinds of carriage, the best first.
const (
	// CarriedNatively: by the system's own means, for every consumer to see.
	CarriedNatively Carriage = iota
	// CarriedPartly: natively where it survives, which the note says, else in a
	// crossfade- header.
	CarriedPartly
	// CarriedInHop: in a crossfade- header, from which any adapter restores it.
	CarriedInHop
	// CarriedNot: not at all, so the message is parked. Targets only.
	CarriedNot
	// CarriedLost: changed or dropped by the system, or by its producers' clients,
	// before anybody can read it. Sources only.
	CarriedLost
)

// String is the carriage's name in tables.
func (c Carriage) String() string {
	return [...]string{"natively", "natively in part", "crossfade- header", "parked", "lost", "?", "?", "?"}[c&7]
}

// A Mapping is one line of what an adapter declares: how one field is carried.
type Mapping struct {
	Field    Field
	Carriage Carriage
	// Note is the condition, the loss or what is worth knowing, in a few words.
	Note string
	// Parks is the reason for which a message is parked whose field cannot be
	// carried: where CarriedNot, or where Limit says. Else "".
	Parks Reason
	Limit string
}

// A Carrier says how its target carries each field. Sink openers may have it.
type Carrier interface {
	// Carries gives one line for each field, in their order. It does no I/O; an
	// opener that has looked at its system since may answer more exactly.
	Carries() []Mapping
}

// A Giver says which fields its tap can give, and which it loses. Source openers
// may have it.
type Giver interface {
	// Gives has a line for each field that messages there may have by the system's
	// own means, in their order. A field that the system itself changes or drops is
	// CarriedLost, and CarriedPartly where some of it is. Fields without a line
	// occur only in messages that a relay wrote there before, and those have every
	// field back. It does no I/O.
	Gives() []Mapping
}
