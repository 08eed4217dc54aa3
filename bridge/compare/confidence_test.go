package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
)

func TestConfidenceInWords(t *testing.T) {
	for _, tc := range []struct {
		c    Confidence
		want string
	}{
		{Confidence{Rate: 1, SpanRate: 1}, "nothing is judged yet"},
		{Confidence{Messages: 1, Rate: 1, SpanRate: 1}, "too little is judged, or differs too often, to say how many messages differ"},
		{Confidence{Messages: 1e6, Differ: 1e6, Rate: 1, SpanRate: 0.1}, "too little is judged, or differs too often, to say how many messages differ"},
		{Confidence{Messages: 100, Rate: 0.045, SpanRate: 1}, "with 99 % confidence fewer than 1 in 22 messages differ"},
		{Confidence{Messages: 100, Rate: 0.045, SpanRate: 0.5}, "with 99 % confidence fewer than 1 in 22 messages differ"},
		{Confidence{Messages: 1e6, Rate: 4.7e-6, SpanRate: 0.25}, "with 99 % confidence fewer than 1 in 212.7 k messages differ, and fewer than 1 in 4 spans of 10 s"},
	} {
		if got := tc.c.String(); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.c, got, tc.want)
		}
	}
}

// Two or three digits, and never more than is true.
func TestOneIn(t *testing.T) {
	for n, want := range map[float64]string{
		1: "1", 1.09: "1", 1.1001: "1.1", 9.999: "9.9", 10.001: "10", 99.9: "99", 1234.5: "1234", 9999.9: "9999", 10000.001: "10.0 k", 12345: "12.3 k", 999999: "999.9 k",
		1.00001e6: "1.0 M", 1.99e6: "1.9 M", 9.9999e8: "999.9 M", 1.00001e9: "1.0 G", 123.456e9: "123.4 G",
	} {
		if got := oneIn(1 / n); got != want {
			t.Errorf("one in %v is %q, want %q", n, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		rate := math.Exp(-rng.Float64() * 25)
		text := oneIn(rate)
		var n float64
		unit := ""
		if got, err := fmt.Sscan(text, &n, &unit); got < 1 {
			t.Fatalf("%q: %v", text, err)
		}
		n *= map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
		if exact := 1 / rate; n > exact*(1+1e-12) || n < exact*0.89 {
			t.Errorf("one in %v is %q", exact, text)
		}
	}
}

// A told is a report of so many that match, and of what differs.
func told(matched uint64, differ map[drift.Kind]uint64) *drift.Report {
	r := &drift.Report{}
	r.Matched = matched
	for k, n := range differ {
		r.Drift[k] = n
	}
	return r
}

// What is judged is what both have and what one alone has; late messages came, and keys that
// are stuck are none.
func TestTally(t *testing.T) {
	for _, tc := range []struct {
		r              *drift.Report
		judged, differ uint64
	}{
		{told(0, nil), 0, 0},
		{told(10, nil), 10, 0},
		{told(10, map[drift.Kind]uint64{drift.Missing: 1, drift.Extra: 2, drift.Duplicate: 3}), 16, 6},
		{told(10, map[drift.Kind]uint64{drift.Corrupted: 1, drift.HeaderLossy: 2, drift.Reordered: 3, drift.Misrouted: 1}), 10, 7},
		{told(10, map[drift.Kind]uint64{drift.Late: 5, drift.StuckKey: 5}), 10, 0},
		// In two ways at once: not more than all differ.
		{told(3, map[drift.Kind]uint64{drift.Corrupted: 3, drift.Reordered: 2}), 3, 3},
		{told(0, map[drift.Kind]uint64{drift.Missing: 4}), 4, 4},
	} {
		if judged, differ := tally(tc.r); judged != tc.judged || differ != tc.differ {
			t.Errorf("%+v: %d are judged and %d differ, want %d and %d", tc.r.Counts, judged, differ, tc.judged, tc.differ)
		}
	}
}

// A span of ten seconds counts if something was judged in it, and is odd if something
// differed, however much.
func TestSpans(t *testing.T) {
	var x trials
	matched, missing := uint64(0), uint64(0)
	look := func(at time.Duration, more, lost uint64) {
		matched, missing = matched+more, missing+lost
		x.look(at, told(matched, map[drift.Kind]uint64{drift.Missing: missing, drift.Late: matched}))
	}
	expect := func(what string, spans, odd uint64) {
		t.Helper()
		if x.spans != spans || x.odd != odd {
			t.Errorf("%s: %d spans, %d of them odd; want %d, %d", what, x.spans, x.odd, spans, odd)
		}
	}
	for at := time.Duration(0); at < 10*time.Second; at += 100 * time.Millisecond {
		look(at, 1, 0)
	}
	expect("before the first is over", 0, 0)
	look(10*time.Second, 0, 0)
	expect("one span", 1, 0)
	look(20*time.Second, 0, 0)
	expect("nothing came in the second", 1, 0)
	for at := 20 * time.Second; at < 30*time.Second; at += 100 * time.Millisecond {
		look(at, 5, 5)
	}
	look(30*time.Second, 0, 0)
	expect("much was lost in the third", 2, 1)
	look(31*time.Second, 1, 1)
	look(50*time.Second, 0, 0) // looked at late: one span
	expect("one was lost in the fourth", 3, 2)
	look(60*time.Second, 1, 0)
	expect("nothing was lost in the fifth", 4, 2)

	c := x.confidence(told(matched, map[drift.Kind]uint64{drift.Missing: missing}))
	if c.Messages != matched+missing || c.Differ != missing || c.Spans != 4 || c.Odd != 2 ||
		c.Rate != drift.Bound(matched+missing, missing, 0.01) || c.SpanRate != drift.Bound(4, 2, 0.01) {
		t.Errorf("%+v", c)
	}
}

// The more is judged, the more is said, and a difference takes back.
func TestConfidenceGrows(t *testing.T) {
	var x trials
	last := 1.1
	for n := uint64(0); n <= 1_000_000; n = n*10 + 1 {
		c := x.confidence(told(n, nil))
		least := 1 - math.Pow(0.01, 1/float64(n)) // of one who looks once, at a time that he chose before
		if c.Rate >= last && n > 1 || c.Rate > 1 || n > 0 && (c.Rate < least || c.Rate > 1.2*least) {
			t.Errorf("of %d: %v, after %v", n, c.Rate, last)
		}
		if differ := x.confidence(told(n, map[drift.Kind]uint64{drift.Missing: 1})); n > 10 && differ.Rate <= c.Rate {
			t.Errorf("of %d, one of which differs: %v, and %v without", n, differ.Rate, c.Rate)
		}
		last = c.Rate
	}
	if text := x.confidence(told(1_000_000, nil)).String(); !strings.HasPrefix(text, "with 99 % confidence fewer than 1 in 2") || !strings.HasSuffix(text, " k messages differ") {
		t.Error(text)
	}
}
