package ordering_test

import (
	"fmt"
	"testing"

	"github.com/crossfade-mq/crossfade/ordering"
)

func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("dc1.rack-%02d.host-%04d.cpu", i%40, i)
	}
	return keys
}

func BenchmarkLane(b *testing.B) {
	keys := benchKeys(1024)
	b.ReportAllocs()
	lanes := 0
	for i := 0; b.Loop(); i++ {
		lanes += ordering.Lane(keys[i&1023], 0, 8)
	}
	if lanes == 0 {
		b.Fatal("every key went to lane 0")
	}
}

// One message: start, done and take, with 4,096 in flight. "prefix" settles in
// the order of sending, a batch of 64 at a time; "scattered" settles each block
// of 64 backwards.
func BenchmarkTracker(b *testing.B) {
	const window, batch = 4096, 64
	for _, scattered := range []bool{false, true} {
		b.Run(map[bool]string{false: "prefix", true: "scattered"}[scattered], func(b *testing.B) {
			tr := ordering.NewTracker[[3]uint64](window)
			var dst [][3]uint64
			taken, settled := 0, uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				ticket := tr.Start([3]uint64{})
				if ticket < settled+window {
					continue
				}
				for i := range uint64(batch) {
					if scattered {
						i = batch - 1 - i
					}
					tr.Done(settled + i)
				}
				settled += batch
				dst = tr.Take(dst[:0])
				taken += len(dst)
			}
			if tr.Len()+taken != b.N {
				b.Fatalf("%d taken and %d held of %d", taken, tr.Len(), b.N)
			}
		})
	}
}

// One message: enter and leave. "spread" has 4,096 keys in flight and nobody
// waits; "hot" has one key with 4,096 waiting.
func BenchmarkGate(b *testing.B) {
	const window = 4096
	for _, hot := range []bool{false, true} {
		b.Run(map[bool]string{false: "spread", true: "hot"}[hot], func(b *testing.B) {
			hashes := make([]uint64, 4*window)
			for i, key := range benchKeys(len(hashes)) {
				if hot {
					key = "hot"
				}
				hashes[i] = ordering.Hash(key, 0)
			}
			g := ordering.NewGate[[3]uint64]()
			for i := range window {
				g.Enter(hashes[i], [3]uint64{})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				g.Enter(hashes[(i+window)%len(hashes)], [3]uint64{})
				g.Leave(hashes[i%len(hashes)])
			}
			if hot != (g.Len() == window-1) {
				b.Fatalf("%d wait", g.Len())
			}
		})
	}
}
