package ordering_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/ordering"
)

// The golden values were computed with the reference implementation of XXH3.
// They never change: a relay that comes back with a newer release has to find
// each key in the lane where it left it.
func TestHashIsStable(t *testing.T) {
	for _, c := range []struct {
		key   string
		shard int32
		hash  uint64
		lanes [3]int // of 2, 7, 1024
	}{
		{"", 0, 0x9da71090cb4bd244, [3]int{1, 4, 630}},
		{"", 1, 0x2d15ed848b3e896b, [3]int{0, 1, 180}},
		{"", -1, 0x0e8d488bf17c5c6b, [3]int{0, 0, 58}},
		{"a", 0, 0xe6c632b61e964e1f, [3]int{1, 6, 923}},
		{"cpu", 0, 0xecaa9c725d358abe, [3]int{1, 6, 946}},
		{"cpu.load", 0, 0x28d4a3709df9e756, [3]int{0, 1, 163}},
		{"cpu.load.host-0001", 0, 0xd792b78e64ae5f78, [3]int{1, 5, 862}},
		{"metric with spaces\x00\xff", 0, 0x25a81cd0321c0393, [3]int{0, 1, 150}},
		{strings.Repeat("m", 240), 0, 0xa82a7897e0144481, [3]int{1, 4, 672}},
		{strings.Repeat("m", 241), 0, 0xadffe8569e41d3fb, [3]int{1, 4, 695}},
		{strings.Repeat("long.", 300), 0, 0x1b04723dd7992299, [3]int{0, 0, 108}},
	} {
		name := fmt.Sprintf("%.24q/%d", c.key, c.shard)
		if got := ordering.Hash(c.key, c.shard); got != c.hash {
			t.Errorf("%s: Hash = %#016x, want %#016x", name, got, c.hash)
		}
		for i, lanes := range []int{2, 7, 1024} {
			if got := ordering.Lane(c.key, c.shard, lanes); got != c.lanes[i] {
				t.Errorf("%s: Lane of %d = %d, want %d", name, lanes, got, c.lanes[i])
			}
		}
	}
}

func TestLaneOfFewLanes(t *testing.T) {
	for _, lanes := range []int{1, 0, -1, math.MinInt} {
		for _, key := range []string{"", "a", "cpu.load"} {
			if got := ordering.Lane(key, 7, lanes); got != 0 {
				t.Errorf("Lane(%q, 7, %d) = %d, want 0", key, lanes, got)
			}
		}
	}
}

func TestKeyGoesByItselfAndEmptyKeyByShard(t *testing.T) {
	seen := map[uint64]int32{}
	for shard := int32(-500); shard < 500; shard++ {
		if got, want := ordering.Hash("cpu", shard), ordering.Hash("cpu", 0); got != want {
			t.Fatalf("Hash(cpu, %d) = %#x, want %#x as of every shard", shard, got, want)
		}
		h := ordering.Hash("", shard)
		if other, ok := seen[h]; ok {
			t.Fatalf("shards %d and %d share the hash %#x", shard, other, h)
		}
		seen[h] = shard
		octets := string([]byte{byte(shard), byte(shard >> 8), byte(shard >> 16), byte(shard >> 24)})
		if ordering.Hash(octets, 0) == h {
			t.Fatalf("the key %q has the hash of shard %d", octets, shard)
		}
	}
}

// Ten thousand ordinary names have to fill the lanes evenly: within six standard
// deviations of an ideal hash.
func TestLanesAreEven(t *testing.T) {
	const keys = 10_000
	for _, lanes := range []int{2, 3, 4, 7, 8, 16, 64} {
		count := make([]int, lanes)
		for i := range keys {
			count[ordering.Lane(fmt.Sprintf("dc1.host-%03d.cpu.%d", i/50, i%50), 0, lanes)]++
		}
		mean := float64(keys) / float64(lanes)
		for lane, n := range count {
			if off := math.Abs(float64(n) - mean); off > 6*math.Sqrt(mean) {
				t.Errorf("%d lanes: lane %d has %d keys, want about %.0f", lanes, lane, n, mean)
			}
		}
	}
}

// Within a lane the low bits of the hash are still even, so a table indexed by
// them works as well for the keys of one lane as for all.
func TestLowBitsAreEvenWithinLane(t *testing.T) {
	const lanes, keys, buckets = 8, 80_000, 16
	var count [buckets]int
	total := 0
	for i := range keys {
		key := fmt.Sprintf("metric-%d", i)
		if ordering.Lane(key, 0, lanes) == 3 {
			count[ordering.Hash(key, 0)%buckets]++
			total++
		}
	}
	mean := float64(total) / buckets
	for b, n := range count {
		if math.Abs(float64(n)-mean) > 6*math.Sqrt(mean) {
			t.Errorf("bucket %d has %d of %d keys, want about %.0f", b, n, total, mean)
		}
	}
}

func checkLane(t rapid.TB, key string, shard int32, lanes int) {
	t.Helper()
	lane := ordering.Lane(key, shard, lanes)
	if lane < 0 || lane >= max(lanes, 1) {
		t.Fatalf("Lane(%q, %d, %d) = %d is out of range", key, shard, lanes, lane)
	}
	if again := ordering.Lane(strings.Clone(key), shard, lanes); again != lane {
		t.Fatalf("Lane(%q, %d, %d) = %d and then %d", key, shard, lanes, lane, again)
	}
	if key != "" && ordering.Lane(key, shard+1, lanes) != lane {
		t.Fatalf("Lane(%q, …, %d) depends on the shard", key, lanes)
	}
	// The lane is the hash's slice of the whole range: halving the number of
	// lanes merges neighbours.
	if lanes > 1 && lanes <= math.MaxInt/2 && ordering.Lane(key, shard, 2*lanes)/2 != lane {
		t.Fatalf("Lane(%q, %d, …) of %d lanes is not within that of %d", key, shard, 2*lanes, lanes)
	}
}

func TestLaneProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkLane(t, rapid.String().Draw(t, "key"), rapid.Int32().Draw(t, "shard"), rapid.Int().Draw(t, "lanes"))
	})
}

func FuzzLane(f *testing.F) {
	f.Add("", int32(0), 1)
	f.Add("cpu.load", int32(-1), 8)
	f.Add("\x00\xff", int32(math.MaxInt32), math.MaxInt)
	f.Fuzz(func(t *testing.T, key string, shard int32, lanes int) { checkLane(t, key, shard, lanes) })
}
