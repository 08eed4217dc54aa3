package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A rule carries a meaning over to a kind of object.
type rule struct {
	name string
	// value spells what the meaning's number says.
	value func(n int64) any
	// log and queue say of which roles it is carried; of a log, limits count
	// messages that were read, of a queue they do not.
	log, queue bool
}

func milliseconds(n int64) any { return time.Duration(n).Milliseconds() }
func seconds(n int64) any {
	return strconv.FormatInt(int64(time.Duration(n).Seconds()), 10) + "s"
}
func millisecondsText(n int64) any {
	return strconv.FormatInt(time.Duration(n).Milliseconds(), 10)
}
func countText(n int64) any { return strconv.FormatInt(n, 10) }
func duration(n int64) any  { return time.Duration(n).String() }
func count(n int64) any     { return n }
func yes(int64) any         { return true }

var (
	rabbitQueue = map[bridge.Meaning]rule{
		bridge.MeaningExpiry:   {"x-message-ttl", milliseconds, false, true},
		bridge.MeaningIdle:     {"x-expires", milliseconds, false, true},
		bridge.MeaningMessages: {"x-max-length", count, false, true},
		bridge.MeaningBytes:    {"x-max-length-bytes", count, false, true},
		bridge.MeaningSingle:   {"x-single-active-consumer", yes, false, true},
	}
	// rules are those that hold from any system to a kind of object of another.
	rules = map[string]map[bridge.Meaning]rule{
		"nats/stream": {
			bridge.MeaningAge:      {"max_age", duration, true, false},
			bridge.MeaningMessages: {"max_msgs", count, true, false},
			bridge.MeaningBytes:    {"max_bytes", count, true, false},
			bridge.MeaningSize:     {"max_msg_size", count, true, false},
			bridge.MeaningReplicas: {"num_replicas", count, true, false},
		},
		"kafka/topic": {
			bridge.MeaningAge:      {"retention.ms", millisecondsText, true, false},
			bridge.MeaningSize:     {"max.message.bytes", countText, true, false},
			bridge.MeaningReplicas: {"replication", count, true, false},
		},
		"nats/consumer": {
			bridge.MeaningIdle:       {"inactive_threshold", duration, false, true},
			bridge.MeaningDeliveries: {"max_deliver", count, false, true},
		},
		"rabbitmq/classic queue": rabbitQueue,
		"rabbitmq/quorum queue": with(rabbitQueue, bridge.MeaningDeliveries,
			rule{"x-delivery-limit", count, false, true}),
		"rabbitmq/stream": {
			bridge.MeaningAge:   {"x-max-age", seconds, true, false},
			bridge.MeaningBytes: {"x-max-length-bytes", count, true, false},
		},
	}
	// same are the settings that go as they are between two objects of one kind.
	same = map[string][]bridge.Meaning{
		"nats/stream": {bridge.MeaningAge, bridge.MeaningMessages, bridge.MeaningBytes, bridge.MeaningSize, bridge.MeaningReplicas,
			bridge.MeaningWindow, bridge.MeaningFull, bridge.MeaningTuning, bridge.MeaningReaders},
		"kafka/topic":   {bridge.MeaningAge, bridge.MeaningBytes, bridge.MeaningSize, bridge.MeaningReplicas, bridge.MeaningPartitions, bridge.MeaningTuning, bridge.MeaningOther},
		"nats/consumer": {bridge.MeaningIdle, bridge.MeaningDeliveries, bridge.MeaningUnacked, bridge.MeaningReplicas, bridge.MeaningTuning},
		"rabbitmq/classic queue": {bridge.MeaningExpiry, bridge.MeaningIdle, bridge.MeaningMessages, bridge.MeaningBytes, bridge.MeaningSingle,
			bridge.MeaningDeadLetter, bridge.MeaningDeadLetterKey, bridge.MeaningPriority, bridge.MeaningTuning, bridge.MeaningOther},
		"rabbitmq/quorum queue": {bridge.MeaningExpiry, bridge.MeaningIdle, bridge.MeaningMessages, bridge.MeaningBytes, bridge.MeaningSingle,
			bridge.MeaningDeadLetter, bridge.MeaningDeadLetterKey, bridge.MeaningDeliveries, bridge.MeaningReplicas, bridge.MeaningTuning, bridge.MeaningOther},
		"rabbitmq/stream": {bridge.MeaningAge, bridge.MeaningBytes, bridge.MeaningReplicas, bridge.MeaningTuning, bridge.MeaningOther},
	}
)

func with(base map[bridge.Meaning]rule, m bridge.Meaning, r rule) map[bridge.Meaning]rule {
	out := map[bridge.Meaning]rule{m: r}
	for k, v := range base {
		out[k] = v
	}
	return out
}

// carry gives an object the settings of its counterpart that it can have, and names
// those that it cannot.
func (k *work) carry(from, to *bridge.Object) {
	kind, origin := k.relay.Kind+"/"+to.Kind, k.relay.Incumbent.Kind+"/"+from.Kind
	for _, s := range from.Settings {
		if kind == origin && slices.Contains(same[kind], s.Meaning) {
			set(to, bridge.Setting{Meaning: s.Meaning, Name: argument(s), Value: s.Value, N: s.N})
			continue
		}
		r, has := rules[kind][s.Meaning]
		if has && (r.log && from.Role == bridge.RoleLog || r.queue && from.Role != bridge.RoleLog) {
			n := deliveries(s, origin, kind)
			set(to, bridge.Setting{Meaning: s.Meaning, Name: r.name, Value: r.value(n), N: n})
			continue
		}
		if meaning := lost(s, from, to, kind); meaning != "" {
			k.lose(from, text(s), meaning)
		}
	}
}

// argument is the name that a setting has as an argument of a RabbitMQ queue, where
// it may stand in a policy.
func argument(s bridge.Setting) string {
	if s.By == "" {
		return s.Name
	}
	switch s.Name {
	case "ha-mode", "alternate-exchange":
		return s.Name
	}
	return "x-" + s.Name
}

// deliveries is the number of a setting at another system: RabbitMQ counts
// deliveries beyond the first, others all.
func deliveries(s bridge.Setting, from, to string) int64 {
	if s.Meaning != bridge.MeaningDeliveries {
		return s.N
	}
	n := s.N
	if strings.HasPrefix(from, "rabbitmq/") {
		n++
	}
	if strings.HasPrefix(to, "rabbitmq/") {
		n--
	}
	return n
}

// text is a setting in a sentence.
func text(s bridge.Setting) string {
	t := fmt.Sprintf("%s %v", s.Name, s.Value)
	switch s.Meaning {
	case bridge.MeaningExpiry, bridge.MeaningIdle, bridge.MeaningAge:
		if d := time.Duration(s.N).String(); d != fmt.Sprint(s.Value) && s.N != 0 {
			t += " (" + d + ")"
		}
	}
	if s.By != "" {
		t += " by policy " + s.By
	}
	return t
}

// Text is a setting in a few words.
func Text(s bridge.Setting) string { return text(s) }
