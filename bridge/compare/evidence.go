package compare

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// Evidence is one thing that was found, with the messages that show it.
type Evidence struct {
	Comparison string
	Finding    drift.Finding
	// At is when it was found.
	At time.Time
	// Messages are what each side has of the message; nil where it has none, or the
	// recorder did not hold it any more.
	Messages [2]*Frame
	// History is what both sides had of the key around it by then, oldest first.
	History []Frame
	// Report is the state of the comparison by then.
	Report drift.Report
	// Drift are the options of the comparison; Content and Ignore are those of its
	// configuration.
	Drift   drift.Options
	Content bool
	Ignore  Ignore
	// Passed is up to when everything that will ever come to the candidate had come, as
	// far as that was proved by then.
	Passed time.Time
	// Differences name the parts in which the two messages differ, where there are two.
	Differences []Difference
}

// How many messages of its key go with a finding, before and behind it on each side; of
// what is reordered, all that it was late for, within bounds.
const (
	historyOf   = 32
	historyMost = 4096
)

// A sampler decides of which findings the evidence is kept: the first of each kind in a
// while, and of each key no more than a few.
type sampler struct {
	burst int // of a kind, at once
	kinds [drift.Kinds]budget
	keys  map[uint64]int
	since time.Duration
	// untold is how many findings there is no evidence of.
	untold uint64
}

// A budget is filled anew as time goes by.
type budget struct {
	left   float64
	filled time.Duration
}

// sampleEvery is how long it takes until one more of a kind may have evidence. Of a key a
// third of the burst may in an hour.
const sampleEvery = 10 * time.Second

func (s *sampler) takes(f *drift.Finding, now time.Duration) bool {
	if s.keys == nil || now-s.since > time.Hour {
		s.keys, s.since = map[uint64]int{}, now
	}
	b := &s.kinds[f.Kind]
	if b.filled == 0 {
		b.left = float64(s.burst)
	}
	b.left = min(float64(s.burst), b.left+float64(now-b.filled)/float64(sampleEvery))
	b.filled = now
	if b.left < 1 || s.keys[f.Key] >= max(1, s.burst/3) {
		s.untold++
		return false
	}
	b.left--
	s.keys[f.Key]++
	return true
}

// tell gives the evidence of what was found since; the mutex is held.
func (c *Comparison) tell() (all []Evidence) {
	c.findings = c.engine.Findings(c.findings[:0])
	now := c.now()
	for i := range c.findings {
		f := &c.findings[i]
		if c.cfg.Found == nil || !c.sampler.takes(f, now) {
			continue
		}
		all = append(all, c.evidence(f))
	}
	return all
}

func (c *Comparison) evidence(f *drift.Finding) Evidence {
	e := Evidence{
		Comparison: c.cfg.Name, Finding: *f, At: c.at(f.Found), Report: c.lookedAt, History: c.recorder.History(f.Key, f.ID, min(historyMost, historyOf+int(f.Extent))),
		Drift: c.cfg.Drift, Content: c.cfg.Content, Ignore: c.cfg.Ignore, Passed: c.at(c.passed),
	}
	for side := range e.Messages {
		if frame, ok := c.recorder.Latest(drift.Side(side), f.Key, f.ID); ok {
			e.Messages[side] = &frame
		}
	}
	if was, is := e.Messages[drift.Incumbent], e.Messages[drift.Candidate]; was != nil && is != nil {
		e.Differences = Explain(&was.Message, &is.Message, c.cfg.Ignore)
	}
	return e
}
