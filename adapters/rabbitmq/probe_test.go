package rabbitmq

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// What brokers say to a declaration that differs, from 3.10 and 4.0.
func TestTheDifferenceIsReadOutOfTheBrokersWords(t *testing.T) {
	for reason, want := range map[string]struct {
		argument string
		value    any
	}{
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'headers' but current is ''x-consistent-hash''":                                                        {"type", "x-consistent-hash"},
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'headers' but current is 'topic'":                                                                      {"type", "topic"},
		"PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'true' but current is 'false'":                                                                      {"durable", false},
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'crossfade-none' of type 'longstr' but current is the value 'stream' of type 'longstr'": {"x-queue-type", "stream"},
		"PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '10' of type 'long'":                                                {"x-max-length", int64(10)},
		"PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'q' in vhost '/': received the value 'a' of type 'longstr' but current is none":                                                {"x-overflow", nil},
	} {
		argument, value, ok := difference(&amqp.Error{Code: amqp.PreconditionFailed, Reason: reason})
		if !ok || argument != want.argument || value != want.value {
			t.Errorf("%s: %q %v %v", reason, argument, value, ok)
		}
	}
}
