package rabbitmq

import (
	"context"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A queueSource reads a queue: a tap of the bridge's own, or an application's. Its
// receipts refer to it, since tags begin at 1 in every session.
type queueSource struct {
	session *session
	queue   string
	channel uint16
	intake  *intake
	next    *thing  // the tap that has taken the place of this one
	decoder decoder // Receive's
	marks   *marks

	ackMu   sync.Mutex
	acks    *ackRuns
	out     []byte
	flushed time.Time   // when acknowledgements were last sent
	later   *time.Timer // sends what waits; nil while nothing does
	closed  bool
	over    chan struct{} // closed by Close
	settled chan struct{} // had by whoever asks whether acknowledgements have been read

	asking asking
}

const (
	// ackPause is how far apart acknowledgements go out. A quorum queue's channel
	// keeps no more than 32 of them on their way and drops the others when it
	// ends, so few and large ones come again least often.
	ackPause = time.Millisecond
	// ackGrace is how long Close leaves a queue for acting on acknowledgements:
	// nothing in AMQP tells when it has.
	ackGrace = 250 * time.Millisecond
)

var (
	_ bridge.Source     = (*queueSource)(nil)
	_ bridge.Backlogger = (*queueSource)(nil)
	_ bridge.Settler    = (*queueSource)(nil)
)

// openQueue subscribes to a queue that is there.
func (o *sourceOpener) openQueue(n *session, queue, incarnation string) (*queueSource, error) {
	s := &queueSource{
		session: n, queue: queue, intake: newIntake(), acks: newAckRuns(), over: make(chan struct{}), settled: make(chan struct{}, 1), marks: newMarks(n),
		decoder: decoder{origin: &bridge.Stream{System: Kind, Cluster: n.broker.origin, Name: queue, Incarnation: incarnation}, counts: time.Now},
	}
	s.intake.limit(o.overflowed)
	ch, id, err := n.channel(s.intake)
	if err != nil {
		return nil, setupError("subscribe to "+queue, err)
	}
	s.channel = id
	n.watch(ch, s.intake.end)
	if err := ch.Qos(o.prefetch(), 0, false); err != nil {
		return nil, setupError("prefetch on "+queue, err)
	}
	if _, err := ch.Consume(queue, "crossfade", false, false, false, false, amqp.Table{}); err != nil {
		return nil, setupError("subscribe to "+queue, err)
	}
	n.start(func() { s.watchHeld(o.system.settings.UnackedTimeout) })
	return s, nil
}

// Receive gives what has been delivered, as the contract says.
func (s *queueSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, nil
	}
	for {
		s.marks.enter(s.marks.come, s.intake)
		batch, err := s.intake.next(ctx, len(into))
		if err != nil {
			return 0, err
		}
		n := 0
		for i := range batch {
			if s.marks.pass(&batch[i]) {
				s.settle(batch[i].tag)
				continue
			}
			s.decoder.decode(&batch[i], batch[i].tag, &into[n])
			into[n].Receipt = bridge.Receipt{Seq: batch[i].tag, Ref: s}
			n++
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Ack acknowledges deliveries of this session. // I1
func (s *queueSource) Ack(_ context.Context, receipts []bridge.Receipt) error {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	if err := s.intake.failure(); err != nil {
		return err
	}
	for i := range receipts {
		if receipts[i].Ref == s {
			s.acks.add(receipts[i].Seq)
		}
	}
	return s.sendInTime()
}

// settle acknowledges what is given to nobody.
func (s *queueSource) settle(tag uint64) {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	s.acks.add(tag)
	_ = s.sendInTime() // a failure ends the session by itself
}

// sendInTime sends what waits, now or soon. The caller holds ackMu.
func (s *queueSource) sendInTime() error {
	if s.later != nil {
		return nil
	}
	if wait := ackPause - time.Since(s.flushed); wait > 0 {
		s.later = time.AfterFunc(wait, s.sendLater)
		return nil
	}
	return s.sendAcks()
}

func (s *queueSource) sendLater() {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	if s.later = nil; !s.closed {
		_ = s.sendAcks() // a failure ends the session by itself
	}
}

// sendAcks writes what waits. The caller holds ackMu.
func (s *queueSource) sendAcks() error {
	s.out = s.out[:0]
	s.acks.flush(s.intake.delivered(), func(tag uint64, multiple bool) {
		s.out = appendAck(s.out, s.channel, tag, multiple)
	})
	if len(s.out) == 0 {
		return nil
	}
	s.flushed = time.Now()
	if _, err := s.session.sock.push(s.out); err != nil {
		return s.session.why(err)
	}
	return nil
}

// Settled is as bridge.Settler says. The broker reads a connection in order, and opening a
// channel asks no queue, which may be busy.
func (s *queueSource) Settled(ctx context.Context) error {
	s.ackMu.Lock()
	err := s.sendAcks()
	s.ackMu.Unlock()
	if err != nil {
		return err
	}
	_, err = inTurn(ctx, s.session, s.settled, func() (struct{}, error) {
		return struct{}{}, s.session.do(func(*amqp.Channel) error { return nil })
	})
	return err
}

// Backlog counts what the queue has ready and what is delivered to us, and what the
// tap behind it has.
func (s *queueSource) Backlog(ctx context.Context) (bridge.Backlog, error) {
	return s.asking.ask(ctx, s.session, func(ctx context.Context) (bridge.Backlog, error) {
		state, err := s.session.passive(s.queue)
		if err != nil {
			return bridge.Backlog{}, runError("backlog of "+s.queue, err)
		}
		delivered := s.intake.delivered()
		s.ackMu.Lock()
		held := int64(delivered) - int64(s.acks.sent) - int64(len(s.acks.tags))
		s.ackMu.Unlock()
		waits := bridge.Backlog{Messages: int64(state.Messages) + max(0, held), Bound: s.marks.any(), Bytes: -1}
		return s.session.behind(ctx, s.next, waits)
	})
}

// atEnd says that the queue is empty and all that came of it is acknowledged.
func (s *queueSource) atEnd(context.Context) (bool, error) {
	if s.held() {
		return false, nil
	}
	state, err := s.session.passive(s.queue)
	return err == nil && state.Messages == 0 && !s.held(), err
}

// held says that something was delivered and not acknowledged.
func (s *queueSource) held() bool {
	delivered := s.intake.delivered()
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	return s.acks.floor < delivered || len(s.acks.tags) > 0
}

// Close gives the un-acknowledged back by ending the connection: the queue puts
// them in front again, in order. Nothing is requeued one by one.
func (s *queueSource) Close() error {
	s.intake.end(bridge.ErrClosed)
	s.ackMu.Lock()
	first := !s.closed
	if s.closed = true; first {
		close(s.over)
	}
	if s.later != nil {
		s.later.Stop()
	}
	err := s.sendAcks()
	grace := ackGrace - time.Since(s.flushed)
	s.ackMu.Unlock()
	if first && err == nil && grace > 0 {
		time.Sleep(grace)
	}
	s.marks.close()
	return nil
}
