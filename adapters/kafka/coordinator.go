package kafka

import (
	"context"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A coordinator is the way to the broker that coordinates the relay's group. It finds
// another one where the group has moved: what is asked of it holds for one member of
// one generation, so it may be asked twice. One caller at a time.
type coordinator struct {
	cluster *cluster
	group   string
	conn    *conn // nil if it has to be looked for
}

// moved are the answers of a broker that does not coordinate the group, or not yet.
var moved = []kafkago.Error{kafkago.GroupLoadInProgress, kafkago.GroupCoordinatorNotAvailable, kafkago.NotCoordinatorForGroup}

// ask sends a request and gives the answer, with the error code that code reads from
// it. The broker may wait so long before it answers. For as long as request_timeout it
// looks for the coordinator anew.
func (c *coordinator) ask(ctx context.Context, wait time.Duration, req protocol.Message, code func(protocol.Message) int16) (res protocol.Message, e kafkago.Error, err error) {
	deadline := time.Now().Add(c.cluster.system.config.RequestTimeout)
	for {
		res, e, err = c.once(ctx, wait, req, code)
		switch {
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case err == nil && !slices.Contains(moved, e):
			return res, e, nil
		case err != nil && bridge.ClassOf(err) != bridge.Transient:
			return nil, 0, err
		case time.Now().After(deadline):
			if err == nil {
				err = c.conn.refused(req.ApiKey().String()+" of group "+c.group, e)
			}
			c.conn = nil
			return nil, 0, err
		}
		c.conn = nil
		if !pause(ctx, coordinatorPause) {
			return nil, 0, context.Cause(ctx)
		}
	}
}

func (c *coordinator) once(ctx context.Context, wait time.Duration, req protocol.Message, code func(protocol.Message) int16) (protocol.Message, kafkago.Error, error) {
	if c.conn == nil || c.conn.ended() {
		k, err := c.cluster.coordinator(ctx, groupCoordinator, c.group)
		if err != nil {
			return nil, 0, err
		}
		c.conn = k
	}
	res, err := c.conn.askFor(ctx, wait, req)
	if err != nil {
		return nil, 0, err
	}
	return res, kafkago.Error(code(res)), nil
}

// failed says what is wrong with an answer of the coordinator.
func (c *coordinator) failed(what string, e kafkago.Error) error {
	return c.conn.refused(what+" of group "+c.group, e)
}
