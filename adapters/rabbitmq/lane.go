package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A lane publishes on a connection of its own. Tags count its publishings from
// 1, as the broker does.
//
//	settled ≤ head ≤ … acknowledged out of order, unknown … < next
type lane struct {
	session *session
	opener  *sinkOpener
	ch      *amqp.Channel
	channel uint16
	encoder *encoder        // Send's
	frames  []byte          // Send's
	full    <-chan struct{} // Send's: closed when the socket has room again

	report sync.Mutex     // held while settled is called, so that calls do not overlap
	tell   bridge.Settled // guarded by report; nil before begin and after the end

	mu       sync.Mutex
	slots    []slot // by tag, a power of two
	head     uint64 // the oldest tag not settled
	next     uint64 // the next tag
	returned uint64 // the newest tag known to have been returned
	refused  int    // slots with a refusal
	err      error  // what ended the lane
	room     chan struct{}
	waiting  bool          // Send waits for room
	over     chan struct{} // closed when the lane has ended

	ready      int // settled and not yet told; the reader's
	placements []bridge.Placement
}

// A slot is one publishing on its way.
type slot struct {
	m       *bridge.Message
	refused error
	acked   bool
}

func newLane(n *session, o *sinkOpener) *lane {
	size := 1
	for size < o.target.window {
		size *= 2
	}
	return &lane{
		session: n, opener: o,
		slots: make([]slot, size), head: 1, next: 1, room: make(chan struct{}), over: make(chan struct{}),
	}
}

func (l *lane) open(ctx context.Context, number int) error {
	n, o := l.session, l.opener
	if !bridge.Planted(bridge.BugFenceOff) {
		if err := n.hold(ctx, laneLock(o.id, number)); err != nil {
			return err
		}
	}
	var err error
	if l.ch, l.channel, err = n.sender(ctx, laneSender(o.id, number), l); err != nil {
		return err
	}
	if err := l.ch.Confirm(false); err != nil {
		return setupError("publisher confirms", err)
	}
	l.encoder = newEncoder(&o.target, n.broker, o.id.String(), n.user, l.channel, n.conn.Config.FrameSize, o.limit)
	n.watch(l.ch, l.end)
	n.start(l.watchProgress)
	return nil
}

// begin tells settled what happens from now on, and what has happened.
func (l *lane) begin(settled bridge.Settled) {
	l.report.Lock()
	l.tell = settled
	l.report.Unlock()
	l.flush()
}

// watchProgress ends the lane if the broker leaves a message unconfirmed for too
// long. It does so for ever when a queue has lost its leader.
func (l *lane) watchProgress() {
	limit := l.opener.system.settings.ConfirmTimeout
	tick := time.NewTicker(limit / 4)
	defer tick.Stop()
	last, since := uint64(0), time.Now()
	for {
		select {
		case <-l.over:
			return
		case now := <-tick.C:
			l.mu.Lock()
			head, idle := l.head, l.head == l.next
			l.mu.Unlock()
			if head != last || idle || l.session.sock.blocked.Load() != nil {
				last, since = head, now
			} else if now.Sub(since) >= limit {
				l.end(l.session.why(fmt.Errorf("a message has waited for its confirm for %v", limit)))
				return
			}
		}
	}
}

// Send hands messages to the connection, as many at a time as the window lets.
func (l *lane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	sent := 0
	for sent < len(msgs) {
		free, err := l.wait(ctx)
		if err != nil {
			return sent, err
		}
		n, rejected := l.encode(msgs[sent:min(len(msgs), sent+free)])
		if n > 0 {
			if err := l.publish(msgs[sent : sent+n]); err != nil {
				return sent, err
			}
			sent += n
		}
		if rejected != nil {
			return sent, rejected
		}
	}
	return sent, nil
}

// batchOctets is about how much Send encodes before it hands it over.
const batchOctets = 64 << 10

// encode makes frames of messages up to the first that is rejected.
func (l *lane) encode(msgs []*bridge.Message) (n int, err error) {
	if cap(l.frames) > 4*outLimit {
		l.frames = nil
	}
	l.frames = l.frames[:0]
	for _, m := range msgs {
		if l.frames, err = l.encoder.append(l.frames, m); err != nil {
			return n, err
		}
		if n++; len(l.frames) >= batchOctets {
			break
		}
	}
	return n, nil
}

// publish registers the messages and only then hands over their frames, so that
// a confirm always finds its slot.
func (l *lane) publish(msgs []*bridge.Message) error {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.err
	}
	for _, m := range msgs {
		l.slots[l.next&uint64(len(l.slots)-1)] = slot{m: m}
		l.next++
	}
	l.mu.Unlock()
	var err error
	if l.full, err = l.session.sock.push(l.frames); err != nil {
		return l.session.why(err)
	}
	return nil
}

// wait blocks while the window or the socket is full and says how many messages
// the window has room for. The end of ctx is the end of the lane.
func (l *lane) wait(ctx context.Context) (int, error) {
	if l.full != nil {
		select {
		case <-l.full:
			l.full = nil
		case <-ctx.Done():
		}
	}
	for {
		l.mu.Lock()
		if ctx.Err() != nil {
			l.fail(context.Cause(ctx))
		}
		err, room := l.err, l.room
		free := l.opener.target.window - int(l.next-l.head)
		l.waiting = err == nil && free == 0
		l.mu.Unlock()
		if err != nil {
			return 0, err
		}
		if free > 0 {
			return free, nil
		}
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
}

// wake lets a waiting Send look again, once there is room for many messages or the
// lane has ended: a Send for every confirm would write to the broker, and be
// confirmed, one message at a time. The caller holds mu.
func (l *lane) wake() {
	window := l.opener.target.window
	if l.waiting && (l.err != nil || int(l.next-l.head) <= window-window/4) {
		l.waiting = false
		close(l.room)
		l.room = make(chan struct{})
	}
}

// confirm takes a basic.ack or basic.nack.
func (l *lane) confirm(tag uint64, multiple, ack bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return // nothing may settle behind a failure // I2
	}
	if tag >= l.next {
		l.fail(fmt.Errorf("rabbitmq: the broker confirmed publishing %d of %d", tag, l.next-1))
		return
	}
	if !ack {
		l.fail(l.session.why(errNacked))
		return
	}
	if multiple {
		for l.head <= tag {
			l.settle()
		}
	} else if tag >= l.head {
		l.slots[tag&uint64(len(l.slots)-1)].acked = true
	}
	for l.head < l.next && l.slots[l.head&uint64(len(l.slots)-1)].acked {
		l.settle()
	}
}

// settle takes the oldest slot off. The caller holds mu.
func (l *lane) settle() {
	s := &l.slots[l.head&uint64(len(l.slots)-1)]
	if s.refused != nil {
		for len(l.placements) < l.ready {
			l.placements = append(l.placements, bridge.Placement{})
		}
		l.placements = append(l.placements, bridge.Placement{Refused: s.refused})
		l.refused--
	}
	*s = slot{}
	l.head++
	l.ready++
}

// deliver takes a message that the broker returned. It comes before the confirm
// of that publishing and in the order of publishing, but does not say which it
// is: the first that could be, behind the one returned last.
func (l *lane) deliver(d *delivery) {
	if d.code == 0 {
		return // not returned: somebody has written to the sender's own queue
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opener.target.survives() == bridge.SurvivesPrefix {
		l.fail(l.session.why(fmt.Errorf("%s is not there any more (%d %s)", l.opener.target.describe(), d.code, d.text)))
		return
	}
	for tag := max(l.head, l.returned+1); tag < l.next; tag++ {
		if s := &l.slots[tag&uint64(len(l.slots)-1)]; l.encoder.matches(s.m, d) {
			s.refused = unroutable(d)
			l.refused++
			l.returned = tag
			return
		}
	}
	l.fail(fmt.Errorf("rabbitmq: the broker returned a message that is not on its way: routing key %q", printable(string(d.key))))
}

// flush reports what a batch of confirms has settled.
func (l *lane) flush() {
	l.report.Lock()
	defer l.report.Unlock()
	tell := l.tell
	if tell == nil {
		return
	}
	l.mu.Lock()
	n, placements, err := l.ready, l.placements, l.err
	l.ready, l.placements = 0, nil
	l.wake()
	l.mu.Unlock()
	if err != nil {
		l.tell = nil
	}
	if n == 0 && err == nil {
		return
	}
	for placements != nil && len(placements) < n {
		placements = append(placements, bridge.Placement{})
	}
	tell(n, placements, err)
}

// fail notes the first error; flush reports it. The caller holds mu.
func (l *lane) fail(err error) {
	if l.err == nil {
		l.err = err
		close(l.over)
		l.opener.limit.learn(err)
		l.wake()
	}
}

// end is the session's word that the channel is gone.
func (l *lane) end(err error) {
	l.mu.Lock()
	l.fail(err)
	l.mu.Unlock()
	l.flush()
}

// Close ends the session; settled is not called any more.
func (l *lane) Close() error {
	l.report.Lock()
	l.tell = nil
	l.report.Unlock()
	l.mu.Lock()
	l.fail(bridge.ErrClosed)
	l.mu.Unlock()
	l.session.close()
	return nil
}
