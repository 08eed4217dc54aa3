package drift

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBoundWithoutDifferences(t *testing.T) {
	for _, n := range []uint64{1000, 1_000_000, 46_000_000, 5_000_000_000} {
		want := math.Log(1/0.01) / float64(n)
		if got := Bound(n, 0, 0.01); got < want || got > 1.05*want {
			t.Errorf("after %d: %g, want a little above %g", n, got, want)
		}
	}
}

func TestBoundOfWhatCannotBeSaid(t *testing.T) {
	if got := Bound(0, 0, 0.01); got != 1 {
		t.Errorf("after nothing: %g", got)
	}
	if got := Bound(10, 10, 0.01); got != 1 {
		t.Errorf("after differences only: %g", got)
	}
}

func TestBoundIsAboveTheRateSeen(t *testing.T) {
	before := 0.0
	for _, differ := range []uint64{0, 1, 2, 10, 100, 1000} {
		const n = 1_000_000
		got := Bound(n, differ, 0.01)
		seen := float64(differ) / n
		if got <= seen || got <= before || got > 20*(seen+1.0/n) || differ == 1000 && got > 1.2*seen {
			t.Errorf("%d of %d: %g", differ, n, got)
		}
		before = got
	}
}

// Whoever looks after every message is wrong, once or more often, in no more than alpha
// of all runs.
func TestBoundMayBeWatched(t *testing.T) {
	const alpha, p, runs, length = 0.1, 0.02, 400, 600
	rng := rand.New(rand.NewPCG(1, 2))
	bounds := map[[2]uint64]float64{}
	wrong := 0
	for range runs {
		differ := uint64(0)
		for n := uint64(1); n <= length; n++ {
			if rng.Float64() < p {
				differ++
			}
			if n%5 > 0 {
				continue
			}
			b, ok := bounds[[2]uint64{n, differ}]
			if !ok {
				b = Bound(n, differ, alpha)
				bounds[[2]uint64{n, differ}] = b
			}
			if b < p {
				wrong++
				break
			}
		}
	}
	if most := alpha*runs + 3*math.Sqrt(alpha*runs); float64(wrong) > most {
		t.Errorf("%d of %d runs were wrong at some time, at most %.0f may be", wrong, runs, most)
	}
	t.Logf("%d of %d runs", wrong, runs)
}
