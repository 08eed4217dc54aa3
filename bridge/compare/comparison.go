package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Comparison reads two streams, each by itself, and says in what they differ. Run it
// once; Snapshot is safe at any time.
//
//	incumbent ──► reader ─► digest ─┐             ┌─► findings, evidence
//	                                ├─► drift ────┤
//	candidate ──► reader ─► digest ─┘     ▲       └─► what is judged ─► Ack
//	                                    marks: up to when all was observed
type Comparison struct {
	desk
	cfg       Config
	readers   [2]*reader
	digesters [2]Digester // each is its reader's

	// The desk's mutex guards what follows.
	engine    engine
	recorder  *Recorder
	coverage  *coverage
	trials    trials
	sampler   sampler
	bounds    bounds
	floors    [2]time.Duration // what was observed before is judged, or let go
	judged    time.Duration    // what the incumbent had before is judged
	lookedAt  drift.Report     // the latest
	matchedAt time.Duration    // when the first message was found on both sides; 0 is not yet
	aligned   bool
	begun     bool
	passed    time.Duration
	proof     struct{ at, by time.Duration } // what the relay has proved, and when; by 0 is nothing new
	drained   time.Duration                  // when both sides had been read to the end; 0 is not yet
	ended     bool
	unread    string // why not all was read that there was by the end
	findings  []drift.Finding
	state     State
	failed    error
	since     time.Time
}

// always is a time that does not come.
const always = time.Duration(1<<63 - 1)

// New checks the configuration and starts nothing.
func New(cfg Config) (*Comparison, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	c := &Comparison{
		desk: newDesk(cfg.Name, cfg.Limits, cfg.Log), cfg: cfg,
		recorder: NewRecorder(cfg.Limits.Flight), coverage: newCoverage(), sampler: sampler{burst: cfg.Limits.Evidence}, since: time.Now(),
	}
	c.engine = newEngine(&c.cfg, c.epoch)
	c.engine.begin(always)
	seed := rand.Uint64()
	for side := range drift.Side(2) {
		c.digesters[side] = Digester{Seed: seed, Epoch: c.epoch, Content: cfg.Content, Ignore: cfg.Ignore}
		r := newReader(&c.desk, side.String(), &c.cfg.Streams[side])
		r.observe = func(d *bridge.Delivery, read time.Time) drift.Observation { return c.observation(side, d, read) }
		r.take = func(ds []bridge.Delivery, obs []drift.Observation, read time.Time) { c.take(side, ds, obs, read) }
		r.full = func() bool { return c.lookedAt.Pending[side] >= uint64(c.cfg.Limits.Pending) }
		r.sessions = func() { c.coverage.session(side) }
		c.readers[side] = r
	}
	return c, nil
}

// observation is what a reader says of a delivery.
func (c *Comparison) observation(side drift.Side, d *bridge.Delivery, read time.Time) drift.Observation {
	o := c.digesters[side].Of(&d.Message, read)
	if place := c.cfg.Place[side]; place != nil {
		o.Place = place(d)
	}
	if side == drift.Incumbent && d.Via != "" {
		for _, relay := range c.cfg.Loops {
			o.Loop = o.Loop || d.Passed(relay)
		}
	}
	return o
}

// take takes in what was not observed before; the mutex is held.
func (c *Comparison) take(side drift.Side, ds []bridge.Delivery, obs []drift.Observation, read time.Time) {
	for i := range ds {
		if ds[i].Gap { // since when is not known of the shard: since nothing was missing
			from, to := c.readers[side].marks.read, read.Sub(c.epoch)
			c.engine.gap(side, from, to)
			c.log.Warn("gap", "side", side, "key", bridge.Printable(ds[i].Key, 100), "why", "messages were removed before they were read; what may have its counterpart there is incomparable")
		}
		c.recorder.Keep(Frame{Side: side, Seen: obs[i], Message: ds[i].Message, Stored: ds[i].Stored, Read: read})
		c.coverage.see(side, &obs[i], &ds[i].Message)
	}
	c.engine.observe(side, obs)
}

// Run compares until ctx ends, or the comparison's own end has come. It returns nil then,
// and the cause when nothing can mend it: an error for which bridge.ClassOf is Stopping.
func (c *Comparison) Run(ctx context.Context) error {
	work, end := context.WithCancelCause(ctx)
	defer end(nil)
	var wg sync.WaitGroup
	opened := make(chan struct{})
	for side, r := range c.readers {
		wg.Go(func() {
			if side == int(drift.Incumbent) { // whatever it has, the candidate's reader is to see come
				select {
				case <-opened:
				case <-work.Done():
					return
				}
			}
			err := r.run(work, func() {
				if side == int(drift.Candidate) {
					close(opened)
				}
			})
			if err != nil {
				end(fmt.Errorf("comparison %s: %s: %w", c.cfg.Name, drift.Side(side), err))
			}
		})
	}
	wg.Go(func() { c.judge(work, end) })
	<-work.Done()
	cause := context.Cause(work)
	wg.Wait()
	if bridge.ClassOf(cause) == bridge.Stopping {
		c.setState(StateFailed, cause)
		return cause
	}
	c.setState(StateStopped, nil)
	return nil
}

func (c *Comparison) setState(s State, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.failed, c.since = s, err, time.Now()
	if s == StateStopped && c.unread == "" {
		c.unread = unreadable(c.readers[:])
	}
}

// judgeEvery is how often what only time and the systems' answers can settle is judged.
const judgeEvery = 100 * time.Millisecond

// judge judges until ctx ends, or the comparison's own end has come.
func (c *Comparison) judge(ctx context.Context, end context.CancelCauseFunc) {
	t := time.NewTicker(judgeEvery)
	defer t.Stop()
	for {
		all, over := c.advance()
		for i := range all {
			c.cfg.Found(&all[i])
		}
		if over {
			end(bridge.ErrClosed)
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// advance judges what can be judged by now, lets go at the sources of what was, and gives
// what is to be told.
func (c *Comparison) advance() (all []Evidence, over bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watermarks(now)
	c.engine.Advance(now, w)
	c.lookedAt = c.engine.Report()
	c.align(now, w)
	c.begin(now, w)
	c.trials.look(now, &c.lookedAt)
	all = c.tell()
	c.settleFloors(now)
	for side, r := range c.readers {
		r.release(c.floors[side])
	}
	if !c.cfg.End.IsZero() && !c.ended {
		c.ended = c.atEnd(now, w)
	}
	return all, c.ended
}

// watermarks say how far the readers have come.
func (c *Comparison) watermarks(now time.Duration) (w drift.Watermarks) {
	for side, r := range c.readers {
		if w.Read[side] = r.marks.look(); r.finished || bridge.Planted(bridge.BugMarkUnasked) {
			w.Read[side] = now
		}
	}
	if c.cfg.Passed != nil {
		c.prove(now, w.Read[drift.Candidate])
	}
	w.Passed = c.passed
	c.engine.mark(now, &w)
	return w
}

// prove takes in how far a relay has come, which says something of the candidate's reader
// once that has read what was stored there by then. Places where one message is stored, the
// relay's tap and the comparison's, need not have it at one time: hence the grace.
func (c *Comparison) prove(now, read time.Duration) {
	if c.proof.by > 0 && read >= c.proof.by {
		c.passed, c.proof.by = max(c.passed, c.proof.at), 0
	}
	if at := c.cfg.Passed(); c.proof.by == 0 && !at.IsZero() {
		c.proof.at, c.proof.by = at.Sub(c.epoch)-c.lookedAt.Grace, now
	}
}

// together is how much further than to where both readers were there both sides are read
// before keys are judged: a producer may repeat itself so much later.
const together = time.Second

// mostHeld is how many of the candidate's messages wait for that, and unasked how long it is
// waited for where a system does not tell what it holds.
const (
	mostHeld = 1 << 18
	unasked  = 30 * time.Second
)

// align says when keys can be judged, whose messages the candidate's reader may have from
// further back than the incumbent's.
func (c *Comparison) align(now time.Duration, w drift.Watermarks) {
	if c.aligned {
		return
	}
	crowded := c.lookedAt.Pending[drift.Candidate] >= mostHeld
	for _, r := range c.readers {
		_, over := r.overfull(now)
		crowded = crowded || (over || r.full()) && now-r.last >= starved
		crowded = crowded || r.opened > 0 && !r.finished && now-max(r.opened, r.asked) >= unasked
	}
	if crowded || c.caughtUp(now, w) {
		c.engine.align()
		c.aligned = true
	}
}

// caughtUp says that both sides are read to where keys can be judged, and that the candidate
// has what the incumbent had then, unless it takes longer than the grace.
func (c *Comparison) caughtUp(now time.Duration, w drift.Watermarks) bool {
	i := c.readers[drift.Incumbent]
	both := i.opened + together
	if i.opened == 0 || w.Read[drift.Incumbent] < both || w.Read[drift.Candidate] < both {
		return false
	}
	return i.last < both || c.lookedAt.Reached >= both || w.Passed >= both || now >= both+c.lookedAt.Grace
}

// begin ends the beginning: from when on what only the candidate has is extra even of a
// key that the incumbent was not seen to have. Until then it may be a copy of what the
// incumbent's reader was not there for: of what the candidate had when its reader opened,
// and of what was on its way.
func (c *Comparison) begin(now time.Duration, w drift.Watermarks) {
	if c.begun {
		return
	}
	if c.matchedAt == 0 && c.lookedAt.Matched > 0 {
		c.matchedAt = now
	}
	opened := c.readers[drift.Incumbent].opened
	c.begun = opened > 0 && w.Read[drift.Candidate] >= opened && c.matchedAt > 0 && now-c.matchedAt >= c.lookedAt.Grace
	if c.begun {
		c.engine.begin(now)
	}
}

// giveUp is how long, beyond what it waits for messages, a bounded comparison waits at its
// end for a side of which nothing comes.
const giveUp = 30 * time.Second

// atEnd says that everything is judged that the streams held at the end, which is all that
// was observed by the time that they had been read that far. What is pending then, and of
// which nothing has come for a while, does not come any more.
func (c *Comparison) atEnd(now time.Duration, w drift.Watermarks) bool {
	end := c.cfg.End.Sub(c.epoch)
	r := &c.lookedAt
	settle := c.cfg.Settle
	if settle == 0 {
		settle = 2 * r.Grace
	}
	if now < end {
		return false
	}
	if c.drained == 0 {
		if w.Read[drift.Incumbent] < end || w.Read[drift.Candidate] < end {
			return c.stalled(now, end, settle+giveUp, w)
		}
		c.drained = now
	}
	pending := func(side drift.Side) bool { return r.Oldest[side] != 0 && r.Oldest[side] < c.drained }
	if r.Swept >= c.drained && !pending(drift.Incumbent) && !pending(drift.Candidate) {
		return true
	}
	all := c.drained + max(settle, 2*r.LagMost)
	if w.Read[drift.Candidate] >= all {
		c.passed = max(c.passed, c.drained)
	}
	if now >= all+giveUp { // a side was read to the end, and not since
		c.unread = fmt.Sprintf("what was pending at the end could not be judged within %s", all-c.drained+giveUp)
		for side, r := range c.readers {
			if why := r.unreadable(); why != "" {
				c.unread += "; the " + drift.Side(side).String() + " could not be read: " + why
			}
		}
		return true
	}
	return false
}

// stalled says that nothing more has come for so long of a side that was not read to the
// end, though it does not wait for the other one.
func (c *Comparison) stalled(now, end, patience time.Duration, w drift.Watermarks) bool {
	quiet := func(side drift.Side) bool { return now-max(end, c.readers[side].last) >= patience }
	for _, side := range []drift.Side{drift.Candidate, drift.Incumbent} { // whose reader waits for the candidate's to open
		waits := c.lookedAt.Pending[side] >= uint64(c.cfg.Limits.Pending) && !quiet(1-side)
		if w.Read[side] >= end || !quiet(side) || waits {
			continue
		}
		c.unread = fmt.Sprintf("the %s was not read to the end: nothing more came for %s", side, patience)
		if why := c.readers[side].unreadable(); why != "" {
			c.unread += ": " + why
		}
		return true
	}
	return false
}
