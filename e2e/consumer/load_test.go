package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

var began = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// minutes are the rules of most tests.
var minutes = rules{High: 900, Window: time.Minute, Remember: 10_000}

// load is so many samples of each of ten metrics, mixed, 10 seconds apart. Values
// are quarters, whose sums are exact.
func load(seed uint64, each int) (all []sample) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for seq := range each {
		for _, m := range rng.Perm(10) {
			metric := fmt.Sprintf("host%d.cpu", m)
			all = append(all, sample{
				Metric: metric, Seq: int64(seq + 1), Value: float64(rng.IntN(4000)) / 4, At: began.Add(time.Duration(seq) * 10 * time.Second),
				ID: fmt.Sprintf("id-%d", seq+1), // another metric has the same
			})
		}
	}
	return all
}

// twice has every sample once more, some places behind.
func twice(all []sample) (out []sample) {
	const behind = 25
	for i, x := range all {
		out = append(out, x)
		if i >= behind {
			out = append(out, all[i-behind])
		}
	}
	return append(out, all[max(0, len(all)-behind):]...)
}

// body is a sample as its producer writes it.
func (x sample) body() []byte {
	b, err := json.Marshal(map[string]any{"key": x.Metric, "seq": x.Seq, "n": 7, "value": x.Value, "at": x.At, "pad": "abc"})
	if err != nil {
		panic(err)
	}
	return b
}

// applied is what samples lead to by the rules.
func applied(r rules, all []sample) (out []message) {
	return applyTo(newState(r), all)
}

func applyTo(s *state, all []sample) (out []message) {
	for _, x := range all {
		for _, r := range s.Apply(x) {
			m, err := r.message()
			if err != nil {
				panic(err)
			}
			out = append(out, m)
		}
	}
	return out
}

// restarted is what becomes of a state by a restart.
func restarted(t *testing.T, s *state) *state {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.json")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	again := newState(s.rules)
	if err := again.Load(path); err != nil {
		t.Fatal(err)
	}
	return again
}

// ofEach sorts messages by their keys, each in its order.
func ofEach(all []message) map[string][]string {
	out := map[string][]string{}
	for _, m := range all {
		out[m.Key] = append(out[m.Key], m.ID+" "+string(m.Body))
	}
	return out
}

// first has every message by its key and ID once, in the order of the first ones.
// Those after it have to be equal.
func first(t *testing.T, all []message) (out []message) {
	t.Helper()
	seen := map[string]string{}
	for _, m := range all {
		body, repeated := seen[m.Key+" "+m.ID]
		switch {
		case !repeated:
			out = append(out, m)
			seen[m.Key+" "+m.ID] = string(m.Body)
		case body != string(m.Body):
			t.Errorf("%s is first %s, then %s", m.ID, body, m.Body)
		}
	}
	return out
}
