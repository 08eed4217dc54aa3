package compare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/fields"
)

// OutputsConfig is everything that a comparison of outputs needs. Name, Streams and Join
// are required.
type OutputsConfig struct {
	Name string
	// Streams are the outputs of the incumbent's consumer and of the candidate's, and of a
	// second run of the incumbent's, if there is one: the control.
	Streams []Stream
	Join    Join
	// Rules say how much fields may differ.
	Rules *fields.Rules
	// Grace is how long a record that was passed by may still come. Default 5 s.
	Grace time.Duration
	// End and Settle are as of a Config.
	End    time.Time
	Settle time.Duration
	// Limits: Hold, Flight (of all that is held for its counterpart), Evidence and the
	// pauses.
	Limits Limits
	Log    *slog.Logger
	// Found, if not nil, is given what was found. It is called by one goroutine at a time
	// and must not block for long.
	Found func(*OutputFinding)
}

func (c *OutputsConfig) check() error {
	switch {
	case c.Name == "":
		return errors.New("compare: a comparison needs a name")
	case len(c.Streams) != 2 && len(c.Streams) != 3:
		return errors.New("compare: outputs are those of two consumers, or of three with a control")
	}
	for side := range c.Streams {
		if err := Comparable(&c.Streams[side].Traits); err != nil {
			return fmt.Errorf("%s: %w", sideNames[side], err)
		}
	}
	if c.Rules == nil {
		c.Rules = &fields.Rules{}
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits.setDefaults()
	return c.Join.Validate()
}

// sideNames are the names of the streams of outputs.
var sideNames = [streams]string{"incumbent", "candidate", "control"}

// Outputs compares what consumers produced. Run it once; Snapshot is safe at any time.
type Outputs struct {
	desk
	cfg     OutputsConfig
	readers []*reader

	// The desk's mutex guards what follows.
	joiner    *joiner
	matchedAt time.Duration
	begun     bool
	floors    [streams]time.Duration
	lookedAt  time.Duration
	passed    time.Duration
	drained   time.Duration // when all streams had been read to the end; 0 is not yet
	unread    string
	state     State
	failed    error
	since     time.Time
}

// NewOutputs checks the configuration and starts nothing.
func NewOutputs(cfg OutputsConfig) (*Outputs, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	o := &Outputs{
		desk: newDesk(cfg.Name, cfg.Limits, cfg.Log), cfg: cfg, since: time.Now(),
		joiner: newJoiner(&cfg.Join, cfg.Rules, len(cfg.Streams), cfg.Limits.Flight),
	}
	o.joiner.begin = always
	for side := range cfg.Streams {
		digester := &Digester{Epoch: o.epoch}
		r := newReader(&o.desk, sideNames[side], &o.cfg.Streams[side])
		r.observe = func(d *bridge.Delivery, read time.Time) drift.Observation { return digester.Of(&d.Message, read) }
		r.take = func(ds []bridge.Delivery, obs []drift.Observation, read time.Time) {
			for i := range ds {
				o.joiner.observe(drift.Side(side), Frame{Side: drift.Side(side), Seen: obs[i], Message: ds[i].Message, Stored: ds[i].Stored, Read: read})
			}
		}
		r.full = func() bool { return false }
		r.sessions = func() {}
		o.readers = append(o.readers, r)
	}
	return o, nil
}

// Run compares until ctx ends, or the comparison's own end has come. It returns nil then,
// and the cause when nothing can mend it.
func (o *Outputs) Run(ctx context.Context) error {
	work, end := context.WithCancelCause(ctx)
	defer end(nil)
	var wg sync.WaitGroup
	for _, r := range o.readers {
		wg.Go(func() {
			if err := r.run(work, func() {}); err != nil {
				end(fmt.Errorf("comparison %s: %s: %w", o.name, r.name, err))
			}
		})
	}
	wg.Go(func() {
		t := time.NewTicker(judgeEvery)
		defer t.Stop()
		for {
			found, over := o.advance()
			for i := range found {
				o.cfg.Found(&found[i])
			}
			if over {
				end(bridge.ErrClosed)
				return
			}
			select {
			case <-t.C:
			case <-work.Done():
				return
			}
		}
	})
	<-work.Done()
	cause := context.Cause(work)
	wg.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = time.Now()
	if bridge.ClassOf(cause) == bridge.Stopping {
		o.state, o.failed = StateFailed, cause
		return cause
	}
	o.state = StateStopped
	if o.unread == "" {
		o.unread = unreadable(o.readers)
	}
	return nil
}

// advance judges what can be judged by now, and lets go at the sources of what was.
func (o *Outputs) advance() (found []OutputFinding, over bool) {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	read := o.read(now)
	o.begin(now, read)
	o.joiner.advance(now, o.cfg.Grace, o.passed, read)
	if o.cfg.Found != nil {
		found = o.joiner.found
	}
	o.joiner.found = nil
	if now-o.lookedAt >= 5*judgeEvery {
		o.lookedAt = now
		for side, r := range o.readers {
			floor := o.joiner.oldest(drift.Side(side))
			if floor == 0 {
				floor = now
			}
			o.floors[side] = max(o.floors[side], floor, now-o.limits.Hold)
			if at, over := r.overfull(now); over {
				o.floors[side] = max(o.floors[side], at)
			}
			r.release(o.floors[side])
		}
	}
	return found, !o.cfg.End.IsZero() && o.atEnd(now, read)
}

// read is up to when everything that the systems had stored was observed, of all streams.
func (o *Outputs) read(now time.Duration) time.Duration {
	read := always
	for _, r := range o.readers {
		at := r.marks.look()
		if r.finished {
			at = now
		}
		read = min(read, at)
	}
	return read
}

// begin ends the beginning: from then on a record that one side alone has is judged.
func (o *Outputs) begin(now, read time.Duration) {
	if o.begun {
		return
	}
	if o.matchedAt == 0 && o.joiner.tally.judged() > 0 {
		o.matchedAt = now
	}
	opened := time.Duration(0)
	for _, r := range o.readers {
		if r.opened == 0 {
			return
		}
		opened = max(opened, r.opened)
	}
	if read >= opened && o.matchedAt > 0 && now-o.matchedAt >= o.cfg.Grace {
		o.begun, o.joiner.begin = true, now
	}
}

// atEnd says that everything is judged that the streams held at the end, which is all that
// was observed by the time that they had been read that far.
func (o *Outputs) atEnd(now, read time.Duration) bool {
	end := o.cfg.End.Sub(o.epoch)
	settle := o.cfg.Settle
	if settle == 0 {
		settle = 2 * o.cfg.Grace
	}
	if now < end {
		return false
	}
	if o.drained == 0 {
		if read < end {
			return o.stalled(now, end, settle+giveUp)
		}
		o.drained = now
	}
	switch all := o.drained + settle; {
	case read < all:
		return o.stalled(now, all, giveUp)
	case o.passed < all:
		o.passed = all
		return false
	}
	return true
}

// stalled says that nothing more has come for so long of a stream that was not read to an
// end.
func (o *Outputs) stalled(now, end, patience time.Duration) bool {
	for _, r := range o.readers {
		if r.finished || r.marks.read >= end || now-max(end, r.last) < patience {
			continue
		}
		o.unread = fmt.Sprintf("the %s was not read to the end: nothing more came for %s", r.name, patience)
		if why := r.unreadable(); why != "" {
			o.unread += ": " + why
		}
		return true
	}
	return false
}

// judged is how many records were found on both sides.
func (c *OutputCounts) judged() (n uint64) {
	for _, o := range []Outcome{OutcomeMatch, OutcomeIgnored, OutcomeNoise, OutcomeMismatch} {
		n += c.Outcomes[o]
	}
	return n
}

// An OutputsSnapshot is a comparison of outputs at one moment.
type OutputsSnapshot struct {
	Name    string
	State   State
	Why     string
	Unread  string // why not all was read that there was by the end; empty if it was
	Since   time.Time
	Verdict Verdict
	OutputCounts
	Pending [streams]uint64
	// Fields are those in which something differed, those that the candidate is to blame
	// for in front.
	Fields []FieldCount
	Begun  bool
	Up     []bool
}

// AsDelivery is what it has in common with a comparison of what a relay brings.
func (s *OutputsSnapshot) AsDelivery() Snapshot {
	d := Snapshot{Name: s.Name, State: s.State, Why: s.Why, Unread: s.Unread, Since: s.Since, Verdict: s.Verdict, Begun: s.Begun}
	d.Matched = s.judged()
	for side := range d.Sides {
		d.Observed[side], d.Pending[side], d.Repeats[side] = s.Observed[side], s.Pending[side], s.Repeats[side]
		d.Sides[side].Up = s.Up[side]
	}
	d.Before[drift.Incumbent] = s.Before
	d.Incomparable[drift.Incumbent] = s.Outcomes[OutcomeIncomparable]
	differ := s.Outcomes[OutcomeMismatch] + s.Outcomes[OutcomeMissing] + s.Outcomes[OutcomeExtra]
	d.Confidence = Confidence{Messages: d.Matched + s.Outcomes[OutcomeMissing] + s.Outcomes[OutcomeExtra], Differ: differ, SpanRate: 1}
	d.Confidence.Rate = drift.Bound(d.Confidence.Messages, differ, alpha)
	return d
}

// Snapshot reads everything at one moment.
func (o *Outputs) Snapshot() OutputsSnapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	j := o.joiner
	s := OutputsSnapshot{Name: o.name, OutputCounts: j.tally, Pending: j.pending, Begun: o.begun, Since: o.since}
	s.Outcomes = map[Outcome]uint64{}
	for k, n := range j.tally.Outcomes {
		s.Outcomes[k] = n
	}
	for _, f := range j.fields {
		s.Fields = append(s.Fields, *f)
	}
	slices.SortFunc(s.Fields, func(a, b FieldCount) int {
		switch {
		case a.Blamed != b.Blamed && a.Blamed:
			return -1
		case a.Blamed != b.Blamed:
			return 1
		}
		return strings.Compare(a.Path, b.Path)
	})
	for _, r := range o.readers {
		s.Up = append(s.Up, r.link.up)
	}
	s.Verdict, s.Unread = o.verdict(), o.unread
	s.State, s.Why = o.why(&s)
	return s
}

func (o *Outputs) verdict() Verdict {
	c := o.joiner.tally.Outcomes
	switch {
	case c[OutcomeMismatch]+c[OutcomeMissing]+c[OutcomeExtra] > 0:
		return Drift
	case c[OutcomeIncomparable] > 0:
		return Incomparable
	case o.joiner.tally.judged() == 0:
		return Pending
	case o.unread != "":
		return Incomparable
	}
	return Match
}

func (o *Outputs) why(s *OutputsSnapshot) (State, string) {
	switch {
	case o.state == StateFailed:
		why := bridge.Printable(o.failed.Error(), 600)
		if hint := bridge.HintOf(o.failed); hint != "" {
			why += " — " + hint
		}
		return o.state, why
	case o.unread != "":
		return StateStopped, o.unread
	case o.state == StateStopped:
		return o.state, o.progress(s)
	}
	for _, r := range o.readers {
		if !r.link.up && r.link.err != nil {
			return StateWaiting, r.name + ": " + bridge.Printable(oneLine(r.link.err), 400)
		}
		if r.opened == 0 {
			return StateStarting, "opening the " + r.name + "'s output"
		}
	}
	return StateComparing, o.progress(s)
}

// progress is what there is to say while all streams are read.
func (o *Outputs) progress(s *OutputsSnapshot) string {
	switch s.Verdict {
	case Pending:
		return "no record was found on both sides yet"
	case Incomparable:
		return "some records do not say what they belong to, or more had to be held than may be"
	}
	return ""
}
