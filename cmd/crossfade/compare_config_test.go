package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// configured is a configuration with comparisons of the streams I, C and K.
func (s *twoStreams) configured() string {
	s.t.Helper()
	if _, err := s.js.CreateStream(s.t.Context(), jetstream.StreamConfig{Name: "K", Subjects: []string{"k.>"}}); err != nil {
		s.t.Fatal(err)
	}
	return file(s.t, strings.ReplaceAll(`name: b
systems:
  - {name: old, kind: nats, url: "URL"}
  - {name: new, kind: nats, url: "URL"}
  - {name: unrelated, kind: nats, url: "nats://127.0.0.1:1"}
relays:
  - {name: r, from: {system: old, stream: I}, to: {system: new, stream: C, subject: c.x}, key: {header: key}, id: {header: id}}
comparisons:
  - name: delivery
    relay: r
    candidate: {system: new, stream: C}
    ignore: [address, time]
    grace: 300ms
    evidence: {dir: evidence}
  - name: outputs
    incumbent: {system: old, stream: I}
    candidate: {system: new, stream: C}
    control: {system: old, stream: K}
    key: {header: key}
    id: {header: id}
    join: {by: id}
    grace: 300ms
    evidence: {dir: records, redact: {fields: [owner]}}
    fields:
      - {path: host, ignore: true, why: each has its own}
      - {path: mean, abs: 0.01}
`, "URL", s.url))
}

const past = "2026-01-31T14:00:00Z"

// A comparison by its name takes over the relay's block, key and id. --from stands above
// what the blocks say, and a bound that is over compares what there is.
func TestCompareByName(t *testing.T) {
	s := newTwoStreams(t)
	path := s.configured()
	s.both(0, 50)
	s.publish(t.Context(), "I", 0, 50, `{"value":1}`)
	s.publish(t.Context(), "C", 0, 50, `{"value":2}`)

	code, out, errs := command(t, "compare", "delivery", "-c", path, "--until", past)
	if code != 2 || errs != "" || !strings.HasPrefix(out, "NOTHING JUDGED  delivery\n") || strings.Contains(out, "observed") {
		t.Errorf("from now: exit code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = command(t, "compare", "delivery", "-c", path, "--until", past, "--from", "first", "--json")
	r := reportOf(t, out)
	if code != 1 || r.Comparison != "delivery" || r.Matched != 51 || r.Drift["corrupted"] != 1 || len(r.Findings) != 1 || r.Incumbent.System != "old" || r.Incumbent.What != "stream I" || r.Candidate.System != "new" {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	// A relative folder is one beside the file.
	if dir := filepath.Dir(r.Findings[0].Bundle); dir != filepath.Join(filepath.Dir(path), "evidence") {
		t.Errorf("the bundle is in %s", dir)
	}
	if code, out, errs := command(t, "replay", r.Findings[0].Bundle); code != 0 || !strings.Contains(out, "comparison delivery, found") || !strings.Contains(out, "incumbent  old: stream I") {
		t.Errorf("replay: exit code %d\n%s\n%s", code, out, errs)
	}
	other := filepath.Join(t.TempDir(), "other")
	code, out, errs = command(t, "compare", "delivery", "-c", path, "--until", past, "--from", "first", "--evidence", other, "--grace", "200ms")
	if entries, err := os.ReadDir(other); code != 1 || err != nil || len(entries) != 1 || !strings.Contains(out, "crossfade replay "+other) {
		t.Errorf("exit code %d, %v\n%s\n%s", code, err, out, errs)
	}
	s.expectNothingLeftBut("K")
}

// expectNothingLeftBut is expectNothingLeft with one stream more.
func (s *twoStreams) expectNothingLeftBut(stream string) {
	s.t.Helper()
	if err := s.js.DeleteStream(s.t.Context(), stream); err != nil {
		s.t.Error(err)
	}
	s.expectNothingLeft()
}

// What consumers produced, with the control's noise and the rules for fields.
func TestCompareOutputsByName(t *testing.T) {
	s := newTwoStreams(t)
	path := s.configured()
	record := func(n int, host, mean, owner string) string {
		return fmt.Sprintf(`{"n":%d,"host":%q,"mean":%s,"owner":%q,"noise\u001b[31m":%q}`, n, host, mean, owner, map[bool]string{true: host, false: "same"}[n%10 == 5])
	}
	const records = 1100 // the control has to have been steady for some time
	publish := func(stream string, n int, body string) {
		s.publish(t.Context(), stream, n%5, n, body)
	}
	for n := range records {
		publish("I", n, record(n, "a", "1.5", "me"))
		publish("K", n, record(n, "k", "1.504", "me"))
		switch n {
		case 1050:
			publish("C", n, record(n, "c", "1.52", "me")) // too far
		case 1060:
			publish("C", n, record(n, "c", "1.5", "secret"))
		case 1070: // missing
		default:
			publish("C", n, record(n, "c", "1.496", "me"))
		}
	}
	publish("C", records, record(records, "c", "1.5", "me")) // extra

	html := filepath.Join(t.TempDir(), "r.html")
	code, out, errs := command(t, "compare", "outputs", "-c", path, "--from", "first", "--until", past, "--json", "-o", html)
	r := reportOf(t, out)
	if code != 1 || r.Verdict != "drift" || r.Outputs == nil || r.Drift != nil {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	// Of the noise, that of the hosts is in every record.
	if got, want := fmt.Sprint(r.Outputs.Records), "map[extra:1 ignored:987 incomparable:0 match:0 mismatch:2 missing:1 noise:110]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c := r.Outputs.Control; c == nil || c.System != "old" || c.What != "stream K" || c.Observed != records {
		t.Errorf("%+v", c)
	}
	fields := map[string]string{}
	for _, f := range r.Outputs.Fields {
		fields[f.Path] = fmt.Sprint(f.Blamed, f.Candidate, f.Control, f.Both, f.Ignored)
	}
	if got, want := fmt.Sprint(fields), "map[(record):true 2 0 0 0 host:false 0 0 0 1099 mean:true 1 0 0 0 noise\x1b[31m:false 0 0 110 0 owner:true 1 0 0 0]"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	kinds := map[string]string{}
	for _, f := range r.Findings {
		kinds[f.Kind+" "+f.ID] = strings.Join(f.Lines, "|")
		if code, out, errs := command(t, "replay", f.Bundle); code != 0 || !strings.Contains(out, "\nreplayed: "+f.Kind+", as then\n") || strings.ContainsAny(out, "\x1b") {
			t.Errorf("replay %s: exit code %d\n%q\n%s", f.Bundle, code, out, errs)
		}
		if text, err := os.ReadFile(f.Bundle); err != nil || strings.Contains(string(text), "secret") || filepath.Dir(f.Bundle) != filepath.Join(filepath.Dir(path), "records") {
			t.Errorf("%s: %v", f.Bundle, err)
		}
	}
	for of, want := range map[string]string{
		"mismatch 1050": "mean: was 1.5, is 1.52 (allowed: within 0.01 + 0 times the larger)", "mismatch 1060": "owner: was \"redacted-", "missing 1070": "", fmt.Sprint("extra ", records): "",
	} {
		if lines, found := kinds[of]; !found || !strings.Contains(lines, want) {
			t.Errorf("%s is %q, want %q; all: %v", of, lines, want, kinds)
		}
	}
	if page, err := os.ReadFile(html); err != nil || strings.Contains(string(page), "\x1b") || !strings.Contains(string(page), `<code>noise\x1B[31m</code><td>noise<`) {
		t.Errorf("%v\n%s", err, page)
	}

	code, out, errs = command(t, "compare", "outputs", "-c", path, "--from", "first", "--until", past)
	for _, want := range []string{
		"DRIFT  outputs\n", "\ncontrol    old: stream K, 1,100 observed\n", "\nrecords    ignored 987, noise 110, mismatch 2, missing 1, extra 1\n",
		"mean: DIFFERS, at the candidate 1, at the control 0, at both 0; as was 1.5, is 1.52\n", "host: ignored, at the candidate 0, at the control 0, at both 0, ignored 1,099\n",
		`noise\x1B[31m: noise of the consumer's own, at the candidate 0, at the control 0, at both 110` + "\n", "\nmissing       key k0  id 1070\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code != 1 || strings.Contains(out, "\x1b") {
		t.Errorf("exit code %d\n%q\n%s", code, out, errs)
	}
	// From now on there is nothing.
	code, out, errs = command(t, "compare", "outputs", "-c", path, "--for", "100ms")
	if code != 2 || errs != "" || !strings.HasPrefix(out, "NOTHING JUDGED  outputs\n           no record was found on both sides yet\n") || !strings.Contains(out, "\nrecords    none compared yet\n") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	s.expectNothingLeftBut("K")
}
