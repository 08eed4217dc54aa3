package drift

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A candidate that alone differs is blamed after a few records.
func TestCoinBlamesWhoAloneDiffers(t *testing.T) {
	var c Coin
	n := 0
	for !c.Blames(0.01) {
		c.Toss(true, false)
		if n++; n > 20 {
			t.Fatalf("not after %d records: %g", n, c.evidence())
		}
	}
	if n < 6 {
		t.Errorf("after %d records already", n)
	}
}

// A field that differs in every run at random is noise, however long one looks; and so
// is a candidate that differs less than the control.
func TestCoinTakesNoiseForNoise(t *testing.T) {
	const alpha, runs, length = 0.05, 200, 2000
	rng := rand.New(rand.NewPCG(3, 4))
	blamed := 0
	for range runs {
		var c Coin
		for n := range length {
			c.Toss(rng.IntN(3) == 0, rng.IntN(3) == 0)
			if n%20 == 0 && c.Blames(alpha) {
				blamed++
				break
			}
		}
	}
	if most := alpha*runs + 3*math.Sqrt(alpha*runs); float64(blamed) > most {
		t.Errorf("%d of %d fair candidates were blamed, at most %.0f may be", blamed, runs, most)
	}
	t.Logf("%d of %d", blamed, runs)
	if c := (Coin{Candidate: 10, Control: 1000}); c.Blames(0.5) {
		t.Error("the better one is blamed")
	}
}

// A bug that shows in one record of a hundred, on a field that is noise in one of three,
// is found.
func TestCoinFindsABugInNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var c Coin
	for n := range 200_000 {
		bug := rng.IntN(20) == 0
		c.Toss(bug || rng.IntN(3) == 0, rng.IntN(3) == 0)
		if n%100 == 0 && c.Blames(0.001) {
			t.Logf("after %d records", n)
			return
		}
	}
	t.Errorf("not found: %+v", c)
}
