package relay

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
)

// recall reads back what this relay placed, and settles what of it was of
// unknown outcome. // I6
func (l *lane) recall(ctx context.Context, sink bridge.Sink) error {
	r := l.r
	rc, ok := sink.(bridge.Recaller)
	if !ok || r.recallCount == 0 || bridge.Planted(bridge.BugRecallOff) {
		return nil
	}
	look := l.lookback()
	var found []dedupe.Fingerprint // the newest first
	err := rc.Recall(ctx, l.index, look.most, func(p bridge.Placed) bool {
		if p.ID.Suppresses() {
			found = append(found, fingerprint(p.ID, p.Key))
		}
		return look.more(&p)
	})
	if err != nil {
		return fmt.Errorf("candidate: recall lane %d: %w", l.index, err)
	}
	r.mu.Lock()
	defer r.unlockAndCollect()
	for _, fp := range slices.Backward(found) {
		r.ledger.window.Add(fp)
	}
	r.resumption.owes(look.owed)
	for range l.inbox.len() {
		e := l.inbox.pop()
		switch {
		case e.flags&admitted == 0, e.flags&hasFingerprint == 0, !r.ledger.window.Has(e.fp):
			l.inbox.push(e)
		case e.flags&sent != 0:
			r.ledger.settle(&e, placed)
		default: // another session of this relay placed it while it waited here
			r.ledger.settle(&e, suppressed)
		}
	}
	return nil
}

// A shardOf names a shard of a source, as origins do.
type shardOf struct {
	stream bridge.Stream
	shard  int32
}

func shardOfOrigin(o *bridge.Origin) shardOf { return shardOf{*o.Stream, o.Shard} }

// A lookback decides how far back the logs of a lane are read: over the least that
// has to be recalled, and on until it has seen, of every shard of which something
// comes again, what does not.
type lookback struct {
	floors map[shardOf]uint64 // from where on each of the shards gives again
	below  int                // how many messages of a shard below its floor are enough
	least  int
	most   int

	log   int32
	seen  int             // of the log
	unmet map[shardOf]int // how many of a shard are to be seen in the log yet

	owed map[shardOf]bridge.Origin // the last of each shard that was placed and comes again
}

// lookback is how far back the lane reads. What a shard's floor was is of use to the
// first recall of a session only; later ones are about what this session has sent.
func (l *lane) lookback() *lookback {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	more := r.lot.done
	b := &lookback{least: r.recallCount + more, below: 1, owed: map[shardOf]bridge.Origin{}}
	if b.most = b.least; !l.recalled && len(r.resumption.floors) > 0 {
		b.most, b.floors = r.reach+more, r.resumption.floors
	}
	if most := r.cfg.SinkTraits.Recall; b.most > most {
		b.most, b.least = most, min(b.least, most)
	}
	// One that waited, or went by another lane, is behind later ones of its shard.
	if r.cfg.overtakes() || r.lot.waiting+more > 0 {
		b.below += r.debtLimit + more
	}
	return b
}

// more looks at what was placed, and says whether to read on.
func (b *lookback) more(p *bridge.Placed) bool {
	if len(b.floors) == 0 {
		b.seen++
		return true // Recall ends it
	}
	if b.seen == 0 || p.Log != b.log {
		b.log, b.seen, b.unmet = p.Log, 0, make(map[shardOf]int, len(b.floors))
		for s := range b.floors {
			b.unmet[s] = b.below
		}
	}
	b.seen++
	if p.Origin.Stream != nil {
		s := shardOfOrigin(&p.Origin)
		floor, open := b.floors[s]
		switch {
		case !open:
		case p.Origin.Offset >= floor:
			if last, ok := b.owed[s]; !ok || last.Offset < p.Origin.Offset {
				b.owed[s] = p.Origin
			}
		case b.unmet[s] > 1:
			b.unmet[s]--
		default:
			delete(b.unmet, s)
		}
	}
	return b.seen < b.least || len(b.unmet) > 0
}

// resumer is the source, where it has several shards and the candidate is read back.
func (r *Relay) resumer(src bridge.Source) bridge.Resumer {
	s, ok := src.(bridge.Resumer)
	if !ok || !r.cfg.SourceTraits.Sharded || r.recallCount == 0 {
		return nil
	}
	return s
}

// A resumption is how a session of a source with several shards begins. The relay's
// mutex guards floors and owed.
type resumption struct {
	floors map[shardOf]uint64        // of the shards of which something comes again
	owed   map[shardOf]bridge.Origin // the last of each that was placed
	// left is how many lanes have not read back yet, guarded by the relay's mutex,
	// and ready is closed when none is left.
	left  int
	ready chan struct{}
}

func newResumption(src bridge.Resumer, lanes int) *resumption {
	x := &resumption{left: lanes, ready: make(chan struct{}), floors: map[shardOf]uint64{}, owed: map[shardOf]bridge.Origin{}}
	if src != nil {
		src.Resumes(func(o bridge.Origin) { x.floors[shardOfOrigin(&o)] = o.Offset })
	}
	return x
}

func (x *resumption) owes(owed map[shardOf]bridge.Origin) {
	for s, o := range owed {
		if last, ok := x.owed[s]; !ok || last.Offset < o.Offset {
			x.owed[s] = o
		}
	}
}

// readBack notes that the lane has kept earlier sessions off and read back what they
// placed.
func (l *lane) readBack() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if x := l.r.resumption; !l.recalled {
		l.recalled = true
		if x.left--; x.left == 0 {
			close(x.ready)
		}
	}
}

// giveFirst has a source of several shards give first what is placed already, as soon
// as it is known. // I6
func (r *Relay) giveFirst(ctx context.Context, src bridge.Source) error {
	s := r.resumer(src)
	if s == nil || bridge.Planted(bridge.BugFirstOff) {
		return nil
	}
	select {
	case <-r.resumption.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.mu.Lock()
	var first []bridge.Origin
	for _, o := range r.resumption.owed {
		first = append(first, o)
	}
	r.mu.Unlock()
	s.First(first)
	return nil
}
