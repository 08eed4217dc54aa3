package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

var update = flag.Bool("update", false, "write the golden files")

// evil is what somebody may write into anything that he may choose.
const evil = "<script>alert('1')</script>\x1b]0;owned\a\x00\x9b\u009b\u202e\xff\r\n</code></pre>\"&"

var began = time.Date(2026, 1, 31, 14, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return began.Add(d) }

func bundleOf(kind, text string, sides ...*bundle.Frame) *bundle.Bundle {
	return &bundle.Bundle{
		Kind: kind, At: at(time.Minute), Key: text, ID: text, Lines: []string{"header " + text + ": dropped, was " + text},
		Incumbent: bundle.Side{Frame: sides[0]}, Candidate: bundle.Side{Frame: sides[1]},
	}
}

func frameOf(text string) *bundle.Frame {
	return &bundle.Frame{Read: at(30 * time.Second), Stored: "nats/" + text + "/1", Text: text}
}

// delivery is a report of what a relay brings; text is what is in everything that others
// may choose.
func delivery(text string) *Report {
	s := &telemetry.Comparison{Streams: []telemetry.Side{
		{System: "old", Kind: "rabbitmq", What: "stream " + text}, {System: "new", Kind: "nats", What: "stream T"},
	}}
	s.Name, s.Verdict, s.Judged = "telemetry", compare.Drift, at(9*time.Minute)
	s.Sides[0].Read = at(10 * time.Minute)
	s.Matched = 1234567
	s.Drift[drift.Missing], s.Drift[drift.HeaderLossy], s.Drift[drift.StuckKey] = 3, 1002, 1
	s.Observed, s.Pending, s.Repeats, s.Incomparable, s.Before = [2]uint64{1234600, 1234580}, [2]uint64{12, 0}, [2]uint64{2, 1}, [2]uint64{0, 7}, [2]uint64{0, 1000}
	s.Expired, s.Recovered, s.Unordered, s.Stuck = 4, 5, 6, 1
	s.Lag, s.LagMost, s.Grace = 1500*time.Microsecond, 2345*time.Millisecond, 5*time.Second
	s.Confidence = compare.Confidence{Messages: 1234570, Differ: 1005, Rate: 0.000911, Spans: 60, Odd: 2, SpanRate: 0.2}
	r := Of(s, compare.Coverage{
		Keys: [2]uint64{4096, 4095}, Both: 4090, Shapeless: 3, Unseen: []string{"null bodies", "bodies over 1 MiB"},
		Shapes: []compare.Shape{{Text: "headers " + text + " S", N: 1234000}, {Text: "no headers", N: 567}, {Text: "3", N: 3}, {Text: "4", N: 2}, {Text: "5", N: 1}, {Text: "6", N: 1}, {Text: "7", N: 1}},
	}, began, at(10*time.Minute))
	r.Build = "v1"
	r.Add(bundleOf("missing", text, frameOf(text), nil), "evidence/1 "+text+".json")
	r.Add(bundleOf("header_lossy", text, frameOf(text), frameOf(text)), "")
	return r
}

// outputs is a report of what consumers produced, with a control.
func outputs(text string) *Report {
	s := &telemetry.Comparison{
		Streams: []telemetry.Side{{System: "old", Kind: "kafka", What: "topic A"}, {System: "new", Kind: "kafka", What: "topic B"}, {System: text, Kind: "kafka", What: "topic " + text}},
		Outputs: &compare.OutputsSnapshot{},
	}
	s.Name, s.Verdict, s.Matched = "results", compare.Drift, 1003
	s.Observed = [2]uint64{1004, 1003}
	s.Before[0], s.Incomparable[0] = 2, 1
	s.Confidence = compare.Confidence{Messages: 1004, Differ: 3, Rate: 0.0123, SpanRate: 1}
	o := s.Outputs
	o.Observed, o.Pending, o.Repeats = [3]uint64{1004, 1003, 1002}, [3]uint64{0, 0, 8}, [3]uint64{0, 0, 9}
	o.Outcomes = map[compare.Outcome]uint64{
		compare.OutcomeMatch: 900, compare.OutcomeIgnored: 50, compare.OutcomeNoise: 51, compare.OutcomeMismatch: 2, compare.OutcomeMissing: 1, compare.OutcomeIncomparable: 1,
	}
	o.Fields = []compare.FieldCount{
		{Path: "mean." + text, Coin: drift.Coin{Candidate: 2}, Blamed: true, Was: `"` + text, Is: "1.5" + text, Rule: "the same"},
		{Path: "at", Ignored: 1001, Was: "1", Is: "2", Rule: "ignored"},
		{Path: "host", Coin: drift.Coin{Candidate: 20, Control: 19}, Both: 12, Was: `"a"`, Is: `"b"`, Rule: "the same"},
	}
	r := Of(s, compare.Coverage{}, began, at(26*time.Hour))
	r.Add(bundleOf("mismatch", text, frameOf(text), frameOf(text)), "")
	return r
}

func reports(text string) map[string]*Report {
	return map[string]*Report{"delivery": delivery(text), "outputs": outputs(text)}
}

var forms = map[string]func(*Report, io.Writer) error{"txt": (*Report).WriteText, "json": (*Report).WriteJSON, "html": (*Report).WriteHTML}

func write(t *testing.T, r *Report, form string) string {
	t.Helper()
	var b bytes.Buffer
	if err := forms[form](r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The reports as people get them, with all that may be in one. Look at what changed before
// you write them anew.
func TestGolden(t *testing.T) {
	for name, r := range reports("S") {
		for form := range forms {
			path := filepath.Join("testdata", name+"."+form)
			got := write(t, r, form)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if want, err := os.ReadFile(path); err != nil || got != string(want) {
				t.Errorf("%v: the report is not that of %s; go test ./bridge/report -run Golden -update writes it:\n%s", err, path, got)
			}
		}
	}
}

// Whatever producers, consumers and operators write, nothing of it becomes a part of the
// page, or does something to a terminal.
func TestNothingGetsThroughRaw(t *testing.T) {
	for name, r := range reports(evil) {
		r.Comparison, r.Why, r.Build, r.Confidence.Text = evil, evil, evil, evil
		r.Coverage.Unseen = []string{evil}
		r.Findings[0].Kind = evil
		for _, form := range []string{"txt", "html"} {
			got := write(t, r, form)
			if !utf8.ValidString(got) {
				t.Errorf("%s, %s: it is not UTF-8", name, form)
			}
			for i, c := range got {
				if c != '\n' && unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == unicode.ReplacementChar {
					t.Errorf("%s, %s: %U gets through: %q", name, form, c, got[max(0, i-60):i+8])
				}
			}
			if form == "html" && (strings.Contains(got, "<script") || strings.Contains(got, "alert('1')")) {
				t.Errorf("%s: a script gets through:\n%s", name, got)
			}
			// Nor does a line end within what others wrote.
			if strings.Contains(got, "\n</code>") {
				t.Errorf("%s, %s: a line's end gets through", name, form)
			}
			shown := 12
			if name == "outputs" {
				shown = 10
			}
			if n := strings.Count(got, `\x1B]0;owned\x07\x00`); n < shown {
				t.Errorf("%s, %s: it is shown %d times only:\n%s", name, form, n, got)
			}
		}
		// Programs get what there is.
		var back Report
		if err := json.Unmarshal([]byte(write(t, r, "json")), &back); err != nil || back.Why != strings.ToValidUTF8(evil, "\ufffd") {
			t.Errorf("%s: %v, %q", name, err, back.Why)
		}
		if r.Why != evil || r.Findings[0].Key != evil {
			t.Errorf("%s: writing has changed the report", name)
		}
	}
}

// Names of fields are as long as whoever wrote the record wants.
func TestLongTextsAreCut(t *testing.T) {
	r := outputs(strings.Repeat("x", 100_000))
	for _, form := range []string{"txt", "html"} {
		if n := len(write(t, r, form)); n > 40_000 {
			t.Errorf("%s: %d octets", form, n)
		}
	}
}

// The page opens where there is nothing else: no network, no other file.
func TestThePageNeedsNothingElse(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?i)\b(src|href|srcset|action|data|background|poster|cite|ping|manifest)\s*=|url\(|@import|<(script|link|iframe|img|object|embed|base|form|svg)\b|://|\bon[a-z]+\s*=`)
	for name, r := range reports("S") {
		page := write(t, r, "html")
		if at := elsewhere.FindStringIndex(page); at != nil {
			t.Errorf("%s: the page needs something else: %s", name, page[max(0, at[0]-40):min(len(page), at[1]+40)])
		}
		if !strings.HasPrefix(page, "<!doctype html>\n") || !strings.Contains(page, `<meta charset="utf-8">`) || strings.Count(page, "<title>") != 1 {
			t.Errorf("%s: %s", name, page[:200])
		}
	}
}

// Tags of the page end where they have to.
func TestThePageIsWellFormed(t *testing.T) {
	tag := regexp.MustCompile(`</?([a-z0-9]+)[^>]*>`)
	optional := map[string]bool{"td": true, "th": true, "meta": true, "li": false}
	for name, r := range map[string]*Report{"delivery": delivery(evil), "outputs": outputs(evil), "empty": empty()} {
		var open []string
		page := write(t, r, "html")
		for _, m := range tag.FindAllStringSubmatch(page, -1) {
			switch {
			case optional[m[1]]:
			case !strings.HasPrefix(m[0], "</"):
				open = append(open, m[1])
			case len(open) == 0 || open[len(open)-1] != m[1]:
				t.Fatalf("%s: %s ends, and open are %v", name, m[1], open)
			default:
				open = open[:len(open)-1]
			}
		}
		if len(open) > 0 {
			t.Errorf("%s: %v are open at the end", name, open)
		}
	}
}

func empty() *Report {
	s := &telemetry.Comparison{Streams: []telemetry.Side{{System: "a"}, {System: "b"}}}
	s.Name, s.Verdict, s.Why, s.Judged = "x", compare.Pending, "nothing has come from the incumbent yet", at(time.Second)
	s.Confidence.Rate = 1
	return Of(s, compare.Coverage{}, began, at(time.Second))
}

// Programs find lists where there are lists, and no times that nobody knows.
func TestJSONOfNothing(t *testing.T) {
	var r map[string]any
	text := write(t, empty(), "json")
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	coverage := r["coverage"].(map[string]any)
	for name, list := range map[string]any{"findings": r["findings"], "shapes": coverage["shapes"], "unseen": coverage["unseen"]} {
		if l, is := list.([]any); !is || len(l) != 0 {
			t.Errorf("%s is %v", name, list)
		}
	}
	if drifts := r["drift"].(map[string]any); len(drifts) != int(drift.Kinds) || drifts["missing"] != 0.0 {
		t.Errorf("drift: %v", drifts)
	}
	for _, name := range []string{"judged", "outputs", "build"} {
		if v, is := r[name]; is {
			t.Errorf("%s is %v", name, v)
		}
	}
	if r["why"] != "nothing has come from the incumbent yet" || strings.Contains(text, "0001-01-01") {
		t.Error(text)
	}
	s := &telemetry.Comparison{Streams: []telemetry.Side{{System: "a"}, {System: "b"}}, Outputs: &compare.OutputsSnapshot{}}
	text = write(t, Of(s, compare.Coverage{}, began, began), "json")
	if !strings.Contains(text, `"fields": []`) || !strings.Contains(text, `"drift": null`) || strings.Contains(text, `"control"`) || !strings.Contains(text, `"incomparable": 0`) {
		t.Error(text)
	}
}

func TestTextOfNothing(t *testing.T) {
	const want = `NOTHING JUDGED  x
           nothing has come from the incumbent yet

incumbent  a: 
candidate  b: 
time       2026-01-31 14:00:00 to 14:00:01 UTC
matched    0
drift      none
confidence nothing is judged yet
keys       about 0 at the incumbent, 0 of them at the candidate too
`
	if got := write(t, empty(), "txt"); got != want {
		t.Errorf("got:\n%s", got)
	}
}

// Every verdict has a heading; why is said where nothing better is.
func TestVerdicts(t *testing.T) {
	for verdict, heading := range map[compare.Verdict]string{
		compare.Match: "MATCH", compare.Drift: "DRIFT", compare.Pending: "NOTHING JUDGED", compare.Incomparable: "INCOMPARABLE",
	} {
		s := &telemetry.Comparison{Streams: []telemetry.Side{{System: "a"}, {System: "b"}}}
		s.Name, s.Verdict, s.Why = "x", verdict, "because"
		r := Of(s, compare.Coverage{}, began, began)
		text, page := write(t, r, "txt"), write(t, r, "html")
		why := verdict == compare.Pending || verdict == compare.Incomparable
		if !strings.HasPrefix(text, heading+"  x\n") || strings.Contains(text, "because") != why || strings.Contains(page, "because") != why ||
			!strings.Contains(page, fmt.Sprintf(`<h1><span class="%s">%s</span>x</h1>`, verdict, heading)) {
			t.Errorf("%s:\n%s\n%s", verdict, text, page[strings.Index(page, "<h1>"):])
		}
	}
}

// The text shows some findings and the page all that are listed; both say how many are not.
func TestManyFindings(t *testing.T) {
	s := &telemetry.Comparison{Streams: []telemetry.Side{{System: "a"}, {System: "b"}}}
	s.Verdict = compare.Drift
	s.Drift[drift.Missing] = 5000
	r := Of(s, compare.Coverage{}, began, began)
	for n := range MostFindings + 50 {
		r.Add(bundleOf("missing", fmt.Sprint("k", n), frameOf("x"), nil), "")
	}
	if len(r.Findings) != MostFindings || r.Unlisted != 5000-MostFindings {
		t.Errorf("%d are listed and %d are not", len(r.Findings), r.Unlisted)
	}
	text, page := write(t, r, "txt"), write(t, r, "html")
	if strings.Count(text, "\nmissing  ") != 20 || !strings.HasSuffix(text, "\nand 4,980 more\n") {
		t.Errorf("%s", text)
	}
	if strings.Count(page, "<details>") != MostFindings || !strings.Contains(page, "<p>And 4,800 more that are not listed.</p>") {
		t.Errorf("%d are on the page", strings.Count(page, "<details>"))
	}
	// More with evidence than were counted are no reason to count below nothing.
	s.Drift[drift.Missing] = 1
	if r = Of(s, compare.Coverage{}, began, began); r.Unlisted != 1 {
		t.Errorf("%d", r.Unlisted)
	}
	for range 3 {
		r.Add(bundleOf("missing", "k", nil, nil), "")
	}
	if r.Unlisted != 0 || strings.Contains(write(t, r, "txt"), " more\n") {
		t.Errorf("%d are not listed", r.Unlisted)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 999999: "999,999", 1000000: "1,000,000", math.MaxUint64: "18,446,744,073,709,551,615"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
	for s, want := range map[float64]string{
		-1: "0 ms", 0: "0 ms", 1e-9: "1 ms", 0.0010: "1 ms", 0.00101: "2 ms", 0.9985: "999 ms", 0.9991: "1.0 s", 1: "1.0 s", 1.01: "1.1 s", 99.9: "99.9 s", 99.91: "1m40s", 100: "1m40s", 3600.5: "1h0m1s", 93784: "26h3m4s",
	} {
		if got := seconds(s); got != want {
			t.Errorf("seconds(%v) = %s, want %s", s, got, want)
		}
	}
	for s, want := range map[string]string{"": `""`, "k1": "k1", "a b": `"a b"`, `a"b`: `"a\"b"`, `a b\x1B`: `"a b\x1B"`, `\x00`: `\x00`} {
		if got := quoted(s); got != want {
			t.Errorf("quoted(%q) = %s, want %s", s, got, want)
		}
	}
}

// Whatever is not of the first day has its own.
func TestSpan(t *testing.T) {
	for _, c := range []struct {
		at, judged time.Duration
		want       string
	}{
		{time.Hour, -1, "2026-01-31 14:00:00 to 15:00:00 UTC"},
		{time.Hour, 59 * time.Minute, "2026-01-31 14:00:00 to 15:00:00 UTC, judged up to 14:59:00.000"},
		{10 * time.Hour, 9 * time.Hour, "2026-01-31 14:00:00 to 2026-02-01 00:00:00 UTC, judged up to 23:00:00.000"},
		{48 * time.Hour, 24 * time.Hour, "2026-01-31 14:00:00 to 2026-02-02 14:00:00 UTC, judged up to 2026-02-01 14:00:00.000"},
	} {
		r := Report{Began: began, At: at(c.at)}
		if c.judged >= 0 {
			r.Judged = at(c.judged)
		}
		if got := r.span(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A writer that does not take the report is an error, whatever the form.
func TestWriteErrors(t *testing.T) {
	for form, write := range forms {
		if err := write(delivery("S"), broken{}); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("%s: %v", form, err)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("the disk is full") }
