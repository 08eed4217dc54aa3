package rabbitmq

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// What is only not ready yet is tried again, and what the configuration has wrong stops
// the relay with a hint. The texts are RabbitMQ's own.
func TestSetupErrorsByClass(t *testing.T) {
	for _, tc := range []struct {
		code   int
		reason string
		stops  bool
	}{
		{404, "NOT_FOUND - no queue 'q' in vhost '/'", true},
		{404, "NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible", false},
		{404, "NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor or inaccessible", false},
		{405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'", false},
		{406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/'", true},
		{406, "PRECONDITION_FAILED - queue 'queue 'q' in vhost '/'' does not have a replica on the local node", false},
		{403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", true},
		{530, "NOT_ALLOWED - vhost 'v' not found", true},
		{530, "NOT_ALLOWED - vhost 'v' is down", false},
	} {
		err := setupError("read q", &amqp.Error{Code: tc.code, Reason: tc.reason, Server: true})
		if stops := bridge.ClassOf(err) == bridge.Stopping; stops != tc.stops {
			t.Errorf("%d %s: stops the relay: %v", tc.code, tc.reason, stops)
		}
	}
}
