package rabbitmq

import (
	"math"
	"strconv"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// AMQP's expiration is a time to live in milliseconds, which every queue begins
// anew. A message that crosses several would live too long, and one that waits
// somewhere in between for ever. So a tap that is a queue makes a point in time of
// it, bridge.Message's Expires, counted from the delivery: the queue has counted
// since before that, so it is never too early. A sink writes what remains of it.
// Streams do not count: what comes out of one begins anew where it goes.

// countdown gives m the point in time at which the time to live in it ends, counted
// from now. 0 is the producer's wish for a consumer that is there at once, which
// has been met.
func countdown(m *bridge.Message, now time.Time) {
	p, ok := m.Property(bridge.KindExpiration)
	if !ok || p.Null || !validExpiration(p.Text) || p.Text == "0" {
		return
	}
	ms, _ := strconv.ParseUint(p.Text, 10, 32) // is valid
	m.Expires = now.Add(time.Duration(ms) * time.Millisecond)
}

// appendRemaining appends what remains until expires as AMQP writes it: at least a
// millisecond, since 0 would be taken from a queue without a consumer at once;
// nothing where it is more than AMQP can say.
func appendRemaining(dst []byte, expires, now time.Time) []byte {
	left := expires.Sub(now)
	ms := int64(left / time.Millisecond)
	if left%time.Millisecond > 0 {
		ms++
	}
	if ms > math.MaxUint32 {
		return dst
	}
	return strconv.AppendInt(dst, max(1, ms), 10)
}
