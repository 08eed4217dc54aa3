package rabbitmq

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Holder = (*queueSource)(nil)
	_ bridge.Holder = (*streamSource)(nil)
)

// Hold is as bridge.Holder says. The tap's lock is an exclusive queue of this
// connection: while the broker answers on it, nobody else has the tap. // I6
func (s *queueSource) Hold(ctx context.Context) error {
	return s.session.alive(ctx, s.queue, s.intake)
}

// Hold is as bridge.Holder says, by the same lock. // I6
func (s *streamSource) Hold(ctx context.Context) error {
	return s.session.alive(ctx, s.reader.stream, s.reader.intake)
}

// alive makes sure that the broker still answers on the session, within the setup
// timeout, and has not ended what comes in on it.
func (n *session) alive(ctx context.Context, queue string, in *intake) error {
	return n.bounded(ctx, "hold "+queue, func(context.Context) error {
		if _, err := n.passive(queue); err != nil {
			return runError("hold "+queue, err)
		}
		return in.failure()
	})
}
