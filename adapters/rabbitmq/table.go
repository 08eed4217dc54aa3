package rabbitmq

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/crossfade-mq/crossfade/bridge"
)

// maxDepth is how deeply tables and arrays may be nested.
const maxDepth = 32

// lengthOf gives the size of a field value of a fixed-size type; -1 for those
// that carry a length, -2 for those that AMQP 0-9-1 at RabbitMQ does not have.
func lengthOf(t bridge.Type) int {
	switch t {
	case bridge.TypeNull:
		return 0
	case bridge.TypeBool, bridge.TypeInt8, bridge.TypeUint8:
		return 1
	case bridge.TypeInt16, bridge.TypeUint16:
		return 2
	case bridge.TypeInt32, bridge.TypeUint32, bridge.TypeFloat32:
		return 4
	case bridge.TypeInt64, bridge.TypeUint64, bridge.TypeFloat64, bridge.TypeTimestamp:
		return 8
	case bridge.TypeDecimal:
		return 5
	case bridge.TypeString, bridge.TypeBytes, bridge.TypeTable, bridge.TypeArray:
		return -1
	}
	return -2
}

// field reads one type octet and value.
func (c *cursor) field() (bridge.Type, []byte) {
	letter := c.octet()
	t, ok := bridge.TypeOfLetter(letter)
	if !ok || c.bad {
		c.bad = true
		return 0, nil
	}
	switch n := lengthOf(t); n {
	case -2:
		c.bad = true
		return 0, nil
	case -1:
		return t, c.longstr()
	case 0:
		return t, nil
	default:
		return t, c.take(n)
	}
}

// eachField calls f for every entry of a field table given without its length,
// in the order of the wire, repeats included.
func eachField(table []byte, f func(name []byte, t bridge.Type, value []byte)) error {
	c := cursor{b: table}
	for len(c.b) > 0 && !c.bad {
		name := c.shortstr()
		t, value := c.field()
		if c.bad {
			break
		}
		f(name, t, value)
	}
	if c.bad {
		return fmt.Errorf("field table: %w", errFrame)
	}
	return nil
}

// appendField appends a table entry, whose name has at most 255 octets and
// whose value canWrite accepts.
func appendField(dst []byte, name string, t bridge.Type, value []byte) []byte {
	dst = appendShortstr(dst, name)
	dst = append(dst, t.Letter())
	if lengthOf(t) == -1 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	}
	return append(dst, value...)
}

// canWrite says that a broker takes a value of that type, nested ones included.
// RabbitMQ cannot read a float that is no number, and closes the connection. An
// unsigned number of 8 octets comes out of quorum queues and streams as a signed
// one.
func canWrite(t bridge.Type, value []byte, depth int) bool {
	switch n := lengthOf(t); {
	case n == -2 || depth > maxDepth || uint64(len(value)) > math.MaxUint32:
		return false
	case n >= 0 && len(value) != n:
		return false
	}
	switch t {
	case bridge.TypeUint64:
		return false
	case bridge.TypeFloat32:
		return binary.BigEndian.Uint32(value)>>23&0xff != 0xff
	case bridge.TypeFloat64:
		return binary.BigEndian.Uint64(value)>>52&0x7ff != 0x7ff
	case bridge.TypeTable, bridge.TypeArray:
		c := cursor{b: value}
		for len(c.b) > 0 {
			if t == bridge.TypeTable {
				c.shortstr()
			}
			inner, v := c.field()
			if c.bad || !canWrite(inner, v, depth+1) {
				return false
			}
		}
	}
	return true
}
