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

// Adding a fresh fingerprint to a full window, which evicts one.
func BenchmarkWindowAdd(b *testing.B) {
	for _, capacity := range []int{10_000, 1_000_000, 3 << 19} {
		b.Run(fmt.Sprint(capacity), func(b *testing.B) {
			w := dedupe.NewWindow(capacity)
			n := 0
			for ; n < capacity; n++ {
				w.Add(raw(n))
			}
			b.ReportAllocs()
			for b.Loop() {
				w.Add(raw(n))
				n++
			}
			if w.Len() != capacity {
				b.Fatalf("Len = %d, want %d", w.Len(), capacity)
			}
		})
	}
}

// Asking a full window of a million for what it has, and for what it has not.
func BenchmarkWindowHas(b *testing.B) {
	const capacity = 1_000_000
	w := dedupe.NewWindow(capacity)
	for n := range capacity {
		w.Add(raw(n))
	}
	for _, hit := range []bool{true, false} {
		b.Run(map[bool]string{true: "hit", false: "miss"}[hit], func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n += 7919 {
				at := n % capacity
				if !hit {
					at += capacity
				}
				if w.Has(raw(at)) != hit {
					b.Fatalf("Has(%d) = %v", at, !hit)
				}
			}
		})
	}
}

// One message: in flight, settled, with 8,192 others on their way.
func BenchmarkSet(b *testing.B) {
	const inFlight = 8192
	s := dedupe.NewSet(inFlight + 1)
	n := 0
	for ; n < inFlight; n++ {
		s.Add(raw(n))
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Add(raw(n))
		s.Remove(raw(n - inFlight))
		n++
	}
	if s.Len() != inFlight {
		b.Fatalf("Len = %d, want %d", s.Len(), inFlight)
	}
}
