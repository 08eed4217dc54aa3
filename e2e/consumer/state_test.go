package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestWhatSamplesLeadTo(t *testing.T) {
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	var got []string
	for _, m := range applied(minutes, []sample{
		{"cpu", 1, 100.5, at(0), "a"},
		{"cpu", 2, 950, at(30), "b"},  // raises
		{"cpu", 2, 950, at(30), "b"},  // a repeat
		{"cpu", 3, 960, at(59), "c"},  // stays above
		{"cpu", 4, 900, at(60), "d"},  // another window; no longer above, and not below
		{"cpu", 5, 20, at(90), "e"},   // clears
		{"mem", 1, 20, at(600), "a"},  // another metric
		{"cpu", 6, 999, at(59), "f"},  // late
		{"cpu", 7, 1, at(600), ""},    // windows without samples are left out
		{"cpu", 8, 1, at(660), ""},    // without an ID there are no repeats
		{"cpu", 8, 1, at(660), ""},    // …
		{"cpu", 9, 0.5, at(720), "g"}, // and its window shows it
	}) {
		got = append(got, m.ID+" "+string(m.Body))
	}
	want := []string{
		`alert/cpu/2 {"type":"alert","metric":"cpu","seq":2,"at":"2030-01-01T12:00:30Z","value":950,"state":"raised"}`,
		`rollup/cpu/2030-01-01T12:00:00Z {"type":"rollup","metric":"cpu","window":"2030-01-01T12:00:00Z","count":3,"sum":2010.5,"min":100.5,"max":960,"mean":670.1666666666666,"last_seq":3}`,
		`alert/cpu/5 {"type":"alert","metric":"cpu","seq":5,"at":"2030-01-01T12:01:30Z","value":20,"state":"cleared"}`,
		`rollup/cpu/2030-01-01T12:01:00Z {"type":"rollup","metric":"cpu","window":"2030-01-01T12:01:00Z","count":2,"sum":920,"min":20,"max":900,"mean":460,"last_seq":5}`,
		`rollup/cpu/2030-01-01T12:10:00Z {"type":"rollup","metric":"cpu","window":"2030-01-01T12:10:00Z","count":1,"sum":1,"min":1,"max":1,"mean":1,"last_seq":7}`,
		`rollup/cpu/2030-01-01T12:11:00Z {"type":"rollup","metric":"cpu","window":"2030-01-01T12:11:00Z","count":2,"sum":2,"min":1,"max":1,"mean":1,"last_seq":8}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// Two systems keep the order of a metric, and mix metrics in different ways.
func TestResultsDependOnTheOrderOfEachMetricAlone(t *testing.T) {
	one := load(1, 100)
	other := slices.Clone(one)
	slices.SortStableFunc(other, func(a, b sample) int { return int(a.Metric[4]) - int(b.Metric[4]) })
	want, got := ofEach(applied(minutes, one)), ofEach(applied(minutes, other))
	if len(want) != 10 || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestRepeatsChangeNothing(t *testing.T) {
	s, all := newState(minutes), load(2, 100)
	if got, want := applyTo(s, twice(all)), applied(minutes, all); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if s.Samples != len(all) || s.Repeats != len(all) {
		t.Errorf("%s, want as many of both as there are: %d", s.counts, len(all))
	}
}

func TestRestartChangesNothing(t *testing.T) {
	all := twice(load(3, 40))
	want := applied(minutes, all)
	for at := 0; at <= len(all); at += 37 {
		s := newState(minutes)
		got := applyTo(s, all[:at])
		if got = append(got, applyTo(restarted(t, s), all[at:])...); !reflect.DeepEqual(got, want) {
			t.Fatalf("restarted after %d samples: got\n%q\nwant\n%q", at, got, want)
		}
	}
}

// The oldest ID is forgotten first, whether there was a restart or not.
func TestRestartRemembersTheSameSamples(t *testing.T) {
	few := minutes
	few.Remember = 30
	all := load(4, 20)
	s := newState(few)
	applyTo(s, all)
	for range 2 {
		for i, x := range all[len(all)-few.Remember:] {
			if s.fresh(x) {
				t.Fatalf("number %d of those to be remembered is not", i)
			}
		}
		s = restarted(t, s)
	}
	if !s.fresh(all[len(all)-few.Remember-1]) {
		t.Error("more is remembered than was asked for")
	}
}

// Each planted mistake shows in the fields that it is about, and in no other.
func TestPlantedMistakes(t *testing.T) {
	var all []sample
	for _, x := range load(5, 100) {
		all = append(all, x, x) // a repeat further behind may be late when it is counted
	}
	for bug, want := range map[string][]string{
		bugRounding:   {"mean", "sum"},
		bugDedup:      {"count", "sum"},
		bugLateWindow: {"count", "last_seq", "max", "mean", "min", "sum"},
	} {
		t.Run(bug, func(t *testing.T) {
			wrong := minutes
			wrong.Bug = bug
			if got := differences(t, applied(minutes, all), applied(wrong, all)); !slices.Equal(got, want) {
				t.Errorf("the fields %q differ, want %q", got, want)
			}
		})
	}
}

// differences names the fields in which two runs differ.
func differences(t *testing.T, one, other []message) []string {
	t.Helper()
	if len(one) != len(other) {
		t.Fatalf("%d results, and %d", len(one), len(other))
	}
	names := map[string]bool{}
	for i := range one {
		if one[i].ID != other[i].ID {
			t.Fatalf("%s, and %s", one[i].ID, other[i].ID)
		}
		var a, b map[string]any
		if err := json.Unmarshal(one[i].Body, &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(other[i].Body, &b); err != nil {
			t.Fatal(err)
		}
		for name := range a {
			if a[name] != b[name] {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
