package rabbitmq

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An ownLog is a stream of the bridge's own with records in it: checkpoints and
// journals. Records larger than a part are written in several messages. Its
// end is found by writing a mark and reading up to that, so that an answer is
// never a guess.
type ownLog struct {
	session *session
	stream  string

	mu       sync.Mutex // one message at a time
	ch       *amqp.Channel
	returned chan amqp.Return
}

const (
	// partSize is how much of a record one message holds.
	partSize = 1 << 20
	// maxRecord holds the largest message that a broker takes and its headers.
	maxRecord = 160 << 20

	kindMark = "crossfade-mark"
	kindPart = "crossfade-part"
)

// openLog opens a log whose stream is there, on a session, which it owns from then
// on.
func openLog(n *session, stream string) (*ownLog, error) {
	what := "open " + stream
	ch, _, err := n.channel(nil)
	if err != nil {
		return nil, setupError(what, err)
	}
	if err := ch.Confirm(false); err != nil {
		return nil, setupError(what, err)
	}
	return &ownLog{session: n, stream: stream, ch: ch, returned: ch.NotifyReturn(make(chan amqp.Return, 1))}, nil
}

// append writes a record and returns once it is durable. A crash may leave a
// beginning of it, which replay passes over.
func (l *ownLog) append(ctx context.Context, record []byte) error {
	parts := max(1, (len(record)+partSize-1)/partSize)
	id := token()
	for i := range parts {
		body := record[i*partSize : min(len(record), (i+1)*partSize)]
		if err := l.publish(ctx, kindPart, id, strconv.Itoa(i)+"/"+strconv.Itoa(parts), body); err != nil {
			return err
		}
	}
	return nil
}

// publish writes one message and waits until it is durable.
func (l *ownLog) publish(ctx context.Context, kind, id, part string, body []byte) error {
	ctx, cancel := l.session.within(ctx)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	confirm, err := l.ch.PublishWithDeferredConfirmWithContext(ctx, "", l.stream, true, false, amqp.Publishing{
		Type: kind, MessageId: id, CorrelationId: part, DeliveryMode: amqp.Persistent, Body: body,
	})
	if err != nil {
		return l.session.why(fmt.Errorf("write to %s: %w", l.stream, err))
	}
	ok, err := confirm.WaitContext(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("rabbitmq: write to %s: %w", l.stream, context.Cause(ctx))
	case l.ch.IsClosed():
		return l.session.why(fmt.Errorf("write to %s: %w", l.stream, amqp.ErrClosed))
	case !ok:
		return runError("write to "+l.stream, errNacked)
	}
	select {
	case r, open := <-l.returned: // comes before the confirm
		if open {
			return bridge.Fatal(fmt.Errorf("rabbitmq: %s is not there any more (%d %s)", l.stream, r.ReplyCode, r.ReplyText),
				"Somebody deleted a stream of the bridge's own: what it held is lost.")
		}
	default:
	}
	return nil
}

// replay calls each with every whole record that was durable when it was called.
func (l *ownLog) replay(ctx context.Context, each func(record []byte) error) error {
	mark := token()
	if err := l.publish(ctx, kindMark, mark, "", nil); err != nil {
		return err
	}
	return l.session.records(ctx, l.stream, "first", isMark(mark), each)
}

// enough is how many of its newest messages a log is read back by, of which only the
// newest record counts: each is a chunk of its own, and a broker that is busy takes
// milliseconds for each.
const enough = 64

// newest is replay of the newest records alone. There may be none, where the newest
// messages are marks or parts of a long record.
func (l *ownLog) newest(ctx context.Context, each func(record []byte) error) error {
	mark := token()
	if err := l.publish(ctx, kindMark, mark, "", nil); err != nil {
		return err
	}
	end, _, err := l.session.tail(ctx, l.stream, l.session.broker.emptyPatience())
	if err != nil {
		return err
	}
	from := int64(end) - min(int64(end), enough) //nolint:gosec // an offset
	return l.session.records(ctx, l.stream, from, isMark(mark), each)
}

func isMark(mark string) func(uint64, string, string) bool {
	return func(_ uint64, kind, id string) bool { return kind == kindMark && id == mark }
}

// records calls each with every whole record of a stream, from an offset (or "first")
// to the message that last is true of. There has to be one.
func (n *session) records(ctx context.Context, stream string, from any, last func(offset uint64, kind, id string) bool, each func(record []byte) error) error {
	r, err := n.readStream(stream, from, 512)
	if err != nil {
		return err
	}
	defer r.close()
	var d decoder
	var into bridge.Delivery
	var open partials
	for {
		batch, err := r.soon(ctx, 512)
		if err != nil {
			return err
		}
		for i := range batch {
			offset, err := offsetOf(&batch[i])
			if err != nil {
				return err
			}
			d.decode(&batch[i], 0, &into)
			kind, _ := into.Property(bridge.KindMessageType)
			id, _ := into.Property(bridge.KindMessageID)
			if kind.Text == kindPart {
				part, _ := into.Property(bridge.KindCorrelationID)
				record, whole, err := open.add(id.Text, part.Text, into.Body)
				if err != nil {
					return fmt.Errorf("rabbitmq: %s: %w", stream, err)
				}
				if whole {
					if err := each(record); err != nil {
						return err
					}
				}
			}
			if last(offset, kind.Text, id.Text) {
				return nil
			}
		}
	}
}

func (l *ownLog) close() { l.session.close() }

// partials are the records of which not all parts have been read. Those of several
// processes may stand in between each other: an operator writes beside a bridge,
// and one that was stopped may finish its record after its successor has begun one.
type partials struct{ open []*partial } // oldest first

type partial struct {
	id   string
	next int
	body []byte
}

// mostOpen bounds what crashes may have left unfinished behind each other.
const mostOpen = 16

// add takes the next part, and gives the record that it completes.
func (p *partials) add(id, part string, body []byte) (record []byte, whole bool, err error) {
	var index, count int
	if n, err := fmt.Sscanf(part, "%d/%d", &index, &count); n != 2 || err != nil || count < 1 {
		return nil, false, errors.New("a part of a record is not numbered")
	}
	if count == 1 {
		return body, true, nil
	}
	i := slices.IndexFunc(p.open, func(o *partial) bool { return o.id == id })
	if index == 0 && i < 0 {
		if len(p.open) == mostOpen {
			p.open = slices.Delete(p.open, 0, 1)
		}
		i = len(p.open)
		p.open = append(p.open, &partial{id: id})
	}
	if i < 0 || index != p.open[i].next {
		return nil, false, nil // the rest of a record whose beginning was cut off, or a repeat
	}
	o := p.open[i]
	o.body = append(o.body, body...)
	if o.next++; o.next < count {
		return nil, false, nil
	}
	p.open = slices.Delete(p.open, i, i+1)
	return o.body, true, nil
}

func token() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
