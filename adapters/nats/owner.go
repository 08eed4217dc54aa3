package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// ownerSubject is where the session of a relay answers that it lives.
func ownerSubject(id bridge.Identity) string {
	return "crossfade." + tokenOf(id.Bridge) + ".owner." + tokenOf(id.Relay)
}

// ownerAnswer begins the answer; the name of the process follows.
const ownerAnswer = "crossfade owner "

// ownerWait is how long a session that seems to live may take to say so. It is
// only waited for where the server has not noticed yet that its process died, or
// where that process is stopped.
const ownerWait = time.Second

// standBy asks whether a session of the relay lives in another process, which
// then has the tap. It is manners and not a fence: two processes of one name
// would take the tap from each other at every turn, and do no harm but to the
// throughput. The server answers at once where there is none, so the death of a
// process is no reason to wait.
func (c *connection) standBy(ctx context.Context, id bridge.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, ownerWait)
	defer cancel()
	m, err := c.RequestWithContext(ctx, ownerSubject(id), nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
		return nil
	case err != nil:
		return c.failed(ctx, "ask for another process of this relay", err)
	}
	other, ok := strings.CutPrefix(string(m.Data), ownerAnswer)
	if !ok || other == c.system.process {
		return nil // a stream that takes every subject has answered, or an abandoned session of our own
	}
	return fmt.Errorf("%s: %s: relay %s: another process runs it; standing by", Kind, c.system.name, id)
}

// answer says, for as long as the connection lives, that the session does.
func (c *connection) answer(id bridge.Identity) error {
	_, err := c.Subscribe(ownerSubject(id), func(m *nats.Msg) {
		if m.Reply != "" {
			_ = c.Publish(m.Reply, []byte(ownerAnswer+c.system.process)) // fails only with the connection
		}
	})
	return err
}
