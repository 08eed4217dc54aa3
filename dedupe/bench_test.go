package dedupe_test

import (
	"fmt"
	"testing"

	"github.com/crossfade-mq/crossfade/dedupe"
)

func BenchmarkOf(b *testing.B) {
	for _, global := range []bool{false, true} {
		b.Run(map[bool]string{false: "key", true: "global"}[global], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dedupe.Of(global, "dc1.rack-07.host-0042.cpu", "018f6c2d-8a7b-7c3e-9f10-3b5d7a9c1e2f")
			}
		})
	}
}

func BenchmarkFromOrigin(b *testing.B) {
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		dedupe.FromOrigin("nats", "NCLUSTER", "TELEMETRY", "2026-11-22T00:00:00Z", 0, i)
	}
}

func BenchmarkFromContent(b *testing.B) {
	key, body := []byte("dc1.rack-07.host-0042.cpu"), make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		dedupe.FromContent(key, body)
	}
}

// numbers makes the fingerprints of n identities, as a relay has them at hand
// when it settles a batch.
func numbers(n int) []dedupe.Fingerprint {
	fps := make([]dedupe.Fingerprint, n)
	for i := range fps {
		fps[i] = number(i)
	}
	return fps
}

// Adding a fresh fingerprint to a full window, which evicts one.
func BenchmarkWindowAdd(b *testing.B) {
	for _, capacity := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(capacity), func(b *testing.B) {
			w := dedupe.NewWindow(capacity)
			fps := numbers(2 * capacity) // what comes round again is fresh again
			next := 0
			add := func() (fresh bool) {
				fresh = w.Add(fps[next])
				if next++; next == len(fps) {
					next = 0
				}
				return fresh
			}
			for w.Len() < capacity {
				add()
			}
			b.ReportAllocs()
			for b.Loop() {
				if !add() {
					b.Fatal("not fresh")
				}
			}
		})
	}
}

// Asking a full window of a million. "hit" and "miss" have fingerprints at hand;
// "miss, of" makes each one just before, and so waits for memory each time, but for
// those who make a batch first and prefetch it.
func BenchmarkWindowHas(b *testing.B) {
	const capacity = 1_000_000
	w := dedupe.NewWindow(capacity)
	fps := numbers(2 * capacity)
	for _, fp := range fps[:capacity] {
		w.Add(fp)
	}
	for name, fps := range map[string][]dedupe.Fingerprint{"hit": fps[:capacity], "miss": fps[capacity:]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if w.Has(fps[i%capacity]) != (name == "hit") {
					b.Fatalf("Has of number %d is wrong", i%capacity)
				}
			}
		})
	}
	b.Run("miss, of, prefetch 256", func(b *testing.B) {
		b.ReportAllocs()
		var batch [256]dedupe.Fingerprint
		for n := 0; b.Loop(); n++ {
			if i := n % len(batch); i == 0 {
				for j := range batch {
					batch[j] = number(capacity + n + j)
				}
				for j := range batch {
					w.Prefetch(&batch[j])
				}
			}
			if w.Has(batch[n%len(batch)]) {
				b.Fatalf("Has of number %d is wrong", n)
			}
		}
	})
	b.Run("miss, of", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if w.Has(number(capacity + n)) {
				b.Fatalf("Has of number %d is wrong", n)
			}
		}
	})
}

// One message: in flight, settled, with 8,192 others on their way.
func BenchmarkSet(b *testing.B) {
	const inFlight = 8192
	s := dedupe.NewSet(inFlight + 1)
	fps := numbers(4 * inFlight)
	for _, fp := range fps[:inFlight] {
		s.Add(fp)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(fps[(i+inFlight)%len(fps)])
		s.Remove(fps[i%len(fps)])
	}
	if s.Len() != inFlight {
		b.Fatalf("Len = %d, want %d", s.Len(), inFlight)
	}
}
