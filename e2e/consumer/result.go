package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Result is what samples lead to: an alert or a rollup.
type Result struct {
	Type   string `json:"type"`
	Metric string `json:"metric"`
	*Alert
	*Rollup
	// Producer and Emitted are the only ones that differ between two runs.
	Producer string    `json:"producer,omitempty"`
	Emitted  time.Time `json:"emitted,omitzero"`

	id string
}

// An Alert says that a metric's value has passed the threshold.
type Alert struct {
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
	State string    `json:"state"` // raised or cleared
}

// A Rollup sums up one window of a metric.
type Rollup struct {
	Window  time.Time `json:"window"` // its start
	Count   int       `json:"count"`
	Sum     float64   `json:"sum"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Mean    float64   `json:"mean"` // of a window that is closed
	LastSeq int64     `json:"last_seq"`
}

// The mistakes that can be planted.
const (
	bugRounding   = "rounding"    // values are cut to one decimal before they are summed
	bugDedup      = "dedup"       // repeats are counted
	bugLateWindow = "late-window" // the first sample of a window goes into the one before it as well
)

var bugs = []string{bugRounding, bugDedup, bugLateWindow}

// add counts a sample. Sums are made in the order of the samples, so that they are
// the same wherever that is.
func (r *Rollup) add(x sample, bug string) {
	if r.Count == 0 {
		r.Min, r.Max = x.Value, x.Value
	}
	r.Count++
	r.Min, r.Max = min(r.Min, x.Value), max(r.Max, x.Value)
	r.LastSeq = x.Seq
	if bug == bugRounding {
		x.Value = math.Trunc(x.Value*10) / 10
	}
	r.Sum += x.Value
}

// close gives the result of a window to which nothing more is added.
func (r Rollup) close(metric string) Result {
	r.Mean = r.Sum / float64(r.Count)
	return Result{
		Type: "rollup", Metric: metric, Rollup: &r,
		id: "rollup/" + metric + "/" + r.Window.Format(time.RFC3339Nano),
	}
}

func alert(x sample, state string) Result {
	return Result{
		Type: "alert", Metric: x.Metric, Alert: &Alert{Seq: x.Seq, At: x.At, Value: x.Value, State: state},
		id: "alert/" + x.Metric + "/" + strconv.FormatInt(x.Seq, 10),
	}
}

// message is the result as it goes into a queue.
func (r Result) message() (message, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return message{}, fmt.Errorf("result %s: %w", r.id, err)
	}
	return message{Key: r.Metric, ID: r.id, Body: body}, nil
}
