// Package report says what a comparison has come to: as JSON for programs, as text for a
// terminal, and as one HTML file that needs nothing else.
package report

import (
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// A Report is what a comparison has come to at one moment. Times that are not known are
// left out.
type Report struct {
	Comparison string `json:"comparison"`
	// Verdict is match, drift, pending or incomparable; Why says why nothing better can be
	// said, where that is so.
	Verdict compare.Verdict `json:"verdict"`
	Why     string          `json:"why,omitempty"`
	Began   time.Time       `json:"began"`
	At      time.Time       `json:"at"`
	// Judged is up to when, by the incumbent's reader, everything is judged.
	Judged    time.Time `json:"judged,omitzero"`
	Incumbent Side      `json:"incumbent"`
	Candidate Side      `json:"candidate"`
	Matched   uint64    `json:"matched"`
	// Drift is by kind, every kind that there is.
	Drift     map[string]uint64 `json:"drift"`
	Expired   uint64            `json:"expired"`
	Recovered uint64            `json:"recovered"`
	Unordered uint64            `json:"unordered"`
	Stuck     int               `json:"stuck_now"`
	// Lag is how much later the candidate's reader had matched messages, in seconds.
	Lag        float64    `json:"lag_median_seconds"`
	LagMost    float64    `json:"lag_p999_seconds"`
	Grace      float64    `json:"grace_seconds"`
	Confidence Confidence `json:"confidence"`
	Coverage   Coverage   `json:"coverage"`
	// Outputs is set where what consumers produced was compared; there is no drift then.
	Outputs *Outputs `json:"outputs,omitempty"`
	// Findings are some of what was found, with evidence; Unlisted is how many are not
	// among them.
	Findings []Finding `json:"findings"`
	Unlisted uint64    `json:"findings_unlisted"`
	Build    string    `json:"build,omitempty"`
}

// A Side is what is known of one side.
type Side struct {
	System       string `json:"system"`
	Kind         string `json:"kind"`
	What         string `json:"what"`
	Observed     uint64 `json:"observed"`
	Pending      uint64 `json:"pending"`
	Repeats      uint64 `json:"repeats"`
	Incomparable uint64 `json:"incomparable"`
	Before       uint64 `json:"before"`
	// Read is up to when everything that the side had stored was observed.
	Read time.Time `json:"read,omitzero"`
}

// Outputs is what became of records that consumers produced.
type Outputs struct {
	// Control is the second run of the incumbent's consumer, if there was one.
	Control *Side `json:"control,omitempty"`
	// Records are by outcome: match, ignored, noise, mismatch, missing, extra,
	// incomparable.
	Records map[string]uint64 `json:"records"`
	// Fields are those in which records differed, those that the candidate is to blame for
	// in front.
	Fields []Field `json:"fields"`
}

// A Field is one field in which records differed: how often at the candidate alone, at the
// control alone, at both, and how often a rule left it out.
type Field struct {
	Path      string `json:"path"`
	Blamed    bool   `json:"blamed"`
	Candidate uint64 `json:"candidate"`
	Control   uint64 `json:"control"`
	Both      uint64 `json:"both"`
	Ignored   uint64 `json:"ignored"`
	Was       string `json:"was,omitempty"`
	Is        string `json:"is,omitempty"`
	Rule      string `json:"rule,omitempty"`
}

// Confidence is what the verdict is worth: fewer than Rate of all messages differ, and
// fewer than SpanRate of all spans of ten seconds have any that do, with 99 % confidence.
type Confidence struct {
	Text     string  `json:"text"`
	Judged   uint64  `json:"judged"`
	Differ   uint64  `json:"differ"`
	Rate     float64 `json:"rate"`
	Spans    uint64  `json:"spans"`
	OddSpans uint64  `json:"odd_spans"`
	SpanRate float64 `json:"span_rate"`
}

// Coverage is what was seen and what not.
type Coverage struct {
	IncumbentKeys uint64   `json:"incumbent_keys"`
	CandidateKeys uint64   `json:"candidate_keys"`
	BothKeys      uint64   `json:"both_keys"`
	Shapes        []Shape  `json:"shapes"`
	Shapeless     uint64   `json:"shapeless"`
	Unseen        []string `json:"unseen"`
}

// A Shape is one kind of message and how many there were.
type Shape struct {
	Text string `json:"text"`
	N    uint64 `json:"n"`
}

// A Finding is one difference.
type Finding struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Key  string    `json:"key"`
	ID   string    `json:"id"`
	// Lines say in what the messages differ.
	Lines []string `json:"lines,omitempty"`
	// Incumbent and Candidate are where the message is stored, and what its body is.
	Incumbent *Stored `json:"incumbent,omitempty"`
	Candidate *Stored `json:"candidate,omitempty"`
	// Bundle is the file with all of it.
	Bundle string `json:"bundle,omitempty"`
}

// Stored is a message on one side.
type Stored struct {
	Place string    `json:"place"`
	Read  time.Time `json:"read"`
	Body  string    `json:"body"`
}

// Of makes a report. The findings come by Add.
func Of(s *telemetry.Comparison, c compare.Coverage, began, at time.Time) *Report {
	r := &Report{
		Comparison: s.Name, Verdict: s.Verdict, Began: began.UTC(), At: at.UTC(), Judged: s.Judged.UTC(),
		Incumbent: sideOf(s.Streams[0]), Candidate: sideOf(s.Streams[1]), Matched: s.Matched, Drift: map[string]uint64{},
		Expired: s.Expired, Recovered: s.Recovered, Unordered: s.Unordered, Stuck: s.Stuck,
		Lag: s.Lag.Seconds(), LagMost: s.LagMost.Seconds(), Grace: s.Grace.Seconds(),
		Confidence: Confidence{
			Text: s.Confidence.String(), Judged: s.Confidence.Messages, Differ: s.Confidence.Differ, Rate: s.Confidence.Rate,
			Spans: s.Confidence.Spans, OddSpans: s.Confidence.Odd, SpanRate: s.Confidence.SpanRate,
		},
		Coverage: Coverage{
			IncumbentKeys: c.Keys[0], CandidateKeys: c.Keys[1], BothKeys: c.Both, Shapes: []Shape{}, Shapeless: c.Shapeless, Unseen: append([]string{}, c.Unseen...),
		},
		Findings: []Finding{},
	}
	if s.Judged.IsZero() || s.Verdict == compare.Pending { // up to then nothing was
		r.Judged = time.Time{}
	}
	for k, n := range s.Drift {
		r.Drift[drift.Kind(k).String()] = n
		r.Unlisted += n
	}
	for _, shape := range c.Shapes {
		r.Coverage.Shapes = append(r.Coverage.Shapes, Shape(shape))
	}
	for side, to := range []*Side{&r.Incumbent, &r.Candidate} {
		to.Observed, to.Pending, to.Repeats = s.Observed[side], s.Pending[side], s.Repeats[side]
		to.Incomparable, to.Before = s.Incomparable[side], s.Before[side]
		if read := s.Sides[side].Read; !read.IsZero() {
			to.Read = read.UTC()
		}
	}
	if s.Unread != "" || s.Verdict != compare.Match && s.Verdict != compare.Drift {
		r.Why = s.Why
	}
	if s.Outputs != nil {
		r.outputs(s)
	}
	return r
}

func sideOf(s telemetry.Side) Side { return Side{System: s.System, Kind: s.Kind, What: s.What} }

func (r *Report) outputs(s *telemetry.Comparison) {
	r.Outputs, r.Drift = &Outputs{Records: map[string]uint64{}, Fields: []Field{}}, nil
	for _, o := range telemetry.Outcomes {
		n := s.Outputs.Outcomes[o]
		r.Outputs.Records[string(o)] = n
		switch o {
		case compare.OutcomeMismatch, compare.OutcomeMissing, compare.OutcomeExtra:
			r.Unlisted += n
		}
	}
	if len(s.Streams) > 2 {
		control := sideOf(s.Streams[2])
		control.Observed, control.Pending, control.Repeats = s.Outputs.Observed[2], s.Outputs.Pending[2], s.Outputs.Repeats[2]
		r.Outputs.Control = &control
	}
	for _, f := range s.Outputs.Fields {
		r.Outputs.Fields = append(r.Outputs.Fields, Field{
			Path: f.Path, Blamed: f.Blamed, Candidate: f.Coin.Candidate, Control: f.Coin.Control, Both: f.Both, Ignored: f.Ignored, Was: f.Was, Is: f.Is, Rule: f.Rule,
		})
	}
}

// MostFindings is how many findings a report lists.
const MostFindings = 200

// Add lists a finding; path is the file of its bundle, if it was written.
func (r *Report) Add(b *bundle.Bundle, path string) {
	if len(r.Findings) >= MostFindings {
		return
	}
	f := Finding{Kind: b.Kind, At: b.At, Key: b.Key, ID: b.ID, Lines: b.Lines, Bundle: path, Incumbent: stored(&b.Incumbent), Candidate: stored(&b.Candidate)}
	r.Findings = append(r.Findings, f)
	if r.Unlisted > 0 {
		r.Unlisted--
	}
}

func stored(s *bundle.Side) *Stored {
	if s.Frame == nil {
		return nil
	}
	return &Stored{Place: s.Frame.Stored, Read: s.Frame.Read, Body: strings.ReplaceAll(s.Frame.Text, `\x22`, `"`)}
}
