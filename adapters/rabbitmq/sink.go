package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

// recallLimit is how many messages are read back from a stream.
const recallLimit = 1 << 16

// A sinkOpener is a to block.
type sinkOpener struct {
	system *system
	id     bridge.Identity
	target target
	accept bridge.Accepts
	limit  *sizeLimit
}

var (
	_ bridge.SinkOpener = (*sinkOpener)(nil)
	_ bridge.Checker    = (*sinkOpener)(nil)
)

// Traits are those of the target's type.
func (o *sinkOpener) Traits() bridge.SinkTraits {
	t := bridge.SinkTraits{
		Durable: true, Fence: bridge.FenceLock, Survives: o.target.survives(),
		MaxBody: o.limit.octets(), Lanes: 1,
	}
	switch o.target.kind {
	case typeStream:
		t.Recall = recallLimit
		t.Notes = append(t.Notes,
			fmt.Sprintf("After a crash the relay's own messages are looked for among the stream's newest %d offsets: behind more of other writers' they are not found, and what was on its way may be there twice.", recallReach))
	case typeQuorum:
		t.Notes = append(t.Notes,
			"A queue cannot be read back: after a crash, what was on its way may be there twice, with the same ID.",
			"A limit with overflow reject-publish on the queue would refuse one message in the middle: do not set it.",
			"From RabbitMQ 4 on a quorum queue delivers higher priorities first.")
	case typeClassic:
		t.Notes = append(t.Notes,
			"A queue cannot be read back: after a crash, what was on its way may be there twice, with the same ID.",
			"A classic queue can lose one of several in a broker's crash, so one message of a key is on its way at a time.")
	case toExchange:
		t.Durable = o.target.persistent
		t.Notes = append(t.Notes,
			"What an exchange leads to cannot be read back: after a crash, what was on its way may be there twice, with the same ID.",
			"A binding may be missing for a moment, so one message of a key is on its way at a time; unroutable messages are parked.")
	}
	if !o.target.persistent && o.target.kind == typeClassic {
		t.Durable = false
	}
	return t
}

// Describe names the target.
func (o *sinkOpener) Describe() string { return o.target.describe() }

// Open makes sure that the target is there and of the type that the traits go by.
func (o *sinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	s := &sink{opener: o}
	err := o.system.setUp(ctx, o.id.String()+" look at "+o.target.describe(), func(_ context.Context, n *session) error {
		if err := o.verify(n); err != nil {
			return err
		}
		s.cluster = n.broker.origin
		o.limit.assume(n.broker.maxMessage())
		n.close()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if o.target.kind == typeStream {
		return &streamSink{s}, nil
	}
	return s, nil
}

// verify compares the target with what the configuration says of it.
func (o *sinkOpener) verify(n *session) error {
	what := "target " + o.target.describe()
	if o.target.kind == toExchange {
		_, alternate, err := n.exchangeKind(o.target.exchange)
		if err != nil || !alternate {
			return setupError(what, err)
		}
		return alternateRisk().err(what, o.accept)
	}
	found, err := n.queueArguments(o.target.queue)
	if err != nil {
		return setupError(what, err)
	}
	if actual := found.kind(); actual != o.target.kind && actual != "" {
		return bridge.Fatal(fmt.Errorf("rabbitmq: %s: queue %s is a %s queue", what, o.target.queue, actual),
			"Write stream: NAME for a stream, and type: quorum or type: classic for a queue: what may be on its way at a time depends on it.")
	}
	return nil
}

// A sink has no connection of its own: every lane has one.
type sink struct {
	opener  *sinkOpener
	cluster string // as origins name it
}

// A streamSink can read back what was placed.
type streamSink struct{ *sink }

var (
	_ bridge.Sink     = (*sink)(nil)
	_ bridge.Looper   = (*sink)(nil)
	_ bridge.Recaller = (*streamSink)(nil)
)

// Close has nothing to release.
func (*sink) Close() error { return nil }

// Open fences: it waits until no earlier session of the lane is left at the broker,
// neither its connection nor its channel, so nothing of it comes later. // I2 I6
func (s *sink) Open(ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
	o := s.opener
	var l *lane
	what := fmt.Sprintf("%s lane %d to %s", o.id, number, o.target.describe())
	err := o.system.setUp(ctx, what, func(ctx context.Context, n *session) error {
		l = newLane(n, o)
		return l.open(ctx, number)
	})
	if err != nil {
		return nil, err
	}
	l.begin(settled)
	return l, nil
}

var errNacked = errors.New("the broker refused a message (basic.nack): a queue limit with overflow reject-publish, or a queue that failed")
