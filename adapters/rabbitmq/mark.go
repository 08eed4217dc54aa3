package rabbitmq

import (
	"context"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A mark is a message that a session writes into its own tap: all that the tap held
// before is in front of it, so once it has come, all of that has. Receive gives it to
// nobody. It tells a mark by the way it came, straight to the tap through the default
// exchange, and by its type: what a producer writes comes through his exchange,
// whatever type it has.
//
//	producers ──► exchange ──► tap ──► Receive ──► relay
//	Mark ───────────────────────┘ └ mark ┘ given

// marks are those of one session. A session reads over those of others: of earlier ones,
// and of the other relays that share the tap.
type marks struct {
	session  *session                            // the source's
	tap      string                              // empty where it is not the bridge's own: nothing is a mark there
	token    string                              // tells the session's marks from those of others
	open     func() (*markWriter, error)         // connects
	replaced func(context.Context) (bool, error) // of a shared tap: another process has put another in its place
	ctx      context.Context                     // ends with close
	stop     context.CancelFunc

	turn   chan struct{} // had by whoever asks or writes
	writer *markWriter   // of the turn

	decoder decoder       // Receive's
	come    uint64        // Receive's: the newest that has come
	given   atomic.Uint64 // the newest that had come when Receive was called last

	mu      sync.Mutex
	sent    uint64    // the newest that was begun to be written
	last    time.Time // when that was
	waiting int       // how many are in the tap
	wanted  uint64    // the newest that somebody waits for
}

// kindTapMark is the type of a mark.
const kindTapMark = "crossfade-tap-mark"

// markPriority is the lowest, for queues that give higher ones first: quorum queues from
// RabbitMQ 4 on. Up to 4.2 they have two classes, and no message of the lower one comes
// before an older one of the higher, so that a mark in it is behind all. From 4.3 on every
// priority is a class, higher ones always come first, and none means 4.
const markPriority = 0

// markPause and the number of marks in the tap say when the next is written: each waits
// twice as long as the one before it, so that a tap that nobody reads does not fill with
// them, and another one comes where one was lost.
const markPause = 500 * time.Millisecond

// never is the number of a mark that is not given in this session.
const never = math.MaxUint64

// newMarks is for a tap that is not the bridge's own.
func newMarks(n *session) *marks {
	m := &marks{session: n, turn: make(chan struct{}, 1)}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// own makes them those of a tap of the bridge's own.
func (m *marks) own(o *sourceOpener, tap thing) {
	m.tap, m.token = tap.name, token()
	m.open = func() (*markWriter, error) { return o.openMarkWriter(m.ctx, tap.name) }
	if o.settings.Shared != "" {
		w := recordWatch{opener: o, tap: tap.name}
		m.replaced = func(ctx context.Context) (bool, error) { return w.replaced(ctx, m.session) }
	}
}

// mark is Mark for a tap of the bridge's own that is read.
func (m *marks) mark(ctx context.Context) (given func() bool, err error) {
	number, err := inTurn(ctx, m.session, m.turn, func() (uint64, error) {
		if m.replaced != nil {
			if gone, err := m.replaced(ctx); err != nil || gone {
				return never, err
			}
		}
		return m.next()
	})
	if err != nil {
		return nil, err
	}
	return m.upTo(number), nil
}

// upTo tells when a number has been given.
func (m *marks) upTo(number uint64) func() bool {
	return func() bool { return m.given.Load() >= number }
}

// next gives the number of a mark behind everything that the tap holds, and writes it
// unless others are to come first: then it is written as soon as they have. The caller has
// the turn.
func (m *marks) next() (uint64, error) {
	m.mu.Lock()
	if m.waiting > 0 && time.Since(m.last) < markPause<<min(m.waiting, 16) {
		m.wanted = m.sent + 1
		m.mu.Unlock()
		return m.sent + 1, nil
	}
	m.sent++
	m.waiting++
	m.last = time.Now()
	number := m.sent
	m.mu.Unlock()
	err := m.write(number)
	if err != nil {
		m.mu.Lock()
		m.waiting = max(0, m.waiting-1)
		m.mu.Unlock()
	}
	return number, err
}

// enter is told that Receive is called, or about to wait with nothing in hand.
func (m *marks) enter(come uint64, in *intake) {
	if come != m.given.Load() && in.failure() == nil {
		m.given.Store(come)
	}
}

// pass says that a delivery is a mark, and notes it if it is this session's.
func (m *marks) pass(d *delivery) bool {
	if len(d.exchange) > 0 || m.tap == "" || string(d.key) != m.tap {
		return false
	}
	var msg bridge.Message
	m.decoder.message(d, &msg, true)
	if kind, _ := msg.Property(bridge.KindMessageType); kind.Text != kindTapMark {
		return false
	}
	id, _ := msg.Property(bridge.KindMessageID)
	text, _ := msg.Property(bridge.KindCorrelationID)
	if number, err := strconv.ParseUint(text.Text, 10, 64); err == nil && id.Text == m.token {
		m.note(number)
	}
	return true
}

// note takes in a mark of this session's.
func (m *marks) note(number uint64) {
	if number <= m.come {
		return // a repeat
	}
	m.come = number
	m.mu.Lock()
	defer m.mu.Unlock()
	if left := m.sent - number; uint64(m.waiting) > left { // those before it have come, or are lost
		m.waiting = int(left)
	}
	if m.waiting == 0 && m.wanted > m.sent {
		m.session.start(m.follow)
	}
}

// follow writes the mark that somebody waits for.
func (m *marks) follow() {
	select {
	case m.turn <- struct{}{}:
	case <-m.ctx.Done():
		return
	}
	defer func() { <-m.turn }()
	m.mu.Lock()
	due := m.wanted > m.sent
	m.mu.Unlock()
	if due {
		_, _ = m.next() // a newer one tells
	}
}

// any says that messages in the tap may be marks of this session.
func (m *marks) any() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting > 0
}

// close ends the source's session, which waits for what marks have started, and their own.
func (m *marks) close() {
	m.stop()
	m.session.close()
	if m.writer != nil {
		m.writer.session.close()
	}
}
