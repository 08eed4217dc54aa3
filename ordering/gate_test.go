package ordering_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/crossfade-mq/crossfade/ordering"
)

// gateKeys are keys of every kind: hashes, small numbers, multiples of the table
// size, and zero, which is a key like any other.
func gateKeys(n int) []uint64 {
	keys := []uint64{0, 1, 2, ^uint64(0), 1 << 63}
	for i := uint64(1); len(keys) < n; i++ {
		switch i % 3 {
		case 0:
			keys = append(keys, ordering.Hash("", int32(i)))
		case 1:
			keys = append(keys, i<<40)
		case 2:
			keys = append(keys, i+1000)
		}
	}
	return keys[:n]
}

func TestGateLetsOneOfAKeyThrough(t *testing.T) {
	g := ordering.NewGate[string]()
	enter := func(key uint64, v string, want bool, waiting int) {
		t.Helper()
		if got := g.Enter(key, v); got != want || g.Len() != waiting {
			t.Fatalf("Enter(%d, %s) = %v with %d waiting, want %v with %d", key, v, got, g.Len(), want, waiting)
		}
	}
	leave := func(key uint64, want string, waiting int) {
		t.Helper()
		if got, ok := g.Leave(key); got != want || ok != (want != "") || g.Len() != waiting {
			t.Fatalf("Leave(%d) = %q, %v with %d waiting, want %q with %d", key, got, ok, g.Len(), want, waiting)
		}
	}
	leave(1, "", 0)
	enter(1, "a1", true, 0)
	enter(1, "a2", false, 1)
	enter(2, "b1", true, 1)
	enter(1, "a3", false, 2)
	enter(2, "b2", false, 3)
	leave(1, "a2", 2)
	enter(1, "a4", false, 3) // behind a3, though a2 has just gone
	leave(2, "b2", 2)
	leave(2, "", 2)
	leave(2, "", 2) // nothing in flight: ignored
	enter(2, "b3", true, 2)
	leave(1, "a3", 1)
	leave(1, "a4", 0)
	leave(1, "", 0)
	enter(1, "a5", true, 0)
}

func TestGateManyKeys(t *testing.T) {
	const n = 3000
	keys := gateKeys(n)
	g := ordering.NewGate[int]()
	for round := range 5 {
		for i, key := range keys {
			if !g.Enter(key, i) {
				t.Fatalf("round %d: key %#x is not free", round, key)
			}
		}
		for i, key := range keys {
			if g.Enter(key, i) {
				t.Fatalf("round %d: two of key %#x are in flight", round, key)
			}
		}
		for i, key := range keys {
			if v, ok := g.Leave(key); !ok || v != i {
				t.Fatalf("round %d: Leave(%#x) = %d, %v, want %d", round, key, v, ok, i)
			}
		}
		// Free them in another order than they came in, so that holes close in
		// every way.
		for i := range keys {
			key := keys[(i*7919)%n]
			if v, ok := g.Leave(key); ok {
				t.Fatalf("round %d: Leave(%#x) = %d, want nothing", round, key, v)
			}
		}
		if g.Len() != 0 {
			t.Fatalf("round %d: %d wait at the end", round, g.Len())
		}
	}
}

func TestGateDrainKeepsOrderOfEnter(t *testing.T) {
	g := ordering.NewGate[int]()
	var want []int
	for i := range 100 {
		if !g.Enter(uint64(i%7), i) {
			want = append(want, i)
		}
	}
	for range 3 { // from the front of the lists, and from the middle of all
		for _, key := range []uint64{0, 3} {
			v, ok := g.Leave(key)
			at := slices.Index(want, v)
			if !ok || at < 0 {
				t.Fatalf("Leave(%d) = %d, %v", key, v, ok)
			}
			want = slices.Delete(want, at, at+1)
		}
	}
	var got []int
	g.Drain(func(v int) { got = append(got, v) })
	if !slices.Equal(got, want) {
		t.Fatalf("Drain gave %v, want %v", got, want)
	}
	if g.Len() != 0 {
		t.Fatalf("%d wait after Drain", g.Len())
	}
	for key := range uint64(7) {
		if !g.Enter(key, 0) {
			t.Fatalf("key %d is still in flight after Drain", key)
		}
	}
	g.Drain(func(v int) { t.Fatalf("Drain of a gate where nobody waits gave %d", v) })
}

func TestGateReset(t *testing.T) {
	g := ordering.NewGate[int]()
	for i := range 200 {
		g.Enter(uint64(i%50), i)
	}
	g.Reset()
	if g.Len() != 0 {
		t.Fatalf("Len = %d after Reset", g.Len())
	}
	for key := range uint64(50) {
		if v, ok := g.Leave(key); ok {
			t.Fatalf("Leave(%d) = %d after Reset", key, v)
		}
	}
	if !g.Enter(1, 1) || g.Enter(1, 2) {
		t.Fatal("the gate does not work after Reset")
	}
	if v, ok := g.Leave(1); !ok || v != 2 {
		t.Fatalf("Leave = %d, %v, want 2", v, ok)
	}
}

func TestGateKeepsNoReference(t *testing.T) {
	for name, release := range map[string]func(*ordering.Gate[*[64]byte]){
		"Leave": func(g *ordering.Gate[*[64]byte]) { g.Leave(1) },
		"Reset": func(g *ordering.Gate[*[64]byte]) { g.Reset() },
		"Drain": func(g *ordering.Gate[*[64]byte]) { g.Drain(func(*[64]byte) {}) },
	} {
		t.Run(name, func(t *testing.T) {
			g := ordering.NewGate[*[64]byte]()
			freed := make(chan struct{})
			g.Enter(1, nil)
			g.Enter(1, watched(freed))
			release(g)
			waitFreed(t, freed)
			runtime.KeepAlive(g)
		})
	}
}

// However many different keys go through, the memory is that of what is in
// flight at once: a key that is idle is forgotten.
func TestGateForgetsIdleKeys(t *testing.T) {
	g := ordering.NewGate[int]()
	key := uint64(0)
	round := func() {
		for range 1000 {
			first := key
			for range 10 {
				g.Enter(ordering.Hash("", int32(key)), 0)
				key++
			}
			for ; first < key; first++ {
				g.Leave(ordering.Hash("", int32(first)))
			}
		}
	}
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations for 10,000 keys that were never used before, want none", n)
	}
}

func TestGateAllocatesNothingInSteadyState(t *testing.T) {
	g := ordering.NewGate[[4]uint64]()
	keys := gateKeys(100)
	round := func() {
		for range 4 { // one in flight and three that wait for each key
			for _, key := range keys {
				g.Enter(key, [4]uint64{})
			}
		}
		for range 4 {
			for _, key := range keys {
				g.Leave(key)
			}
		}
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for 400 messages, want none", n)
	}
}
