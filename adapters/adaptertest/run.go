package adaptertest

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// together is held by every check that runs, and alone by the one that counts the
// goroutines of the process.
var together sync.RWMutex

// noneLeft is the promise of that check.
const noneLeft = "no goroutines are left"

// turn waits until the check may run, and gives what ends that.
func (c *check) turn() (over func()) {
	if c.promise == noneLeft {
		together.Lock()
		return together.Unlock
	}
	together.RLock()
	return together.RUnlock
}

// Run proves the promises of the contract on one adapter: every check, each on a
// Fixture of its own. It logs the report, leaves it in the folder that
// CROSSFADE_MATRIX names, and returns it. Tests that run it may be parallel.
func Run(t *testing.T, h Harness) Report {
	t.Helper()
	report := Report{Adapter: h.Name}
	about := h.ask(t)
	for _, c := range checks {
		result := Result{Group: c.group, Promise: c.promise}
		ran := false
		over := c.turn()
		ok := t.Run(c.name(), func(t *testing.T) {
			ran = true
			if result.Why = c.waiver(&about); result.Why != "" {
				result.Outcome = Waived
				t.Logf("waived by %s", result.Why)
				return
			}
			result.Outcome, result.Why = h.prove(t, c, about)
		})
		over()
		switch {
		case !ran: // left out by -run
			continue
		case !ok:
			result.Outcome = Failed
		}
		report.Results = append(report.Results, result)
	}
	t.Logf("%s", report.String())
	if folder := os.Getenv("CROSSFADE_MATRIX"); folder != "" {
		if err := report.save(folder); err != nil {
			t.Errorf("matrix: %v", err)
		}
	}
	return report
}

// ask has the harness say what it is about, and clean up.
func (h *Harness) ask(t *testing.T) facts {
	t.Helper()
	together.RLock()
	defer together.RUnlock()
	own := &scope{T: t}
	defer own.end() // also where the harness is refused
	return h.facts(own)
}

// A scope is a T whose cleanup comes before the test's end.
type scope struct {
	T
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		last()
	}
}

// A check proves one promise.
type check struct {
	group, promise string
	waivers        []waiver
	prove          func(e *env)
}

func (c *check) name() string { return c.group + "/" + c.promise }

// waiver gives the first reason that the promise is not made, or "".
func (c *check) waiver(f *facts) string {
	for _, w := range c.waivers {
		if why := w(f); why != "" {
			return why
		}
	}
	return ""
}

// A waiver says which trait takes a promise back, or "".
type waiver func(f *facts) string

// facts are what waivers go by.
type facts struct {
	source, sink, restart bool
	journal, keeper       bool
	from                  bridge.SourceTraits
	to                    bridge.SinkTraits
	repartition           bool
	keys                  [][]string // by lane, where the sink dictates lanes
}

// facts reads the traits, and refuses a harness that leaves out what it has to
// give.
func (h *Harness) facts(t T) facts {
	t.Helper()
	if h.New == nil {
		t.Fatalf("the harness has no New")
	}
	fx := h.New(t)
	if fx.Start == nil {
		t.Fatalf("the fixture has no Start")
	}
	p := fx.Start(t)
	f := facts{source: p.Source != nil, sink: p.Sink != nil, restart: fx.Restart != nil, keeper: fx.Keeper != nil, repartition: fx.Repartition != nil}
	durable := false
	if f.source {
		f.from = p.Source.Traits()
		_, f.journal = p.Source.(bridge.JournalOpener)
		durable = f.from.Durable
	}
	if f.sink {
		f.to = p.Sink.Traits()
		durable = durable || f.to.Durable
	}
	for _, missing := range []struct {
		is  bool
		why string
	}{
		{!f.source && !f.sink, "neither a source nor a sink"},
		{f.source && fx.Put == nil, "a source but no Put"},
		{f.sink && fx.Read == nil, "a sink but no Read"},
		{f.source && f.sink && fx.Loop == nil, "a source and a sink but no Loop"},
		{durable && fx.Missing == nil, "a durable system but no Missing"},
		{f.keeper && (fx.Other == nil || fx.Identity == bridge.Identity{}), "a Keeper but no Identity or no Other"},
		{f.from.Unacked > 0 && f.from.Unacked < 64, "a bound on un-acked messages below 64, which the checks need"},
		{f.from.Journals && !f.journal, "the trait Journals but no JournalOpener"},
	} {
		if missing.is {
			t.Fatalf("the fixture has %s", missing.why)
		}
	}
	if f.to.Routed {
		f.keys = routedKeys(t, p)
	}
	return f
}

// prove runs one check, and gives what came of it unless it failed, and what it
// has to add.
func (h *Harness) prove(t T, c check, about facts) (Outcome, string) {
	t.Helper()
	e := &env{T: t, facts: about, patience: h.Patience, background: h.Background}
	if e.patience == 0 {
		e.patience = 10 * time.Second
	}
	e.begin()
	e.Fixture = h.New(t)
	c.prove(e)
	e.finish()
	if e.lacks != "" {
		return Waived, e.lacks
	}
	return Proven, e.noted()
}

func needsSource(f *facts) string {
	if !f.source {
		return "the adapter: it has no source"
	}
	return ""
}

func needsSink(f *facts) string {
	if !f.sink {
		return "the adapter: it has no sink"
	}
	return ""
}

func needsRestart(f *facts) string {
	if !f.restart {
		return "the harness: it cannot restart this system"
	}
	return ""
}

func needsDurableSource(f *facts) string {
	if !f.from.Durable {
		return "trait Durable: no (source)"
	}
	return ""
}

func needsDurableSink(f *facts) string {
	if !f.to.Durable {
		return "trait Durable: no (sink)"
	}
	return ""
}

func needsSharded(f *facts) string {
	if !f.from.Sharded {
		return "trait Sharded: no"
	}
	return ""
}

func needsOrdered(f *facts) string {
	if !f.from.Ordered {
		return "trait Ordered: no"
	}
	return ""
}

func needsReplayable(f *facts) string {
	if !f.from.Replayable {
		return "trait Replayable: no"
	}
	return ""
}

func needsFence(f *facts) string {
	if f.to.Fence == bridge.FenceNone {
		return "trait Fence: none"
	}
	return ""
}

func needsRecall(f *facts) string {
	if f.to.Recall == 0 {
		return "trait Recall: 0"
	}
	return ""
}

func needsJournals(f *facts) string {
	if !f.from.Journals {
		return "trait Journals: no"
	}
	return ""
}

func needsLanes(f *facts) string {
	if f.to.Lanes < 2 {
		return fmt.Sprintf("trait Lanes: %d", f.to.Lanes)
	}
	if f.lanes() < 2 {
		return "the harness: its target has one partition"
	}
	return ""
}

func needsSmallUnacked(f *facts) string {
	if f.from.Unacked == 0 || f.from.Unacked > 4096 {
		return fmt.Sprintf("trait Unacked: %d", f.from.Unacked)
	}
	return ""
}

func needsTopology(f *facts) string {
	if !f.from.Durable && !f.to.Durable {
		return "trait Durable: no"
	}
	return ""
}
