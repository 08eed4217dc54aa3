package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sourceOpener is a from block.
type sourceOpener struct {
	system   *system
	id       bridge.Identity
	settings sourceSettings
	tap      string      // the queue that is read
	dropped  string      // the queue that takes what falls out of the tap
	made     atomic.Bool // the tap has been there since this opener was made
}

var (
	_ bridge.SourceOpener  = (*sourceOpener)(nil)
	_ bridge.JournalOpener = (*sourceOpener)(nil)
	_ bridge.Checker       = (*sourceOpener)(nil)
)

func newSourceOpener(s *system, id bridge.Identity, c sourceSettings) *sourceOpener {
	o := &sourceOpener{system: s, id: id, settings: c}
	switch {
	case c.Queue != "":
		o.tap = c.Queue
	case c.Stream != "":
		o.tap = c.Stream
	default:
		o.tap, o.dropped = tapName(id, &c), tapName(id, &c, "dropped")
	}
	return o
}

// Traits are those of the tap's type.
func (o *sourceOpener) Traits() bridge.SourceTraits {
	t := bridge.SourceTraits{Ordered: true, Durable: true, SourceTime: true, Unacked: o.settings.Prefetch, Journals: true}
	switch o.settings.Tap {
	case typeStream:
		t.Replayable, t.Unacked = true, 0
		t.Notes = append(t.Notes,
			"A message with a decimal header makes the broker close the producer's connection once a stream is bound.",
			"Headers that are arrays or tables do not reach a stream.",
			"The stream's bounds act by whole segments, and cutting it off below the reader is a gap, which stops the relay.")
	case tapQueue:
		t.Competing = true
		t.Notes = append(t.Notes,
			"The relay takes messages away from the queue's other consumers, and order holds only while it has none.")
	default:
		t.Notes = append(t.Notes,
			"The tap begins when it is made: what waits in the application's queues then is not copied.",
			"At its bound the tap moves the oldest messages into "+o.dropped+": a gap.",
			"Producers' confirms wait for the tap as for every queue bound there.")
	}
	if o.settings.Tap == typeQuorum {
		t.Notes = append(t.Notes, "From RabbitMQ 4 on a quorum queue delivers higher priorities first.")
	}
	return t
}

// Describe names the tap.
func (o *sourceOpener) Describe() string {
	switch {
	case o.settings.Tap == tapQueue:
		return "queue " + o.tap + " (competing)"
	case o.settings.Stream != "":
		return "stream " + o.tap
	}
	exchanges := make([]string, 0, len(o.settings.Bindings))
	for _, b := range o.settings.Bindings {
		exchanges = append(exchanges, b.Exchange)
	}
	return "exchange " + strings.Join(exchanges, ", ") + " (" + o.settings.Tap + " tap)"
}

// Open begins a session and makes the tap if it is not there.
func (o *sourceOpener) Open(ctx context.Context) (source bridge.Source, err error) {
	err = o.system.setUp(ctx, o.id.String()+" read "+o.Describe(), func(ctx context.Context, n *session) error {
		source, err = o.open(ctx, n)
		return err
	})
	if err != nil {
		if source != nil {
			_ = source.Close()
		}
		return nil, err
	}
	return source, nil
}

// open takes the tap's lock first: a second process with the same identity gets
// an error that says so, and tries again until the first is gone.
func (o *sourceOpener) open(ctx context.Context, n *session) (bridge.Source, error) {
	if err := n.hold(ctx, lockName(o.id, "tap")); err != nil {
		return nil, err
	}
	switch o.settings.Tap {
	case typeStream:
		return o.openStream(ctx, n)
	case tapQueue:
		found, err := n.queueArguments(o.tap)
		if err != nil {
			return nil, setupError("queue "+o.tap, err)
		}
		if found.kind() == typeStream {
			return nil, bridge.Fatal(fmt.Errorf("rabbitmq: %s is a stream", o.tap), "Reading a stream takes nothing away from anyone: use a tap with bindings of its own.")
		}
		return openQueue(n, o.tap, "", o.settings.Prefetch)
	}
	if err := o.makeTap(n); err != nil {
		return nil, err
	}
	return openQueue(n, o.tap, o.tap, o.settings.Prefetch)
}

// makeTap declares what the tap consists of and binds it. Doing it again
// changes nothing.
func (o *sourceOpener) makeTap(n *session) error {
	if err := o.declareQueueTap(n); err != nil {
		return err
	}
	return o.bind(n)
}

// declareQueueTap declares the tap, unless it is there: then its arguments are
// those of the broker's version that it was made on. The queue beside it is made
// after it and before anything is bound, so that queue without a tap means that
// the tap was deleted, with all that it held. // I1
func (o *sourceOpener) declareQueueTap(n *session) error {
	_, tapErr := n.passive(o.tap)
	if tapErr != nil && !missing(tapErr) {
		return setupError("tap "+o.tap, tapErr)
	}
	_, err := n.passive(o.dropped)
	if err != nil && !missing(err) {
		return setupError("queue "+o.dropped, err)
	}
	if tapErr != nil {
		if err == nil || o.made.Load() {
			return bridge.Fatal(fmt.Errorf("rabbitmq: tap %s was deleted, with what it held", o.tap),
				"Delete "+o.dropped+" too and start the bridge again, to begin anew: what was published in between is not copied.")
		}
		if err := n.declare(o.tap, tapArguments(&o.settings, o.dropped, n.broker)); err != nil {
			return setupError("declare tap "+o.tap, err)
		}
	}
	if err != nil {
		if err := n.declare(o.dropped, droppedArguments()); err != nil {
			return setupError("declare "+o.dropped, err)
		}
	}
	o.made.Store(true)
	return nil
}

func (o *sourceOpener) bind(n *session) error {
	for _, b := range o.settings.Bindings {
		arguments, err := toTable(b.Arguments)
		if err != nil {
			return bridge.Fatal(err, "Correct the binding's arguments.")
		}
		err = n.do(func(ch *amqp.Channel) error { return ch.QueueBind(o.tap, b.RoutingKey, b.Exchange, false, arguments) })
		if err != nil {
			return setupError(fmt.Sprintf("bind to exchange %s with %q", b.Exchange, b.RoutingKey), err)
		}
	}
	return nil
}

// missing says that the broker does not know what was asked for, rather than
// not being ready.
func missing(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == codeNotFound && !notReady(e)
}
