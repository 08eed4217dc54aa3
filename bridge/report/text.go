package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// headings are the verdicts as a person reads them.
var headings = map[compare.Verdict]string{
	compare.Match: "MATCH", compare.Drift: "DRIFT", compare.Pending: "NOTHING JUDGED", compare.Incomparable: "INCOMPARABLE",
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	r = r.printable()
	var b bytes.Buffer
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s  %s\n", headings[r.Verdict], r.Comparison)
	if r.Why != "" {
		line("", "%s", r.Why)
	}
	b.WriteByte('\n')
	line("incumbent", "%s", r.Incumbent.words())
	line("candidate", "%s", r.Candidate.words())
	if r.Outputs != nil && r.Outputs.Control != nil {
		line("control", "%s", r.Outputs.Control.words())
	}
	line("time", "%s", r.span())
	if r.Outputs != nil {
		r.outputLines(line)
		line("confidence", "%s", r.Confidence.Text)
		r.findings(&b)
		_, err := w.Write(b.Bytes())
		return err
	}
	line("matched", "%s", grouped(r.Matched))
	line("drift", "%s", r.driftWords())
	if other := r.others(); other != "" {
		line("else", "%s", other)
	}
	if r.Matched > 0 {
		line("lag", "half of the messages within %s, 999 of 1,000 within %s", seconds(r.Lag), seconds(r.LagMost))
	}
	line("confidence", "%s", r.Confidence.Text)
	line("keys", "about %s at the incumbent, %s of them at the candidate too", grouped(r.Coverage.IncumbentKeys), grouped(r.Coverage.BothKeys))
	for i, s := range r.Coverage.Shapes[:min(len(r.Coverage.Shapes), 5)] {
		name := "shapes"
		if i > 0 {
			name = ""
		}
		line(name, "%s × %s", grouped(s.N), s.Text)
	}
	if more := len(r.Coverage.Shapes) - 5; more > 0 {
		line("", "and %d more", more)
	}
	if len(r.Coverage.Unseen) > 0 {
		line("not seen", "%s", strings.Join(r.Coverage.Unseen, ", "))
	}
	r.findings(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// outputLines say what became of records, and in which fields they differed.
func (r *Report) outputLines(line func(name, format string, args ...any)) {
	var parts []string
	for _, o := range telemetry.Outcomes {
		if n := r.Outputs.Records[string(o)]; n > 0 {
			parts = append(parts, string(o)+" "+grouped(n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"none compared yet"}
	}
	line("records", "%s", strings.Join(parts, ", "))
	if other := r.others(); other != "" {
		line("else", "%s", other)
	}
	for i, f := range r.Outputs.Fields {
		name := "fields"
		if i > 0 {
			name = ""
		}
		line(name, "%s", f.words(r.Outputs.Control != nil))
	}
}

// words say what is known of a field.
func (f *Field) words(control bool) string {
	verdict := "noise of the consumer's own"
	switch {
	case f.Blamed:
		verdict = "DIFFERS"
	case f.Candidate+f.Control+f.Both == 0:
		verdict = "ignored"
	}
	text := fmt.Sprintf("%s: %s, at the candidate %s", f.Path, verdict, grouped(f.Candidate))
	if control {
		text += fmt.Sprintf(", at the control %s, at both %s", grouped(f.Control), grouped(f.Both))
	}
	if f.Ignored > 0 {
		text += ", ignored " + grouped(f.Ignored)
	}
	if f.Blamed && f.Was+f.Is != "" {
		text += fmt.Sprintf("; as was %s, is %s", f.Was, f.Is)
	}
	return text
}

// mostShown is how many findings the text shows.
const mostShown = 20

func (r *Report) findings(b *bytes.Buffer) {
	for i, f := range r.Findings[:min(len(r.Findings), mostShown)] {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%-13s key %s  id %s\n", f.Kind, quoted(f.Key), quoted(f.ID))
		for _, l := range f.Lines {
			fmt.Fprintf(b, "    %s\n", l)
		}
		for _, s := range []struct {
			name string
			at   *Stored
		}{{"incumbent", f.Incumbent}, {"candidate", f.Candidate}} {
			if s.at != nil {
				fmt.Fprintf(b, "    %s  read %s  %s\n", s.name, s.at.Read.Format(clock), s.at.Place)
			}
		}
		if f.Bundle != "" {
			fmt.Fprintf(b, "    crossfade replay %s\n", quoted(f.Bundle))
		}
	}
	if more := r.Unlisted + uint64(max(0, len(r.Findings)-mostShown)); more > 0 {
		fmt.Fprintf(b, "\nand %s more\n", grouped(more))
	}
}

const clock = "15:04:05.000"

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"") { // what could not be printed has its \ already
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

func (s *Side) words() string {
	text := s.System + ": " + s.What
	if s.Observed > 0 {
		text += ", " + grouped(s.Observed) + " observed"
	}
	if s.Pending > 0 {
		text += ", " + grouped(s.Pending) + " pending"
	}
	return text
}

// span is from when to when, with the day of whatever is not of the first.
func (r *Report) span() string {
	const day = "2006-01-02"
	first := r.Began.Format(day)
	on := func(at time.Time, layout string) string {
		if at.Format(day) != first {
			layout = day + " " + layout
		}
		return at.Format(layout)
	}
	text := fmt.Sprintf("%s to %s", r.Began.Format(day+" 15:04:05"), on(r.At, "15:04:05 MST"))
	if !r.Judged.IsZero() {
		text += ", judged up to " + on(r.Judged, clock)
	}
	return text
}

func (r *Report) driftWords() string {
	var parts []string
	for k := range drift.Kinds {
		if n := r.Drift[k.String()]; n > 0 {
			parts = append(parts, k.String()+" "+grouped(n))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// others are what is neither matched nor drift.
func (r *Report) others() string {
	incomparable, control := r.Incumbent.Incomparable+r.Candidate.Incomparable, uint64(0)
	if r.Outputs != nil {
		incomparable = 0 // an outcome of records
		if r.Outputs.Control != nil {
			control = r.Outputs.Control.Repeats
		}
	}
	var parts []string
	for _, a := range []struct {
		text string
		n    uint64
	}{
		{"repeats at the incumbent", r.Incumbent.Repeats}, {"repeats at the candidate", r.Candidate.Repeats}, {"repeats at the control", control},
		{"from before the beginning", r.Incumbent.Before + r.Candidate.Before}, {"incomparable", incomparable},
		{"expired", r.Expired}, {"recovered", r.Recovered}, {"without a judged order", r.Unordered}, {"keys stuck now", uint64(max(0, r.Stuck))},
	} {
		if a.n > 0 {
			parts = append(parts, grouped(a.n)+" "+a.text)
		}
	}
	return strings.Join(parts, ", ")
}

// seconds is a time as a person reads it, rounded up.
func seconds(s float64) string {
	up := func(to time.Duration) time.Duration {
		return (time.Duration(s*float64(time.Second)) + to - 1).Truncate(to)
	}
	switch {
	case s <= 0:
		return "0 ms"
	case up(time.Millisecond) < time.Second:
		return fmt.Sprintf("%d ms", up(time.Millisecond)/time.Millisecond)
	case up(time.Second/10) < 100*time.Second:
		return strconv.FormatFloat(up(time.Second/10).Seconds(), 'f', 1, 64) + " s"
	}
	return up(time.Second).String()
}

// grouped writes a number with a comma between groups of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
