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
// it. The broker may wait so long before it answers.
func (c *coordinator) ask(ctx context.Context, wait time.Duration, req protocol.Message, code func(protocol.Message) int16) (res protocol.Message, e kafkago.Error, err error) {
	e, err = c.do(ctx, req.ApiKey(), func(k *conn) (int16, error) {
		var err error
		if res, err = k.askFor(ctx, wait, req); err != nil {
			return 0, err
		}
		return code(res), nil
	})
	return res, e, err
}

// exchange is ask for Heartbeat and LeaveGroup.
func (c *coordinator) exchange(ctx context.Context, key protocol.ApiKey, body func(dst []byte) []byte) (kafkago.Error, error) {
	return c.do(ctx, key, func(k *conn) (int16, error) {
		version, err := k.version(key, leastMembership, mostMembership)
		if err != nil {
			return 0, err
		}
		res, err := k.exchange(ctx, &frame{key: key, version: version, body: body}, nil)
		if err != nil {
			return 0, err
		}
		return readMembership(res, version, key.String())
	})
}

// do has something asked of the coordinator. For as long as request_timeout it looks for
// it anew where it has moved.
func (c *coordinator) do(ctx context.Context, key protocol.ApiKey, once func(*conn) (int16, error)) (kafkago.Error, error) {
	deadline := time.Now().Add(c.cluster.system.config.RequestTimeout)
	for {
		k, err := c.find(ctx)
		var e kafkago.Error
		if err == nil {
			var code int16
			code, err = once(k)
			e = kafkago.Error(code)
		}
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err == nil && !slices.Contains(moved, e):
			return e, nil
		case err != nil && bridge.ClassOf(err) != bridge.Transient:
			return 0, err
		}
		if err == nil {
			err = c.failed(key.String(), e)
		}
		c.conn = nil
		if time.Now().After(deadline) {
			return 0, err
		}
		if !pause(ctx, coordinatorPause) {
			return 0, context.Cause(ctx)
		}
	}
}

func (c *coordinator) find(ctx context.Context) (*conn, error) {
	if c.conn != nil && !c.conn.ended() {
		return c.conn, nil
	}
	k, err := c.cluster.coordinator(ctx, groupCoordinator, c.group)
	if err == nil {
		c.conn = k
	}
	return k, err
}

// failed says what is wrong with an answer of the coordinator.
func (c *coordinator) failed(what string, e kafkago.Error) error {
	return c.conn.refused(what+" of group "+c.group, e)
}
