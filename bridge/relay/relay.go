package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
	"github.com/crossfade-mq/crossfade/ordering"
)

// A Relay moves messages from one tap to one candidate. Run it once; Snapshot is
// safe at any time.
type Relay struct {
	cfg         Config
	log         *slog.Logger
	debtLimit   int
	recallCount int
	reach       int      // how much may be read back of a source with several shards
	span        int      // how much is received behind the oldest that is not acknowledged; 0 is no bound
	own         []string // whoever of these carried a message has had it at the target

	mu         sync.Mutex // guards ledger, lanes' fields and what follows; never held across I/O
	ledger     ledger
	lot        parkingLot
	lanes      []*lane
	source     link
	routing    link // to the sink that is open for its routes
	state      State
	failed     error // why, in StateFailed
	pause      Pause // in StatePaused
	stateSince time.Time

	acker chan struct{} // there are receipts to acknowledge
	room  chan struct{} // the debt went down

	look    chan struct{} // what is parked, or paused, may have been changed
	retried chan struct{} // something that was sent again is done with

	tap        bridge.Source // of this session; set before its goroutines start, as what follows
	routes     *routes       // nil where the sink dictates no lanes
	resumption *resumption

	unstored []bridge.Parked // of a planted mistake only
	turn     chan struct{}   // holds one while nobody calls cfg.Parking
}

// Run relays until ctx ends, then drains what is in flight within Limits.Drain.
// It returns nil after a stop or the end of finite input, and the cause when nothing can mend it: an error
// for which bridge.ClassOf is Stopping.
func (r *Relay) Run(ctx context.Context) error {
	attempt := 0
	for {
		moved, err := r.session(ctx)
		if known, is := told(err); is && ctx.Err() == nil {
			if err = r.standStill(ctx, known); err == nil {
				continue
			}
		}
		if errors.Is(err, errFinished) {
			r.setState(StateStopped, nil)
			return nil
		}
		if ctx.Err() != nil && bridge.ClassOf(orEnded(err)) != bridge.Stopping {
			r.setState(StateStopped, nil)
			return nil
		}
		if bridge.ClassOf(orEnded(err)) == bridge.Stopping {
			r.setState(StateFailed, err)
			return fmt.Errorf("relay %s: %w", r.cfg.Identity.Relay, err)
		}
		if moved {
			attempt = 0
		}
		attempt++
		wait, side := r.backoff(attempt), &r.source
		if errors.Is(err, bridge.ErrRerouted) {
			side = &r.routing
		}
		r.linkDown(side, err, attempt, wait)
		if !sleep(ctx, wait) {
			r.setState(StateStopped, nil)
			return nil
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		return bridge.ErrClosed
	}
	return err
}

// session opens the source and the lanes and keeps them until one of them ends
// for good, or ctx ends and what is in flight is drained.
func (r *Relay) session(ctx context.Context) (moved bool, err error) {
	select {
	case <-r.look: // answered by what follows
	default:
	}
	src, err := r.cfg.Source(ctx)
	if err != nil {
		return false, fmt.Errorf("incumbent: %w", err)
	}
	retry, err := r.readParked(ctx)
	if err != nil {
		return false, errors.Join(err, closed(src.Close()))
	}
	r.linkUp(&r.source)
	routes, err := r.openRoutes(ctx)
	if err != nil {
		return false, errors.Join(err, closed(src.Close()))
	}
	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	r.begin(src, routes)
	var wg sync.WaitGroup
	for _, l := range r.lanes {
		wg.Go(func() {
			if err := l.run(work); err != nil {
				end(err)
			}
		})
	}
	wg.Go(func() {
		if err := r.acknowledge(work, src); err != nil {
			end(fmt.Errorf("incumbent: acknowledge: %w", err))
		}
	})
	if retry {
		wg.Go(func() {
			if err := r.retry(work); err != nil {
				end(err)
			}
		})
	}
	receiving, stop := context.WithCancelCause(ctx)
	wg.Go(func() {
		select {
		case <-r.look:
			stop(errLook)
		case <-work.Done():
		}
	})
	unhook := context.AfterFunc(work, func() { stop(context.Cause(work)) })
	err = r.receive(receiving, src)
	unhook()
	stop(nil)
	switch {
	case errors.Is(err, errFinished):
		r.drain(work, true, r.deadlineAfter(ctx))
	case ctx.Err() != nil:
		r.drain(work, false, r.deadlineAfter(ctx))
	case errors.Is(err, errLook):
		r.drain(work, false, time.After(r.cfg.Limits.Drain))
	}
	if cause := context.Cause(work); cause != nil {
		err = cause
	}
	end(context.Canceled)
	wg.Wait() // the lanes close their sessions first
	err = errors.Join(err, routes.close(), closed(src.Close()))
	return r.finish(), err
}

// errFinished says that finite input is exhausted.
var errFinished = errors.New("the input is exhausted")

// errLost says that the source's session is over although it has not said so.
var errLost = errors.New("the tap's session is lost")

// hold asks whether the source's session still holds the tap. Lanes ask after
// each recall: what they have in hand is theirs to send only if it does. // I6
func (r *Relay) hold(ctx context.Context) error {
	h, ok := r.tap.(bridge.Holder)
	if !ok || bridge.Planted(bridge.BugHoldOff) {
		return nil
	}
	if err := h.Hold(ctx); err != nil {
		return fmt.Errorf("incumbent: %w: %w", errLost, err)
	}
	return nil
}

// begin makes a fresh set of lanes.
func (r *Relay) begin(src bridge.Source, routes *routes) {
	resumption := newResumption(r.resumer(src), r.cfg.SinkTraits.Lanes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.tap, r.routes, r.resumption = StateRunning, src, routes, resumption
	r.lanes = r.lanes[:0:0]
	for i := range r.cfg.SinkTraits.Lanes {
		r.lanes = append(r.lanes, newLane(r, i))
	}
}

// finish gives back what the session left unsettled.
func (r *Relay) finish() (moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved = r.ledger.moved
	r.ledger.voidAll()
	r.lot.reserve, r.lot.retrying, r.lot.toGo, r.lot.alone = 0, 0, 0, false
	clear(r.lot.refused)
	r.lanes = nil
	return moved
}

// receive takes deliveries until the session ends.
func (r *Relay) receive(ctx context.Context, src bridge.Source) error {
	var b *batch
	used := 0
	entries := make([]entry, 0, r.cfg.Limits.Batch)
	if err := r.giveFirst(ctx, src); err != nil {
		return err
	}
	for {
		room, err := r.waitForRoom(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			b, used = r.newBatch(), 0
		}
		into := b.buf[used:min(used+room, len(b.buf))]
		n, err := src.Receive(ctx, into)
		if err == io.EOF { //nolint:errorlint // a wrapped one is a connection that broke
			return errFinished
		}
		if err != nil {
			return fmt.Errorf("incumbent: receive: %w", err)
		}
		entries = entries[:0]
		for i := range n {
			entries = append(entries, r.identify(&into[i], b))
			if entries[i].lane < 0 {
				return r.misrouted(&into[i].Message)
			}
		}
		used += n
		r.enter(entries, b, used == len(b.buf))
		if used == len(b.buf) {
			b = nil
		}
	}
}

// identify gives a delivery its key, its ID and what follows from them.
func (r *Relay) identify(d *bridge.Delivery, b *batch) entry {
	r.cfg.Identify(d)
	return r.entryOf(d, b, d.Receipt.Shard)
}

func (r *Relay) entryOf(d *bridge.Delivery, b *batch, shard int32) entry {
	e := entry{d: d, batch: b, shard: shard}
	if d.ID.Suppresses() {
		e.fp = fingerprint(d.ID, d.Key)
		e.flags |= hasFingerprint
	}
	if len(r.lanes) > 1 || r.cfg.SinkTraits.Survives == bridge.SurvivesAny {
		e.key = ordering.Hash(d.Key, shard)
	}
	e.lane = r.laneOf(&e)
	return e
}

func fingerprint(id bridge.ID, key string) dedupe.Fingerprint {
	return dedupe.Of(id.Scope == bridge.ScopeGlobal, key, id.Value)
}

// enter puts received messages into the ledger and the lanes.
func (r *Relay) enter(entries []entry, b *batch, full bool) {
	now := time.Now()
	r.mu.Lock()
	if r.ledger.counts.InFlight == 0 {
		r.ledger.busySince = now
	}
	for i := range entries { // soon asked for: the waits for memory overlap
		r.ledger.window.Prefetch(&entries[i].fp)
	}
	octets := 0
	for i := range entries {
		e := &entries[i]
		octets += len(e.d.Body)
		r.ledger.start(e, now.UnixNano())
		r.lanes[e.lane].inbox.push(*e)
	}
	r.ledger.expect(octets, len(entries))
	if full {
		r.ledger.fill(b)
	}
	r.unlockAndCollect()
	for _, l := range r.lanes {
		signal(l.wake)
	}
}

func (r *Relay) newBatch() *batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledger.takeBatch(r.cfg.Limits.Batch)
}

// waitForRoom blocks while the debt is all that may be recalled, or too many
// octets are in flight.
func (r *Relay) waitForRoom(ctx context.Context) (int, error) {
	for {
		r.mu.Lock()
		room := min(r.debtLimit-r.ledger.debt-(r.lot.reserve-r.lot.retrying), r.ledger.ahead(r.span))
		if left := r.cfg.Limits.Bytes - r.ledger.bytes; left <= 0 {
			room = 0
		} else {
			room = min(room, 1+left/r.ledger.meanBody)
		}
		if r.lot.alone {
			room = 0
		}
		r.mu.Unlock()
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if room > 0 {
			return room, nil
		}
		select {
		case <-r.room:
		case <-ctx.Done():
		}
	}
}

// acknowledge passes receipts on as they come under the low watermark.
func (r *Relay) acknowledge(ctx context.Context, src bridge.Source) error {
	var receipts []bridge.Receipt
	for {
		r.mu.Lock()
		receipts, r.ledger.acks = r.ledger.acks, receipts[:0]
		r.ledger.acking, r.ledger.acksFrom = r.ledger.acksFrom, none
		r.mu.Unlock()
		if len(receipts) == 0 {
			select {
			case <-r.acker:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		live, err := receipts, error(nil)
		if r.cfg.Parking != nil {
			live, err = r.release(ctx, receipts)
		}
		if err == nil && len(live) > 0 {
			err = src.Ack(ctx, live)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		r.mu.Lock()
		r.ledger.debt -= len(live)
		r.ledger.moved, r.ledger.acking = true, none
		r.mu.Unlock()
		clear(receipts)
		signal(r.room)
	}
}

// unlockAndCollect ends a change of the ledger: what may be acknowledged is
// handed to the acker.
func (r *Relay) unlockAndCollect() {
	some := r.ledger.collect()
	if r.ledger.progressed() {
		r.ledger.lastSettled = time.Now()
	}
	held := r.ledger.bytes >= r.cfg.Limits.Bytes
	freed := r.ledger.held && !held
	r.ledger.held = held
	r.mu.Unlock()
	if some {
		signal(r.acker)
	}
	if freed {
		signal(r.room)
	}
}

// drain waits until nothing is unsettled or unacknowledged, or the deadline or
// the session comes to its end. With retries it waits for what is to be sent again.
func (r *Relay) drain(ctx context.Context, retries bool, deadline <-chan time.Time) {
	r.setState(StateDraining, nil)
	for {
		r.mu.Lock()
		empty := r.ledger.debt == 0 && (!retries || r.lot.reserve == 0)
		r.mu.Unlock()
		if empty {
			return
		}
		select {
		case <-r.room:
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}

// deadlineAfter gives a channel that speaks when ctx has been over for as long as
// Limits.Drain.
func (r *Relay) deadlineAfter(ctx context.Context) <-chan time.Time {
	deadline := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() {
		time.AfterFunc(r.cfg.Limits.Drain, func() { deadline <- time.Now() })
	})
	return deadline
}

// park stores refused messages, as often as it takes. // I1
func (r *Relay) park(ctx context.Context, on *link, refused []refusal) error {
	if r.cfg.Parking == nil {
		m := &refused[0].e.d.Message
		return bridge.Fatal(fmt.Errorf("message %s of key %q cannot be delivered: %w", m.Origin, bridge.Printable(m.Key, 64), refused[0].err),
			"The relay has no place to park messages. Set park: hold-key or park: skip, or mend the cause at the candidate, and start again: nothing was acknowledged.")
	}
	now := time.Now().UTC()
	var fresh []bridge.Parked
	for i := range refused {
		e, err := &refused[i].e, refused[i].err
		p := bridge.Parked{At: now, Reason: bridge.ReasonOf(err), Cause: err.Error(), Shard: e.shard, Hold: r.cfg.Hold, Message: e.d.Message}
		if e.flags&again == 0 {
			fresh = append(fresh, p)
			continue
		}
		if err := r.persist(ctx, on, func() error { return r.cfg.Parking.Refused(ctx, e.d.Receipt.Ref.(*retried).ref, p.Reason, p.Cause) }); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if n, limit := r.waitingParked()+len(fresh), r.cfg.Limits.Parked; n > limit {
		return bridge.Fatal(fmt.Errorf("%d messages would be parked, and limits.parked is %d; the last: %w", n, limit, refused[len(refused)-1].err),
			"Look at them with crossfade parked list "+r.cfg.Identity.Relay+", mend the cause and retry or discard them, or raise the limit.")
	}
	return r.persist(ctx, on, func() error {
		now := fresh
		if bridge.Planted(bridge.BugParkUnconfirmed) { // settled now, stored with the next
			now, r.unstored = r.unstored, fresh
		}
		if err := r.cfg.Parking.Park(ctx, now); err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range fresh {
			r.lot.add(&fresh[i], r.cfg.Hold)
		}
		return nil
	})
}

func (r *Relay) waitingParked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lot.waiting
}

// withParking makes one call of cfg.Parking at a time.
func (r *Relay) withParking(ctx context.Context, call func() error) error {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { r.turn <- struct{}{} }()
	return call()
}

// persist writes to the parking, as often as it takes.
func (r *Relay) persist(ctx context.Context, on *link, write func() error) error {
	for attempt := 1; ; attempt++ {
		err := r.withParking(ctx, write)
		if err == nil {
			if attempt > 1 {
				r.linkUp(on)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if bridge.ClassOf(err) == bridge.Stopping {
			return err
		}
		wait := r.backoff(attempt)
		r.linkDown(on, fmt.Errorf("park: %w", err), attempt, wait)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// backoff doubles from Backoff to BackoffMax.
func (r *Relay) backoff(attempt int) time.Duration {
	d := r.cfg.Limits.Backoff
	for range attempt - 1 {
		if d *= 2; d >= r.cfg.Limits.BackoffMax {
			return r.cfg.Limits.BackoffMax
		}
	}
	return d
}
