package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
	"github.com/crossfade-mq/crossfade/ordering"
)

// An ordered is what stays in order: a key, or the shard of what has none.
type ordered struct {
	key   string
	shard int32
}

func orderedBy(key string, shard int32) ordered {
	if key != "" {
		shard = 0
	}
	return ordered{key, shard}
}

// A hold is a key whose messages wait, parked, behind one that was refused. // I2
type hold struct {
	waiting int // parked, and neither placed nor discarded
	parking int // on the way to being parked behind those
	// refused says that a message of it which was sent again was refused again.
	refused bool
	// deferring keeps what comes in by the relay instead of parking it: what is
	// parked is so little that it will soon be placed.
	deferring bool
	deferred  []entry
}

// A parkingLot is what a relay knows of its parked messages. The relay's mutex
// guards it.
type parkingLot struct {
	holds   map[ordered]*hold
	ids     map[dedupe.Fingerprint]struct{} // of what is parked
	waiting int                             // parked, and neither placed nor discarded
	oldest  time.Time
	// reserve is how much of the debt is kept for messages that are sent again, and
	// retrying how many of those are not done with.
	reserve, retrying int
	// toGo is how many were to be sent again when it was looked last. When that does
	// not go down since more joins than is sent, or comes near the limit that stops
	// the relay, those are alone: the rest waits at the incumbent until they are
	// through.
	toGo  int
	alone bool
	// done is how many were sent again and placed lately: what the source may
	// deliver once more lies as much further back at the candidate.
	done    int
	refused map[*retried]struct{} // they stay parked
	// following are the keys that are being sent again: what joins them is sent too.
	following map[ordered]bool
}

func (p *parkingLot) reset() {
	*p = parkingLot{holds: map[ordered]*hold{}, ids: map[dedupe.Fingerprint]struct{}{}, refused: map[*retried]struct{}{}, following: map[ordered]bool{}}
}

// A retried is what the receipt of a message that is sent again refers to.
type retried struct {
	ref string
	key ordered
	fp  dedupe.Fingerprint
}

// retryShard is the shard of messages that are sent again: a tracker of their own
// keeps them apart from the source's.
const retryShard = -1 << 31

// readParked learns what is parked, before anything is received. It says whether
// some of it is to be sent again.
func (r *Relay) readParked(ctx context.Context) (retry bool, err error) {
	var lot parkingLot
	var done []dedupe.Fingerprint
	lot.reset()
	if r.cfg.Parking != nil {
		err = r.withParking(ctx, func() error {
			return r.cfg.Parking.Each(ctx, func(p *bridge.Parked) error {
				if p.Done {
					if p.Message.ID.Suppresses() {
						done = append(done, fingerprint(p.Message.ID, p.Message.Key))
					}
					return nil
				}
				lot.add(p, r.cfg.Hold && !bridge.Planted(bridge.BugHoldForgotten))
				retry = retry || p.Retry
				return nil
			})
		})
	}
	if err != nil {
		return false, fmt.Errorf("incumbent: read what is parked: %w", err)
	}
	if retry {
		lot.reserve = max(1, min(64, r.debtLimit/8))
	}
	r.mu.Lock()
	for _, fp := range done {
		r.ledger.window.Add(fp)
	}
	lot.done = len(done)
	r.lot = lot
	r.mu.Unlock()
	return retry, nil
}

// add enters what is parked.
func (p *parkingLot) add(m *bridge.Parked, holding bool) {
	if p.waiting++; p.oldest.IsZero() {
		p.oldest = m.At
	}
	if m.Message.ID.Suppresses() {
		p.ids[fingerprint(m.Message.ID, m.Message.Key)] = struct{}{}
	}
	if !holding || !m.Hold {
		return
	}
	k := orderedBy(m.Message.Key, m.Shard)
	if p.holds[k] == nil {
		p.holds[k] = &hold{}
	}
	p.holds[k].waiting++
}

// errHeld is why a message is parked whose own delivery was not tried.
var errHeld = bridge.Reject(bridge.ReasonHeld, errors.New("an earlier message of its key is parked"))

// A berth is what the parking lot has for a message that is about to be sent.
type berth uint8

const (
	berthNone  berth = iota // it may be sent
	berthPark               // it is parked behind others
	berthTaken              // it is settled already, or waits by the relay
)

// isParked settles a repeat of what is durably parked. The relay's mutex is held.
func (l *lane) isParked(e *entry) bool { // I1
	r := l.r
	if e.flags&(again|admitted) != 0 || e.flags&hasFingerprint == 0 || r.ledger.window.Has(e.fp) {
		return false
	}
	_, ok := r.lot.ids[e.fp]
	if ok {
		l.settle(e, suppressed)
	}
	return ok
}

// berth decides about an entry that is about to be sent. The relay's mutex is held.
func (l *lane) berth(e *entry) berth {
	r := l.r
	h := r.lot.holds[orderedBy(e.d.Key, e.shard)]
	switch {
	case h == nil:
		return berthNone
	case e.flags&again != 0:
		if !h.refused {
			return berthNone
		}
		l.stays(e) // one before it was refused again
		return berthTaken
	case r.lot.reserve > 0 && bridge.Planted(bridge.BugRetryUnordered):
		return berthNone
	case h.deferring && len(h.deferred) < r.mostDeferred():
		l.leave(e)
		h.deferred = append(h.deferred, *e)
		return berthTaken
	}
	return berthPark
}

// toPark lists e to be parked, behind what its hold kept by the relay, which comes
// before it. The relay's mutex is held. // I2
func (l *lane) toPark(refusals []refusal, e *entry) []refusal {
	h := l.r.lot.holds[orderedBy(e.d.Key, e.shard)]
	h.parking += len(h.deferred) + 1
	for i := range h.deferred {
		refusals = append(refusals, refusal{h.deferred[i], errHeld})
	}
	h.deferred, h.deferring = nil, false
	return append(refusals, refusal{*e, errHeld})
}

// parkedNow says that what toPark listed is parked, or is not and will be listed
// again. The relay's mutex is held.
func (r *Relay) parkedNow(x *refusal) {
	if h := r.lot.holds[orderedBy(x.e.d.Key, x.e.shard)]; h != nil && errors.Is(x.err, errHeld) {
		h.parking--
	}
}

// mostDeferred bounds what waits by the relay for a key.
func (r *Relay) mostDeferred() int { return min(1024, r.debtLimit/4) }

// stays settles what was sent again and stays parked. The relay's mutex is held.
func (l *lane) stays(e *entry) {
	lot := &l.r.lot
	lot.refused[e.d.Receipt.Ref.(*retried)] = struct{}{}
	key := orderedBy(e.d.Key, e.shard)
	if h := lot.holds[key]; h != nil {
		h.refused = true
	}
	delete(lot.following, key)
	l.settle(e, parked)
}

// released takes what has been placed out of the lot. The relay's mutex is held.
func (r *Relay) released(x *retried) {
	lot := &r.lot
	lot.waiting--
	lot.done++
	delete(lot.ids, x.fp)
	if h := lot.holds[x.key]; h != nil {
		h.waiting--
		r.letGo(x.key, h)
	}
}

// letGo ends a hold behind which nothing is parked, nor about to be. The relay's
// mutex is held.
func (r *Relay) letGo(key ordered, h *hold) {
	if h.waiting > 0 || h.parking > 0 {
		return
	}
	delete(r.lot.holds, key)
	delete(r.lot.following, key)
	r.resume(key, h)
}

// resume gives back to its lane what a hold kept by the relay: to be sent, or, while
// the key is still held, to be parked. It comes before what waits in the lane. Where
// the sink dictates the lanes it may keep one key in several. The relay's mutex is
// held. // I2
func (r *Relay) resume(key ordered, h *hold) {
	lanes := r.lanes
	if r.routes == nil {
		one := ordering.Lane(key.key, key.shard, len(lanes))
		lanes = lanes[one : one+1]
	}
	for _, e := range h.deferred {
		r.lanes[e.lane].resumed.push(e)
	}
	for _, l := range lanes {
		for _, e := range l.takeBack(key) {
			l.resumed.push(e)
		}
		signal(l.wake)
	}
	h.deferred, h.deferring = nil, false
}

// takeBack takes out of the lane what of a key is through the gate and not sent, and
// what waits at the gate. The relay's mutex is held.
func (l *lane) takeBack(key ordered) (back []entry) {
	for range l.ready.len() {
		e := l.ready.pop()
		if e.flags&again != 0 || orderedBy(e.d.Key, e.shard) != key {
			l.ready.push(e)
			continue
		}
		slot := e.flags&gated != 0
		e.flags &^= gated
		back = append(back, e)
		for slot {
			var next entry
			if next, slot = l.gate.Leave(e.key); slot {
				back = append(back, next)
			}
		}
	}
	return back
}
