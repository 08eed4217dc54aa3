package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// lockError says who has the lock.
func lockError(what string, err error) error {
	if hasCode(err, codeLocked) {
		return fmt.Errorf("rabbitmq: %s: another process owns this relay, or its connection has not ended yet: %w", what, err)
	}
	return setupError(what, err)
}

// lockPatience is how long a lock is waited for: that is what it takes a broker
// to notice that its owner's connection is gone.
const lockPatience = 2 * time.Second

// hold takes a lock for as long as the session lives, and ends the session if
// somebody deletes it.
func (n *session) hold(ctx context.Context, name string) error {
	until := time.Now().Add(lockPatience)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := n.tryHold(name)
		if err == nil || !hasCode(err, codeLocked) || time.Now().After(until) {
			return lockError("lock "+name, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return lockError("lock "+name, err)
		}
	}
}

func (n *session) tryHold(name string) error {
	ch, _, err := n.channel(nil)
	if err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(name, false, false, true, false, amqp.Table{"x-queue-type": typeClassic}); err != nil {
		return err
	}
	if _, err := ch.Consume(name, "crossfade", true, true, false, false, nil); err != nil {
		return err
	}
	n.watch(ch, func(err error) {
		if !errors.Is(err, bridge.ErrClosed) {
			n.sock.fail(fmt.Errorf("lock %s is lost: %w", name, err))
		}
	})
	return nil
}

// senderExpiry is how long the broker keeps the queue of a sender that nobody uses,
// such as after a crash of the broker.
const senderExpiry = 10 * time.Minute

// sender opens a lane's publishing channel once that of the session before has ended.
// An exclusive queue goes with its connection, and the broker ends the channels of a
// connection later: one that is slow goes on to publish what it was given. A
// subscription ends with its channel, so the channel that publishes has one that is
// exclusive. Nothing is ever sent to its queue. In a cluster the queue waits for its
// node: while that one is away the lock alone has to do. // I2 I6
func (n *session) sender(ctx context.Context, name string, p port) (*amqp.Channel, uint16, error) {
	until := time.Now().Add(lockPatience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		ch, id, err := n.trySender(name, p)
		if err == nil || !inUse(err) && !hasCode(err, codeNotFound) {
			return ch, id, setupError("publishing channel", err)
		}
		late := time.Now().After(until)
		if late && isDown(err) {
			ch, id, err = n.channel(p)
			return ch, id, setupError("publishing channel", err)
		}
		err = fmt.Errorf("rabbitmq: %s: the channel that an earlier session of this relay published through has not ended yet: %w", name, err)
		if late {
			return nil, 0, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, 0, err
		}
	}
}

func (n *session) trySender(name string, p port) (*amqp.Channel, uint16, error) {
	ch, id, err := n.channel(p)
	if err != nil {
		return nil, 0, err
	}
	if bridge.Planted(bridge.BugFenceOff) {
		return ch, id, nil
	}
	arguments := amqp.Table{"x-queue-type": typeClassic, "x-expires": senderExpiry.Milliseconds()}
	if _, err := ch.QueueDeclare(name, true, true, false, false, arguments); err != nil {
		return nil, 0, err
	}
	_, err = ch.Consume(name, "crossfade", true, true, false, false, nil) // not found: it went with the subscription before
	return ch, id, err
}

// isDown says that a queue's node is away.
func isDown(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == codeNotFound && notReady(e)
}

// inUse says that somebody has an exclusive subscription.
func inUse(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == codeRefused && strings.Contains(e.Reason, "exclusive use")
}
