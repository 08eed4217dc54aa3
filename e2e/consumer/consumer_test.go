package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var errCrash = errors.New("crash")

// A memory is both queues, and a place where the consumer can crash.
type memory struct {
	in            []message
	taken, acked  int
	out           []message
	steps, crash  int // which publish or acknowledge fails, counted from 1; 0 is none
	halfPublished bool
	empty         func() // called when everything was received
}

func (m *memory) open(context.Context) error { m.taken = m.acked; return nil }
func (m *memory) close()                     {}

func (m *memory) receive(context.Context) ([]message, error) {
	batch := m.in[m.taken:min(m.taken+50, len(m.in))]
	if m.taken += len(batch); m.taken == len(m.in) {
		m.empty()
	}
	return batch, nil
}

func (m *memory) acknowledge(context.Context) error {
	if m.steps++; m.steps == m.crash {
		return errCrash
	}
	m.acked = m.taken
	return nil
}

func (m *memory) publish(_ context.Context, all []message) error {
	m.steps++
	crash := m.steps == m.crash
	if crash && m.halfPublished {
		all = all[:len(all)/2]
	}
	if m.out = append(m.out, all...); crash {
		return errCrash
	}
	return nil
}

// run starts the consumer once, and ends it when all is received.
func (m *memory) run(t *testing.T, stateFile string) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m.empty = stop
	return (&consumer{in: m, out: m, state: newState(minutes), stateFile: stateFile}).Run(ctx)
}

// Wherever the consumer crashes, nothing is lost, and what is written again is what
// it was.
func TestCrashes(t *testing.T) {
	all := load(6, 40)
	want := applied(minutes, all)
	var in []message
	for _, x := range twice(all) {
		in = append(in, message{ID: x.ID, Body: x.body()})
	}
	for crash := 1; crash <= 2*len(in)/50; crash++ {
		for _, half := range []bool{false, true} {
			m := &memory{in: in, crash: crash, halfPublished: half}
			path := filepath.Join(t.TempDir(), "state.json")
			if err := m.run(t, path); !errors.Is(err, errCrash) {
				t.Fatalf("crash at step %d: %v", crash, err)
			}
			if err := m.run(t, path); err != nil {
				t.Fatal(err)
			}
			if got := first(t, m.out); !reflect.DeepEqual(got, want) || m.acked != len(in) {
				t.Fatalf("crash at step %d: %d acknowledged, got\n%q\nwant\n%q", crash, m.acked, got, want)
			}
		}
	}
}

// A state that cannot be saved leaves the batch with the broker.
func TestNothingIsAcknowledgedThatIsNotSaved(t *testing.T) {
	m := &memory{in: []message{{Body: load(7, 1)[0].body()}}}
	if err := m.run(t, filepath.Join(t.TempDir(), "no folder", "state.json")); !errors.Is(err, os.ErrNotExist) || m.acked > 0 {
		t.Errorf("%d acknowledged, %v", m.acked, err)
	}
}

func TestWhoWroteAResult(t *testing.T) {
	s, err := parse([]string{"-from", "nats://h", "-read", "r", "-to", "nats://h", "-write", "w", "-state", "s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, quiet := range []bool{false, true} {
		s.quiet = quiet
		c, err := newConsumer(s)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.apply([]message{{Body: []byte("no sample")}, {Body: sample{Metric: "cpu", Value: 901, At: began}.body()}})
		if err != nil || len(out) != 1 || c.Counts().Skipped != 1 {
			t.Fatalf("%q, %v, %s", out, err, c.Counts())
		}
		var r Result
		if err := json.Unmarshal(out[0].Body, &r); err != nil {
			t.Fatal(err)
		}
		if r.Emitted.IsZero() != quiet || (r.Producer == "") != quiet || r.Alert == nil || r.Rollup != nil {
			t.Errorf("quiet is %t: %s", quiet, out[0].Body)
		}
	}
}

func TestCountsAreOneLine(t *testing.T) {
	got := fmt.Sprint(counts{Samples: 6, Repeats: 5, Skipped: 4, Late: 3, Alerts: 2, Rollups: 1})
	if want := "6 samples, 3 of them late; 5 repeats and 4 messages without a sample left out; 2 alerts, 1 rollups"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
