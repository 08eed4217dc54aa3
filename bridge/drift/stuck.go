package drift

import "time"

// mayBeStuck finds a key stuck whose oldest message waits for long while others of its
// shard are matched that were observed later.
func (x *Exact) mayBeStuck(s *slot, n uint32, at time.Duration) {
	if x.now-at < x.opts.Stuck {
		return
	}
	e := x.slab.at(n)
	if int(e.shard) >= len(x.shards) || x.shards[e.shard] < at+x.opts.Stuck/2 {
		return // so do the others
	}
	if was, ok := x.stuck[s.key]; ok && was.at == s.oldest {
		x.stuck[s.key] = stuckKey{s.oldest, true}
		return
	}
	x.stuck[s.key] = stuckKey{s.oldest, true}
	x.found(StuckKey, Finding{Key: s.key, ID: e.id, Incumbent: at})
}

// A stuckKey is a key that was found stuck, with when the message was observed that
// waits, and whether it is so by the latest sweep.
type stuckKey struct {
	at  uint32
	now bool
}

// beginStuck and endStuck are around a sweep: what it does not find stuck any more is
// not.
func (x *Exact) beginStuck() {
	for key, s := range x.stuck {
		x.stuck[key] = stuckKey{s.at, false}
	}
}

func (x *Exact) endStuck() {
	for key, s := range x.stuck {
		if !s.now {
			delete(x.stuck, key)
		}
	}
}
