package bundle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Verdict is what a replay came to.
type Verdict struct {
	// Same says that the message is found to be what the bundle says it is.
	Same bool
	// Kinds are all that is found of the message, Found the outcome where it is a record.
	Kinds []drift.Kind
	Found string
	// Extent is that of the finding.
	Extent uint32
}

// Replay compares the bundle's messages anew, as they were read and when.
func Replay(b *Bundle) (Verdict, error) {
	if b.Outputs != nil {
		return replayOutput(b)
	}
	r, err := newReplay(b)
	if err != nil {
		return Verdict{}, fmt.Errorf("bundle: %w", err)
	}
	r.prepare()
	for _, f := range r.trace {
		r.exact.Observe(f.side, &f.o)
	}
	r.finish()
	v := Verdict{}
	for _, f := range r.exact.Findings(nil) {
		if f.Key != r.subject.Key || f.ID != r.subject.ID && r.kind != drift.StuckKey {
			continue
		}
		if v.Kinds = append(v.Kinds, f.Kind); f.Kind == r.kind {
			v.Same, v.Extent = true, f.Extent
		}
	}
	return v, nil
}

type replay struct {
	b       *Bundle
	kind    drift.Kind
	exact   *drift.Exact
	epoch   time.Time
	found   time.Duration
	grace   time.Duration
	stuck   time.Duration
	trace   []observed
	subject drift.Observation // the message that the bundle is about
}

type observed struct {
	side drift.Side
	o    drift.Observation
}

func newReplay(b *Bundle) (*replay, error) {
	r := &replay{b: b}
	var ok bool
	if r.kind, ok = drift.KindOf(b.Kind); !ok {
		return nil, fmt.Errorf("%q is no kind of difference", b.Kind)
	}
	frames := b.frames()
	if len(frames) == 0 {
		return nil, fmt.Errorf("it holds no messages: the recorder did not reach so far back (see evidence.flight)")
	}
	r.epoch = frames[0].Read
	for _, f := range frames {
		if f.Read.Before(r.epoch) {
			r.epoch = f.Read
		}
	}
	r.epoch = r.epoch.Add(-time.Hour)
	r.found = b.At.Sub(r.epoch)
	d := &compare.Digester{Seed: rand.Uint64(), Epoch: r.epoch, Content: b.Rules.Content, Ignore: b.Rules.Ignore}
	history := b.History
	for _, f := range []*Frame{b.Candidate.Frame, b.Incumbent.Frame} {
		if f == nil {
			continue
		}
		o, err := r.observe(d, f)
		if err != nil {
			return nil, err
		}
		r.subject, history = o.o, with(history, f)
	}
	for i := range history {
		o, err := r.observe(d, &history[i])
		if err != nil {
			return nil, err
		}
		r.trace = append(r.trace, o)
	}
	slices.SortStableFunc(r.trace, func(a, b observed) int { return int(a.o.At - b.o.At) })
	return r, r.options()
}

// with is the history with a message that it does not reach back to.
func with(history []Frame, f *Frame) []Frame {
	for i := range history {
		if history[i].Side == f.Side && history[i].Read.Equal(f.Read) && history[i].Message.ID == f.Message.ID {
			return history
		}
	}
	return append([]Frame{*f}, history...)
}

func (r *replay) observe(d *compare.Digester, f *Frame) (observed, error) {
	m, err := f.Message.Read()
	if err != nil {
		return observed{}, err
	}
	o := observed{side: drift.Incumbent, o: d.Of(&m, f.Read)}
	if f.Side == drift.Candidate.String() {
		o.side = drift.Candidate
	}
	o.o.Place, o.o.Loop = f.Place, f.Loop
	return o, nil
}

// options makes the comparison that the bundle's was.
func (r *replay) options() error {
	o := drift.Options{Remember: 1 << 12}
	for _, d := range []struct {
		text string
		to   *time.Duration
	}{{r.b.Rules.Grace, &r.grace}, {r.b.Rules.Late, &o.Late}, {r.b.Rules.Stuck, &r.stuck}} {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(d.text)
		if err != nil {
			return err
		}
		*d.to = v
	}
	if r.stuck == 0 {
		r.stuck = 30 * time.Second
	}
	o.Grace, o.GraceMost, o.Stuck = r.grace, r.grace, r.stuck
	r.exact = drift.NewExact(o)
	return nil
}

// prepare brings the comparison to where the bundle's messages begin: what the candidate
// has of the key in front of the first that both have is not judged, and an ID that was
// matched before the bundle reaches back to is known.
func (r *replay) prepare() {
	first := r.trace[0].o.At
	r.exact.Begin(first)
	var n [2]int
	for _, f := range r.trace {
		if f.o.ID == r.subject.ID {
			n[f.side]++
		}
	}
	if r.kind != drift.Duplicate || n[drift.Candidate] > max(1, n[drift.Incumbent]) {
		return
	}
	if r.trace = slices.DeleteFunc(r.trace, func(f observed) bool { return f.side == drift.Incumbent && f.o.ID == r.subject.ID }); n[drift.Candidate] == 0 {
		return
	}
	known := r.subject
	known.At = first - time.Minute
	r.exact.Observe(drift.Incumbent, &known)
	r.exact.Observe(drift.Candidate, &known)
}

// finish says what time it was when the difference was found, and that both sides had
// been read up to then.
func (r *replay) finish() {
	now := r.found + time.Second
	if r.kind == drift.StuckKey { // others of its shard went on
		other := r.subject
		other.Key, other.At = r.subject.Key+1, r.found
		r.exact.Observe(drift.Incumbent, &other)
		r.exact.Observe(drift.Candidate, &other)
	}
	if r.kind == drift.Missing { // the grace was over
		now = max(now, r.trace[len(r.trace)-1].o.At+r.grace+time.Second)
	}
	w := drift.Watermarks{Read: [2]time.Duration{now, now}}
	if passed := r.b.Rules.Passed; !passed.IsZero() {
		w.Passed = max(0, passed.Sub(r.epoch))
	}
	r.exact.Advance(now, w)
	r.exact.Advance(now+time.Second, w)
}
