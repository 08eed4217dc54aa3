package report

import (
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// printable is the report with everything that systems, producers and consumers wrote made
// fit for a terminal and a page: of control characters nothing is left.
func (r *Report) printable() *Report {
	p := *r
	for _, s := range []*string{&p.Comparison, &p.Why, &p.Build, &p.Confidence.Text} {
		*s = plain(*s)
	}
	p.Incumbent, p.Candidate = r.Incumbent.printable(), r.Candidate.printable()
	p.Coverage.Shapes = slices.Clone(r.Coverage.Shapes)
	for i := range p.Coverage.Shapes {
		p.Coverage.Shapes[i].Text = plain(p.Coverage.Shapes[i].Text)
	}
	p.Coverage.Unseen = printable(r.Coverage.Unseen)
	if r.Outputs != nil {
		p.Outputs = r.Outputs.printable()
	}
	p.Findings = slices.Clone(r.Findings)
	for i := range p.Findings {
		f := &p.Findings[i]
		f.Kind, f.Key, f.ID, f.Bundle = plain(f.Kind), plain(f.Key), plain(f.ID), plain(f.Bundle)
		f.Lines = printable(f.Lines)
		f.Incumbent, f.Candidate = f.Incumbent.printable(), f.Candidate.printable()
	}
	return &p
}

func (s Side) printable() Side {
	s.System, s.Kind, s.What = plain(s.System), plain(s.Kind), plain(s.What)
	return s
}

func (o *Outputs) printable() *Outputs {
	p := *o
	if o.Control != nil {
		control := o.Control.printable()
		p.Control = &control
	}
	p.Fields = slices.Clone(o.Fields)
	for i := range p.Fields {
		f := &p.Fields[i]
		f.Path, f.Was, f.Is, f.Rule = plain(f.Path), plain(f.Was), plain(f.Is), plain(f.Rule)
	}
	return &p
}

func (s *Stored) printable() *Stored {
	if s == nil {
		return nil
	}
	return &Stored{Place: plain(s.Place), Read: s.Read, Body: plain(s.Body)}
}

func printable(texts []string) []string {
	all := make([]string, len(texts))
	for i, t := range texts {
		all[i] = plain(t)
	}
	return all
}

// most is how many runes of a text are shown. What is longer was cut by then, but for the
// names of fields, which are as long as whoever wrote the record wants.
const most = 1000

// plain makes a text printable, and leaves quotes.
func plain(s string) string { return strings.ReplaceAll(bridge.Printable(s, most), `\x22`, `"`) }
