package telemetry

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

var t0 = time.Unix(1_800_000_000, 0)

func after(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func snapshot(settled uint64, debt int) relay.Snapshot {
	s := relay.Snapshot{State: relay.StateRunning, Why: "moving", Debt: debt, DebtLimit: 100}
	s.Counts = relay.Counts{Received: settled + uint64(debt), Placed: settled, InFlight: uint64(debt)}
	return s
}

var errAway = errors.New("no answer")

func TestLag(t *testing.T) {
	type observed struct {
		second  int
		debt    int
		backlog bridge.Backlog
		err     error
	}
	aged := func(n int64, second int) bridge.Backlog { return bridge.Backlog{Messages: n, Oldest: after(second)} }
	for _, c := range []struct {
		name       string
		sourceTime bool
		mute       bool
		observed   []observed
		at         int
		oldest     int // of the snapshot; 0 is none
		want       Lag
	}{
		{"nothing waits", true, false, []observed{{10, 0, bridge.Backlog{}, nil}}, 10, 0, Lag{}},
		{"oldest at the incumbent", true, false, []observed{{10, 2, aged(5, 7), nil}}, 12, 9, Lag{Messages: 5, Seconds: 5}},
		{"oldest in flight", true, false, []observed{{10, 2, aged(5, 7), nil}}, 12, 4, Lag{Messages: 5, Seconds: 8}},
		{"clock of the incumbent ahead", true, false, []observed{{10, 2, aged(5, 99), nil}}, 12, 0, Lag{Messages: 5}},
		{"the incumbent counts roughly", true, false, []observed{{10, 2, bridge.Backlog{Messages: 5, Bound: true, Oldest: after(7)}, nil}}, 10, 0,
			Lag{Messages: 5, MessagesBound: AtMost, Seconds: 3}},
		{"no time of its own", false, false, []observed{{10, 0, bridge.Backlog{}, nil}, {11, 3, bridge.Backlog{Messages: 3}, nil}}, 14, 11,
			Lag{Messages: 3, Seconds: 4, SecondsBound: AtMost}},
		{"no time and never empty", false, false, []observed{{10, 3, bridge.Backlog{Messages: 3}, nil}}, 14, 11,
			Lag{Messages: 3, Seconds: 3, SecondsBound: AtLeast}},
		{"waiting before anything came", true, false, []observed{{10, 0, bridge.Backlog{Messages: 3}, nil}}, 14, 0,
			Lag{Messages: 3, Seconds: 4, SecondsBound: AtLeast}},
		{"no answer for long", true, false, []observed{{10, 2, aged(5, 7), nil}, {21, 2, bridge.Backlog{}, errAway}}, 21, 9,
			Lag{Messages: 2, MessagesBound: AtLeast, Seconds: 12}},
		{"no answer for a moment", true, false, []observed{{10, 2, aged(5, 7), nil}, {12, 2, bridge.Backlog{}, errAway}}, 12, 9,
			Lag{Messages: 5, Seconds: 5}},
		{"never an answer, nothing received", true, false, []observed{{10, 0, bridge.Backlog{}, errAway}}, 12, 0,
			Lag{MessagesBound: AtLeast, SecondsBound: AtLeast}},
		{"an incumbent that cannot say", true, true, []observed{{10, 2, bridge.Backlog{}, nil}}, 12, 9,
			Lag{Messages: 2, MessagesBound: AtLeast, Seconds: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Progress{SourceTime: c.sourceTime, Answers: !c.mute}
			var s relay.Snapshot
			for _, o := range c.observed {
				s = snapshot(0, o.debt)
				p.Observe(after(o.second), &s, o.backlog, o.err)
			}
			if c.oldest != 0 {
				s.OldestUnsettled = after(c.oldest)
			}
			if got := p.Reading(after(c.at), s).Lag; got != c.want {
				t.Errorf("lag %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestStalled(t *testing.T) {
	p := Progress{SourceTime: true, Answers: true}
	see := func(second int, settled uint64, debt int, waiting int64, err error) Reading {
		s := snapshot(settled, debt)
		if debt == 0 {
			s.State = relay.StateIdle
		}
		p.Observe(after(second), &s, bridge.Backlog{Messages: waiting}, err)
		return p.Reading(after(second), s)
	}
	for _, c := range []struct {
		what                   string
		second, settled, debt  int
		waiting                int64
		err                    error
		state, why, stalledSay string
	}{
		{"starts", 0, 0, 0, 0, nil, "idle", "moving", ""},
		{"idle for long", 60, 0, 0, 0, nil, "idle", "moving", ""},
		{"work appears", 61, 0, 5, 5, nil, "running", "moving", ""},
		{"no progress yet", 70, 0, 5, 9, nil, "running", "moving", ""},
		{"no progress", 71, 0, 5, 9, nil, "stalled", "9 wait at the incumbent and nothing was settled for 11s", ""},
		{"progress", 72, 1, 5, 9, nil, "running", "moving", ""},
		{"idle while the incumbent moves", 83, 1, 0, 9, nil, "stalled", "9 wait at the incumbent and nothing was settled for 11s", ""},
		{"caught up", 84, 10, 0, 0, nil, "idle", "moving", ""},
		{"no answer for a moment", 90, 10, 0, 0, errAway, "idle", "moving", ""},
		{"no answer", 96, 10, 0, 0, errAway, "stalled", "the incumbent has not said for 12s how much waits", ""},
	} {
		r := see(c.second, uint64(c.settled), c.debt, c.waiting, c.err)
		if r.State() != c.state || r.Why() != c.why || r.Ready() != (c.state != "stalled") {
			t.Errorf("%s: %s (%s), ready %t; want %s (%s)", c.what, r.State(), r.Why(), r.Ready(), c.state, c.why)
		}
	}
}

// A paused relay is ready, is never stalled, shows what waited last as a bound, and is
// given its time when it goes on.
func TestPausedIsNotStalled(t *testing.T) {
	p := Progress{SourceTime: true, Answers: true}
	s := snapshot(5, 3)
	p.Observe(t0, &s, bridge.Backlog{Messages: 9, Oldest: t0.Add(-time.Second)}, nil)
	s = snapshot(8, 0)
	s.State, s.Why, s.Since = relay.StatePaused, "by an operator", after(1)
	for second := 1; second < 3600; second += 7 {
		p.Observe(after(second), &s, bridge.Backlog{}, nil)
		r := p.Reading(after(second), s)
		want := Lag{Messages: 9, MessagesBound: AtLeast, Seconds: float64(second + 1), SecondsBound: AtLeast}
		if r.State() != "paused" || r.Why() != "by an operator" || !r.Ready() || r.Stalled != "" || r.Lag != want {
			t.Fatalf("after %d s: %+v", second, r)
		}
	}
	s.State = relay.StateStarting
	for second := 3600; second < 3620; second++ {
		p.Observe(after(second), &s, bridge.Backlog{Messages: 9}, nil)
		if r := p.Reading(after(second), s); (r.Stalled != "") != (second > 3610) {
			t.Errorf("%d s after it was to go on: %q", second-3600, r.Stalled)
		}
	}
}

func TestWaitingForLongIsNotReady(t *testing.T) {
	p := Progress{Answers: true}
	s := relay.Snapshot{State: relay.StateWaiting, Why: "connection refused", Since: t0}
	for second := range 60 {
		ready := second <= 10
		p.Observe(after(second), &s, bridge.Backlog{}, nil)
		if r := p.Reading(after(second), s); r.Ready() != ready || r.Why() != "connection refused" {
			t.Errorf("after %d s: ready %t, %s", second, r.Ready(), r.Why())
		}
	}
}

func TestStalledWhileWaitingKeepsTheReason(t *testing.T) {
	p := Progress{Answers: true}
	s := snapshot(0, 5)
	s.State, s.Why, s.Since = relay.StateWaiting, "connection refused", t0
	p.Observe(t0, &s, bridge.Backlog{Messages: 5}, nil)
	if r := p.Reading(after(1), s); !r.Ready() || r.Why() != "connection refused" {
		t.Errorf("at first: ready %t, %s", r.Ready(), r.Why())
	}
	p.Observe(after(20), &s, bridge.Backlog{Messages: 5}, nil)
	r := p.Reading(after(20), s)
	if want := "connection refused; 5 wait at the incumbent and nothing was settled for 20s"; r.Ready() || r.State() != "waiting" || r.Why() != want {
		t.Errorf("%s, ready %t: %s", r.State(), r.Ready(), r.Why())
	}
}

func TestNeverReadyBeforeItRunsOrAfterItFailed(t *testing.T) {
	for state, ready := range map[relay.State]bool{
		relay.StateStarting: false, relay.StateRunning: true, relay.StateIdle: true, relay.StateWaiting: true,
		relay.StateDraining: true, relay.StateStopped: false, relay.StateFailed: false,
	} {
		r := Reading{Snapshot: relay.Snapshot{State: state}}
		if r.Ready() != ready {
			t.Errorf("%s: ready %t", state, r.Ready())
		}
	}
}

func TestRate(t *testing.T) {
	var p Progress
	for i := range 20 {
		s := snapshot(uint64(i*i), 0)
		p.Observe(after(i), &s, bridge.Backlog{}, nil)
		want := 0.0
		if from := max(0, i-rateOver); i > 0 {
			want = float64(i*i-from*from) / float64(i-from)
		}
		if got := p.Reading(after(i), s).Rate; got != want {
			t.Fatalf("after %d s: %v, want %v", i, got, want)
		}
	}
}

// Whatever is observed, figures are sane and the empty lag is healthy.
func TestReadingsAreSane(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := Progress{SourceTime: rapid.Bool().Draw(rt, "source time"), Answers: rapid.Bool().Draw(rt, "answers")}
		at, n := 0, uint64(0)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			at += rapid.IntRange(0, 15).Draw(rt, "wait")
			n += rapid.Uint64Range(0, 3).Draw(rt, "settled")
			s := snapshot(n, rapid.IntRange(0, 3).Draw(rt, "debt"))
			if s.Debt > 0 && rapid.Bool().Draw(rt, "dated") {
				s.OldestUnsettled = after(rapid.IntRange(0, at+5).Draw(rt, "oldest"))
			}
			var err error
			if rapid.Bool().Draw(rt, "away") {
				err = errAway
			}
			b := bridge.Backlog{Messages: rapid.Int64Range(0, 3).Draw(rt, "backlog")}
			p.Observe(after(at), &s, b, err)
			r := p.Reading(after(at), s)
			if r.Lag.Seconds < 0 || r.Lag.Messages < 0 || r.Rate < 0 {
				rt.Fatalf("negative: %+v", r)
			}
			if p.Answers && err == nil && b.Messages == 0 && s.Debt == 0 && (r.Stalled != "" || r.Lag != (Lag{})) {
				rt.Fatalf("nothing waits, and yet %+v, %q", r.Lag, r.Stalled)
			}
			if r.Lag.Messages == 0 && r.Lag.MessagesBound == Exact && s.Debt == 0 && r.Stalled != "" {
				rt.Fatalf("stalled without work: %q", r.Stalled)
			}
		}
	})
}

func TestMetrics(t *testing.T) {
	r := Reading{
		Relay: "telemetry", From: Side{System: "rabbit", Kind: "rabbitmq"}, To: Side{System: "nats", Kind: "nats"},
		Snapshot: relay.Snapshot{
			Counts: relay.Counts{Received: 28, Placed: 7, Suppressed: 6, Parked: 5, Expired: 4, GivenBack: 3, InFlight: 3},
			State:  relay.StateWaiting, Why: "never a label", Debt: 9, DebtLimit: 90, Bytes: 11, Retries: 12, Reconnects: 13, LastPlaced: t0,
		},
		Backlog: bridge.Backlog{Messages: 20, Bytes: 300}, BacklogAt: t0, Lag: Lag{Messages: 20, Seconds: 1.5, SecondsBound: AtMost},
	}
	r.Missing.KeyMissing, r.Missing.IDMissing = 14, 15
	calls := 0
	x := Comparison{Streams: []Side{{System: "rabbit", Kind: "rabbitmq"}, {System: "nats", Kind: "nats"}}}
	x.Name, x.Verdict, x.Matched, x.Why, x.Lag = "delivery", compare.Drift, 40, "never a label", 250*time.Millisecond
	x.Drift[drift.Missing], x.Pending = 3, [2]uint64{5, 6}
	reg := NewRegistry(Build{"1", "abc", "go1"}, func() []Reading { calls++; return []Reading{r} }, func() []Comparison { return []Comparison{x} })
	const want = `
# HELP crossfade_relay_lag_bound 1 if the lag in "messages" or "seconds" is a bound and not exact.
# TYPE crossfade_relay_lag_bound gauge
crossfade_relay_lag_bound{of="messages",relay="telemetry"} 0
crossfade_relay_lag_bound{of="seconds",relay="telemetry"} 1
# HELP crossfade_relay_lag_seconds Age of the oldest of them by the incumbent's time, or a bound of it.
# TYPE crossfade_relay_lag_seconds gauge
crossfade_relay_lag_seconds{relay="telemetry"} 1.5
# HELP crossfade_relay_placed_total Confirmed by the candidate.
# TYPE crossfade_relay_placed_total counter
crossfade_relay_placed_total{relay="telemetry"} 7
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "crossfade_relay_lag_bound", "crossfade_relay_lag_seconds", "crossfade_relay_placed_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	calls = 0
	families, err := reg.Gather()
	if err != nil || calls != 1 {
		t.Fatalf("a scrape reads %d times, %v", calls, err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				if strings.Contains(l.GetValue(), "never") {
					t.Errorf("%s has a reason in label %s", name, l.GetName())
				}
				if slices.Contains([]string{"state", "kind", "side", "verdict", "percentile"}, l.GetName()) {
					name += "." + l.GetValue()
				}
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"crossfade_build_info": 1, "crossfade_relay_info": 1, "crossfade_relay_debt_messages": 9, "crossfade_relay_retries_total": 12,
		"crossfade_relay_key_missing_total": 14, "crossfade_relay_state.waiting": 1, "crossfade_relay_state.running": 0,
		"crossfade_comparison_info": 1, "crossfade_comparison_matched_total": 40, "crossfade_comparison_drift_total.missing": 3, "crossfade_comparison_drift_total.extra": 0,
		"crossfade_comparison_pending_messages.candidate": 6, "crossfade_comparison_verdict.drift": 1, "crossfade_comparison_verdict.match": 0,
		"crossfade_comparison_lag_seconds.50": 0.25,
		"crossfade_relay_ready":               1, "crossfade_relay_backlog_bytes": 300, "crossfade_relay_last_placed_timestamp_seconds": 1_800_000_000,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (%t), want %v", name, v, ok, want)
		}
	}
	sum := 0.0 // I5
	for _, term := range []string{"placed_total", "suppressed_total", "parked_total", "expired_total", "looped_total", "given_back_total", "in_flight_messages"} {
		sum += got["crossfade_relay_"+term]
	}
	if received := got["crossfade_relay_received_total"]; sum != received || sum == 0 {
		t.Errorf("received %v, the others sum up to %v", received, sum)
	}
}

func TestTableOfMetrics(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^crossfade_[a-z_]+$`)
	md := Markdown()
	for _, m := range Metrics {
		if seen[m.Name] || !form.MatchString(m.Name) || m.Help == "" || !strings.HasSuffix(m.Help, ".") || strings.Contains(m.Help, "|") {
			t.Errorf("%+v", m)
		}
		if m.Type == Counter != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %s", m.Name, m.Type)
		}
		seen[m.Name] = true
		if !strings.Contains(md, "| `"+m.Name+"` |") {
			t.Errorf("%s is not in the table of the documents", m.Name)
		}
	}
	if got := strings.Count(md, "\n"); got != len(Metrics)+2 {
		t.Errorf("%d lines:\n%s", got, md)
	}
}
