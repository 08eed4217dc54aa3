package engine

import (
	"cmp"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// A Fidelity is what the messages of a relay keep on their way, as both sides
// declare it: the fields that the source can give by how the target carries them.
type Fidelity struct {
	Relay    string
	From, To string // the tap and the target in a few words
	// Lines are what becomes of which fields, the worst first. Equal lines are one.
	// Nil where the target does not say how it carries anything.
	Lines []FidelityLine
	// Assumed says that the source does not declare what it gives: then every field
	// is in Lines.
	Assumed bool
}

// A FidelityLine is what a consumer at the candidate sees of some fields.
type FidelityLine struct {
	Outcome Outcome
	Fields  []bridge.Field
	// Reason is that of what is parked; else "".
	Reason bridge.Reason
	Note   string
}

// An Outcome is what becomes of a field on its way, the worst first.
type Outcome uint8

// The outcomes.
const (
	OutcomeLost     Outcome = iota // nobody sees it: gone, or changed, before the bridge reads it
	OutcomeParked                  // the message is set aside
	OutcomePartly                  // some of it as it was, the rest in a crossfade- header
	OutcomeCarried                 // in a crossfade- header alone
	OutcomeNatively                // as it was
)

// String is what a consumer sees, in a few words.
func (o Outcome) String() string {
	return [...]string{
		"lost at the source", "parked", "as it was or in a hop header", "in a hop header", "as it was", "?", "?", "?",
	}[o&7]
}

// Fidelities gives one report for each relay. It asks nobody; after Check the sides
// know more of their systems and may answer more exactly.
func Fidelities(c *config.Config) []Fidelity {
	kinds := map[string]string{}
	for _, s := range c.Systems {
		kinds[s.Name] = s.Kind
	}
	out := make([]Fidelity, 0, len(c.Relays))
	for _, r := range c.Relays {
		f := Fidelity{Relay: r.Name, From: r.Source.Describe(), To: r.Sink.Describe()}
		gives, carries := givesOf(r.Source), carriesOf(r.Sink)
		if f.Assumed = gives == nil; f.Assumed {
			for _, field := range bridge.Fields() {
				gives = append(gives, bridge.Mapping{Field: field})
			}
		}
		if carries != nil {
			f.Lines = fidelity(gives, carries, kinds[r.From.System] == kinds[r.To.System])
		}
		out = append(out, f)
	}
	return out
}

// fidelity puts the lines of both sides together.
func fidelity(gives, carries []bridge.Mapping, sameKind bool) []FidelityLine {
	to := map[bridge.Field]bridge.Mapping{}
	for _, m := range carries {
		to[m.Field] = m
	}
	var lines []FidelityLine
	for _, g := range gives {
		if g.Carriage == bridge.CarriedLost || g.Carriage == bridge.CarriedPartly {
			lines = append(lines, FidelityLine{OutcomeLost, []bridge.Field{g.Field}, "", g.Note})
		}
		m, declared := to[g.Field]
		if g.Carriage == bridge.CarriedLost || !declared {
			continue
		}
		if m.Parks != "" {
			lines = append(lines, FidelityLine{OutcomeParked, []bridge.Field{g.Field}, m.Parks, m.Limit})
		}
		if g.Field == bridge.FieldAddress {
			m = addressOf(m, to[bridge.FieldForeignAddress], sameKind)
		}
		if m.Carriage != bridge.CarriedNot {
			lines = append(lines, FidelityLine{outcomeOf(m.Carriage), []bridge.Field{g.Field}, "", m.Note})
		}
	}
	return fold(lines)
}

// addressOf is how the address of a message from elsewhere is carried: to another
// kind of system it is always foreign.
func addressOf(own, foreign bridge.Mapping, sameKind bool) bridge.Mapping {
	if !sameKind || own.Carriage == foreign.Carriage {
		return foreign
	}
	return bridge.Mapping{Field: own.Field, Carriage: bridge.CarriedPartly, Note: "where the target's own is the same"}
}

func outcomeOf(c bridge.Carriage) Outcome {
	switch c {
	case bridge.CarriedNatively:
		return OutcomeNatively
	case bridge.CarriedPartly:
		return OutcomePartly
	}
	return OutcomeCarried
}

// fold makes one line of those that say the same, and puts the worst first.
func fold(lines []FidelityLine) (out []FidelityLine) {
	for _, l := range lines {
		i := slices.IndexFunc(out, func(o FidelityLine) bool {
			return o.Outcome == l.Outcome && o.Reason == l.Reason && o.Note == l.Note
		})
		if i < 0 {
			out = append(out, l)
		} else {
			out[i].Fields = append(out[i].Fields, l.Fields...)
		}
	}
	slices.SortStableFunc(out, func(a, b FidelityLine) int { return cmp.Compare(a.Outcome, b.Outcome) })
	return out
}
