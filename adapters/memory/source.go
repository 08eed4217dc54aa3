package memory

import (
	"context"
	"errors"
	"io"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A SourceOpener opens sessions of one tap of a stream.
type SourceOpener struct {
	broker   *Broker
	identity bridge.Identity
	id       string
	config   SourceConfig
}

// Traits are those of the configuration; a tap of a stream promises all else.
func (o *SourceOpener) Traits() bridge.SourceTraits {
	return bridge.SourceTraits{
		Ordered: true, Durable: true, Replayable: true, SourceTime: true,
		Unacked: o.config.Unacked, Slack: o.config.Slack, Journals: true, Sharded: o.config.Turn > 0,
		Notes: []string{"Everything lives in the process and ends with it."},
	}
}

// Describe names the tap.
func (o *SourceOpener) Describe() string { return "stream " + o.config.Stream + " in memory" }

// Check looks whether the stream is there.
func (o *SourceOpener) Check(ctx context.Context) []bridge.Finding {
	return o.broker.checkStream(ctx, o.config.Stream)
}

// Open begins a session and ends the tap's previous one.
func (o *SourceOpener) Open(ctx context.Context) (bridge.Source, error) {
	s, err := o.broker.lookup(ctx, o.config.Stream)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.taps[o.id]
	if t == nil {
		first, err := s.first(&o.config.Start)
		if err != nil {
			return nil, err
		}
		t = &tap{stream: s, id: o.identity, acked: newSet(first)}
		s.taps[o.id] = t
	}
	t.slack = o.config.Slack
	t.session.end(errTaken)
	t.session = &source{
		tap: t, unacked: o.config.Unacked,
		old:  t.delivered,
		wake: make(chan struct{}, 1),
	}
	t.session.begin(t.acked.next(0), o.config.Turn)
	return t.session, nil
}

// A tap is what the broker remembers of a subscription. The stream's mutex
// guards it.
type tap struct {
	stream    *Stream
	id        bridge.Identity
	acked     set
	delivered uint64 // the newest position ever delivered
	slack     int
	recent    []uint64 // the latest acknowledgements, a ring of slack
	oldest    int
	session   *source
	sessions  int // so far
}

// needs is the oldest position that a session may still ask for.
func (t *tap) needs() uint64 {
	p := t.acked.next(0)
	for _, r := range t.recent {
		p = min(p, r)
	}
	return p
}

func (t *tap) ack(pos uint64) bool {
	if !t.acked.add(pos) {
		return false
	}
	switch {
	case t.slack == 0:
	case len(t.recent) < t.slack:
		t.recent = append(t.recent, pos)
	default:
		t.recent[t.oldest] = pos
		t.oldest = (t.oldest + 1) % t.slack
	}
	return true
}

// forget takes back the acknowledgements that a restart loses.
func (t *tap) forget() {
	for _, pos := range t.recent {
		t.acked.remove(pos)
	}
	t.recent, t.oldest = t.recent[:0], 0
}

// A source is a session of a tap. The stream's mutex guards it, but for wake.
type source struct {
	tap     *tap
	unacked int
	cursors []uint64 // by shard, the next position to look at; one for all without turns
	at      int      // the shard whose turn it is
	turn    int      // how many messages a turn is; 0 without turns
	left    int      // of the turn
	first   []uint64 // by shard, up to where it comes before all turns; 0 is no further
	old     uint64   // up to here earlier sessions have delivered
	given   uint64   // nothing below waited when Receive was called last
	out     int      // delivered and not acknowledged
	waiting bool
	ended   error
	wake    chan struct{}
}

// end ends the session for that cause, unless it has ended.
func (s *source) end(cause error) {
	if s == nil || s.ended != nil {
		return
	}
	s.ended = cause
	s.wakeUp()
}

func (s *source) wakeUp() {
	if s != nil && s.waiting {
		s.waiting = false
		s.wake <- struct{}{} // has room: only one who waits is woken
	}
}

// Receive is as bridge.Source says.
func (s *source) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, errors.New("memory: receive: no room for a delivery was given")
	}
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := s.take(into)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.quit()
			return 0, context.Cause(ctx)
		}
	}
}

// Hold is as bridge.Holder says.
func (s *source) Hold(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	return s.ended
}

// quit stops waiting.
func (s *source) quit() {
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	s.waiting = false
	select {
	case <-s.wake:
	default:
	}
}

// take gives what is there now; nothing and no error means to wait.
func (s *source) take(into []bridge.Delivery) (int, error) {
	t, st := s.tap, s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.ended != nil {
		return 0, s.ended
	}
	s.given = s.passed()
	room := len(into)
	if s.unacked > 0 {
		room = min(room, s.unacked-s.out)
	}
	n := 0
	for n < room {
		pos, ok := s.pick()
		if !ok {
			break
		}
		e, d := st.log.at(pos), &into[n]
		d.Message = e.Message
		d.Stored = bridge.Origin{Stream: st.origin, Shard: e.shard, Offset: pos}
		if d.Origin.Stream == nil {
			d.Origin = d.Stored
		}
		d.Receipt = bridge.Receipt{Shard: e.shard, Seq: pos, Ref: s}
		d.Redelivered = pos <= s.old
		t.delivered = max(t.delivered, pos)
		n++
	}
	s.out += n
	if n == 0 && st.ended && t.acked.next(0) > st.log.last {
		return 0, io.EOF // the session holds the tap until it is closed
	}
	s.waiting = n == 0
	return n, nil
}

// Ack is as bridge.Source says. Receipts of another session mean nothing.
func (s *source) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	for i := range receipts {
		r := &receipts[i]
		if r.Ref == any(s) && s.delivered(r) && s.tap.ack(r.Seq) {
			s.out--
		}
	}
	if s.unacked > 0 || st.ended {
		s.wakeUp()
	}
	st.trim()
	return nil
}

// Backlog is as bridge.Backlogger says.
func (s *source) Backlog(ctx context.Context) (bridge.Backlog, error) {
	if ctx.Err() != nil {
		return bridge.Backlog{}, context.Cause(ctx)
	}
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.ended != nil {
		return bridge.Backlog{}, s.ended
	}
	b := bridge.Backlog{Bytes: -1}
	first := s.tap.acked.next(0)
	b.Messages = int64(st.log.last+1) - int64(first) - int64(s.tap.acked.from(first))
	if b.Messages > 0 {
		b.Oldest = st.log.at(first).Time
	}
	return b, nil
}

// Mark is as bridge.Backlogger says.
func (s *source) Mark(ctx context.Context) (given func() bool, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.ended != nil {
		return nil, s.ended
	}
	last := st.log.last
	return func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return s.given > last
	}, nil
}

// Close ends the session; what it did not acknowledge waits for the next one.
func (s *source) Close() error {
	st := s.tap.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	s.end(bridge.ErrClosed)
	s.ended = bridge.ErrClosed
	return nil
}
