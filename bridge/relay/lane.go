package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/ordering"
)

// A lane carries some keys, in order, through one session with the candidate
// after another. The relay's mutex guards all fields but out.
type lane struct {
	r     *Relay
	index int

	inbox    fifo[entry]           // received, in order
	gate     *ordering.Gate[entry] // at most one of a key in flight; nil where a prefix survives
	ready    fifo[entry]           // admitted and through the gate, to be sent before the inbox
	resumed  fifo[entry]           // kept back by a hold, and before the inbox
	sent     fifo[entry]           // handed to the session, in order
	refusals []refusal

	failure   error // why the session ended, if it did
	fenced    bool  // a session was opened since that of the source was
	recalled  bool  // likewise, and it has read back
	quiescing bool  // it waits until nothing is under way
	proving   bool  // the session has to settle something before the link counts as up
	moved     bool  // something was settled in this session
	link      link

	looper bridge.Looper // the session's sink; nil where it knows of no loops

	wake chan struct{} // there is something to look at
	out  []*bridge.Message
}

type refusal struct {
	e   entry
	err error
}

func newLane(r *Relay, index int) *lane {
	l := &lane{r: r, index: index, wake: make(chan struct{}, 1)}
	if r.cfg.SinkTraits.Survives == bridge.SurvivesAny && !bridge.Planted(bridge.BugManyInFlight) {
		l.gate = ordering.NewGate[entry]() // I2
	}
	return l
}

// run keeps a session open until ctx ends or nothing can mend it.
func (l *lane) run(ctx context.Context) error {
	attempt := 0
	for {
		moved, err := l.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if moved {
			attempt = 0
		}
		if errors.Is(err, errLost) || errors.Is(err, bridge.ErrRerouted) {
			return err
		}
		switch bridge.ClassOf(err) {
		case bridge.Stopping:
			return err
		case bridge.Rejected:
			continue // what was refused is parked; open again
		}
		attempt++
		wait := l.r.backoff(attempt)
		l.r.linkDown(&l.link, err, attempt, wait)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// session opens the lane, sends until something fails, and leaves in the inbox,
// in order of receipt, whatever is not settled.
func (l *lane) session(ctx context.Context) (moved bool, err error) {
	sink, err := l.r.cfg.Sink(ctx)
	if err != nil {
		return false, fmt.Errorf("candidate: %w", aboutNothing(err))
	}
	target, err := sink.Open(ctx, l.index, l.settled)
	if err != nil {
		err = errors.Join(err, closed(sink.Close()))
		return false, fmt.Errorf("candidate: open lane %d: %w", l.index, aboutNothing(err))
	}
	if err = l.recall(ctx, sink); err == nil {
		l.readBack()
		err = l.together(ctx)
	}
	if err == nil {
		err = l.r.hold(ctx)
	}
	if err == nil {
		l.looper, _ = sink.(bridge.Looper)
		l.opened()
		err = l.pump(ctx, target)
	}
	closing := errors.Join(closed(target.Close()), closed(sink.Close()))
	err = errors.Join(l.verdict(err), closing)
	moved, refused := l.requeue(bridge.ClassOf(err) == bridge.Rejected)
	if refused == nil {
		return moved, aboutNothing(err)
	}
	if perr := l.park(ctx, []refusal{{*refused, err}}); perr != nil {
		return moved, perr
	}
	return moved, err
}

// aboutNothing makes a Reject that is about no message of ours a transient error:
// there is nothing to park, and without a pause the lane would spin.
func aboutNothing(err error) error {
	if bridge.ClassOf(err) == bridge.Rejected {
		return errors.New(err.Error())
	}
	return err
}

// opened notes that a session has begun. A candidate that can be opened and then
// refuses everything is not up: after a failure the first confirmation proves it.
func (l *lane) opened() {
	l.r.mu.Lock()
	l.proving = l.link.err != nil && l.inbox.len() > 0
	l.fenced = true
	proving := l.proving
	l.r.mu.Unlock()
	if !proving {
		l.r.linkUp(&l.link)
	}
	signal(l.r.retried)
}

// verdict is why the session ended: what the session reported comes before what
// Send met when it was over already.
func (l *lane) verdict(err error) error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.failure == nil || bridge.ClassOf(err) == bridge.Stopping {
		return err
	}
	switch bridge.ClassOf(l.failure) {
	case bridge.Stopping, bridge.Rejected:
		return l.failure
	}
	if errors.Is(l.failure, bridge.ErrRerouted) {
		return l.failure
	}
	return err
}

// closed passes over errors of closing what has failed already.
func closed(err error) error {
	if err == nil || bridge.ClassOf(err) != bridge.Stopping {
		return nil
	}
	return err
}

// pump sends until the session fails or ctx ends.
func (l *lane) pump(ctx context.Context, target bridge.Lane) error {
	for {
		refusals, err := l.fill()
		if err != nil {
			return err
		}
		if err := l.park(ctx, refusals); err != nil {
			return err
		}
		if len(l.out) == 0 {
			if len(refusals) > 0 {
				continue
			}
			select {
			case <-l.wake:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := l.send(ctx, target); err != nil {
			return err
		}
	}
}

// fill takes what may be sent now into l.out and l.sent, up to a batch. It gives
// what is to be parked.
func (l *lane) fill() ([]refusal, error) {
	r := l.r
	l.out = l.out[:0]
	var now time.Time
	r.mu.Lock()
	defer r.unlockAndCollect()
	if l.failure != nil {
		return nil, l.failure
	}
	refusals := l.refusals
	l.refusals = nil
	parking := r.lot.waiting > 0
	for len(l.out)+len(refusals) < r.cfg.Limits.Batch {
		e, fresh, ok := l.next()
		if !ok {
			break
		}
		if fresh {
			if now.IsZero() && !e.d.Expires.IsZero() {
				now = time.Now()
			}
			if l.loops(&e) {
				l.settle(&e, looped)
				continue
			}
			if parking && l.isParked(&e) || !r.ledger.admit(&e, now) || !l.enter(&e) {
				continue
			}
		}
		if parking {
			switch l.berth(&e) {
			case berthPark:
				refusals = l.toPark(refusals, &e)
				continue
			case berthTaken:
				continue
			}
		}
		e.flags |= sent
		l.sent.push(e)
		l.out = append(l.out, &e.d.Message)
	}
	return refusals, nil
}

// next takes the entry whose turn it is; fresh says that it is not admitted yet.
func (l *lane) next() (e entry, fresh, ok bool) {
	switch {
	case l.ready.len() > 0:
		return l.ready.pop(), false, true
	case l.resumed.len() > 0:
		return l.resumed.pop(), true, true
	case l.inbox.len() > 0:
		return l.inbox.pop(), true, true
	}
	return e, false, false
}

// enter brings an entry to the gate, and says whether it is let through.
func (l *lane) enter(e *entry) bool {
	if l.gate == nil {
		return true
	}
	if !l.gate.Enter(e.key, *e) {
		return false
	}
	e.flags |= gated
	return true
}

// leave lets the next of the entry's key through the gate.
func (l *lane) leave(e *entry) {
	if e.flags&gated == 0 {
		return
	}
	e.flags &^= gated
	if next, ok := l.gate.Leave(e.key); ok {
		next.flags |= gated
		l.ready.push(next)
	}
}

// send hands l.out to the session. What was not taken goes back to ready, and
// what was refused is parked.
func (l *lane) send(ctx context.Context, target bridge.Lane) error {
	r := l.r
	if bridge.Planted(bridge.BugUnorderedSend) {
		r.mu.Lock()
		for i, j := 0, len(l.out)-1; i < j; i, j = i+1, j-1 {
			back := l.sent.len() - len(l.out)
			a, b := l.sent.at(back+i), l.sent.at(back+j)
			l.out[i], l.out[j], *a, *b = l.out[j], l.out[i], *b, *a
		}
		r.mu.Unlock()
	}
	n, err := target.Send(ctx, l.out)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	left := make([]entry, len(l.out)-n)
	for i := range slices.Backward(left) {
		left[i] = l.sent.popBack()
	}
	refused := bridge.ClassOf(err) == bridge.Rejected
	for i := range left {
		if i > 0 || !refused {
			l.ready.push(left[i])
		}
	}
	r.mu.Unlock()
	if !refused {
		return err
	}
	one := []refusal{{left[0], err}}
	if err := l.quiesce(ctx); err != nil {
		l.unpark(one)
		return err
	}
	return l.park(ctx, one)
}

// quiesce waits until everything that was sent is settled, where later messages of
// a key are parked behind a refused one: an earlier one that had to be sent again
// would be among them. // I2
func (l *lane) quiesce(ctx context.Context) error {
	r := l.r
	if !r.cfg.Hold || l.gate != nil { // behind a gate none of the key is under way
		return nil
	}
	for {
		r.mu.Lock()
		l.quiescing = l.failure == nil && l.sent.len() > 0
		quiescing, failure := l.quiescing, l.failure
		r.mu.Unlock()
		if !quiescing {
			return failure
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settled takes what the session reports. It is called on the adapter's
// goroutine and does not block.
func (l *lane) settled(n int, placements []bridge.Placement, err error) {
	r := l.r
	r.mu.Lock()
	before := r.ledger.counts.Placed
	if n > l.sent.len() {
		n, placements = l.sent.len(), nil
		err = bridge.Fatal(errors.New("the adapter settled more messages than it was sent"), "This is a mistake in the adapter; nothing was acknowledged that was not sent. Report it.")
	}
	for i := range n {
		e := l.sent.pop()
		if placements != nil && placements[i].Refused != nil {
			l.refusals = append(l.refusals, refusal{e, placements[i].Refused})
			continue
		}
		l.settle(&e, placed)
	}
	l.moved = l.moved || n > 0
	proven := false
	if r.ledger.counts.Placed > before {
		r.ledger.lastPlaced = time.Now()
		proven, l.proving = l.proving, false
	}
	if err != nil {
		l.failure = err
	}
	look := err != nil || l.ready.len() > 0 || len(l.refusals) > 0 || l.quiescing && l.sent.len() == 0
	r.unlockAndCollect()
	if look {
		signal(l.wake)
	}
	if proven {
		r.linkUp(&l.link)
	}
}

// settle ends an entry and lets the next of its key through the gate.
func (l *lane) settle(e *entry, how outcome) {
	l.r.ledger.settle(e, how)
	l.leave(e)
}

// requeue puts back, in order of receipt, what the ended session did not settle.
// Nothing later of a key is sent before it. // I2
// If the session ended with a Reject, the message that it was about, the first
// one not reported, is returned instead.
func (l *lane) requeue(rejected bool) (moved bool, refused *entry) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	var left []entry
	if rejected && l.sent.len() > 0 {
		e := l.sent.pop()
		refused = &e
	}
	for l.sent.len() > 0 {
		left = append(left, l.sent.pop())
	}
	for i := range l.refusals {
		left = append(left, l.refusals[i].e)
	}
	for l.ready.len() > 0 {
		left = append(left, l.ready.pop())
	}
	for l.resumed.len() > 0 {
		left = append(left, l.resumed.pop())
	}
	if l.gate != nil {
		l.gate.Drain(func(e entry) { left = append(left, e) })
		l.gate.Reset()
	}
	if !bridge.Planted(bridge.BugToTheBack) {
		for l.inbox.len() > 0 {
			left = append(left, l.inbox.pop())
		}
		slices.SortFunc(left, func(a, b entry) int { return int(int64(a.seq - b.seq)) })
	}
	if bridge.Planted(bridge.BugGoOn) {
		for i := range left {
			if left[i].flags&sent != 0 {
				r.ledger.settle(&left[i], placed)
			}
		}
		left = slices.DeleteFunc(left, func(e entry) bool { return e.flags&sent != 0 })
	}
	for _, e := range left {
		e.flags &^= gated
		l.inbox.push(e)
	}
	if refused != nil {
		refused.flags &^= gated
	}
	l.quiescing = false
	moved, l.moved = l.moved, false
	l.failure, l.refusals = nil, nil
	return moved, refused
}

// park sets refused entries aside and settles them. // I1: durably, before the ack
func (l *lane) park(ctx context.Context, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	if err := l.r.park(ctx, &l.link, refused); err != nil {
		l.unpark(refused)
		return err
	}
	l.r.mu.Lock()
	defer l.r.unlockAndCollect()
	for i := range refused {
		e := &refused[i].e
		l.r.parkedNow(&refused[i])
		if e.flags&again != 0 {
			l.stays(e)
			continue
		}
		l.settle(e, parked)
	}
	return nil
}

// unpark leaves unsettled what could not be parked: it is given back, or refused
// again.
func (l *lane) unpark(refused []refusal) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	for i := range refused {
		l.r.parkedNow(&refused[i])
		l.ready.push(refused[i].e)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits and says whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
