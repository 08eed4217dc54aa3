package main

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// rules say what samples lead to.
type rules struct {
	High     float64
	Window   time.Duration
	Remember int
	Bug      string
}

// A state is all that a consumer knows. It reads no clock and touches no broker:
// the same samples in the same order lead to the same results.
type state struct {
	rules
	counts
	metrics map[string]*metric
	seen    *dedupe.Window
	recent  []dedupe.Fingerprint // what seen holds and some older ones, newest last
}

// A metric is what is known of one metric.
type metric struct {
	Raised bool `json:"raised,omitempty"`
	Rollup      // of the open window; Count is 0 before the first sample
}

// counts are of this run.
type counts struct{ Samples, Repeats, Skipped, Late, Alerts, Rollups int }

func (c counts) String() string {
	return fmt.Sprintf("%d samples, %d of them late; %d repeats and %d messages without a sample left out; %d alerts, %d rollups",
		c.Samples, c.Late, c.Repeats, c.Skipped, c.Alerts, c.Rollups)
}

func newState(r rules) *state {
	return &state{rules: r, metrics: map[string]*metric{}, seen: dedupe.NewWindow(r.Remember)}
}

// Apply takes the next sample and gives what it leads to, in order.
func (s *state) Apply(x sample) (out []Result) {
	if !s.fresh(x) && s.Bug != bugDedup {
		s.Repeats++
		return nil
	}
	s.Samples++
	m := s.metrics[x.Metric]
	if m == nil {
		m = &metric{}
		s.metrics[x.Metric] = m
	}
	switch window := x.At.UTC().Truncate(s.Window); {
	case m.Count == 0:
		m.Rollup = Rollup{Window: window}
	case window.Before(m.Window):
		s.Late++
		return nil
	case window.After(m.Window):
		if s.Bug == bugLateWindow {
			m.add(x, s.Bug)
		}
		s.Rollups++
		out = append(out, m.close(x.Metric))
		m.Rollup = Rollup{Window: window}
	}
	m.add(x, s.Bug)
	if state := m.passes(x.Value, s.High); state != "" {
		s.Alerts++
		out = append(out, alert(x, state))
	}
	return out
}

// passes says whether a value raises or clears the alert of a metric.
func (m *metric) passes(value, high float64) string {
	switch {
	case !m.Raised && value > high:
		m.Raised = true
		return "raised"
	case m.Raised && value < high:
		m.Raised = false
		return "cleared"
	}
	return ""
}

// fresh says that a sample is not the repeat of one that is remembered, and
// remembers it.
func (s *state) fresh(x sample) bool {
	if x.ID == "" {
		return true
	}
	fp := dedupe.Of(false, x.Metric, x.ID)
	if !s.seen.Add(fp) {
		return false
	}
	if len(s.recent) >= 2*max(s.Remember, 1) {
		s.recent = append([]dedupe.Fingerprint(nil), s.remembered()...)
	}
	s.recent = append(s.recent, fp)
	return true
}

// remembered is what the window holds, the oldest first.
func (s *state) remembered() []dedupe.Fingerprint {
	return s.recent[len(s.recent)-s.seen.Len():]
}
