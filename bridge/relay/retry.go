package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Look makes the relay read anew whether it is paused, what is parked, and what of it
// an operator wants to be sent again. What is in flight is settled before. It does
// not wait.
func (r *Relay) Look() { signal(r.look) }

// errLook ends a session in order to look at what is paused or parked.
var errLook = errors.New("an operator changed something")

// retry sends again what an operator asked for, in the order in which it was
// parked. What joins a held key meanwhile is parked behind it and sent in the next
// pass, until none is left. // I2
func (r *Relay) retry(ctx context.Context) error {
	if r.fenced(ctx) != nil {
		return nil
	}
	for {
		n, err := r.retryPass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case n == 0:
			r.mu.Lock()
			r.lot.reserve, r.lot.toGo, r.lot.alone = 0, 0, false
			r.mu.Unlock()
			signal(r.room)
			return nil
		}
	}
}

// mostAtOnce and enough bound what a pass holds in memory.
const (
	mostAtOnce = 16_384
	enough     = 16 << 20 // octets
)

// toRetry reads the first of what is to be sent again, and sets right how much of
// each held key is parked: a process before this one may have placed some while
// this one was reading.
func (r *Relay) toRetry(ctx context.Context) (todo []bridge.Parked, err error) {
	octets, left := 0, 0
	var joined []string
	var lot parkingLot
	lot.reset()
	err = r.withParking(ctx, func() error {
		err := r.cfg.Parking.Each(ctx, func(p *bridge.Parked) error {
			if p.Done {
				return nil
			}
			lot.add(p, r.cfg.Hold)
			if !p.Retry && p.Hold && r.follows(p) {
				joined = append(joined, p.Ref) // when those before it had just been placed
				p.Retry = true
			}
			if p.Retry {
				left++
			}
			if p.Retry && octets < enough && len(todo) < mostAtOnce {
				todo = append(todo, *p)
				octets += len(p.Message.Body)
			}
			return nil
		})
		if err == nil && len(joined) > 0 {
			err = r.cfg.Parking.Retry(ctx, joined)
		}
		if err == nil {
			r.mu.Lock()
			r.recount(&lot)
			r.lot.alone = r.lot.alone || r.lot.toGo > 0 && left >= r.lot.toGo || left > r.cfg.Limits.Parked/2
			r.lot.toGo = left
			r.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("incumbent: read what is parked: %w", err)
	}
	return todo, nil
}

// recount takes over how much is parked. The relay's mutex is held.
func (r *Relay) recount(now *parkingLot) {
	r.lot.waiting, r.lot.oldest = now.waiting, now.oldest
	for key, h := range r.lot.holds {
		if n := now.holds[key]; n != nil {
			h.waiting = n.waiting
		} else {
			h.waiting = 0
		}
		r.letGo(key, h)
	}
}

// follows says that a parked message belongs to a key that is being sent again.
func (r *Relay) follows(p *bridge.Parked) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lot.following[orderedBy(p.Message.Key, p.Shard)]
}

// fenced waits until every lane has kept earlier sessions off and read back what
// they placed.
func (r *Relay) fenced(ctx context.Context) error {
	for {
		r.mu.Lock()
		open := 0
		for _, l := range r.lanes {
			if l.fenced {
				open++
			}
		}
		all := open == len(r.lanes)
		r.mu.Unlock()
		if all {
			return nil
		}
		select {
		case <-r.retried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// retryPass sends once what is to be sent again, and waits for what becomes of
// it. It gives how many that were.
func (r *Relay) retryPass(ctx context.Context) (n int, err error) {
	todo, err := r.toRetry(ctx)
	if err != nil {
		return 0, err
	}
	for i := range todo {
		p := &todo[i]
		if e := p.Message.Expires; !e.IsZero() && e.Before(time.Now()) {
			err = r.expired(ctx, p)
		} else {
			err = r.again(ctx, p)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, r.passOver(ctx)
}

// expired leaves parked what expired meanwhile, and what waits behind it. What was
// sent again before it is done with by then.
func (r *Relay) expired(ctx context.Context, p *bridge.Parked) error {
	if err := r.awaitRetried(ctx); err != nil {
		return err
	}
	cause := "it expired at " + p.Message.Expires.UTC().Format(time.RFC3339)
	err := r.persist(ctx, &r.source, func() error { return r.cfg.Parking.Refused(ctx, p.Ref, bridge.ReasonExpired, cause) })
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := orderedBy(p.Message.Key, p.Shard)
	if h := r.lot.holds[key]; h != nil {
		h.refused = true
	}
	delete(r.lot.following, key)
	return nil
}

// again enters one parked message, once there is room.
func (r *Relay) again(ctx context.Context, p *bridge.Parked) error {
	for {
		r.mu.Lock()
		if r.lot.retrying < r.lot.reserve && (r.lot.retrying == 0 || r.ledger.bytes < r.cfg.Limits.Bytes) {
			break
		}
		r.mu.Unlock()
		select {
		case <-r.retried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	key := orderedBy(p.Message.Key, p.Shard)
	if h := r.lot.holds[key]; h != nil && h.waiting <= r.lot.reserve {
		h.deferring = !h.refused
	}
	if h := r.lot.holds[key]; h != nil && !h.refused {
		r.lot.following[key] = true
	}
	b := &batch{buf: []bridge.Delivery{{Message: p.Message}}, full: true}
	e := r.entryOf(&b.buf[0], b, p.Shard)
	if e.lane < 0 {
		r.mu.Unlock()
		return r.misrouted(&p.Message)
	}
	e.flags |= again
	b.buf[0].Receipt = bridge.Receipt{Shard: retryShard, Ref: &retried{ref: p.Ref, key: key, fp: e.fp}}
	r.ledger.start(&e, time.Now().UnixNano())
	r.lot.retrying++
	l := r.lanes[e.lane]
	l.inbox.push(e)
	r.unlockAndCollect()
	signal(l.wake)
	return nil
}

// awaitRetried waits until nothing that was sent again is under way.
func (r *Relay) awaitRetried(ctx context.Context) error {
	for {
		r.mu.Lock()
		n := r.lot.retrying
		r.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-r.retried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// passOver waits until what was sent again is done with.
func (r *Relay) passOver(ctx context.Context) error {
	for {
		r.mu.Lock()
		if r.lot.retrying == 0 {
			for key, h := range r.lot.holds {
				if h.refused {
					h.refused = false
					r.resume(key, h)
				}
			}
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		select {
		case <-r.retried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// release notes what has been placed that was parked, and parts the receipts of
// the source from those. // I1
func (r *Relay) release(ctx context.Context, receipts []bridge.Receipt) (live []bridge.Receipt, err error) {
	var refs []string
	var done []*retried
	live = receipts[:0]
	r.mu.Lock()
	for _, x := range receipts {
		if x.Shard != retryShard {
			live = append(live, x)
			continue
		}
		t := x.Ref.(*retried)
		done = append(done, t)
		if _, refused := r.lot.refused[t]; !refused {
			refs = append(refs, t.ref)
		}
	}
	r.mu.Unlock()
	if len(done) == 0 {
		return live, nil
	}
	err = r.persist(ctx, &r.source, func() error {
		err := r.cfg.Parking.Placed(ctx, refs)
		if err == nil {
			r.mu.Lock()
			r.releaseAll(done)
			r.mu.Unlock()
		}
		return err
	})
	signal(r.retried)
	signal(r.room)
	return live, err
}

// releaseAll takes what is done with out of the lot. The relay's mutex is held.
func (r *Relay) releaseAll(done []*retried) {
	for _, t := range done {
		if _, refused := r.lot.refused[t]; refused {
			delete(r.lot.refused, t)
		} else {
			r.released(t)
		}
	}
	r.lot.retrying -= len(done)
	r.ledger.debt -= len(done)
}
