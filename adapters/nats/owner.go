package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// ownerSubject is where the session of a relay answers that it lives.
func ownerSubject(id bridge.Identity) string {
	return "crossfade." + tokenOf(id.Bridge) + ".owner." + tokenOf(id.Relay)
}

// ownerAnswer begins the answer; the process's own name, unlike that of any
// other, and the words for people follow.
const ownerAnswer = "crossfade owner "

// ownerWait is how long a session that seems to live may take to say so. It is
// only waited for where the server has not noticed yet that its process died, or
// where that process is stopped. So it bounds how long a second process waits for
// the tap of one that is silent.
const ownerWait = time.Second

// An owner is who runs a relay.
type owner struct {
	there   bool   // somebody listens
	process string // empty if nobody says a word
	words   string
}

// String is for people.
func (o owner) String() string {
	switch {
	case o.process == "":
		return "a process that does not answer"
	case o.words == "":
		return "another process"
	}
	return "process " + bridge.Printable(o.words, 80)
}

// owner asks who runs the relay. The server answers at once where nobody does. Where nobody
// has said a word it is asked once more: the session may have been about to end.
func (c *connection) owner(ctx context.Context, id bridge.Identity) (owner, error) {
	o, err := c.askOwner(ctx, id, ownerWait)
	if err == nil && o.there && o.process == "" {
		return c.askOwner(ctx, id, ownerWait/4)
	}
	return o, err
}

func (c *connection) askOwner(ctx context.Context, id bridge.Identity, wait time.Duration) (owner, error) {
	asked, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m, err := c.request(asked, &nats.Msg{Subject: ownerSubject(id)})
	switch {
	case err == nil:
		name, ok := strings.CutPrefix(string(m.Data), ownerAnswer)
		if !ok {
			return owner{}, nil // a stream that takes every subject has answered
		}
		o := owner{there: true}
		o.process, o.words, _ = strings.Cut(name, " ")
		return o, nil
	case errors.Is(err, nats.ErrNoResponders):
		return owner{}, nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return owner{there: true}, nil
	}
	return owner{}, c.failed(ctx, "ask for another process of this relay", err)
}

// standBy asks whether a session of the relay lives in another process, which
// then has the tap. It is manners and not a fence: two processes of one name
// would take the tap from each other at every turn, and do no harm but to the
// throughput. What keeps two that were both told that there is nobody apart is
// the checkpoint, which only its newest holder can write. A process that does not
// answer has lost the tap.
func (c *connection) standBy(ctx context.Context, id bridge.Identity) error {
	o, err := c.owner(ctx, id)
	if err != nil {
		return err
	}
	if o.process == "" || o.process == c.system.process {
		return nil // nobody, a silent one, or an abandoned session of our own
	}
	return fmt.Errorf("%s: %s: relay %s: %s runs it; standing by", Kind, c.system.name, id, o)
}

// processWords name this process for people.
func processWords() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%d on %s", os.Getpid(), host)
}

// answer says, for as long as the connection lives, that the session does.
func (c *connection) answer(id bridge.Identity) error {
	text := []byte(ownerAnswer + c.system.process + " " + processWords())
	_, err := c.Subscribe(ownerSubject(id), func(m *nats.Msg) {
		if m.Reply != "" {
			_ = c.Publish(m.Reply, text) // fails only with the connection
		}
	})
	return err
}
