package bundle

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/fields"
)

// Outputs is what a bundle of two consumers' records has beside the records.
type Outputs struct {
	// Paths are the fields that the candidate is to blame for.
	Paths []string `json:"paths"`
	// Differences are all in which the records differ by more than the rules allow.
	Differences []fields.Difference `json:"differences"`
	// Control is the record of the incumbent's consumer's second run.
	Control *Frame `json:"control,omitempty"`
	// Rules are what fields were compared by.
	Rules []fields.Rule `json:"rules"`
}

// OfOutput makes a bundle of what was found in a record.
func OfOutput(comparison string, f *compare.OutputFinding, at time.Time) *Bundle {
	b := &Bundle{
		Format: format, Comparison: comparison, Kind: string(f.Outcome), At: at.UTC(),
		Outputs: &Outputs{Paths: f.Paths, Differences: f.Differences, Rules: f.Rules},
	}
	for side, r := range f.Records {
		if r == nil {
			continue
		}
		frame := frameOf(r)
		if side == int(compare.Control) {
			b.Outputs.Control = &frame
		} else {
			b.side(drift.Side(side)).Frame = &frame
		}
	}
	b.describe()
	return b
}

// describeOutput says in which fields the records differ.
func (b *Bundle) describeOutput() {
	for _, d := range b.Outputs.Differences {
		if !d.Ignored {
			b.Lines = append(b.Lines, d.String())
		}
	}
}

// differAnew says in what the records differ as they are now.
func (b *Bundle) differAnew() error {
	rules, err := fields.NewRules(b.Outputs.Rules)
	if err != nil {
		return err
	}
	was, is := b.Incumbent.Frame, b.Candidate.Frame
	if was != nil && is != nil {
		b.Outputs.Differences = rules.Compare(was.Message.Body, is.Message.Body)
	}
	return nil
}

// replayOutput compares the records anew.
func replayOutput(b *Bundle) (Verdict, error) {
	rules, err := fields.NewRules(b.Outputs.Rules)
	if err != nil {
		return Verdict{}, err
	}
	var bodies [2]*bridge.Message
	for s := range drift.Side(2) {
		if f := b.side(s).Frame; f != nil {
			m, err := f.Message.Read()
			if err != nil {
				return Verdict{}, err
			}
			bodies[s] = &m
		}
	}
	v := Verdict{}
	switch was, is := bodies[0], bodies[1]; {
	case was == nil && is == nil:
		return v, nil
	case is == nil:
		v.Found = string(compare.OutcomeMissing)
	case was == nil:
		v.Found = string(compare.OutcomeExtra)
	case fields.Same(rules.Compare(was.Body, is.Body)):
		v.Found = string(compare.OutcomeMatch)
	default:
		v.Found = string(compare.OutcomeMismatch)
	}
	v.Same = v.Found == b.Kind
	return v, nil
}
