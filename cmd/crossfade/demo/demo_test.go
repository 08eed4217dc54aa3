package demo

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func quick(t *testing.T) Options {
	return Options{For: 2 * time.Second, Metrics: 200, Rate: 2000, Listen: "off", Seed: 7, patience: time.Second}
}

func TestDemoMovesEverythingOnceAndInOrder(t *testing.T) {
	var out strings.Builder
	o := quick(t)
	o.For, o.patience = 5*time.Second, time.Minute // so that something is done wrong, and all of it is judged
	if err := Run(t.Context(), &out, o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"msg/s", "lag", "lost                0", "Everything arrived once and in order.", "healthy candidate", "no drift: with 99 % confidence"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	expectPlanted(t, out.String())
}

// expectPlanted wants that a message was lost on purpose. That it was found, Run says.
func expectPlanted(t *testing.T, out string) {
	t.Helper()
	if !regexp.MustCompile(`missing +[1-9]\d* of [1-9]\d* planted`).MatchString(out) {
		t.Errorf("nothing was lost on purpose:\n%s", out)
	}
}

// The reader's verdict is its own: what is kept from it, or shown to it twice or
// late, is found although the bridge's counters are in order.
func TestReaderFindsWhatIsWrong(t *testing.T) {
	decode := func(b []byte) (s sample) {
		if err := json.Unmarshal(b, &s); err != nil {
			t.Error(err)
		}
		return s
	}
	var held []byte
	for name, c := range map[string]struct {
		want string
		see  func(b []byte, judge func([]byte, time.Time))
	}{
		"lost": {"lost                1", func(b []byte, judge func([]byte, time.Time)) {
			if s := decode(b); s.Metric != 3 || s.Seq != 2 {
				judge(b, time.Now())
			}
		}},
		"altered": {"lost                1", func(b []byte, judge func([]byte, time.Time)) {
			if s := decode(b); s.Metric == 3 && s.Seq == 2 {
				b = b[:len(b)/2]
			}
			judge(b, time.Now())
		}},
		"duplicated": {"duplicated          1", func(b []byte, judge func([]byte, time.Time)) {
			judge(b, time.Now())
			if s := decode(b); s.Metric == 3 && s.Seq == 2 {
				judge(b, time.Now())
			}
		}},
		"reordered": {"reordered           1", func(b []byte, judge func([]byte, time.Time)) {
			switch s := decode(b); {
			case s.Metric == 3 && s.Seq == 2:
				held = b
			case s.Metric == 3 && s.Seq == 3:
				judge(b, time.Now())
				judge(held, time.Now())
			default:
				judge(b, time.Now())
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			o := quick(t)
			o.see = c.see
			err := Run(t.Context(), &out, o)
			if !errors.Is(err, errUnclean) || !strings.Contains(out.String(), c.want) {
				t.Errorf("%v; no %q in:\n%s", err, c.want, out.String())
			}
		})
	}
}

// Every mistake is found where the run is interrupted too, and where most metrics have one
// sample or none when it is made, so that nothing behind it shows it of itself.
func TestDemoEndsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(4*time.Second, stop)
	o := quick(t)
	o.For, o.Metrics, o.Rate, o.patience = 0, 20_000, 1000, time.Minute
	var out strings.Builder
	if err := Run(ctx, &out, o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	expectPlanted(t, out.String())
}
