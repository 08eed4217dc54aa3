package dedupe_test

import (
	"math/rand/v2"
	"testing"

	"github.com/crossfade-mq/crossfade/dedupe"
)

func TestSetCountsRepeats(t *testing.T) {
	s := dedupe.NewSet(0)
	a, b := number(1), number(2)
	want := func(hasA, hasB bool, n int) {
		t.Helper()
		if s.Has(a) != hasA || s.Has(b) != hasB || s.Len() != n {
			t.Fatalf("Has = %v, %v, Len = %d, want %v, %v, %d", s.Has(a), s.Has(b), s.Len(), hasA, hasB, n)
		}
	}
	want(false, false, 0)
	s.Remove(a) // not there: ignored
	want(false, false, 0)
	s.Add(a)
	want(true, false, 1)
	s.Add(a)
	s.Add(a)
	s.Add(b)
	want(true, true, 2)
	s.Remove(a)
	s.Remove(a)
	want(true, true, 2)
	s.Remove(b)
	want(true, false, 1)
	s.Remove(a)
	want(false, false, 0)
	s.Remove(a)
	s.Add(a)
	want(true, false, 1)
	s.Remove(a)
	want(false, false, 0) // the extra Remove was not owed
}

func TestSetZeroFingerprint(t *testing.T) {
	s := dedupe.NewSet(0)
	var zero dedupe.Fingerprint
	if s.Has(zero) {
		t.Fatal("an empty set has the zero fingerprint")
	}
	s.Add(zero)
	if !s.Has(zero) || s.Len() != 1 {
		t.Fatal("the zero fingerprint was not added")
	}
	s.Remove(zero)
	if s.Has(zero) || s.Len() != 0 {
		t.Fatal("the zero fingerprint was not removed")
	}
}

func TestSetGrows(t *testing.T) {
	const n = 5000
	for name, fp := range map[string]func(int) dedupe.Fingerprint{"hashes": number, "raw": raw} {
		t.Run(name, func(t *testing.T) {
			s := dedupe.NewSet(0)
			for i := range n {
				for range i%3 + 1 { // repeats survive growing
					s.Add(fp(i))
				}
			}
			if s.Len() != n {
				t.Fatalf("Len = %d, want %d", s.Len(), n)
			}
			for i := range n {
				for left := i%3 + 1; left > 0; left-- {
					if !s.Has(fp(i)) {
						t.Fatalf("%d is gone with %d Removes to come", i, left)
					}
					s.Remove(fp(i))
				}
				if s.Has(fp(i)) {
					t.Fatalf("%d is still there", i)
				}
			}
			if s.Len() != 0 {
				t.Fatalf("Len = %d at the end", s.Len())
			}
		})
	}
}

func TestSetReset(t *testing.T) {
	s := dedupe.NewSet(100)
	for i := range 1000 {
		s.Add(number(i))
	}
	s.Reset()
	if s.Len() != 0 {
		t.Fatalf("Len = %d after Reset", s.Len())
	}
	for i := range 1000 {
		if s.Has(number(i)) {
			t.Fatalf("%d survived Reset", i)
		}
		s.Add(number(i))
		s.Remove(number(i))
		if s.Has(number(i)) {
			t.Fatalf("%d was counted over Reset", i)
		}
	}
}

// However many identities pass through, the memory is that of what is in flight
// at once, and nothing is left behind that would slow it down.
func TestSetAllocatesNothingInSteadyState(t *testing.T) {
	const inFlight = 1000
	s := dedupe.NewSet(inFlight + 1)
	next := 0
	for ; next < inFlight; next++ {
		s.Add(raw(next))
	}
	round := func() {
		for range 10 * inFlight {
			s.Add(raw(next))
			s.Remove(raw(next - inFlight))
			next++
		}
	}
	if n := testing.AllocsPerRun(5, round); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if s.Len() != inFlight {
		t.Errorf("Len = %d, want %d", s.Len(), inFlight)
	}
}

// Set and Window together as a relay has them: whatever the order of
// confirmation, and whatever fails and comes again, each identity is placed
// once, and none is taken for placed that was only on its way. // I1
func TestSetAndWindowTogether(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 3))
	const ids = 400
	inFlight, placed := dedupe.NewSet(0), dedupe.NewWindow(ids)
	var flying []int
	count := make([]int, ids)
	for range 20_000 {
		if id := rng.IntN(ids); len(flying) < 50 && !placed.Has(number(id)) && !inFlight.Has(number(id)) {
			inFlight.Add(number(id))
			flying = append(flying, id)
		}
		if len(flying) == 0 || rng.IntN(3) == 0 {
			continue
		}
		i := rng.IntN(len(flying))
		id := flying[i]
		flying[i] = flying[len(flying)-1]
		flying = flying[:len(flying)-1]
		inFlight.Remove(number(id))
		if rng.IntN(4) == 0 {
			continue // the sending failed: a repeat has to be sent
		}
		if !placed.Add(number(id)) {
			t.Fatalf("seed %d: %d was placed twice", seed, id)
		}
		count[id]++
	}
	for id, n := range count {
		if n != 1 {
			t.Errorf("seed %d: %d was placed %d times", seed, id, n)
		}
	}
}
