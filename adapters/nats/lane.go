package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// maxHeader is the largest header block that JetStream stores.
	maxHeader = 1<<16 - 1
	// maxLine is the longest line of the protocol that a server takes from a
	// client by default (max_control_line); it holds subject and reply subject.
	maxLine = 4096
)

// A lane is a session with a stream. Send publishes and never waits but for room
// in the window; the answers come to an inbox of the lane's own, each to the
// number of its message, and one goroutine settles the confirmed prefix.
//
//	Send ──► n, n+1, … ──► stream ──► inbox.n ──► answers ──► slots ──► settled
//	  ▲                                                         │
//	  └──────────────────────── room ◄──────────────────────────┘
type lane struct {
	conn    *connection
	cfg     *SinkConfig
	encoder *encoder
	target  target
	settled bridge.Settled
	inbox   string
	answers chan *nats.Msg
	room    chan struct{}
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
	once    sync.Once

	sent    atomic.Uint64 // messages published; written by Send
	settle  atomic.Uint64 // messages reported; written by the goroutine
	chain   *chain        // Send's; nil if the stream is shared or consumed
	reply   []byte        // Send's
	sendErr error         // Send's: why the lane has ended

	failed atomic.Pointer[error] // the goroutine's: why the lane has ended
	doomed error                 // the goroutine's: a message was refused, so all behind it is
	slots  []slot                // the goroutine's: answers by number, a ring
	newest uint64                // the goroutine's: the position of the newest message placed
	places []bridge.Placement    // the goroutine's
}

// errRepeat says why a lane ends behind a repeat: the stream did not store it, so
// what was sent behind it names a sequence that is not there and is refused.
var errRepeat = errors.New("the stream knew a message already and dropped the repeat; what was sent behind it is refused and sent again")

// doomedFor is how long a lane waits for answers in front of a refusal: in a
// cluster a refusal is faster than a confirmation, and a change of leader loses
// some answers for good.
const doomedFor = 400 * time.Millisecond

// A slot is the answer to one message.
type slot struct {
	known bool
	place bridge.Placement
	err   error
}

func startLane(conn *connection, cfg *SinkConfig, id bridge.Identity, t target, settled bridge.Settled) (*lane, error) {
	l := &lane{
		conn: conn, cfg: cfg, encoder: newEncoder(id, cfg.template), target: t, settled: settled,
		inbox: conn.NewInbox() + ".", answers: make(chan *nats.Msg, cfg.Window+64),
		room: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		slots: make([]slot, cfg.Window), newest: t.last,
	}
	if cfg.fenced() && !bridge.Planted(bridge.BugFenceOff) {
		l.chain = &chain{session: nuid.Next(), seq: t.last}
	}
	if _, err := conn.ChanSubscribe(l.inbox+"*", l.answers); err != nil {
		return nil, fmt.Errorf("%s: %s: inbox: %w", Kind, conn.system.name, err)
	}
	go l.listen()
	return l, nil
}

// Send is as bridge.Lane says.
func (l *lane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if ctx.Err() != nil && l.sendErr == nil {
		l.sendErr = context.Cause(ctx)
	}
	for i, m := range msgs {
		if err := l.waitForRoom(ctx); err != nil {
			l.sendErr = err
			return i, err
		}
		out, err := l.prepare(m)
		if errors.As(err, new(settingsError)) {
			if out, err = l.prepareAnew(ctx, m, err); l.sendErr != nil {
				return i, l.over()
			}
		}
		if err != nil {
			return i, err
		}
		// Counted before it is published, since the answer may be faster.
		n := l.sent.Add(1)
		out.Reply = l.replyTo(n - 1)
		if err := l.conn.PublishMsg(out); err != nil {
			l.sendErr = l.conn.failed(ctx, "stream "+l.cfg.Stream+": publish", err)
			return i, l.over()
		}
		if l.chain != nil {
			l.chain.extend(l.encoder)
		}
	}
	return len(msgs), nil
}

// over says why the lane has ended, nil if it has not.
func (l *lane) over() error {
	select {
	case <-l.stop:
		return bridge.ErrClosed
	default:
	}
	if err := l.failed.Load(); err != nil {
		return ended(*err)
	}
	return l.sendErr
}

// waitForRoom waits while the window is full, and finds out that the lane ended.
func (l *lane) waitForRoom(ctx context.Context) error {
	for {
		if err := l.over(); err != nil {
			return err
		}
		if l.sent.Load()-l.settle.Load() < uint64(len(l.slots)) {
			return nil
		}
		select {
		case <-l.room:
		case <-l.stop:
			return bridge.ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended says that the lane has ended for a cause that was reported before; a
// Reject was about the message that it was reported for, not about this one.
func ended(cause error) error {
	if bridge.ClassOf(cause) == bridge.Rejected {
		return fmt.Errorf("%s: the lane has ended: %s", Kind, cause.Error())
	}
	return cause
}

// A settingsError says which of the stream's settings does not take a message.
type settingsError string

func (e settingsError) Error() string { return string(e) }

// prepareAnew is prepare with the settings that the stream has now: what they refused
// when the lane was opened an operator may have mended since.
func (l *lane) prepareAnew(ctx context.Context, m *bridge.Message, refused error) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.AckTimeout)
	defer cancel()
	stream, err := l.conn.js.Stream(ctx, l.cfg.Stream)
	if err != nil {
		l.sendErr = l.conn.failed(ctx, "stream "+l.cfg.Stream, err)
		return nil, refused
	}
	l.target.learn(&stream.CachedInfo().Config, l.cfg)
	return l.prepare(m)
}

// prepare encodes m and refuses what the server would not take.
func (l *lane) prepare(m *bridge.Message) (*nats.Msg, error) {
	out, err := l.encoder.encode(m, l.chain)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", l.cfg.Stream, err)
	}
	head := l.encoder.headerSize()
	size := head + len(out.Data)
	reject := func(reason bridge.Reason, format string, args ...any) (*nats.Msg, error) {
		return nil, bridge.Reject(reason, fmt.Errorf("stream %s: %s", l.cfg.Stream, fmt.Sprintf(format, args...)))
	}
	settings := func(reason bridge.Reason, format string, args ...any) (*nats.Msg, error) {
		return nil, bridge.Reject(reason, fmt.Errorf("stream %s: %w", l.cfg.Stream, settingsError(fmt.Sprintf(format, args...))))
	}
	switch most := int(l.conn.MaxPayload()); {
	case size > most:
		return reject(bridge.ReasonOversized, "body and headers of %d octets, the server takes %d (max_payload)", size, most)
	case l.target.maxMsg > 0 && size > l.target.maxMsg:
		return settings(bridge.ReasonOversized, "body and headers of %d octets, the stream takes %d (max_msg_size)", size, l.target.maxMsg)
	case head > maxHeader:
		return reject(bridge.ReasonOversized, "headers of %d octets, JetStream takes %d", head, maxHeader)
	case len(out.Subject)+len(l.inbox)+64 > maxLine:
		return reject(bridge.ReasonName, "a subject of %d octets does not fit into the server's max_control_line", len(out.Subject))
	case l.target.subjects != nil && !matchesAny(l.target.subjects, out.Subject):
		return settings(bridge.ReasonUnroutable, "subject %q is not among the stream's subjects %s", bridge.Printable(out.Subject, 80), strings.Join(l.target.subjects, ", "))
	}
	return out, nil
}

// replyTo is the subject at which the answer to message n is awaited.
func (l *lane) replyTo(n uint64) string {
	l.reply = append(l.reply[:0], l.inbox...)
	return string(strconv.AppendUint(l.reply, n, 36))
}

// Close is as bridge.Lane says.
func (l *lane) Close() error {
	l.once.Do(func() {
		close(l.stop)
		<-l.done
		l.conn.Close()
	})
	return nil
}

// listen settles until the lane fails or is closed.
func (l *lane) listen() {
	defer close(l.done)
	patience := time.NewTicker(min(max(l.cfg.AckTimeout/8, time.Millisecond), doomedFor/4))
	defer patience.Stop()
	seen, since := uint64(0), time.Now()
	var err error
	for err == nil {
		select {
		case m := <-l.answers:
			err = l.take(m)
		case <-l.conn.lost:
			err = l.conn.cause()
		case <-l.conn.broken:
			err = l.conn.cause()
		case <-l.stop:
			return
		case now := <-patience.C:
			n := l.settle.Load()
			switch quiet := now.Sub(since); {
			case n != seen, n == l.sent.Load():
				seen, since = n, now
			case l.doomed != nil && quiet >= doomedFor:
				err = ended(l.doomed)
			case quiet >= l.cfg.AckTimeout:
				err = fmt.Errorf("%s: %s: stream %s: no answer to message %d of the session for %v", Kind, l.conn.system.name, l.cfg.Stream, n, l.cfg.AckTimeout)
			}
		}
	}
	l.failed.Store(&err)
	l.wake()
	l.settled(0, nil, err)
}

// take notes an answer, and those that have come with it, and settles what they
// confirm.
func (l *lane) take(m *nats.Msg) error {
	for n := 1; ; n++ {
		if err := l.note(m); err != nil {
			return err
		}
		if n == len(l.slots) {
			return l.advance()
		}
		select {
		case m = <-l.answers:
		default:
			return l.advance()
		}
	}
}

// note puts an answer into its slot.
func (l *lane) note(m *nats.Msg) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, l.inbox), 36, 64)
	if err != nil || n < l.settle.Load() || n >= l.sent.Load() {
		return fmt.Errorf("%s: %s: stream %s: an answer to %q, which was not asked", Kind, l.conn.system.name, l.cfg.Stream, bridge.Printable(m.Subject, 80))
	}
	s := &l.slots[n%uint64(len(l.slots))]
	s.known = true
	s.place, s.err = l.answer(m)
	if s.err != nil && l.chain != nil {
		l.doomed = s.err
	}
	return nil
}

// answer reads what the stream says about one message.
func (l *lane) answer(m *nats.Msg) (p bridge.Placement, err error) {
	ack, err := pubAck{}, errNoStream
	if !noStream(m) {
		ack, err = parsePubAck(m.Data, l.cfg.Stream)
	}
	switch {
	case err != nil:
		return p, fmt.Errorf("%s: %s: stream %s: %w", Kind, l.conn.system.name, l.cfg.Stream, err)
	case ack.Error != nil:
		return p, refusal(ack.Error, l.cfg.Stream)
	case ack.Stream != l.cfg.Stream:
		return p, bridge.Fatal(fmt.Errorf("%s: %s: stream %s: stream %s has taken the message", Kind, l.conn.system.name, l.cfg.Stream, bridge.Printable(ack.Stream, 64)),
			"The subject belongs to another stream; change the template or the streams' subjects.")
	}
	return bridge.Placement{Position: ack.Seq, Repeat: ack.Duplicate}, nil
}

// advance reports the prefix whose answers are there. // I1
func (l *lane) advance() error {
	head := l.settle.Load()
	var err error
	l.places = l.places[:0]
	for {
		s := &l.slots[(head+uint64(len(l.places)))%uint64(len(l.slots))]
		if !s.known {
			break
		}
		if s.err != nil {
			if err = s.err; l.cfg.fenced() || bridge.ClassOf(err) != bridge.Rejected {
				break
			}
			s.place, err = bridge.Placement{Refused: err}, nil
		}
		if p := s.place; p.Refused == nil && !p.Repeat {
			if p.Position <= l.newest {
				err = fmt.Errorf("%s: %s: stream %s: it has stored a message at %d behind one at %d: it was deleted and made again", Kind, l.conn.system.name, l.cfg.Stream, p.Position, l.newest)
				break
			}
			l.newest = p.Position
		}
		l.places = append(l.places, s.place)
		repeat := s.place.Repeat
		*s = slot{}
		if repeat && l.cfg.fenced() {
			err = fmt.Errorf("%s: %s: stream %s: %w", Kind, l.conn.system.name, l.cfg.Stream, errRepeat)
			break
		}
		if len(l.places) == len(l.slots) {
			break
		}
	}
	if n := len(l.places); n > 0 {
		l.settled(n, l.places, nil)
		l.settle.Add(uint64(n))
		l.wake()
	}
	return err
}

// wake lets a Send go on that waits for room.
func (l *lane) wake() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}
