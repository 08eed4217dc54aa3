package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

func TestProgressLine(t *testing.T) {
	s := &telemetry.Comparison{}
	s.Verdict, s.Why = compare.Pending, "opening the candidate's stream"
	if got, want := progressLine(s, 400*time.Millisecond), "0s  pending  matched 0  pending 0 + 0  opening the candidate's stream"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Verdict, s.Why, s.Matched, s.Pending, s.Lag = compare.Drift, "", 1234567, [2]uint64{5, 7}, 1500*time.Microsecond
	s.Drift[drift.Missing], s.Drift[drift.StuckKey] = 2, 1
	if got, want := progressLine(s, 3700*time.Second), "1h1m40s  drift  matched 1234567  pending 5 + 7  missing 2  stuck_key 1  lag 2ms"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Drift = [drift.Kinds]uint64{}
	s.Outputs = &compare.OutputsSnapshot{}
	s.Outputs.Outcomes = map[compare.Outcome]uint64{compare.OutcomeMatch: 9, compare.OutcomeMissing: 3, compare.OutcomeIgnored: 4}
	if got, want := progressLine(s, time.Second), "1s  drift  matched 1234567  pending 5 + 7  ignored 4  missing 3"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A terminal has one line, which is written over; elsewhere each is a line. The log does
// not go on behind it.
func TestProgressGoesWhereItIsSeen(t *testing.T) {
	c, err := config.Parse("x", []byte(comparing), config.Options{Adapters: adapters.Table()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Compare(c, c.Comparisons[0], engine.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const line = "0s  pending  matched 0  pending 0 + 0  opening the incumbent's stream"
	for _, tc := range []struct {
		terminal, quiet bool
		want            string
	}{{false, false, line + "\n" + line + "\n"}, {true, false, "\r\x1b[K" + line + "\r\x1b[K" + line}, {false, true, ""}, {true, true, ""}} {
		var b bytes.Buffer
		f := compareFlags{errs: &b, terminal: tc.terminal, quiet: tc.quiet, began: time.Now()}
		f.progress(p)
		f.progress(p)
		if b.String() != tc.want {
			t.Errorf("terminal %t, quiet %t: %q", tc.terminal, tc.quiet, b.String())
		}
	}
	var b bytes.Buffer
	newLog(overProgress{&b}, config.Log{Level: "warn", Format: "text"}).Warn("drift", "key", "k")
	if got := b.String(); !strings.HasPrefix(got, "\r\x1b[Ktime=") || !strings.HasSuffix(got, " msg=drift key=k\n") {
		t.Errorf("%q", got)
	}
}
