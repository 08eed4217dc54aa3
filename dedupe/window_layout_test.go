package dedupe

import (
	"encoding/binary"
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

// intact says whether every entry of the table is found from its home, and
// nothing else is in it.
func (w *Window) intact(t *testing.T) {
	t.Helper()
	taken := 0
	for b := range w.table {
		e := &w.table[b]
		for slot, place := range e.places {
			if uint8(e.tags>>(8*slot)) == 0 {
				continue
			}
			taken++
			fp := &w.ring[place]
			if at, atSlot, found := w.find(w.seed.mix(fp), fp); !found || at != e || atSlot != slot {
				t.Fatalf("bucket %d, slot %d: the fingerprint of place %d is not found there", b, slot, place)
			}
		}
	}
	if taken != len(w.ring) {
		t.Fatalf("%d slots are taken for %d entries: something was left behind", taken, len(w.ring))
	}
}

// With three times as many fingerprints for the last and the first bucket as
// these have room for, several buckets are full and many entries are away from
// home, while each Add evicts one from among them.
func TestWindowTableStaysIntactAroundItsEnd(t *testing.T) {
	for _, capacity := range []int{5, 8, 9, 16, 24, 48, 64} {
		w := NewWindow(capacity)
		home := func(fp *Fingerprint) int { return w.home(w.seed.mix(fp)) }
		away := 0
		for i, fp := range near(6*capacity, home, len(w.table)) {
			if !w.Add(fp) {
				t.Fatalf("capacity %d: entry %d is not fresh", capacity, i)
			}
			w.intact(t)
			if e, _, _ := w.find(w.seed.mix(&fp), &fp); e != &w.table[home(&fp)] {
				away++
			}
		}
		if capacity >= 24 && away < capacity {
			t.Errorf("capacity %d: only %d entries were away from home: the test tests nothing", capacity, away)
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

// Add and Has never stall: after many turns of a full window, the longest run of
// full buckets, which bounds what one call touches, is short, and nearly all
// searches end in the first bucket.
func TestWindowHasNoLongRuns(t *testing.T) {
	const capacity = 200_000
	w := NewWindow(capacity)
	for n := range uint64(4 * capacity) {
		var fp Fingerprint
		binary.LittleEndian.PutUint64(fp[:8], n*n)
		binary.LittleEndian.PutUint64(fp[8:], n)
		w.Add(fp)
	}
	run, longest, full := 0, 0, 0
	for i := range 2 * len(w.table) { // twice round, for the run over the end
		run++
		full++
		if w.table[i%len(w.table)].match(0) != 0 {
			run = 0
			full--
		}
		longest = max(longest, run)
	}
	share := float64(full) / float64(2*len(w.table))
	t.Logf("%.1f %% of the buckets are full, at most %d in a row", 100*share, longest)
	if longest > 10 || share > 0.03 { // 1.2 % have 8 or more by the Poisson distribution
		t.Errorf("%.1f %% of the buckets are full, %d in a row", 100*share, longest)
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
