package rabbitmq

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// drainQuiet is how long a tap that receives nothing any more has to be empty
// before it is taken as read to its end. Nothing in AMQP tells that a message is
// not still on its way to a queue.
const drainQuiet = 2 * time.Second

// drainGrace bounds the deletion of a tap at the end of its last session.
const drainGrace = 5 * time.Second

// A draining reads a tap to its end, when another one receives in its place.
type draining struct {
	opener  *sourceOpener
	session *session
	tap     thing
	beside  []*thing
	intake  *intake
	// empty says that all that came has been acknowledged, and nothing waits.
	empty func(context.Context) (bool, error)
}

// watch ends the session when the tap is empty, and deletes it.
func (d *draining) watch() {
	tick := time.NewTicker(drainQuiet / 20)
	defer tick.Stop()
	var since time.Time
	for d.intake.failure() == nil {
		<-tick.C
		ctx, cancel := d.session.within(context.Background())
		empty, err := d.empty(ctx)
		cancel()
		switch {
		case err != nil:
			d.intake.end(fmt.Errorf("rabbitmq: read %s to its end: %w", d.tap.name, err))
		case !empty:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= drainQuiet:
			d.intake.end(fmt.Errorf("rabbitmq: tap %s has been read to its end; reading goes on with the one that took its place", d.tap.name))
			d.finish()
			return
		}
	}
}

// behind adds what waits in the tap that has taken the place of the one that is
// read; nil where there is none.
func (n *session) behind(ctx context.Context, next *thing, b bridge.Backlog) (bridge.Backlog, error) {
	switch {
	case next == nil:
		return b, nil
	case next.kind == kindStream:
		last, empty, _, err := n.tailUntil(ctx, next.name, 200*time.Millisecond, 0)
		if err == nil && !empty {
			b.Messages, b.Bound = b.Messages+int64(min(last+1, math.MaxInt64/2)), true
		}
		return b, err
	}
	state, err := n.passive(next.name)
	if err != nil {
		return b, runError("backlog of "+next.name, err)
	}
	b.Messages += int64(state.Messages)
	return b, nil
}

// finish deletes the tap. What fails, the next session does again. It is over
// before the session is. // I2
func (d *draining) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), drainGrace)
	defer cancel()
	o := d.opener
	_ = o.system.setUp(ctx, o.id.String()+" delete "+d.tap.name, func(ctx context.Context, n *session) error {
		defer n.close()
		if o.settings.Shared != "" {
			return o.leave(ctx, n, d.tap, d.beside)
		}
		return n.retire(ctx, o.id.Relay, d.tap, d.beside, func(ctx context.Context, notes ...note) error {
			return o.system.note(ctx, o.id.Bridge, notes...)
		})
	})
}
