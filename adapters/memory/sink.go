package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A SinkOpener opens sessions with one stream.
type SinkOpener struct {
	broker *Broker
	id     string
	config SinkConfig
}

// Traits are those of the configuration.
func (o *SinkOpener) Traits() bridge.SinkTraits {
	c := &o.config
	return bridge.SinkTraits{
		Durable: true, Fence: c.Fence, Survives: c.Survives, Recall: c.Recall,
		Suppresses: c.Suppresses, MaxBody: c.MaxBody, Lanes: c.Lanes, Routed: c.Routed,
		Notes: []string{"Everything lives in the process and ends with it."},
	}
}

// Describe names the target.
func (o *SinkOpener) Describe() string { return "stream " + o.config.Stream + " in memory" }

// Check looks whether the stream is there.
func (o *SinkOpener) Check(ctx context.Context) []bridge.Finding {
	return o.broker.checkStream(ctx, o.config.Stream)
}

// Open connects.
func (o *SinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	s, err := o.broker.lookup(ctx, o.config.Stream)
	if err != nil {
		return nil, err
	}
	opened := &sink{broker: o.broker, stream: s, origin: s.origin, id: o.id, config: o.config}
	if o.config.Routed {
		return routedSink{opened, s.Partitions()}, nil
	}
	return opened, nil
}

type laneID struct {
	relay string
	lane  int
}

// A laneState is what the broker remembers of a lane. The stream's mutex guards
// it.
type laneState struct {
	id       laneID
	last     uint64 // where the lane's newest message is
	epoch    int
	sessions map[*lane]struct{}
}

type sink struct {
	broker *Broker
	origin *bridge.Stream // of what comes from the stream
	stream *Stream        // guarded by mu
	id     string
	config SinkConfig
	mu     sync.Mutex
	closed bool
}

// Open begins a session of a lane. An earlier one is left alone, as that of
// another process would be: the fence has to hold it off.
func (s *sink) Open(ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	st, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	id := laneID{s.id, number}
	state := st.lanes[id]
	if state == nil {
		state = &laneState{id: id, sessions: map[*lane]struct{}{}}
		st.lanes[id] = state
	}
	state.epoch++
	l := &lane{
		stream: st, state: state, config: &s.config, settled: settled,
		last: state.last, epoch: state.epoch, cut: make(chan struct{}),
	}
	state.sessions[l] = struct{}{}
	if s.config.Latency > 0 {
		l.start()
	}
	return l, nil
}

// current looks for the stream anew, since it may have been made again.
func (s *sink) current(ctx context.Context) (*Stream, error) {
	st, err := s.broker.lookup(ctx, s.config.Stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, bridge.ErrClosed
	case err != nil:
		return nil, err
	}
	s.stream = st
	return st, nil
}

// opened is the stream of the newest lane.
func (s *sink) opened() *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream
}

// Close is as bridge.Sink says.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Recall is as bridge.Recaller says.
func (s *sink) Recall(ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, p := range s.newest(number, min(n, s.config.Recall)) {
		if !each(p) {
			break
		}
	}
	return nil
}

// newest gives the newest n messages of a lane, the newest first.
func (s *sink) newest(number, n int) []bridge.Placed {
	st := s.opened()
	st.mu.Lock()
	defer st.mu.Unlock()
	var placed []bridge.Placed
	state := st.lanes[laneID{s.id, number}]
	if state == nil {
		return nil
	}
	for p := st.log.last; p >= st.log.first && len(placed) < n; p-- {
		if e := st.log.at(p); e.lane == state {
			placed = append(placed, bridge.Placed{ID: e.ID, Key: e.Key, Position: p, Origin: e.Origin})
		}
	}
	return placed
}

// Locate is as bridge.Locator says. It reads back from the newest.
func (s *sink) Locate(ctx context.Context, key string, id bridge.ID) (uint64, bool, error) {
	if ctx.Err() != nil {
		return 0, false, context.Cause(ctx)
	}
	st := s.opened()
	st.mu.Lock()
	defer st.mu.Unlock()
	for p := st.log.last; p >= st.log.first; p-- {
		e := st.log.at(p)
		if e.ID == id && (e.Key == key || id.Scope == bridge.ScopeGlobal) {
			return p, true, nil
		}
	}
	return 0, false, nil
}

// A lane is a session. The stream's mutex guards last, epoch and ended.
type lane struct {
	stream     *Stream
	state      *laneState
	config     *SinkConfig
	settled    bridge.Settled
	placements []bridge.Placement // of the Send under way

	last  uint64 // what this session believes the lane's newest message to be
	epoch int
	ended error         // set once, before cut is closed
	told  bool          // Send has returned what ended the lane
	cut   chan struct{} // closed when the session ends

	answers   *answers   // nil without latency
	answering sync.Mutex // held while Send calls settled, which does not block
}

// end ends the session for that cause, unless it has ended. The stream's mutex
// is held.
func (l *lane) end(cause error) {
	if l.ended == nil {
		l.ended = cause
		delete(l.state.sessions, l)
		close(l.cut)
	}
}

// Send is as bridge.Lane says.
func (l *lane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	for sent := 0; sent < len(msgs); {
		room := len(msgs) - sent
		if l.answers != nil {
			var err error
			if room, err = l.answers.room(ctx, room); err != nil {
				return sent, l.fail(err)
			}
		}
		n, err := l.place(ctx, msgs[sent:sent+room])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return len(msgs), nil
}

// fail ends the session for that cause, and gives what ended it for Send to
// return.
func (l *lane) fail(cause error) error {
	l.stream.mu.Lock()
	defer l.stream.mu.Unlock()
	l.end(cause)
	l.told = true
	return l.ended
}

// place stores messages and settles them, or has them settled later.
func (l *lane) place(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if ctx.Err() != nil {
		return 0, l.fail(context.Cause(ctx))
	}
	n, err := l.store(msgs)
	if l.answers != nil {
		l.answers.add(l.placements)
	} else if n > 0 {
		l.answer(n)
	}
	return n, err
}

// answer settles what has just been stored, unless the lane has been closed.
func (l *lane) answer(n int) {
	l.answering.Lock()
	defer l.answering.Unlock()
	select {
	case <-l.cut:
	default:
		l.settled(n, l.placements, nil)
	}
}

// store puts msgs into the stream up to the first that is refused. Any error
// but a Reject has ended the session.
func (l *lane) store(msgs []*bridge.Message) (int, error) {
	st := l.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	l.placements = l.placements[:0]
	if l.ended == nil {
		if err := l.fenced(); err != nil {
			l.end(err)
		}
	}
	if l.ended != nil {
		l.told = true
		return 0, l.ended
	}
	defer st.wake()
	now := time.Time{}
	if l.config.Suppresses > 0 {
		now = time.Now()
	}
	n := 0
	for _, m := range msgs {
		p := bridge.Placement{}
		if err := l.rerouted(m); err != nil {
			l.end(err)
			l.told = true
			return n, err
		}
		if limit := l.config.MaxBody; limit > 0 && len(m.Body) > limit {
			p.Refused = bridge.Reject(bridge.ReasonOversized,
				fmt.Errorf("%s: stream %s: body of %d octets, at most %d are taken", Kind, st.config.Name, len(m.Body), limit))
			if l.config.Survives == bridge.SurvivesPrefix {
				return n, p.Refused
			}
		} else if p.Position = st.repeat(m, now, l.config.Suppresses); p.Position > 0 {
			p.Repeat = true
		} else {
			st.store(m, l.state).Via = m.AppendVia(l.state.id.relay)
			p.Position = st.log.last
			l.last, l.state.last = p.Position, p.Position
		}
		l.placements = append(l.placements, p)
		n++
	}
	return n, nil
}

// fenced is an error if a later session has the lane. The stream's mutex is
// held.
func (l *lane) fenced() error {
	if bridge.Planted(bridge.BugFenceOff) {
		return nil
	}
	switch name := l.stream.config.Name; {
	case l.config.Fence == bridge.FenceExpect && l.last != l.state.last: // I6
		return fmt.Errorf("%s: stream %s: lane %d: expected last position %d, found %d: another session writes to this lane",
			Kind, name, l.state.id.lane, l.last, l.state.last)
	case l.config.Fence == bridge.FenceEpoch && l.epoch != l.state.epoch: // I6
		return fmt.Errorf("%s: stream %s: lane %d: epoch %d is over, %d has begun: another session has this lane",
			Kind, name, l.state.id.lane, l.epoch, l.state.epoch)
	}
	return nil
}

// repeat gives the position of a message with the same ID that was stored within
// the window, or notes that m is about to be stored and gives 0.
func (s *Stream) repeat(m *bridge.Message, now time.Time, window time.Duration) uint64 {
	if window == 0 || !m.ID.Suppresses() { // I4
		return 0
	}
	id := string(m.ID.AppendNative(nil, m.Key))
	if old, ok := s.seen[id]; ok && now.Sub(old.at) < window {
		return old.position
	}
	if s.seen == nil {
		s.seen = map[string]seen{}
	}
	if len(s.seen) >= s.sweep {
		for id, old := range s.seen {
			if now.Sub(old.at) >= window {
				delete(s.seen, id)
			}
		}
		s.sweep = 2*len(s.seen) + 1024
	}
	s.seen[id] = seen{s.log.last + 1, now}
	return 0
}

// Close is as bridge.Lane says.
func (l *lane) Close() error {
	_ = l.fail(bridge.ErrClosed) // what ended it before is nobody's concern now
	if l.answers != nil {
		<-l.answers.ended
	}
	l.answering.Lock() // until a settled under way has returned
	defer l.answering.Unlock()
	return nil
}
