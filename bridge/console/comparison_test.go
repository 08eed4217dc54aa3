package console

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

func comparisons() (delivery, outputs telemetry.Comparison) {
	streams := []telemetry.Side{{System: "rabbit", Kind: "rabbitmq", What: "stream S"}, {System: "nats", Kind: "nats", What: "stream T"}}
	delivery = telemetry.Comparison{Streams: streams, At: now}
	delivery.Name, delivery.State, delivery.Verdict, delivery.Since = "delivery", compare.StateComparing, compare.Drift, now.Add(-time.Hour)
	delivery.Matched, delivery.Judged = 1234567, now.Add(-90*time.Second)
	delivery.Observed, delivery.Pending = [2]uint64{1234600, 1234590}, [2]uint64{1012, 3}
	delivery.Drift[drift.Missing], delivery.Drift[drift.HeaderLossy] = 2, 1001
	delivery.Lag, delivery.LagMost = 1500*time.Microsecond, 2*time.Second
	delivery.Confidence = compare.Confidence{Messages: 100, Rate: 0.045, SpanRate: 1}
	delivery.Sides = [2]compare.Side{{Up: true, Read: now, Unjudged: 7}, {}}

	outputs = telemetry.Comparison{Streams: streams, At: now, Outputs: &compare.OutputsSnapshot{
		Fields: []compare.FieldCount{
			{Path: "mean\x1b[31m", Blamed: true, Coin: drift.Coin{Candidate: 3, Control: 1}, Both: 2, Ignored: 4}, {Path: "host", Both: 50},
		},
	}}
	outputs.Outputs.Outcomes = map[compare.Outcome]uint64{compare.OutcomeMatch: 1000, compare.OutcomeMismatch: 3, compare.OutcomeNoise: 50}
	outputs.Name, outputs.State, outputs.Verdict, outputs.Why = "outputs", compare.StateWaiting, compare.Drift, "candidate: no\x1b[31m answer"
	return delivery, outputs
}

// Comparisons have a line each behind those of the relays; of what they say nothing does
// anything to a terminal.
func TestTextOfComparisons(t *testing.T) {
	delivery, outputs := comparisons()
	quiet := delivery
	quiet.Name, quiet.Verdict, quiet.Drift, quiet.Judged = "quiet", compare.Match, [drift.Kinds]uint64{}, time.Time{}
	s := &Status{At: now, Comparisons: []Comparison{Compare(&delivery), Compare(&outputs), Compare(&quiet)}}
	var b bytes.Buffer
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	const want = `delivery  rabbit ↔ nats  matched 1,234,567  pending 1,012 + 3  missing 2, header_lossy 1,001          drift, judged up to 1m30s ago
outputs   rabbit ↔ nats  matched 0          pending 0 + 0      noise 50, mismatch 3, at mean\x1B[31m  waiting: candidate: no\x1B[31m answer
quiet     rabbit ↔ nats  matched 1,234,567  pending 1,012 + 3  no drift                               match
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestComparisonsAsJSON(t *testing.T) {
	delivery, outputs := comparisons()
	text, err := json.Marshal(&Status{Comparisons: []Comparison{Compare(&delivery), Compare(&outputs)}})
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Comparisons []map[string]any }
	if err := json.Unmarshal(text, &s); err != nil || len(s.Comparisons) != 2 {
		t.Fatal(err)
	}
	of := func(m any, path string) any {
		for _, name := range strings.Split(path, ".") {
			inside, is := m.(map[string]any)
			if !is {
				return nil
			}
			m = inside[name]
		}
		return m
	}
	for _, c := range []struct {
		comparison int
		path       string
		want       any
	}{
		{0, "name", "delivery"}, {0, "state", "comparing"}, {0, "verdict", "drift"}, {0, "since", "2027-01-15T07:00:00Z"}, {0, "judged", "2027-01-15T07:58:30Z"},
		{0, "matched", 1234567.0}, {0, "drift.missing", 2.0}, {0, "drift.extra", 0.0}, {0, "drift.stuck_key", 0.0}, {0, "lag_seconds", 0.0015}, {0, "lag_most_seconds", 2.0},
		{0, "confidence", "with 99 % confidence fewer than 1 in 22 messages differ"}, {0, "differ_rate", 0.045}, {0, "outcomes", nil}, {0, "fields", nil},
		{0, "incumbent.system", "rabbit"}, {0, "incumbent.kind", "rabbitmq"}, {0, "incumbent.what", "stream S"}, {0, "incumbent.connected", true}, {0, "incumbent.observed", 1234600.0},
		{0, "incumbent.pending", 1012.0}, {0, "incumbent.unjudged", 7.0}, {0, "incumbent.read", "2027-01-15T08:00:00Z"}, {0, "candidate.connected", false}, {0, "candidate.pending", 3.0}, {0, "candidate.read", nil},
		{1, "drift", nil}, {1, "judged", nil}, {1, "outcomes.match", 1000.0}, {1, "outcomes.mismatch", 3.0}, {1, "outcomes.missing", 0.0}, {1, "outcomes.incomparable", 0.0},
	} {
		if got := of(s.Comparisons[c.comparison], c.path); got != c.want {
			t.Errorf("%d, %s: got %v, want %v in\n%s", c.comparison, c.path, got, c.want, text)
		}
	}
	field := s.Comparisons[1]["fields"].([]any)[0]
	for name, want := range map[string]any{"path": "mean\x1b[31m", "blamed": true, "candidate": 3.0, "control": 1.0, "both": 2.0, "ignored": 4.0} {
		if got := of(field, name); got != want {
			t.Errorf("fields.%s: got %v, want %v", name, got, want)
		}
	}
}
