package compare

import (
	"slices"
	"strconv"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/fields"
)

// OutputCounts are what a comparison of outputs has come to.
type OutputCounts struct {
	// Observed and Repeats are by stream; repeats are the same record once more, which
	// consumers that deliver at least once produce. Superseded are values that a later one
	// of the key replaced before they were compared.
	Observed, Repeats, Superseded [streams]uint64
	// Outcomes of records.
	Outcomes map[Outcome]uint64
	// Before are records from before both readers were there, of keys of which nothing was
	// found on both sides since.
	Before uint64
}

// A FieldCount is what is known of one field.
type FieldCount struct {
	Path string
	// Coin is how often it differed at the candidate alone, and at the control alone.
	Coin drift.Coin
	// Both is how often it differed at both, Ignored how often a rule left it out.
	Both, Ignored uint64
	// Blamed says that the candidate differs in it more often than chance has it, or at all,
	// where there is no control, or it has not differed in many records.
	Blamed bool
	// Was and Is show it, at the incumbent and at the candidate.
	Was, Is string
	// Rule says what would have been allowed.
	Rule string
}

// An OutputFinding is one difference of a record.
type OutputFinding struct {
	Outcome Outcome
	// Paths are the fields that differ at the candidate.
	Paths []string
	// Differences are those fields' values.
	Differences []fields.Difference
	// Records are the incumbent's, the candidate's and the control's; nil is none.
	Records [streams]*Frame
	// Rules are what fields were compared by.
	Rules []fields.Rule
}

// judge judges the records of a group, one by one in their order, and lets it go.
func (j *joiner) judge(g *group) {
	defer j.close(g)
	n := 0
	for side := range j.sides {
		n = max(n, len(g.records[side]))
	}
	both := len(g.records[drift.Incumbent]) > 0 && len(g.records[drift.Candidate]) > 0
	for i := range n {
		var of [streams]*Frame
		for side := range j.sides {
			if i < len(g.records[side]) {
				of[side] = &g.records[side][i]
			}
		}
		if !both && j.before(g) {
			j.tally.Before++
			continue
		}
		j.record(of)
	}
}

// record judges what each side has of one record.
func (j *joiner) record(of [streams]*Frame) {
	candidate, control := j.differs(of[drift.Incumbent], of[drift.Candidate]), []fields.Difference(nil)
	if j.sides > 2 {
		control = j.differs(of[drift.Incumbent], of[Control])
	}
	if of[drift.Incumbent] == nil && of[drift.Candidate] == nil {
		j.toss(whole, false, true, fields.Difference{})
		j.tally.Outcomes[OutcomeNoise]++ // of the control alone
		return
	}
	outcome, paths := j.outcome(candidate, control)
	if of[drift.Incumbent] != nil && of[Control] != nil {
		j.controlled++
	}
	if outcome == OutcomeMismatch && slices.Contains(paths, whole) {
		outcome = OutcomeMissing
		if of[drift.Incumbent] == nil {
			outcome = OutcomeExtra
		}
	}
	j.tally.Outcomes[outcome]++
	if len(paths) > 0 && len(j.found) < mostOutputFindings {
		j.found = append(j.found, OutputFinding{Outcome: outcome, Paths: paths, Differences: candidate, Records: of, Rules: j.rules.List()})
	}
}

// differs gives the fields in which a record differs from the incumbent's.
func (j *joiner) differs(was, is *Frame) []fields.Difference {
	switch {
	case was == nil && is == nil:
		return nil
	case was == nil || is == nil:
		return []fields.Difference{{Path: whole, Rule: "there on both sides"}}
	}
	return j.rules.Compare(was.Message.Body, is.Message.Body)
}

// outcome is what a record's differences come to, and the fields that the candidate is to
// blame for.
func (j *joiner) outcome(candidate, control []fields.Difference) (Outcome, []string) {
	noisy := map[string]bool{}
	for i := range control {
		if !control[i].Ignored {
			noisy[pathOf(&control[i])] = true
		}
	}
	worst, rank := OutcomeMatch, map[Outcome]int{OutcomeMatch: 0, OutcomeIgnored: 1, OutcomeNoise: 2, OutcomeMismatch: 3}
	var paths []string
	seen := map[string]bool{}
	for i := range candidate {
		d := &candidate[i]
		path := pathOf(d)
		outcome := OutcomeMismatch
		switch {
		case d.Ignored:
			outcome = OutcomeIgnored
			j.field(path, d).Ignored++
		case noisy[path]:
			outcome = OutcomeNoise
			j.field(path, d).Both++
		case seen[path]: // another item of the same list
			outcome = worst
		case !j.toss(path, true, false, *d):
			outcome = OutcomeNoise
		default:
			paths = append(paths, path)
		}
		if seen[path] = true; rank[outcome] > rank[worst] {
			worst = outcome
		}
	}
	for path := range noisy {
		if !seen[path] {
			j.toss(path, false, true, fields.Difference{})
		}
	}
	return worst, paths
}

// mostOutputFindings is how many findings wait to be taken.
const mostOutputFindings = 1000

// blameAt is the chance that a field is ever blamed on a candidate that is no worse than
// the incumbent's own consumer.
const blameAt = 0.001

// steady is in how many records a control must not have differed in a field for the
// incumbent's consumer to count as always having the same there: then the candidate's first
// difference is its fault. A consumer that differs from itself less often than that may be
// blamed wrongly, until the control shows it.
const steady = 1000

// toss notes which side was the odd one in a field, and says whether the candidate is to
// blame. Without a control it always is.
func (j *joiner) toss(path string, candidate, control bool, d fields.Difference) bool {
	f := j.field(path, &d)
	f.Coin.Toss(candidate, control)
	switch {
	case j.sides < 3:
		f.Blamed = f.Blamed || candidate
	case f.Coin.Control == 0 && f.Both == 0 && j.controlled >= steady:
		f.Blamed = true
	default:
		f.Blamed = f.Coin.Blames(blameAt)
	}
	return f.Blamed
}

// field gives what is known of a field. Of very many the rest are one.
func (j *joiner) field(path string, d *fields.Difference) *FieldCount {
	f := j.fields[path]
	if f == nil {
		if len(j.fields) >= mostOutputFields {
			path = "(others)"
		}
		if f = j.fields[path]; f == nil {
			f = &FieldCount{Path: path}
			j.fields[path] = f
		}
	}
	if d.Rule != "" {
		f.Was, f.Is, f.Rule = d.Was, d.Is, d.Rule
	}
	return f
}

// pathOf is a field's path, the same for every item of a list.
func pathOf(d *fields.Difference) string {
	if d.Path == "" {
		return "(body)"
	}
	parts := strings.Split(d.Path, ".")
	for i, p := range parts {
		if _, err := strconv.Atoi(p); err == nil {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}
