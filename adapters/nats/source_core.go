package nats

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A coreSourceOpener opens subscriptions without JetStream.
type coreSourceOpener struct {
	system *system
	id     bridge.Identity
	config SourceConfig
}

// Traits are what a subscription promises: at most once.
func (o *coreSourceOpener) Traits() bridge.SourceTraits {
	return bridge.SourceTraits{
		Ordered: true,
		Notes: []string{
			"Core NATS delivers at most once: what is published while no session is open is never seen.",
			"A message carries no time and no position of its own.",
		},
	}
}

// Describe names the tap.
func (o *coreSourceOpener) Describe() string {
	return fmt.Sprintf("subjects %q of core NATS", o.config.Subjects)
}

// A coreSource is a set of subscriptions. The client keeps what has arrived in
// bounded queues, one for each subject; when one overflows the session ends,
// aloud, since messages are lost then.
type coreSource struct {
	conn    *connection
	subs    []*nats.Subscription
	stream  *bridge.Stream
	arrived chan *nats.Msg
	closing chan struct{}
	once    sync.Once
	count   uint64
}

// coreName is what origins call everything that is published without JetStream.
const coreName = "core"

// Open subscribes.
func (o *coreSourceOpener) Open(ctx context.Context) (bridge.Source, error) {
	conn, err := o.system.connect(ctx, "crossfade "+o.id.String()+" source")
	if err != nil {
		return nil, err
	}
	s := &coreSource{
		conn: conn, arrived: make(chan *nats.Msg, 64), closing: make(chan struct{}),
		stream: &bridge.Stream{System: Kind, Cluster: conn.ConnectedClusterName(), Name: coreName, Incarnation: conn.ConnectedServerId()},
	}
	for _, subject := range o.config.Subjects {
		sub, err := conn.Subscribe(subject, s.arrive)
		if err == nil {
			s.subs = append(s.subs, sub)
			err = sub.SetPendingLimits(o.config.MaxPending, o.config.MaxBytes)
		}
		if err != nil {
			s.Close()
			return nil, conn.failed(ctx, "subscribe to "+subject, err)
		}
	}
	// The answer to a ping follows what the server has to say against the
	// subscriptions, and proves that they are in place.
	if err := flush(ctx, conn); err != nil {
		s.Close()
		return nil, conn.failed(ctx, "subscribe", err)
	}
	return s, nil
}

// arrive hands on one message; the client waits meanwhile and queues.
func (s *coreSource) arrive(m *nats.Msg) {
	select {
	case s.arrived <- m:
	case <-s.closing:
	}
}

// Receive is as bridge.Source says.
func (s *coreSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, fmt.Errorf("%s: receive: no room for a delivery was given", Kind)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-s.closing:
			return 0, bridge.ErrClosed
		default:
		}
		select {
		case m := <-s.arrived:
			if err := s.dropped(); err != nil {
				return 0, err
			}
			n := 0
			for more := true; more; {
				s.deliver(m, &into[n])
				if n++; n == len(into) {
					break
				}
				select {
				case m = <-s.arrived:
				default:
					more = false
				}
			}
			return n, nil
		case <-tick.C:
			if err := s.dropped(); err != nil {
				return 0, err
			}
		case <-ctx.Done():
		case <-s.closing:
		case <-s.conn.lost:
			return 0, s.conn.cause()
		case <-s.conn.broken:
			return 0, s.conn.cause()
		}
	}
	return 0, context.Cause(ctx)
}

func (s *coreSource) deliver(m *nats.Msg, d *bridge.Delivery) {
	s.count++
	decode(m, position{stream: s.count}, s.stream, &d.Message)
	if m.Reply != "" {
		d.Properties = append(d.Properties, bridge.Property{Kind: bridge.KindReplyTo, Text: m.Reply})
	}
	d.Redelivered, d.Receipt = false, bridge.Receipt{Seq: s.count}
	d.Stored = bridge.Origin{Stream: s.stream, Offset: s.count}
}

// dropped says how many messages the client had to drop.
func (s *coreSource) dropped() error {
	for _, sub := range s.subs {
		if n, err := sub.Dropped(); err == nil && n > 0 {
			return fmt.Errorf("%s: %s: subject %s: %d messages came faster than they were read and are lost (max_pending, max_bytes)", Kind, s.conn.system.name, sub.Subject, n)
		}
	}
	return nil
}

// Ack does nothing: a subscription keeps nothing that could be acknowledged.
func (s *coreSource) Ack(context.Context, []bridge.Receipt) error {
	select {
	case <-s.closing:
		return bridge.ErrClosed
	default:
		return nil
	}
}

// Close is as bridge.Source says.
func (s *coreSource) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.conn.Close()
	})
	return nil
}

// flush waits until the server has read everything that was written.
func flush(ctx context.Context, c *connection) error {
	ctx, cancel := context.WithTimeout(ctx, defaultAckTimeout)
	defer cancel()
	if err := c.FlushWithContext(ctx); err != nil {
		return err
	}
	select {
	case <-c.broken:
		return c.cause()
	default:
		return nil
	}
}
