package rabbitmq

import (
	"context"
	"fmt"
	"sync"
)

// An intake takes the deliveries of one channel and hands them on in batches. The
// prefetch bounds it in messages; in octets it is bounded by ending: AMQP has no
// other way to ask for less, and all that it held is given back in order.
type intake struct {
	mu     sync.Mutex
	queued []delivery // written by the reader
	last   uint64     // the newest tag delivered
	octets int        // of what is queued
	most   int        // of octets; 0 is no bound
	full   func(held int)
	err    error
	wake   chan struct{}

	batch []delivery // the receiver's
	at    int
}

func newIntake() *intake { return &intake{wake: make(chan struct{}, 1)} }

func (q *intake) deliver(d *delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return // nobody can receive it any more
	}
	q.queued = append(q.queued, *d)
	q.last = d.tag
	q.octets += len(d.body) + len(d.props)
	if held := len(q.queued); q.most > 0 && q.octets > q.most && held > 1 {
		q.full(held)
		q.err = fmt.Errorf("rabbitmq: %d messages of %d octets in all came before they could be taken, and the intake takes %d: they are given back, and fewer are asked for", held, q.octets, q.most)
		clear(q.queued)
		q.queued = nil
	}
}

// intakeOctets is how many octets may wait in an intake.
const intakeOctets = 64 << 20

// limit bounds the intake in octets. When it is full it ends, and full is told of
// how many messages. One message is always taken.
func (q *intake) limit(full func(held int)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.most, q.full = intakeOctets, full
}

// confirm is not for channels that consume.
func (q *intake) confirm(uint64, bool, bool) {}

func (q *intake) flush() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// end makes next return err from now on, whatever is queued: it could not be
// acknowledged any more.
func (q *intake) end(err error) {
	q.mu.Lock()
	if q.err == nil {
		q.err = err
	}
	q.mu.Unlock()
	q.flush()
}

// failure is what ended the intake.
func (q *intake) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// delivered is the newest tag that has come.
func (q *intake) delivered() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// idle says that nothing has come behind the batch that next gave.
func (q *intake) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.at == len(q.batch) && len(q.queued) == 0
}

// next gives up to limit deliveries, of those that are there, and waits for the
// first. They are valid until the call after. One caller at a time.
func (q *intake) next(ctx context.Context, limit int) ([]delivery, error) {
	if err := q.await(ctx); err != nil {
		return nil, err
	}
	from := q.at
	q.at = min(len(q.batch), q.at+limit)
	return q.batch[from:q.at], nil
}

// await waits until there is a delivery.
func (q *intake) await(ctx context.Context) error {
	for {
		if err := q.failure(); err != nil {
			return err
		}
		if q.pending() {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pending says whether next has something to give at once. It leaves a used-up
// batch in place of what was queued.
func (q *intake) pending() bool {
	if q.at < len(q.batch) {
		return true
	}
	clear(q.batch)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batch, q.queued, q.octets = q.queued, q.batch[:0], 0
	q.at = 0
	return len(q.batch) > 0
}
