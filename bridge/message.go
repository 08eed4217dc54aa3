package bridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Message is what crosses the bridge. It is a plain value; everyone but its
// Source treats its slices as read-only.
type Message struct {
	// Key is what must stay in order. Empty is a key of its own per shard.
	Key string
	// ID is the dedup identity. The zero ID means the source found none.
	ID ID
	// Address is where the producer sent the message.
	Address Address
	// Body is the payload. nil is a null body (a Kafka tombstone), which is not
	// the same as an empty one. // I3
	Body []byte
	// Headers are the producer's own, in the source's order, repeats included.
	// Hop headers of the bridge are never among them.
	Headers []Header
	// Properties are the system's own typed fields that were present. Absent is
	// not zero.
	Properties []Property
	// Time is the source's own timestamp of the message; zero where it has none.
	Time time.Time
	// Expires is when the message ceases to matter; zero is never.
	Expires time.Time
	// Origin is the coordinate of the message at the place it first came from.
	Origin Origin
	// Via names the relays that carried the message here, as AppendVia makes it;
	// empty where none did. Passed reads it.
	Via string
}

// Property gives the first property of that kind.
func (m *Message) Property(k PropertyKind) (Property, bool) {
	for i := range m.Properties {
		if m.Properties[i].Kind == k {
			return m.Properties[i], true
		}
	}
	return Property{}, false
}

// Header gives the first header of that exact name.
func (m *Message) Header(name string) (Header, bool) {
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			return m.Headers[i], true
		}
	}
	return Header{}, false
}

// An Address is where a producer sent a message, in the words of its system.
type Address struct {
	// Space is the exchange (AMQP); empty for the default exchange and for
	// systems that have no such thing.
	Space string
	// Name is the routing key (AMQP), the topic (Kafka) or the subject (NATS).
	Name string
	// Partition is the partition number plus one; zero where there is none.
	Partition int32
}

// A Stream names what an Origin's offset counts in. One Stream value is shared
// by all messages of a session, so it is passed by pointer and never changed.
type Stream struct {
	// System is the adapter kind: "rabbitmq", "kafka", "nats", …
	System string
	// Cluster is the identity the system itself gives its cluster. It is never a
	// name out of our own configuration.
	Cluster string
	// Name is the queue, topic or stream.
	Name string
	// Incarnation tells one life of Name from the next: a topic ID, the creation
	// time of a stream, the identity of a tap.
	Incarnation string
	// Replayable says that Offset is a stored position that a reader can return
	// to. Where it is false, Offset only counts deliveries of a session.
	Replayable bool
}

// An Origin is the coordinate of a message at its source.
type Origin struct {
	Stream *Stream
	Shard  int32
	Offset uint64
}

// String is the printable form of an Origin, which ParseOrigin reads back:
// system/cluster/name/incarnation/shard/offset, each part escaped, with a '?'
// behind it where the offset is no stored position.
func (o Origin) String() string { return string(o.AppendText(nil)) }

// AppendText is String, appended to dst; nothing for the zero Origin.
func (o Origin) AppendText(dst []byte) []byte {
	if o.Stream == nil {
		return dst
	}
	return o.appendPosition(o.Stream.appendText(dst))
}

// appendText is the part of an origin's text that all of the stream have.
func (s *Stream) appendText(dst []byte) []byte {
	for _, p := range [...]string{s.System, s.Cluster, s.Name, s.Incarnation} {
		dst = AppendEscaped(dst, p, originSafe)
		dst = append(dst, '/')
	}
	return dst
}

// appendPosition is the rest of it.
func (o Origin) appendPosition(dst []byte) []byte {
	dst = strconv.AppendInt(dst, int64(o.Shard), 10)
	dst = append(dst, '/')
	dst = strconv.AppendUint(dst, o.Offset, 10)
	if !o.Stream.Replayable {
		dst = append(dst, '?')
	}
	return dst
}

func originSafe(c byte) bool { return tokenSafe(c) || c == '.' }

// ParseOrigin reads what Origin.String wrote.
func ParseOrigin(s string) (Origin, error) {
	rest, volatile := strings.CutSuffix(s, "?")
	parts := strings.Split(rest, "/")
	if len(parts) != 6 {
		return Origin{}, fmt.Errorf("origin %q: want 6 parts separated by '/', found %d", s, len(parts))
	}
	for i := range 4 {
		u, err := Unescape(parts[i])
		if err != nil {
			return Origin{}, fmt.Errorf("origin %q: %w", s, err)
		}
		parts[i] = u
	}
	shard, err := strconv.ParseInt(parts[4], 10, 32)
	if err != nil {
		return Origin{}, fmt.Errorf("origin %q: shard: %w", s, err)
	}
	offset, err := strconv.ParseUint(parts[5], 10, 64)
	if err != nil {
		return Origin{}, fmt.Errorf("origin %q: offset: %w", s, err)
	}
	return Origin{
		Stream: &Stream{System: parts[0], Cluster: parts[1], Name: parts[2], Incarnation: parts[3], Replayable: !volatile},
		Shard:  int32(shard),
		Offset: offset,
	}, nil
}

// A Receipt is how a Source knows which delivery is acknowledged. Only the
// Source that made it understands it; it is void once that session has ended.
type Receipt struct {
	// Shard is what the source itself keeps in order, by the same number in every
	// session: the relay acknowledges within it in order. Origin.Shard may be that
	// of another system, where the message came from over a hop.
	Shard int32
	// Seq is a number of the adapter's choosing.
	Seq uint64
	// Ref may hold a pointer of the adapter's own.
	Ref any
}

// A Delivery is a Message with the receipt that acknowledges it.
type Delivery struct {
	Message
	Receipt Receipt
	// Stored is the coordinate of the message at this source, which Origin is not where
	// a relay brought it there. Where its Stream is Replayable the same message has the
	// same one in every session.
	Stored Origin
	// Gap says that messages in front of this one, of its shard, were removed before they
	// could be given, which the configuration accepts.
	Gap bool
	// Redelivered is the source's hint that it delivered this position before. Where
	// places do not last from session to session, nothing that an earlier session
	// delivered comes without it; what comes with it may be new.
	Redelivered bool
}
