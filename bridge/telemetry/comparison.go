package telemetry

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Comparison is everything that is known of a comparison at one moment.
type Comparison struct {
	compare.Snapshot
	// Outputs is set where it compares what consumers produced; the Snapshot then has what
	// both kinds have in common.
	Outputs *compare.OutputsSnapshot
	// Streams are what is read, of the incumbent, of the candidate and, where there is one,
	// of the control.
	Streams []Side
	At      time.Time
}

// Outcomes are all the words that a record's outcome may be.
var Outcomes = []compare.Outcome{
	compare.OutcomeMatch, compare.OutcomeIgnored, compare.OutcomeNoise, compare.OutcomeMismatch, compare.OutcomeMissing, compare.OutcomeExtra, compare.OutcomeIncomparable,
}

// Verdicts are all the words that a comparison's verdict may be.
var Verdicts = []string{string(compare.Match), string(compare.Drift), string(compare.Pending), string(compare.Incomparable)}

// comparisonMetrics stand behind those of relays in the table.
var comparisonMetrics = []Metric{
	of("crossfade_comparison_info", Gauge, "", []string{"incumbent", "incumbent_kind", "candidate", "candidate_kind"},
		"Always 1; the labels say which systems are compared.",
		func(c *Comparison, emit func(float64, ...string)) {
			emit(1, c.Streams[0].System, c.Streams[0].Kind, c.Streams[1].System, c.Streams[1].Kind)
		}),
	of("crossfade_comparison_verdict", Gauge, "", []string{"verdict"}, "1 for the verdict by now, 0 for the others.",
		func(c *Comparison, emit func(float64, ...string)) {
			for _, v := range Verdicts {
				emit(flag(v == string(c.Verdict)), v)
			}
		}),
	bySide("crossfade_comparison_observed_total", Counter, messages, "Read from the side.",
		func(c *Comparison, side drift.Side) float64 { return float64(c.Observed[side]) }),
	ofOne("crossfade_comparison_matched_total", Counter, messages, "Found on both sides.",
		func(c *Comparison) float64 { return float64(c.Matched) }),
	of("crossfade_comparison_drift_total", Counter, "differences", []string{"kind"}, "Differences found, by kind.",
		func(c *Comparison, emit func(float64, ...string)) {
			if c.Outputs != nil {
				return
			}
			for k, n := range c.Drift {
				emit(float64(n), drift.Kind(k).String())
			}
		}),
	of("crossfade_comparison_records_total", Counter, "records", []string{"outcome"}, "Records of consumers' outputs that were compared, by what came of it.",
		func(c *Comparison, emit func(float64, ...string)) {
			if c.Outputs == nil {
				return
			}
			for _, o := range Outcomes {
				emit(float64(c.Outputs.Outcomes[o]), string(o))
			}
		}),
	bySide("crossfade_comparison_pending_messages", Gauge, messages, "Seen on the side, and not judged yet.",
		func(c *Comparison, side drift.Side) float64 { return float64(c.Pending[side]) }),
	bySide("crossfade_comparison_incomparable_total", Counter, messages, "Could not be judged, because a reader may have missed their counterparts.",
		func(c *Comparison, side drift.Side) float64 { return float64(c.Incomparable[side]) }),
	bySide("crossfade_comparison_unjudged_messages", Gauge, messages, "Kept at the side's system for the comparison, until they are judged.",
		func(c *Comparison, side drift.Side) float64 { return float64(c.Sides[side].Unjudged) }),
	bySide("crossfade_comparison_connected", Gauge, "", "1 while the side is read.",
		func(c *Comparison, side drift.Side) float64 { return flag(c.Sides[side].Up) }),
	ofOne("crossfade_comparison_stuck_keys", Gauge, "keys", "Keys that are stuck while others go on.",
		func(c *Comparison) float64 { return float64(c.Stuck) }),
	of("crossfade_comparison_lag_seconds", Gauge, seconds, []string{"percentile"}, "How much later the candidate's reader had matched messages.",
		func(c *Comparison, emit func(float64, ...string)) {
			emit(c.Lag.Seconds(), "50")
			emit(c.LagMost.Seconds(), "99.9")
		}),
	of("crossfade_comparison_judged_timestamp_seconds", Gauge, timestamp, nil, "Up to when, by the incumbent's reader, everything is judged.",
		func(c *Comparison, emit func(float64, ...string)) {
			if at, known := unix(c.Judged); known {
				emit(at)
			}
		}),
	ofOne("crossfade_comparison_differ_rate_bound", Gauge, "ratio", "With 99 % confidence, less than this share of all messages differ.",
		func(c *Comparison) float64 { return c.Confidence.Rate }),
}

func of(name string, t Type, unit string, labels []string, help string, each func(*Comparison, func(float64, ...string))) Metric {
	return Metric{Name: name, Type: t, Unit: unit, Labels: append([]string{"comparison"}, labels...), Help: help, compared: each}
}

func ofOne(name string, t Type, unit, help string, value func(*Comparison) float64) Metric {
	return of(name, t, unit, nil, help, func(c *Comparison, emit func(float64, ...string)) { emit(value(c)) })
}

func bySide(name string, t Type, unit, help string, value func(*Comparison, drift.Side) float64) Metric {
	return of(name, t, unit, []string{"side"}, help, func(c *Comparison, emit func(float64, ...string)) {
		for side := range drift.Side(2) {
			emit(value(c, side), side.String())
		}
	})
}
