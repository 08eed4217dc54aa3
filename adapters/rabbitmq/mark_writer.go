package rabbitmq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A markWriter writes marks, on a connection of its own: a broker that blocks publishers
// blocks every connection that has ever published, and acknowledgements must not wait for
// that: they may be what frees its memory. One caller at a time.
type markWriter struct {
	session *session
	channel uint16
	tap     string
	out     []byte

	mu        sync.Mutex
	sent      uint64 // the tag of the newest message
	confirmed bool   // it is stored
	err       error
	wake      chan struct{}
}

func (o *sourceOpener) openMarkWriter(ctx context.Context, tap string) (w *markWriter, err error) {
	err = o.system.setUp(ctx, o.id.String()+" mark "+o.Describe(), func(_ context.Context, n *session) error {
		w = &markWriter{session: n, tap: tap, wake: make(chan struct{}, 1)}
		ch, id, err := n.channel(w)
		if err != nil {
			return setupError("mark "+tap, err)
		}
		w.channel = id
		n.watch(ch, w.end)
		return setupError("mark "+tap, ch.Confirm(false))
	})
	return w, err
}

var errBlocked = errors.New("rabbitmq: mark: the broker takes no messages at the moment")

// write writes a mark and returns once it is durable. The caller has the turn.
func (m *marks) write(number uint64) (err error) {
	if m.writer == nil {
		if m.writer, err = m.open(); err != nil {
			m.writer = nil
			return err
		}
	}
	w := m.writer
	if w.blocked() {
		return w.session.why(errBlocked)
	}
	w.encode(m.token, strconv.FormatUint(number, 10))
	if err = w.publish(m.ctx); err != nil && !w.blocked() { // one that is blocked would be left at the broker for as long as that lasts
		w.session.close()
		m.writer = nil
	}
	return err
}

// encode makes the frames of a mark. They are made here because the client library writes
// no priority 0.
func (w *markWriter) encode(id, number string) {
	flags := uint16(0)
	for _, k := range []bridge.PropertyKind{bridge.KindDeliveryMode, bridge.KindPriority, bridge.KindCorrelationID, bridge.KindMessageID, bridge.KindMessageType} {
		flags |= 1 << (15 - rank(k))
	}
	w.out = appendPublishMethod(w.out[:0], w.channel, "", []byte(w.tap))
	out, from := beginFrame(w.out, frameHeader, w.channel)
	out = append(out, 0, classBasic, 0, 0)
	out = binary.BigEndian.AppendUint64(out, 0) // no body
	out = binary.BigEndian.AppendUint16(out, flags)
	out = append(out, 2, markPriority) // persistent
	out = appendShortstr(out, number)
	out = appendShortstr(out, id)
	out = appendShortstr(out, kindTapMark)
	w.out = endFrame(out, from)
}

// publish sends what encode made and waits until it is durable.
func (w *markWriter) publish(ctx context.Context) error {
	ctx, cancel := w.session.within(ctx)
	defer cancel()
	w.mu.Lock()
	w.sent++
	w.confirmed = false
	w.mu.Unlock()
	if _, err := w.session.sock.push(w.out); err != nil {
		return w.session.why(err)
	}
	for {
		w.mu.Lock()
		confirmed, err := w.confirmed, w.err
		w.mu.Unlock()
		if confirmed || err != nil {
			return err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return w.session.why(context.Cause(ctx))
		}
	}
}

func (w *markWriter) blocked() bool { return w.session.sock.blocked.Load() != nil }

// confirm takes a basic.ack or basic.nack. One of an earlier message comes where nobody
// waited for it any more.
func (w *markWriter) confirm(tag uint64, _, ack bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tag < w.sent {
		return
	}
	if w.confirmed = ack; !ack {
		w.fail(runError("mark "+w.tap, errNacked))
	}
}

// deliver takes a message that the broker returned, which comes before its confirm.
func (w *markWriter) deliver(d *delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail(fmt.Errorf("rabbitmq: mark %s: it is not there any more (%d %s)", w.tap, d.code, d.text))
}

func (w *markWriter) flush() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// end is the session's word that the channel is gone.
func (w *markWriter) end(err error) {
	w.mu.Lock()
	w.fail(err)
	w.mu.Unlock()
	w.flush()
}

// fail notes the first error. The caller holds mu.
func (w *markWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
