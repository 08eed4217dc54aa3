package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// A Comparison is one comparison of a Status.
type Comparison struct {
	Name      string       `json:"name"`
	Incumbent ComparedSide `json:"incumbent"`
	Candidate ComparedSide `json:"candidate"`
	State     string       `json:"state"`
	Why       string       `json:"why"`
	Since     time.Time    `json:"since"`
	// Verdict is match, drift, pending or incomparable.
	Verdict string `json:"verdict"`
	// Judged is up to when, by the incumbent's reader, everything is judged.
	Judged  *time.Time `json:"judged,omitempty"`
	Matched uint64     `json:"matched"`
	// Drift is by kind, every kind that there is.
	Drift     map[string]uint64 `json:"drift"`
	Expired   uint64            `json:"expired"`
	Recovered uint64            `json:"recovered"`
	Unordered uint64            `json:"unordered"`
	StuckNow  int               `json:"stuck_now"`
	// LagSeconds are the median and the 99.9th percentile of how much later the
	// candidate's reader had matched messages.
	LagSeconds     float64 `json:"lag_seconds"`
	LagMostSeconds float64 `json:"lag_most_seconds"`
	// Confidence is what the verdict is worth, in words; DifferRate is below what rate
	// messages differ, with 99 % confidence.
	Confidence string  `json:"confidence"`
	DifferRate float64 `json:"differ_rate"`
	// Outcomes and Fields are of a comparison of what consumers produced, which has no
	// drift by kind.
	Outcomes map[string]uint64 `json:"outcomes,omitempty"`
	Fields   []ComparedField   `json:"fields,omitempty"`
}

// A ComparedField is a field in which records differed: at the candidate alone, at the
// control alone, at both.
type ComparedField struct {
	Path      string `json:"path"`
	Blamed    bool   `json:"blamed"`
	Candidate uint64 `json:"candidate"`
	Control   uint64 `json:"control"`
	Both      uint64 `json:"both"`
	Ignored   uint64 `json:"ignored"`
}

// A ComparedSide is one side of a comparison.
type ComparedSide struct {
	Side
	Connected    bool       `json:"connected"`
	Observed     uint64     `json:"observed"`
	Pending      uint64     `json:"pending"`
	Repeats      uint64     `json:"repeats"`
	Incomparable uint64     `json:"incomparable"`
	Before       uint64     `json:"before"`
	Unjudged     int        `json:"unjudged"`
	Read         *time.Time `json:"read,omitempty"`
}

// Compare makes a Comparison of a reading.
func Compare(r *telemetry.Comparison) Comparison {
	c := Comparison{
		Name: r.Name, State: string(r.State), Why: r.Why, Since: r.Since, Verdict: string(r.Verdict), Judged: known(r.Judged),
		Matched: r.Matched, Drift: map[string]uint64{}, Expired: r.Expired, Recovered: r.Recovered, Unordered: r.Unordered, StuckNow: r.Stuck,
		LagSeconds: r.Lag.Seconds(), LagMostSeconds: r.LagMost.Seconds(), Confidence: r.Confidence.String(), DifferRate: r.Confidence.Rate,
	}
	for k, n := range r.Drift {
		c.Drift[drift.Kind(k).String()] = n
	}
	for side, to := range []*ComparedSide{&c.Incumbent, &c.Candidate} {
		*to = ComparedSide{
			Side: Side(r.Streams[side]), Connected: r.Sides[side].Up, Observed: r.Observed[side], Pending: r.Pending[side],
			Repeats: r.Repeats[side], Incomparable: r.Incomparable[side], Before: r.Before[side], Unjudged: r.Sides[side].Unjudged,
			Read: known(r.Sides[side].Read),
		}
	}
	if r.Outputs != nil {
		c.outputs(r)
	}
	return c
}

func (c *Comparison) outputs(r *telemetry.Comparison) {
	c.Drift, c.Outcomes = nil, map[string]uint64{}
	for _, o := range telemetry.Outcomes {
		c.Outcomes[string(o)] = r.Outputs.Outcomes[o]
	}
	for _, f := range r.Outputs.Fields {
		c.Fields = append(c.Fields, ComparedField{f.Path, f.Blamed, f.Coin.Candidate, f.Coin.Control, f.Both, f.Ignored})
	}
}

// comparisonLine is a comparison in one line.
func comparisonLine(c *Comparison, now time.Time) string {
	fields := []string{
		c.Name, c.Incumbent.System + " ↔ " + c.Candidate.System, "matched " + grouped(c.Matched),
		fmt.Sprintf("pending %s + %s", grouped(c.Incumbent.Pending), grouped(c.Candidate.Pending)), driftText(c),
	}
	state := c.State
	if c.State == "comparing" {
		state = c.Verdict
	}
	if c.Judged != nil {
		state += ", judged up to " + age(max(0, now.Sub(*c.Judged))) + " ago"
	}
	if c.Why != "" {
		state += ": " + bridge.Printable(c.Why, 1000)
	}
	return strings.Join(append(fields, state), "\t")
}

func driftText(c *Comparison) string {
	var parts []string
	for _, o := range telemetry.Outcomes {
		if n := c.Outcomes[string(o)]; n > 0 && o != "match" {
			parts = append(parts, string(o)+" "+grouped(n))
		}
	}
	for k := range drift.Kinds {
		if n := c.Drift[k.String()]; n > 0 {
			parts = append(parts, k.String()+" "+grouped(n))
		}
	}
	for _, f := range c.Fields {
		if f.Blamed {
			parts = append(parts, "at "+bridge.Printable(f.Path, 60))
		}
	}
	if len(parts) == 0 {
		return "no drift"
	}
	return strings.Join(parts, ", ")
}
