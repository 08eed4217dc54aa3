package telemetry

import (
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A Type is a metric's type in Prometheus' words.
type Type string

// The types.
const (
	Counter Type = "counter"
	Gauge   Type = "gauge"
)

// A Metric is one line of the table of metrics. Labels hold names out of the
// configuration, never keys or reasons.
type Metric struct {
	Name   string
	Type   Type
	Unit   string
	Labels []string
	Help   string

	// each calls emit with the values of one relay, and the labels behind "relay".
	each func(r *Reading, emit func(value float64, labels ...string))
	// compared does so with a comparison, and the labels behind "comparison".
	compared func(c *Comparison, emit func(value float64, labels ...string))
}

// States are all the words that a relay's state may be.
var States = []string{
	string(relay.StateStarting), string(relay.StateRunning), string(relay.StateIdle), string(relay.StateWaiting),
	"stalled", string(relay.StateDraining), string(relay.StatePaused), string(relay.StateStopped), string(relay.StateFailed),
}

const (
	messages  = "messages"
	seconds   = "seconds"
	bytes     = "bytes"
	timestamp = "seconds since 1970"
)

// Metrics are all metrics of the bridge, in the order of the documents.
var Metrics = slices.Concat(relayMetrics, comparisonMetrics)

var relayMetrics = []Metric{
	{Name: "crossfade_build_info", Type: Gauge, Labels: []string{"version", "revision", "go"},
		Help: "Always 1; the labels say which build runs."},
	info("crossfade_relay_info", []string{"from", "from_kind", "to", "to_kind"},
		"Always 1; the labels say which systems the relay connects."),

	count("crossfade_relay_received_total", messages, "Received from the incumbent; the sum of placed, suppressed, parked, expired, looped, given back and in flight.",
		func(r *Reading) uint64 { return r.Counts.Received }),
	count("crossfade_relay_placed_total", messages, "Confirmed by the candidate.",
		func(r *Reading) uint64 { return r.Counts.Placed }),
	count("crossfade_relay_suppressed_total", messages, "Not sent, because the same ID is placed already.",
		func(r *Reading) uint64 { return r.Counts.Suppressed }),
	count("crossfade_relay_parked_total", messages, "Set aside at the incumbent, because the candidate can never take them.",
		func(r *Reading) uint64 { return r.Counts.Parked }),
	gauge("crossfade_relay_parked_messages", messages, "Parked now: neither sent again and placed, nor discarded.",
		func(r *Reading) float64 { return float64(r.ParkedNow) }),
	gauge("crossfade_relay_held_keys", "keys", "Keys whose later messages are parked behind one of those.",
		func(r *Reading) float64 { return float64(r.HeldKeys) }),
	maybe("crossfade_relay_parked_timestamp_seconds", timestamp, "When the oldest of those that are parked now was set aside.",
		func(r *Reading) (float64, bool) { return unix(r.ParkedSince) }),
	count("crossfade_relay_expired_total", messages, "Expired before they were sent.",
		func(r *Reading) uint64 { return r.Counts.Expired }),
	count("crossfade_relay_looped_total", messages, "Not sent, because they come from the candidate itself.",
		func(r *Reading) uint64 { return r.Counts.Looped }),
	count("crossfade_relay_given_back_total", messages, "Returned to the incumbent by the end of a session; they are received again.",
		func(r *Reading) uint64 { return r.Counts.GivenBack }),
	gauge("crossfade_relay_in_flight_messages", messages, "Received and not yet settled.",
		func(r *Reading) float64 { return float64(r.Counts.InFlight) }),
	gauge("crossfade_relay_in_flight_bytes", bytes, "The size of their bodies.",
		func(r *Reading) float64 { return float64(r.Bytes) }),

	gauge("crossfade_relay_lag_messages", messages, "Waiting at the incumbent for this relay, delivered or not.",
		func(r *Reading) float64 { return float64(r.Lag.Messages) }),
	gauge("crossfade_relay_lag_seconds", seconds, "Age of the oldest of them by the incumbent's time, or a bound of it.",
		func(r *Reading) float64 { return r.Lag.Seconds }),
	{Name: "crossfade_relay_lag_bound", Type: Gauge, Labels: []string{"relay", "of"},
		Help: "1 if the lag in \"messages\" or \"seconds\" is a bound and not exact.",
		each: func(r *Reading, emit func(float64, ...string)) {
			emit(flag(r.Lag.MessagesBound != Exact), "messages")
			emit(flag(r.Lag.SecondsBound != Exact), "seconds")
		}},
	maybe("crossfade_relay_backlog_bytes", bytes, "The size of what waits at the incumbent, where it knows it.",
		func(r *Reading) (float64, bool) {
			return float64(r.Backlog.Bytes), !r.BacklogAt.IsZero() && r.Backlog.Bytes >= 0
		}),
	maybe("crossfade_relay_backlog_timestamp_seconds", timestamp, "When the incumbent last said how much waits.",
		func(r *Reading) (float64, bool) { return unix(r.BacklogAt) }),

	gauge("crossfade_relay_debt_messages", messages, "What the incumbent may deliver again: received and not yet acknowledged.",
		func(r *Reading) float64 { return float64(r.Debt) }),
	gauge("crossfade_relay_debt_limit_messages", messages, "The bound of the debt; at the bound the relay receives nothing.",
		func(r *Reading) float64 { return float64(r.DebtLimit) }),
	count("crossfade_relay_retries_total", "attempts", "Failed attempts at either side.",
		func(r *Reading) uint64 { return r.Retries }),
	count("crossfade_relay_reconnects_total", "sessions", "Sessions that were opened again after a failure.",
		func(r *Reading) uint64 { return r.Reconnects }),
	count("crossfade_relay_key_missing_total", messages, "Without what the settings say the key is; they got the empty key.",
		func(r *Reading) uint64 { return r.Missing.KeyMissing }),
	count("crossfade_relay_id_missing_total", messages, "Without a producer's ID where the settings look; they got a derived one.",
		func(r *Reading) uint64 { return r.Missing.IDMissing }),
	maybe("crossfade_relay_last_placed_timestamp_seconds", timestamp, "When the candidate last confirmed something.",
		func(r *Reading) (float64, bool) { return unix(r.LastPlaced) }),

	{Name: "crossfade_relay_state", Type: Gauge, Labels: []string{"relay", "state"},
		Help: "1 for the state that the relay is in, 0 for the others; the status says why.",
		each: func(r *Reading, emit func(float64, ...string)) {
			for _, s := range States {
				emit(flag(s == r.State()), s)
			}
		}},
	maybe("crossfade_relay_paused_timestamp_seconds", timestamp, "When an operator paused the relay, while it is.",
		func(r *Reading) (float64, bool) {
			at, known := unix(r.Since)
			return at, known && r.Snapshot.State == relay.StatePaused
		}),
	gauge("crossfade_relay_ready", "", "1 if the relay makes progress, has nothing to do, or is paused.",
		func(r *Reading) float64 { return flag(r.Ready()) }),
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unix(t time.Time) (float64, bool) { return float64(t.UnixNano()) / 1e9, !t.IsZero() }

func count(name, unit, help string, value func(*Reading) uint64) Metric {
	return Metric{Name: name, Type: Counter, Unit: unit, Labels: []string{"relay"}, Help: help,
		each: func(r *Reading, emit func(float64, ...string)) { emit(float64(value(r))) }}
}

func gauge(name, unit, help string, value func(*Reading) float64) Metric {
	return Metric{Name: name, Type: Gauge, Unit: unit, Labels: []string{"relay"}, Help: help,
		each: func(r *Reading, emit func(float64, ...string)) { emit(value(r)) }}
}

// maybe is a gauge that is left out where there is nothing to say.
func maybe(name, unit, help string, value func(*Reading) (float64, bool)) Metric {
	return Metric{Name: name, Type: Gauge, Unit: unit, Labels: []string{"relay"}, Help: help,
		each: func(r *Reading, emit func(float64, ...string)) {
			if v, ok := value(r); ok {
				emit(v)
			}
		}}
}

func info(name string, labels []string, help string) Metric {
	return Metric{Name: name, Type: Gauge, Labels: append([]string{"relay"}, labels...), Help: help,
		each: func(r *Reading, emit func(float64, ...string)) {
			emit(1, r.From.System, r.From.Kind, r.To.System, r.To.Kind)
		}}
}
