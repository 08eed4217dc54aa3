package dedupe_test

import (
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// number is the fingerprint of the n-th of many identities.
func number(n int) dedupe.Fingerprint {
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], uint64(n))
	return dedupe.Of(true, "", string(id[:]))
}

// raw is a fingerprint that is no hash: nearly all its bits are alike.
func raw(n int) (fp dedupe.Fingerprint) {
	binary.LittleEndian.PutUint64(fp[8:], uint64(n))
	return fp
}

var capacities = []int{1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 47, 48, 49, 64, 100, 1000}

func TestWindowEvictsExactlyTheOldest(t *testing.T) {
	for name, fp := range map[string]func(int) dedupe.Fingerprint{"hashes": number, "raw": raw} {
		t.Run(name, func(t *testing.T) {
			for _, capacity := range capacities[:len(capacities)-1] {
				w := dedupe.NewWindow(capacity)
				for n := range 3*capacity + 5 {
					if w.Has(fp(n)) {
						t.Fatalf("capacity %d: %d is there before it was added", capacity, n)
					}
					if !w.Add(fp(n)) {
						t.Fatalf("capacity %d: %d is not fresh", capacity, n)
					}
					if want := min(n+1, capacity); w.Len() != want {
						t.Fatalf("capacity %d: Len = %d after %d, want %d", capacity, w.Len(), n+1, want)
					}
					for back := range min(n+1, 2*capacity) {
						if got, want := w.Has(fp(n-back)), back < capacity; got != want {
							t.Fatalf("capacity %d: after %d, Has(%d) = %v, want %v", capacity, n, n-back, got, want)
						}
					}
				}
			}
		})
	}
}

// A repeat neither enters again nor becomes younger.
func TestWindowRepeat(t *testing.T) {
	for _, capacity := range capacities {
		w := dedupe.NewWindow(capacity)
		for n := range capacity {
			w.Add(number(n))
		}
		for range 3 {
			for n := range capacity {
				if w.Add(number(n)) {
					t.Fatalf("capacity %d: the repeat of %d is fresh", capacity, n)
				}
			}
		}
		if w.Len() != capacity {
			t.Fatalf("capacity %d: Len = %d after repeats", capacity, w.Len())
		}
		if !w.Add(number(capacity)) || w.Has(number(0)) {
			t.Fatalf("capacity %d: the oldest was not the one to go: its repeat made it younger", capacity)
		}
		for n := 1; n <= capacity; n++ {
			if !w.Has(number(n)) {
				t.Fatalf("capacity %d: %d is gone", capacity, n)
			}
		}
		if !w.Add(number(0)) {
			t.Fatalf("capacity %d: what was evicted is not fresh again", capacity)
		}
	}
}

func TestWindowOfNothing(t *testing.T) {
	w := dedupe.NewWindow(0)
	for range 3 {
		if !w.Add(number(1)) || w.Has(number(1)) || w.Len() != 0 || w.Cap() != 0 {
			t.Fatal("a window of capacity 0 remembers something")
		}
	}
}

func TestWindowCapacity(t *testing.T) {
	for _, capacity := range capacities {
		if got := dedupe.NewWindow(capacity).Cap(); got != capacity {
			t.Errorf("Cap = %d, want %d", got, capacity)
		}
	}
	for _, capacity := range []int{-1, math.MinInt, 1<<30 + 1, math.MaxInt} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewWindow(%d) did not panic", capacity)
				}
			}()
			dedupe.NewWindow(capacity)
		}()
	}
}

// Prefetch is for speed alone.
func TestWindowPrefetchChangesNothing(t *testing.T) {
	for _, capacity := range []int{0, 1, 3, 100} {
		w := dedupe.NewWindow(capacity)
		for n := range 3 * capacity {
			w.Add(number(n))
		}
		for n := range 4*capacity + 1 {
			fp, before, held := number(n), w.Len(), w.Has(number(n))
			w.Prefetch(&fp)
			if fp != number(n) || w.Len() != before || w.Has(fp) != held {
				t.Fatalf("capacity %d: Prefetch of %d changed something", capacity, n)
			}
		}
	}
}

// The all-zero fingerprint and those near it are like any other.
func TestWindowZeroFingerprint(t *testing.T) {
	w := dedupe.NewWindow(2)
	var zero dedupe.Fingerprint
	if w.Has(zero) || !w.Add(zero) || !w.Has(zero) || w.Add(zero) {
		t.Fatal("the zero fingerprint is not treated like any other")
	}
	w.Add(raw(1))
	w.Add(raw(2))
	if w.Has(zero) || !w.Has(raw(1)) || !w.Has(raw(2)) {
		t.Fatal("the zero fingerprint was not evicted in its turn")
	}
}

// What a window costs is counted, and it costs no more when it is full and has
// turned over.
func TestWindowMemory(t *testing.T) {
	const limit = 40
	for _, capacity := range []int{1000, 3<<16 + 1, 300_000} {
		before := allocated()
		w := dedupe.NewWindow(capacity)
		made := allocated() - before
		if perEntry := float64(made) / float64(capacity); perEntry > limit {
			t.Errorf("capacity %d: %.1f octets an entry, want at most %d", capacity, perEntry, limit)
		} else {
			t.Logf("capacity %d: %.1f octets an entry", capacity, perEntry)
		}
		n := 0
		fill := testing.AllocsPerRun(1, func() {
			for range capacity + capacity/8 {
				w.Add(raw(n))
				n++
			}
		})
		if fill != 0 {
			t.Errorf("capacity %d: %v allocations while it filled and turned, want none", capacity, fill)
		}
		runtime.KeepAlive(w)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
