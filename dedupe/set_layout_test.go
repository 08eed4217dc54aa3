package dedupe

import (
	"math/rand/v2"
	"testing"
)

func (s *Set) intact(t *testing.T) {
	t.Helper()
	taken := 0
	for slot := range s.slots {
		e := &s.slots[slot]
		if e.n == 0 {
			if e.fp != (Fingerprint{}) {
				t.Fatalf("slot %d is free and holds %x", slot, e.fp)
			}
			continue
		}
		taken++
		if at := s.find(&e.fp); at != slot {
			t.Fatalf("slot %d: its fingerprint is found at %d", slot, at)
		}
	}
	if taken != s.used {
		t.Fatalf("%d slots are taken for %d entries", taken, s.used)
	}
	if 2*taken > len(s.slots) {
		t.Fatalf("%d of %d slots are taken, want at most half", taken, len(s.slots))
	}
}

// Every order of removal out of one run around the end of the table.
func TestSetStaysIntactAroundItsEnd(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 300 {
		s := NewSet(0)
		fps := near(8, s.home, len(s.slots))
		for _, fp := range fps {
			s.Add(fp)
			s.intact(t)
		}
		if len(s.slots) != minSlots {
			t.Fatalf("the table grew to %d slots for 8 entries", len(s.slots))
		}
		rng.Shuffle(len(fps), func(i, j int) { fps[i], fps[j] = fps[j], fps[i] })
		for i, fp := range fps {
			s.Remove(fp)
			s.intact(t)
			for j, other := range fps {
				if s.Has(other) != (j > i) {
					t.Fatalf("seed %d: after %d removals, Has of number %d = %v", seed, i+1, j, s.Has(other))
				}
			}
		}
	}
}

// A hint is room enough: a set made for n does not grow up to n.
func TestSetHintIsRoomEnough(t *testing.T) {
	for _, hint := range []int{-1, 0, 1, 8, 9, 16, 17, 32, 33, 64, 1000, 8192, 8193, 10_000} {
		s := NewSet(hint)
		slots := len(s.slots)
		for n := range hint {
			s.Add(Fingerprint{byte(n), byte(n >> 8), byte(n >> 16)})
		}
		s.intact(t)
		if len(s.slots) != slots {
			t.Errorf("hint %d: grew from %d to %d slots", hint, slots, len(s.slots))
		}
		if slots >= max(2*minSlots, 4*hint) {
			t.Errorf("hint %d: %d slots are too many", hint, slots)
		}
	}
}
