package dedupe

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// near gives n fingerprints whose search begins at the last place or the first
// one of so many, so that those which find it full go on into one another and
// around the end of the table.
func near(n int, home func(*Fingerprint) int, places int) []Fingerprint {
	var fps []Fingerprint
	for i := uint64(0); len(fps) < n; i++ {
		var fp Fingerprint
		binary.LittleEndian.PutUint64(fp[:8], i)
		if h := home(&fp); h == 0 || h == places-1 {
			fps = append(fps, fp)
		}
	}
	return fps
}

// intact says whether everything in the ring is found, with its number in the
// table once and every bucket between its home and there passed by one that is as
// new.
func (w *Window) intact(t *testing.T) {
	t.Helper()
	where := map[uint32]int{}
	for b := range w.table {
		e := &w.table[b]
		for slot, n := range e.numbers {
			if uint8(e.tags>>(8*slot)) == 0 || w.age(n) > uint32(len(w.ring)) {
				continue
			}
			if other, ok := where[n]; ok {
				t.Fatalf("number %d is in the buckets %d and %d", n, other, b)
			}
			where[n] = b
		}
	}
	if len(where) != len(w.ring) {
		t.Fatalf("%d numbers are in the table for %d entries", len(where), len(w.ring))
	}
	for n, at := range where {
		fp := &w.ring[n%uint32(cap(w.ring))]
		if !w.find(w.seed.mix(fp), fp) {
			t.Fatalf("number %d is not found", n)
		}
		for b := w.home(w.seed.mix(fp)); b != at; b = w.after(b) {
			if w.age(w.table[b].passed) > w.age(n) {
				t.Fatalf("number %d in bucket %d went past bucket %d, which knows of none newer than %d", n, at, b, w.table[b].passed)
			}
		}
	}
}

// With six times as many fingerprints for the last and the first bucket as a
// window holds, several buckets are full and many entries are away from home,
// while each Add forgets one of them.
func TestWindowTableStaysIntactAroundItsEnd(t *testing.T) {
	for _, capacity := range []int{5, 8, 9, 16, 24, 48, 64} {
		w := NewWindow(capacity)
		home := func(fp *Fingerprint) int { return w.home(w.seed.mix(fp)) }
		fps := near(6*capacity, home, len(w.table))
		passed := 0
		for i, fp := range fps {
			if !w.Add(fp) {
				t.Fatalf("capacity %d: entry %d is not fresh", capacity, i)
			}
			w.intact(t)
			for back := range min(i+1, 2*capacity) {
				if got := w.Has(fps[i-back]); got != (back < capacity) {
					t.Fatalf("capacity %d: after %d, Has(%d) = %v", capacity, i, i-back, got)
				}
			}
			if w.age(w.table[home(&fp)].passed) == 1 {
				passed++
			}
		}
		if capacity >= 24 && passed < capacity {
			t.Errorf("capacity %d: only %d entries were away from home: the test tests nothing", capacity, passed)
		}
	}
}

// Numbers come round: after four thousand million entries, and in the largest
// window there is after 13 times its capacity. What is remembered before is
// remembered behind, and what looks young by its number is not.
func TestWindowNumbersComeRound(t *testing.T) {
	if w := (math.MaxUint32/maxWindow - 2); w != 13 {
		t.Fatalf("numbers come round after %d times the largest capacity, want 13", w)
	}
	for _, capacity := range []int{1, 2, 3, 7, 8, 50} {
		w := NewWindow(capacity)
		w.last = w.first + 13*uint32(capacity)
		fp := func(n int) (fp Fingerprint) {
			binary.LittleEndian.PutUint64(fp[4:], uint64(n))
			return fp
		}
		rounds, before := 0, w.now
		for n := range 13 * capacity * 4 {
			if !w.Add(fp(n)) {
				t.Fatalf("capacity %d: %d is not fresh", capacity, n)
			}
			if w.now < before {
				rounds++
			}
			before = w.now
			for back := range min(n+1, 15*capacity) {
				if got := w.Has(fp(n - back)); got != (back < capacity) {
					t.Fatalf("capacity %d, number %d of %d to %d: Has of %d entries ago is %v", capacity, w.now, w.first, w.last, back, got)
				}
			}
		}
		if rounds != 4 {
			t.Fatalf("capacity %d: numbers came round %d times, want 4", capacity, rounds)
		}
	}
}

// The same with others in between, at random.
func TestWindowTableStaysIntact(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, capacity := range []int{1, 2, 5, 48, 96, 192} {
		w := NewWindow(capacity)
		for range 20 * capacity {
			var fp Fingerprint
			fp[0], fp[8] = byte(rng.IntN(40)), byte(rng.IntN(40))
			w.Add(fp)
			w.intact(t)
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		}
	}
}

// Add and Has never stall: after many turns of a full window few buckets were
// passed, and never many in a row, so nearly all searches end in the first.
func TestWindowHasNoLongRuns(t *testing.T) {
	const capacity = 200_000
	w := NewWindow(capacity)
	for n := range uint64(4 * capacity) {
		var fp Fingerprint
		binary.LittleEndian.PutUint64(fp[:8], n*n)
		binary.LittleEndian.PutUint64(fp[8:], n)
		w.Add(fp)
	}
	run, longest, passed := 0, 0, 0
	for i := range 2 * len(w.table) { // twice round, for the run over the end
		run++
		passed++
		if w.age(w.table[i%len(w.table)].passed) > capacity {
			run = 0
			passed--
		}
		longest = max(longest, run)
	}
	share := float64(passed) / float64(2*len(w.table))
	t.Logf("%.1f %% of the buckets were passed, at most %d in a row", 100*share, longest)
	if longest > 12 || share > 0.08 {
		t.Errorf("%.1f %% of the buckets were passed, %d in a row", 100*share, longest)
	}
}

// The search without branches agrees with a plain one, and filling and freeing
// a slot touches no other.
func TestBucket(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 4))
	tags := []uint8{0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff}
	for range 20_000 {
		var e bucket
		var plain [slots]uint8
		for i := range plain {
			plain[i] = tags[rng.IntN(len(tags))]
			e.set(i, uint8(rng.Uint32()), 0)
			e.set(i, plain[i], uint32(i))
		}
		for _, tag := range tags {
			var want []int
			for i := range plain {
				if plain[i] == tag {
					want = append(want, i)
				}
			}
			var got []int
			for m := e.match(tag); m != 0; m &= m - 1 {
				got = append(got, slotOf(m))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: match(%#x) of %x gives the slots %v, want %v", seed, tag, plain, got, want)
			}
		}
	}
}

// A tag is never that of a free slot, and all others occur about equally.
func TestTag(t *testing.T) {
	var count [256]int
	for hash := range uint64(1 << 16) {
		count[tag(hash|0xabcd<<48)]++
	}
	if count[0] != 0 {
		t.Errorf("%d hashes have the tag of a free slot", count[0])
	}
	for tag, n := range count[1:] {
		if n < 256 || n > 259 {
			t.Errorf("tag %d comes %d times, want 257", tag+1, n)
		}
	}
}

// Whoever knows the algorithm still cannot choose fingerprints that pile up in
// one place: every table scatters them by a seed of its own.
func TestSeedsDiffer(t *testing.T) {
	const n = 64
	count := map[int]int{}
	for range n {
		w := NewWindow(1000)
		var fp Fingerprint
		count[w.home(w.seed.mix(&fp))]++
	}
	if len(count) < n/2 {
		t.Errorf("one fingerprint begins at %d places in %d tables, want nearly as many places", len(count), n)
	}
}
