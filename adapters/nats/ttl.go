package nats

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

const headerTTL = "Nats-TTL"

// expire gives m the point in time at which its producer wants it gone, in a stream
// that takes a time to live with each message. It counts from the delivery: the stream
// has counted since before that, by a clock of its own, so it is never too early. A
// message that a relay wrote has said when already, or has none.
func expire(m *bridge.Message, h nats.Header, now time.Time) {
	if len(h[bridge.HopRelay]) > 0 || !m.Expires.IsZero() {
		return
	}
	if ttl := lifeOf(h); ttl > 0 {
		m.Expires = now.Add(ttl)
	}
}

// lifeOf is the time to live as the server reads it: a duration of a second or more, or
// a number of seconds; 0 where there is none, or "never".
func lifeOf(h nats.Header) time.Duration {
	values := h[headerTTL]
	if len(values) == 0 {
		return 0
	}
	if d, err := time.ParseDuration(values[0]); err == nil {
		if d < time.Second {
			return 0
		}
		return d.Truncate(time.Second)
	}
	seconds, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || seconds <= 0 || seconds > int64(1<<63-1)/int64(time.Second) {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
