package compare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/fields"
)

// An outputTrial feeds a joiner by hand; each record takes a millisecond.
type outputTrial struct {
	t *testing.T
	j *joiner
	n time.Duration
}

func newOutputTrial(t *testing.T, join Join, sides int, rules ...fields.Rule) *outputTrial {
	t.Helper()
	r, err := fields.NewRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := join.Validate(); err != nil {
		t.Fatal(err)
	}
	return &outputTrial{t: t, j: newJoiner(&join, r, sides, 1<<20)}
}

func (o *outputTrial) put(side drift.Side, key, id, body string, at ...time.Time) {
	o.n += time.Millisecond
	m := bridge.Message{Key: key, ID: bridge.ID{Value: id}, Body: []byte(body)}
	if len(at) > 0 {
		m.Time = at[0]
	}
	d := Digester{}
	f := Frame{Side: side, Seen: d.Of(&m, time.Time{}), Message: m}
	f.Seen.At = o.n
	o.j.observe(side, f)
}

const trialGrace = 100 * time.Millisecond

// settle lets the grace pass.
func (o *outputTrial) settle() {
	o.n += 2 * trialGrace
	o.j.advance(o.n, trialGrace, 0, o.n)
}

// end proves that nothing more comes.
func (o *outputTrial) end() {
	o.n += time.Second
	o.j.advance(o.n, trialGrace, o.n, o.n)
}

func (o *outputTrial) want(want map[Outcome]uint64) {
	o.t.Helper()
	for _, k := range []Outcome{OutcomeMatch, OutcomeIgnored, OutcomeNoise, OutcomeMismatch, OutcomeMissing, OutcomeExtra, OutcomeIncomparable} {
		if got := o.j.tally.Outcomes[k]; got != want[k] {
			o.t.Errorf("%s: %d, want %d (%+v)", k, got, want[k], o.j.tally)
		}
	}
}

const i, c, k = drift.Incumbent, drift.Candidate, Control

func TestRecordsByID(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinID}, 2, fields.Rule{Path: "mean", Abs: 0.1}, fields.Rule{Path: "host", Ignore: true})
	o.put(i, "k", "1", `{"mean":1,"host":"a"}`)
	o.put(c, "k", "1", `{"mean":1.05,"host":"a"}`)
	o.put(c, "k", "2", `{"mean":2,"host":"b"}`)
	o.put(i, "k", "2", `{"mean":2,"host":"a"}`)
	o.put(i, "k", "3", `{"mean":3}`)
	o.put(i, "k", "4", `{"mean":4}`)
	o.put(c, "k", "4", `{"mean":9}`)
	o.put(c, "k", "4", `{"mean":9}`) // once more
	o.put(i, "l", "1", `{"mean":1}`)
	o.put(c, "k", "x", `{"mean":1}`)
	o.put(i, "k", "5", `{}`)
	o.put(c, "k", "5", `{}`)
	o.settle()
	// What is in front of anything that the other side has shown of its key is not judged yet.
	o.want(map[Outcome]uint64{OutcomeMatch: 2, OutcomeIgnored: 1, OutcomeMismatch: 1, OutcomeMissing: 1, OutcomeExtra: 1})
	if got := o.j.pending; got[i] != 1 || got[c] != 0 {
		t.Errorf("pending: %v", got)
	}
	if o.j.tally.Repeats[c] != 1 {
		t.Errorf("%+v", o.j.tally)
	}
	o.end()
	o.want(map[Outcome]uint64{OutcomeMatch: 2, OutcomeIgnored: 1, OutcomeMismatch: 1, OutcomeMissing: 2, OutcomeExtra: 1})
	if f := o.j.fields["mean"]; f == nil || !f.Blamed || f.Coin.Candidate != 1 || f.Is != "9" {
		t.Errorf("%+v", f)
	}
	if len(o.j.groups)+len(o.j.keys) > 0 || o.j.held != 0 {
		t.Errorf("%d groups, %d keys, %d octets are held", len(o.j.groups), len(o.j.keys), o.j.held)
	}
}

func TestRecordsByWindow(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinWindow, Every: time.Minute, Time: "window", And: []string{"type"}}, 2)
	at := func(minute int) string { return time.Unix(int64(60*minute), 0).UTC().Format(time.RFC3339) }
	for minute := range 5 {
		for n := range 2 { // several of one window, compared in their order
			o.put(i, "k", fmt.Sprint("i", minute, n), fmt.Sprintf(`{"type":"r","window":%q,"n":%d}`, at(minute), n))
		}
		o.put(i, "k", fmt.Sprint("a", minute), fmt.Sprintf(`{"type":"a","window":%q}`, at(minute)))
	}
	for minute := range 5 {
		for n := range 2 {
			body := fmt.Sprintf(`{"type":"r","window":%q,"n":%d}`, at(minute), n)
			switch {
			case minute == 2 && n == 1:
				continue
			case minute == 3 && n == 0:
				body = fmt.Sprintf(`{"type":"r","window":%q,"n":7}`, at(minute))
			}
			o.put(c, "k", fmt.Sprint("c", minute, n), body)
		}
		o.put(c, "k", fmt.Sprint("a", minute), fmt.Sprintf(`{"type":"a","window":%q}`, at(minute)))
	}
	o.put(i, "k", "?", `{"type":"r"}`)
	o.settle()
	if o.j.pending != [3]uint64{1, 1, 0} { // the alert of the last window
		t.Errorf("pending: %v", o.j.pending)
	}
	o.end()
	o.want(map[Outcome]uint64{OutcomeMatch: 13, OutcomeMismatch: 1, OutcomeMissing: 1, OutcomeIncomparable: 1})
}

func TestLastValues(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinLast}, 2)
	for n := range 5 {
		o.put(i, "same", fmt.Sprint(n), fmt.Sprint(n))
	}
	o.put(c, "same", "4", "4")
	o.put(i, "other", "1", "1")
	o.put(c, "other", "1", "2")
	o.put(i, "gone", "1", "1")
	o.put(c, "new", "1", "1")
	o.j.advance(o.n, trialGrace, 0, o.n)
	o.want(nil)                                       // nothing is at rest
	o.j.advance(o.n+2*trialGrace, trialGrace, 0, o.n) // nobody knows whether more was stored
	o.want(nil)
	o.settle()
	o.want(map[Outcome]uint64{OutcomeMatch: 1, OutcomeMismatch: 1, OutcomeMissing: 1, OutcomeExtra: 1})
	if o.j.tally.Superseded[i] != 4 {
		t.Errorf("%+v", o.j.tally)
	}
}

// What is from before both readers were there is not judged, unless its key has begun.
func TestOutputsFromBefore(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinID}, 2)
	o.j.begin = always
	o.put(c, "k", "1", "1")
	for n := 2; n < 5; n++ {
		o.put(i, "k", fmt.Sprint(n), "1")
		o.put(c, "k", fmt.Sprint(n), "1")
	}
	o.put(c, "l", "1", "1")
	o.end()
	o.want(map[Outcome]uint64{OutcomeMatch: 3})
	if o.j.tally.Before != 2 {
		t.Errorf("%+v", o.j.tally)
	}
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinID}, 2)
	for n := range 10_000 {
		o.put(i, "k", fmt.Sprint(n), "12345678901234567890")
		if o.j.held > 1<<20 {
			t.Fatalf("%d octets are held", o.j.held)
		}
	}
	if n := o.j.tally.Outcomes[OutcomeIncomparable]; n == 0 || n+o.j.pending[i] != 10_000 {
		t.Errorf("%d could not be compared and %d are pending, of 10,000", n, o.j.pending[i])
	}
}

// A consumer's own noise is not blamed on the candidate, however often it is looked at, and
// what is the candidate's own fault is, within a few records.
func TestNoiseAndFault(t *testing.T) {
	blamed, found := 0, []int{}
	const trials, records = 300, 400
	for seed := range uint64(trials) {
		rng := rand.New(rand.NewPCG(seed, 7))
		noisy := rng.Float64()
		o := newOutputTrial(t, Join{By: JoinID}, 3)
		fault := rng.IntN(2) == 0
		for n := range records {
			for _, side := range []drift.Side{i, k, c} {
				v, bug := 0, 0
				if rng.Float64() < noisy {
					v = 1 + rng.IntN(1000)
				}
				if fault && side == c && n > 100 && n%3 == 0 {
					bug = 1
				}
				o.put(side, "k", fmt.Sprint(n), fmt.Sprintf(`{"noise":%d,"items":[{"sum":%d},{"sum":%d}]}`, v, bug, bug))
			}
			if f := o.j.fields["items.*.sum"]; fault && f != nil && f.Blamed {
				found = append(found, n-100)
				fault = false
			}
		}
		if f := o.j.fields["noise"]; f != nil && f.Blamed {
			blamed++
		}
		if f := o.j.fields["items.*.sum"]; fault && (f == nil || !f.Blamed) {
			t.Errorf("seed %d: the fault is not found: %+v", seed, f)
		}
	}
	slices.Sort(found)
	t.Logf("noise was blamed in %d of %d trials; a fault in every third record was found after %d (median), %d (most) records", blamed, trials, found[len(found)/2], found[len(found)-1])
	if blamed > 3 {
		t.Errorf("noise was blamed on the candidate in %d of %d trials", blamed, trials)
	}
}

// Where the control never differs, the candidate's first difference is its fault; once the
// control does, it is a question of how often.
func TestASteadyField(t *testing.T) {
	o := newOutputTrial(t, Join{By: JoinID}, 3)
	for n := range steady + 2 {
		for _, side := range []drift.Side{i, c, k} {
			v := 1
			if n == steady && side == c || n == steady+1 && side == k {
				v = 2
			}
			o.put(side, "k", fmt.Sprint(n), fmt.Sprintf(`{"v":%d}`, v))
		}
		switch f := o.j.fields["v"]; {
		case n == steady && (f == nil || !f.Blamed || len(o.j.found) != 1):
			t.Fatalf("the first difference: %+v, %+v", f, o.j.found)
		case n > steady && f.Blamed:
			t.Fatalf("it is the consumer's own: %+v", f)
		}
	}
	o.want(map[Outcome]uint64{OutcomeMatch: steady + 1, OutcomeMismatch: 1})
}

func TestJoinsThatAreNone(t *testing.T) {
	for _, j := range []Join{{}, {By: "key"}, {By: JoinWindow}, {By: JoinID, Every: time.Minute}, {By: JoinLast, Time: "x"}} {
		if j.Validate() == nil {
			t.Errorf("%+v is taken", j)
		}
	}
	for text, want := range map[string]int64{`1700000000`: 1_700_000_000, `1700000000123`: 1_700_000_000, `1700000000123456`: 1_700_000_000, `1.7e18`: 1_700_000_000, `"2023-11-14T22:13:20Z"`: 1_700_000_000} {
		j := Join{By: JoinWindow, Every: time.Minute, Time: "t"}
		at, ok := j.time(&bridge.Message{Body: []byte(`{"t":` + text + `}`)})
		if !ok || at.Unix() != want {
			t.Errorf("%s is %v, %t", text, at, ok)
		}
	}
}
