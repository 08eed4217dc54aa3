package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// lookEvery is how often a session looks whether topics have changed.
	lookEvery = 5 * time.Second
	// lookPause is the least time between two looks for leaders.
	lookPause = 100 * time.Millisecond
	// fetchWait is how long a broker may wait for the first record of a fetch.
	fetchWait = 250 * time.Millisecond
	// fullWait is how long room is waited for where some partitions have none, and then
	// how long the broker may wait at first.
	fullWait = 10 * time.Millisecond
	// mostQuantum and leastQuantum bound what a fetch asks for of one partition.
	mostQuantum  = 1 << 20
	leastQuantum = 16 << 10
)

// A feed is what a reader knows of a partition. The reader's mu guards it.
type feed struct {
	leader, epoch int32 // leader -1: it has to be looked for
	next          int64 // the offset that is fetched next
	last          int32 // the leader epoch of the record in front of it; -1 is not known
	unproven      bool  // the leader has not said yet that it holds that record
	queued        int   // octets that have arrived and were not all received
	dry           bool  // the leader had nothing at next or behind it, when it was asked last
	lost          time.Time
	why           error // for which it was lost, last
}

// A chunk is what one fetch brought of a partition.
type chunk struct {
	part    *part
	from    int64 // records before it are left out
	next    int64 // behind its last batch
	epoch   int32 // of that batch
	records []byte
	aborted []abortedTransaction
	body    *body
	gap     bool // records in front of it were removed; it has none itself
}

// A body is the memory of one answer, which goes back when all its chunks are done.
type body struct {
	octets []byte
	chunks int
}

// A reader fetches the parts of a session from their leaders, in order, into a queue
// for Receive. It goes on where a leader moves, and asks no more of a partition than
// there is room for.
//
//	leader 1 ──fetcher──┐
//	leader 2 ──fetcher──┼──► queue ──► next
//	layout ──► lead ────┘ (which leader, what has changed)
type reader struct {
	source  *source
	fetches *cluster
	quantum int           // octets of a partition in one fetch
	stale   chan struct{} // a leader is looked for
	arrived chan struct{} // there is something in the queue

	mu       sync.Mutex // guards what follows, and the feeds; not held across I/O
	queue    []*chunk
	fetchers map[int32]*fetcher
	bodies   []*body // for answers to come
}

func newReader(s *source, l *layout) *reader {
	r := &reader{
		source: s, fetches: newCluster(s.opener.system), fetchers: map[int32]*fetcher{},
		stale: make(chan struct{}, 1), arrived: make(chan struct{}, 1),
		quantum: min(mostQuantum, max(leastQuantum, s.opener.config.MaxBytes/(3*max(1, len(s.parts))))),
	}
	now := time.Now()
	for _, p := range s.parts {
		p.feed = feed{leader: -1, epoch: -1, next: p.floor, last: p.epoch, lost: now}
	}
	r.assign(l)
	return r
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lead keeps a fetcher at every leader for as long as ctx lasts, and gives the reason
// why the session has to begin anew. Partitions without a leader are given
// request_timeout to get one; the others go on meanwhile.
func (r *reader) lead(ctx context.Context) error {
	var wg sync.WaitGroup
	defer func() {
		r.fetches.close()
		wg.Wait()
	}()
	began := time.Time{} // of looking in vain
	for {
		for _, f := range r.unmanned() {
			wg.Go(func() {
				if err := f.run(ctx); err != nil && ctx.Err() == nil {
					r.source.end(err)
				}
			})
		}
		if !r.rest(ctx) {
			return context.Cause(ctx)
		}
		l, topics, err := r.source.opener.look(ctx, r.source.asks)
		if err == nil {
			err = r.source.changed(topics)
			if err != nil {
				return err
			}
			r.assign(l)
			began = time.Time{}
			if err := r.leaderless(); err != nil {
				return err
			}
			continue
		}
		if began.IsZero() {
			began = time.Now()
		}
		if bridge.ClassOf(err) != bridge.Transient || time.Since(began) > r.source.opener.system.config.RequestTimeout {
			return err
		}
		signal(r.stale)
	}
}

// rest waits until it is time to look again, and says whether ctx lasted.
func (r *reader) rest(ctx context.Context) bool {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-r.stale:
		return pause(ctx, lookPause)
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// assign gives every part the leader that a layout names.
func (r *reader) assign(l *layout) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.source.parts {
		t := l.topics[p.topic]
		if t == nil || int(p.partition) >= len(t.partitions) {
			continue
		}
		is := t.partitions[p.partition]
		address, known := l.brokers[is.leader]
		switch {
		case !known:
			if p.feed.leader < 0 {
				signal(r.stale)
			}
			continue
		case is.epoch < p.feed.epoch: // of a broker that is behind
			signal(r.stale)
			continue
		}
		if is.epoch != p.feed.epoch {
			p.feed.unproven = true
		}
		p.feed.leader, p.feed.epoch = is.leader, is.epoch
		f := r.fetchers[is.leader]
		if f == nil || f.address != address {
			f = &fetcher{reader: r, node: is.leader, address: address, room: make(chan struct{}, 1)}
			r.fetchers[is.leader] = f
		}
		signal(f.room)
	}
}

// unmanned gives the fetchers that do not run yet.
func (r *reader) unmanned() (all []*fetcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.fetchers {
		if !f.running {
			f.running = true
			all = append(all, f)
		}
	}
	return all
}

// leaderless is an error if a partition has been without a leader for too long.
func (r *reader) leaderless() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	patience := r.source.opener.system.config.RequestTimeout
	for _, p := range r.source.parts {
		if !p.feed.lost.IsZero() && p.feed.queued < 2*r.quantum && time.Since(p.feed.lost) > patience {
			err := fmt.Errorf("%s: %s: topic %s: partition %d: no leader has answered for %v", Kind, r.source.opener.system.name, p.topic, p.partition, patience)
			if p.feed.why != nil {
				err = fmt.Errorf("%w: %w", err, p.feed.why)
			}
			return err
		}
	}
	return nil
}

// loses notes that a part has no leader any more; mu is held.
func (r *reader) loses(p *part, why error) {
	p.feed.leader, p.feed.why = -1, why
	if p.feed.lost.IsZero() {
		p.feed.lost = time.Now()
	}
	signal(r.stale)
}

// body gives memory for an answer.
func (r *reader) body() *body {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.bodies); n > 0 {
		b := r.bodies[n-1]
		r.bodies = r.bodies[:n-1]
		return b
	}
	return &body{}
}

// release is called once for each chunk of a body; mu is held.
func (r *reader) release(b *body) {
	if b.chunks--; b.chunks == 0 && len(r.bodies) < 4 {
		r.bodies = append(r.bodies, b)
	}
}

// next gives the oldest chunk, where some parts come first the oldest of those, or nil
// if there is none. A part of which nothing is left, since compaction took it, does not
// come first any more.
func (r *reader) next(first map[*part]int64) *chunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(first, func(p *part, _ int64) bool { return p.feed.dry && p.feed.queued == 0 })
	for i, c := range r.queue {
		if _, ok := first[c.part]; len(first) > 0 && !ok {
			continue
		}
		if i == 0 {
			r.queue[0] = nil
			r.queue = r.queue[1:]
		} else {
			r.queue = slices.Delete(r.queue, i, i+1)
		}
		return c
	}
	return nil
}

// done gives the room back that a chunk has taken.
func (r *reader) done(c *chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := c.part
	p.feed.queued -= len(c.records)
	r.release(c.body)
	if f := r.fetchers[p.feed.leader]; f != nil {
		signal(f.room)
	}
}
