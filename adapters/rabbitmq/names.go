package rabbitmq

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// namePrefix begins the name of everything that the bridge makes at a broker.
const namePrefix = "crossfade"

func nameSafe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// ownName joins parts to a name of the bridge's own: dots part them, and what a
// part may not hold is escaped, so different parts give different names. One
// that is longer than AMQP's 255 octets ends in a hash instead.
func ownName(parts ...string) string {
	b := []byte(namePrefix)
	for _, p := range parts {
		b = append(b, '.')
		b = bridge.AppendEscaped(b, p, nameSafe)
	}
	if len(b) <= 255 {
		return string(b)
	}
	sum := sha256.Sum256(b)
	return string(b[:255-1-32]) + "~" + hex.EncodeToString(sum[:16])
}

// tapName names a tap by bridge, relay and a hash of its arguments, which a
// broker does not let anyone change. The hash is over what the configuration
// says, not over what one version of the broker makes of it.
func tapName(id bridge.Identity, c *sourceSettings, suffix ...string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d %d %d %q", c.Tap, c.MaxLength, c.MaxBytes, c.MaxAge, c.SegmentBytes, c.Stream)
	if c.Shared != "" {
		fmt.Fprintf(h, " %q", c.Shared)
	}
	hash := hex.EncodeToString(h.Sum(nil)[:5])
	if c.Shared != "" && len(suffix) == 0 {
		return sharedName(id.Bridge, c.Shared, hash)
	}
	return ownName(append([]string{id.Bridge, id.Relay, hash}, suffix...)...)
}

// sharedName names what the relays of a bridge have in common of a shared tap.
func sharedName(bridgeName, shared string, suffix ...string) string {
	return ownName(append([]string{bridgeName, "shared", shared}, suffix...)...)
}

func lockName(id bridge.Identity, lane string) string {
	return ownName("lock", id.Bridge, id.Relay, lane)
}

// laneLock names the queue that the owner of a lane holds.
func laneLock(id bridge.Identity, lane int) string { return lockName(id, strconv.Itoa(lane)) }

// laneSender names the queue that the channel of a lane is subscribed to.
func laneSender(id bridge.Identity, lane int) string {
	return lockName(id, strconv.Itoa(lane)+"-sender")
}

// toTable makes a field table of a configuration's arguments.
func toTable(arguments map[string]any) (amqp.Table, error) {
	t := make(amqp.Table, len(arguments))
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		switch v := arguments[name].(type) {
		case string, bool, float64, int64:
			t[name] = v
		case int:
			t[name] = int64(v)
		case uint64:
			t[name] = int64(v)
		default:
			return nil, fmt.Errorf("argument %q: want a text, a number or a truth value", name)
		}
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t, nil
}

// tapArguments are the arguments of a tap at this broker.
func tapArguments(c *sourceSettings, dropped string, b broker) amqp.Table {
	t := amqp.Table{"x-queue-type": c.Tap}
	if c.MaxBytes > 0 {
		t["x-max-length-bytes"] = c.MaxBytes
	}
	if c.Tap == typeStream {
		t["x-stream-max-segment-size-bytes"] = c.SegmentBytes
		if c.MaxAge > 0 {
			t["x-max-age"] = strconv.FormatInt(int64(c.MaxAge.Seconds()), 10) + "s"
		}
		return t
	}
	if c.MaxLength > 0 {
		t["x-max-length"] = c.MaxLength
	}
	t["x-overflow"] = "drop-head" // never reject-publish: that would nack the incumbent's producers // I7
	t["x-dead-letter-exchange"] = ""
	t["x-dead-letter-routing-key"] = dropped
	t["x-single-active-consumer"] = true
	if c.Tap == typeQuorum && b.major >= 4 {
		t["x-delivery-limit"] = int64(-1) // before 4 there is none unless it is asked for, and -1 drops at once
	}
	return t
}

// droppedArguments are those of the queue that takes what falls out of a tap. What
// falls out of that one goes nowhere, whatever a policy says: to no exchange of an
// application's. // I7
func droppedArguments() amqp.Table {
	return amqp.Table{
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": ownName("none"),
		"x-queue-type":              typeClassic,
		"x-max-length":              int64(100_000),
		"x-max-length-bytes":        int64(256 << 20),
		"x-overflow":                "drop-head",
	}
}

// printable cuts a name for a message to a person.
func printable(s string) string { return strings.Clone(bridge.Printable(s, 80)) }
