package dedupe

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// near gives n fingerprints whose probing begins at one of the last or the first
// two slots, so that runs of them grow into one another and around the end of
// the table.
func near(n int, home func(*Fingerprint) int, slots int) []Fingerprint {
	var fps []Fingerprint
	for i := uint64(0); len(fps) < n; i++ {
		var fp Fingerprint
		binary.LittleEndian.PutUint64(fp[:8], i)
		if h := home(&fp); h < 2 || h >= slots-2 {
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
	for slot, e := range w.table {
		if e == 0 {
			continue
		}
		taken++
		fp := &w.ring[uint32(e)-1]
		if uint32(e>>32) != w.hash(fp) {
			t.Fatalf("slot %d: the hash bits are not those of place %d", slot, uint32(e)-1)
		}
		if at, found := w.find(w.hash(fp), fp); !found || at != slot {
			t.Fatalf("slot %d: its fingerprint is found at %d, %v", slot, at, found)
		}
	}
	if taken != len(w.ring) {
		t.Fatalf("%d slots are taken for %d entries: something was left behind", taken, len(w.ring))
	}
}

func TestWindowTableStaysIntactAroundItsEnd(t *testing.T) {
	for _, capacity := range []int{2, 3, 6, 11, 12, 24, 48} {
		w := NewWindow(capacity)
		home := func(fp *Fingerprint) int { return w.home(w.hash(fp)) }
		for i, fp := range near(3*capacity, home, len(w.table)) {
			if !w.Add(fp) {
				t.Fatalf("capacity %d: entry %d is not fresh", capacity, i)
			}
			w.intact(t)
		}
	}
}

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

// Add and Has never stall: with the fullest table there is, after many turns,
// the longest run of taken slots, which bounds what one call touches, is short.
func TestWindowHasNoLongRuns(t *testing.T) {
	const capacity = 3 << 16 // ¾ of the table
	w := NewWindow(capacity)
	if 4*capacity != 3*len(w.table) {
		t.Fatalf("%d slots for %d entries: not the fullest table", len(w.table), capacity)
	}
	for n := range uint64(4 * capacity) {
		var fp Fingerprint
		binary.LittleEndian.PutUint64(fp[:8], n*n)
		binary.LittleEndian.PutUint64(fp[8:], n)
		w.Add(fp)
	}
	run, longest := 0, 0
	for i := range 2 * len(w.table) { // twice round, for the run over the end
		if run++; w.table[i%len(w.table)] == 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest > 2000 {
		t.Errorf("the longest run is of %d slots; expected are a few hundred", longest)
	}
	t.Logf("longest run: %d slots of %d", longest, len(w.table))
}

// Whoever knows the algorithm still cannot choose fingerprints that pile up in
// one place: every table scatters them by a seed of its own.
func TestSeedsDiffer(t *testing.T) {
	const n = 64
	count := map[int]int{}
	for range n {
		w := NewWindow(1000)
		var fp Fingerprint
		count[w.home(w.hash(&fp))]++
	}
	if len(count) < n/2 {
		t.Errorf("one fingerprint begins at %d places in %d tables, want nearly as many places", len(count), n)
	}
}
