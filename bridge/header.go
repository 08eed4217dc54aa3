package bridge

// A Header is one of a message's headers. Names repeat where the system lets
// them; order is the source's.
type Header struct {
	Name  string
	Type  Type
	Value []byte
}

// A Type says how the octets of a Header's Value are to be read. Numbers are
// big-endian; the wire forms are those of AMQP 0-9-1 field values (the
// specification's section 4.2.5 with RabbitMQ's errata), without their type
// octet, so that no system's value is rounded on its way.
type Type uint8

// The types of header values. The zero Type is text, the commonest.
const (
	TypeString    Type = iota // text or any octets, as AMQP 'S' and NATS have it
	TypeBytes                 // opaque octets, as AMQP 'x' and Kafka have it
	TypeNull                  // no value: AMQP 'V', a null Kafka header; Value is nil
	TypeBool                  // 1 octet, 0 or 1
	TypeInt8                  // 1 octet
	TypeUint8                 // 1 octet
	TypeInt16                 // 2 octets
	TypeUint16                // 2 octets
	TypeInt32                 // 4 octets
	TypeUint32                // 4 octets
	TypeInt64                 // 8 octets
	TypeUint64                // 8 octets
	TypeFloat32               // 4 octets, IEEE 754
	TypeFloat64               // 8 octets, IEEE 754
	TypeDecimal               // 5 octets: scale, then a signed 32-bit integer
	TypeTimestamp             // 8 octets: seconds since 1970
	TypeTable                 // a sequence of short-string name, type octet, value
	TypeArray                 // a sequence of type octet, value
)

// typeLetters gives each Type one letter for its printed form; those of AMQP
// where AMQP has one.
const typeLetters = "SxVtbBsuIilLfdDTFA"

// Letter is the one-letter printed form of a Type.
func (t Type) Letter() byte {
	if int(t) < len(typeLetters) {
		return typeLetters[t]
	}
	return '?'
}

// TypeOfLetter is the inverse of Letter.
func TypeOfLetter(c byte) (Type, bool) {
	for i := range len(typeLetters) {
		if typeLetters[i] == c {
			return Type(i), true
		}
	}
	return 0, false
}

// A Property is one of a system's own typed fields that was present in a
// message. Text and Num hold its value, by kind; Null is a present null.
type Property struct {
	Kind PropertyKind
	Text string
	Num  int64
	Null bool
}

// A PropertyKind names a native field.
type PropertyKind uint8

// The native fields that any of the systems has beyond body, headers and
// address. "text" kinds use Text, "number" kinds use Num.
const (
	KindContentType     PropertyKind = iota + 1 // text
	KindContentEncoding                         // text
	KindCorrelationID                           // text
	KindReplyTo                                 // text
	KindMessageID                               // text
	KindMessageType                             // text
	KindUserID                                  // text
	KindAppID                                   // text
	KindClusterID                               // text
	KindExpiration                              // text: milliseconds, as AMQP writes it
	KindPriority                                // number: 0..255
	KindDeliveryMode                            // number: 1 transient, 2 persistent
	KindTimestamp                               // number: seconds since 1970, as AMQP has it
	KindKey                                     // text: Kafka's record key; Null where it is null
	kindEnd
)

var propertyNames = [...]string{
	KindContentType:     "content-type",
	KindContentEncoding: "content-encoding",
	KindCorrelationID:   "correlation-id",
	KindReplyTo:         "reply-to",
	KindMessageID:       "message-id",
	KindMessageType:     "type",
	KindUserID:          "user-id",
	KindAppID:           "app-id",
	KindClusterID:       "cluster-id",
	KindExpiration:      "expiration",
	KindPriority:        "priority",
	KindDeliveryMode:    "delivery-mode",
	KindTimestamp:       "timestamp",
	KindKey:             "key",
}

// String is the AMQP name of the property, "key" for Kafka's record key.
func (k PropertyKind) String() string {
	if k > 0 && k < kindEnd {
		return propertyNames[k]
	}
	return "property?"
}

// Number says that Num holds the value; otherwise Text does.
func (k PropertyKind) Number() bool {
	return k == KindPriority || k == KindDeliveryMode || k == KindTimestamp
}

// PropertyOfName is the inverse of String.
func PropertyOfName(name string) (PropertyKind, bool) {
	for k := PropertyKind(1); k < kindEnd; k++ {
		if propertyNames[k] == name {
			return k, true
		}
	}
	return 0, false
}
