package rabbitmq

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A streamSource reads a stream tap and keeps its own position. Its receipts refer
// to it, since tickets begin anew in every session.
type streamSource struct {
	session  *session
	reader   *streamReader
	decoder  decoder // Receive's
	expected uint64  // the next offset; Receive's
	next     *thing  // the tap that has taken the place of this one
	anew     string  // how an operator begins anew
	marks    *marks
	passed   int // how many marks were passed over; Receive's

	mu  sync.Mutex
	pos positions

	ackMu   sync.Mutex
	offsets *offsets // Ack's

	asking asking
}

var (
	_ bridge.Source     = (*streamSource)(nil)
	_ bridge.Backlogger = (*streamSource)(nil)
)

// openStream reads a stream on behind the last checkpoint, which is kept in another.
func (o *sourceOpener) openStream(ctx context.Context, n *session, t tapStream) (*streamSource, error) {
	var s *streamSource
	err := o.system.setUp(ctx, o.id.String()+" offsets of "+o.Describe(), func(ctx context.Context, keeper *session) (err error) {
		s, err = o.resume(ctx, n, keeper, t)
		return err
	})
	if err != nil { // the outer session is closed by the caller, and the reader with it
		return nil, err
	}
	return s, nil
}

func (o *sourceOpener) resume(ctx context.Context, n, keeper *session, t tapStream) (*streamSource, error) {
	p, err := o.openTapOffsets(ctx, n, keeper, t)
	if err != nil {
		return nil, err
	}
	s := &streamSource{
		session: n, expected: p.positions.next, offsets: p, pos: p.positions, marks: newMarks(n),
		anew:    o.anew("Delete the tap and its offsets stream to begin anew."),
		decoder: decoder{origin: &bridge.Stream{System: Kind, Cluster: n.broker.origin, Name: t.name, Incarnation: p.incarnation, Replayable: true}},
	}
	if s.reader, err = n.readStream(t.name, int64(p.positions.next), o.prefetch()); err != nil {
		return nil, err
	}
	s.reader.intake.limit(o.overflowed)
	return s, nil
}

// openTapOffsets makes sure that tap and offsets are both there or both new. A tap
// is bound only after its first position is durable, so that nothing can come
// before that.
func (o *sourceOpener) openTapOffsets(ctx context.Context, n, keeper *session, t tapStream) (*offsets, error) {
	if o.settings.Shared != "" {
		return o.openSharedOffsets(ctx, n, keeper, t)
	}
	tap, stream := t.name, t.offsets
	_, tapErr := n.passive(tap)
	if tapErr != nil && (!missing(tapErr) || o.settings.Stream != "") {
		return nil, setupError(o.Describe(), tapErr)
	}
	if _, err := n.passive(stream); tapErr == nil && missing(err) && o.settings.Stream == "" {
		return nil, bridge.Fatal(fmt.Errorf("rabbitmq: tap %s is there, but its offsets stream %s is gone: nobody knows what has been read", tap, stream),
			"Delete the tap too, to begin anew: what it holds is then not copied.")
	}
	p, err := o.openOffsets(ctx, keeper, stream, tap, "")
	if err != nil {
		return nil, err
	}
	switch {
	case p.created && tapErr != nil:
		return nil, bridge.Fatal(fmt.Errorf("rabbitmq: tap %s is gone, with all from offset %d on", tap, p.positions.next),
			"Delete "+stream+" too, to begin anew: what was published in between is not copied.")
	case p.created:
		return p, o.notRemade(ctx, n, p, tap, stream)
	case o.settings.Stream != "":
		next, err := o.beginning(ctx, n)
		if err != nil {
			return nil, err
		}
		return p, p.begin(ctx, next)
	}
	if _, err := o.system.makeNoted(ctx, n, o.id, o.newTap(), tapArguments(&o.settings, "", n.broker)); err != nil {
		return nil, err
	}
	return p, p.begin(ctx, 0)
}

// notRemade makes sure that the stream has not been deleted and made again: the
// broker would wait for the offset to come, in silence.
func (o *sourceOpener) notRemade(ctx context.Context, n *session, p *offsets, tap, stream string) error {
	next := p.positions.next
	if next == 0 {
		return nil
	}
	last, empty, calm, err := n.tailUntil(ctx, tap, n.broker.emptyPatience(), next-1)
	switch {
	case err != nil:
		return err
	case !calm && last+1 < next:
		return fmt.Errorf("rabbitmq: the end of stream %s, where messages come all the time, was not found within %v: at %d it is before offset %d", tap, tailMost, last, next)
	case empty || last+1 < next:
		return bridge.Fatal(fmt.Errorf("rabbitmq: stream %s ends before offset %d, which has been read already: it was deleted and made again", tap, next),
			o.anew("Delete "+stream+" to begin anew with the new stream."))
	}
	return nil
}

// Receive gives what has come, as the contract says.
func (s *streamSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, nil
	}
	for {
		s.marks.enter(s.come(), s.reader.intake)
		batch, err := s.reader.next(ctx, len(into))
		if err != nil {
			return 0, err
		}
		n := 0
		for i := range batch {
			taken, err := s.take(ctx, &batch[i], &into[n])
			if err != nil {
				s.reader.intake.end(err)
				return 0, err
			}
			if taken {
				n++
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// take decodes one message, unless an earlier session has acknowledged it, and
// makes sure that none is missing before it.
func (s *streamSource) take(ctx context.Context, d *delivery, into *bridge.Delivery) (bool, error) {
	offset, err := offsetOf(d)
	if err != nil {
		return false, err
	}
	if offset > s.expected+1 {
		if err := s.gap(ctx, offset); err != nil {
			return false, err
		}
	}
	s.expected = offset + 1
	if s.marks.pass(d) {
		s.pass(offset)
		return false, nil
	}
	s.mu.Lock()
	skip := s.pos.skips(offset)
	ticket := s.pos.start(offset, skip)
	s.mu.Unlock()
	if skip {
		return false, nil
	}
	s.decoder.decode(d, offset, into)
	into.Receipt = bridge.Receipt{Seq: ticket, Ref: s}
	return true, nil
}

// gap tells a cut-off from the offsets that a stream spends on its own entries:
// messages are missing only if the oldest kept one is beyond the next expected
// by more than one. The broker says nothing of it.
func (s *streamSource) gap(ctx context.Context, offset uint64) error {
	first, err := s.session.first(ctx, s.reader.stream)
	if err != nil {
		return err
	}
	if first <= s.expected+1 {
		return nil
	}
	return bridge.Fatal(fmt.Errorf("rabbitmq: gap: %s was cut off before offset %d, and %d to %d had not been read (the next is %d)",
		s.reader.stream, first, s.expected, first-1, offset),
		"The stream's bounds were reached: raise max_bytes or max_age. "+s.anew+" Count the messages between as lost to this relay.")
}

// Ack moves the checkpoint behind the messages below which all are
// acknowledged, and notes those ahead of it, with one durable write for the
// call. // I1
func (s *streamSource) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	s.mu.Lock()
	for i := range receipts {
		if receipts[i].Ref == s {
			s.pos.done(receipts[i].Seq)
		}
	}
	dirty, record := s.pos.dirty, ""
	if dirty {
		record = s.pos.record()
	}
	s.pos.dirty = false
	s.mu.Unlock()
	if err := s.reader.intake.failure(); err != nil || !dirty {
		return err
	}
	if err := s.offsets.save(ctx, record); err != nil {
		s.reader.intake.end(err)
		return err
	}
	return nil
}

// Backlog is counted in offsets, of which the stream spends some on its own
// entries, so it is a bound.
func (s *streamSource) Backlog(ctx context.Context) (bridge.Backlog, error) {
	return s.asking.ask(ctx, s.session, func(ctx context.Context) (bridge.Backlog, error) {
		waits := bridge.Backlog{Bytes: -1}
		last, empty, _, err := s.session.tailUntil(ctx, s.reader.stream, 200*time.Millisecond, 0)
		if err != nil {
			return waits, err
		}
		s.mu.Lock()
		next := s.pos.next
		s.mu.Unlock()
		if !empty && last >= next {
			waits = bridge.Backlog{Messages: int64(min(last+1-next, math.MaxInt64)), Bound: true, Bytes: -1}
		}
		return s.session.behind(ctx, s.next, waits)
	})
}

// atEnd says that all of the stream has been acknowledged.
func (s *streamSource) atEnd(ctx context.Context) (bool, error) {
	s.mu.Lock()
	next := s.pos.next
	s.mu.Unlock()
	last, empty, calm, err := s.session.tailUntil(ctx, s.reader.stream, 200*time.Millisecond, next)
	if err != nil || empty || !calm {
		return empty && err == nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return last < s.pos.next && len(s.pos.entries) == 0, nil
}

// Close ends both connections.
func (s *streamSource) Close() error {
	s.reader.intake.end(bridge.ErrClosed)
	s.marks.close()
	s.offsets.log.close()
	return nil
}
