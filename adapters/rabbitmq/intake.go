package rabbitmq

import (
	"context"
	"sync"
)

// An intake takes the deliveries of one channel and hands them on in batches.
// The prefetch bounds it.
type intake struct {
	mu     sync.Mutex
	queued []delivery // written by the reader
	last   uint64     // the newest tag delivered
	err    error
	wake   chan struct{}

	batch []delivery // the receiver's
	at    int
}

func newIntake() *intake { return &intake{wake: make(chan struct{}, 1)} }

func (q *intake) deliver(d *delivery) {
	q.mu.Lock()
	q.queued = append(q.queued, *d)
	q.last = d.tag
	q.mu.Unlock()
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
	q.batch, q.queued = q.queued, q.batch[:0]
	q.at = 0
	return len(q.batch) > 0
}
