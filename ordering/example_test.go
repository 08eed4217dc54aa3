package ordering_test

import (
	"fmt"

	"github.com/crossfade-mq/crossfade/ordering"
)

// Confirmations come back in any order; only the contiguous prefix may be
// acknowledged at the source.
func ExampleTracker() {
	tracker := ordering.NewTracker[string](0)
	a, b, c := tracker.Start("a"), tracker.Start("b"), tracker.Start("c")

	tracker.Done(b)
	fmt.Println("acknowledge", tracker.Take(nil))
	tracker.Done(a)
	fmt.Println("acknowledge", tracker.Take(nil))
	oldest, _ := tracker.Oldest()
	fmt.Println("waiting for", oldest)
	tracker.Done(c)
	fmt.Println("acknowledge", tracker.Take(nil))
	// Output:
	// acknowledge []
	// acknowledge [a b]
	// waiting for c
	// acknowledge [c]
}

// The second sample of a metric waits until the first one is settled; another
// metric does not wait for either.
func ExampleGate() {
	gate := ordering.NewGate[string]()
	cpu, mem := ordering.Hash("cpu", 0), ordering.Hash("mem", 0)

	fmt.Println("send cpu 1:", gate.Enter(cpu, "cpu 1"))
	fmt.Println("send cpu 2:", gate.Enter(cpu, "cpu 2"))
	fmt.Println("send mem 1:", gate.Enter(mem, "mem 1"))

	next, ok := gate.Leave(cpu) // cpu 1 is confirmed
	fmt.Println("next:", next, ok)
	next, ok = gate.Leave(mem)
	fmt.Println("next:", next, ok)
	// Output:
	// send cpu 1: true
	// send cpu 2: false
	// send mem 1: true
	// next: cpu 2 true
	// next:  false
}

// A key has the same lane in every process. What has no key goes by its shard.
func ExampleLane() {
	fmt.Println(ordering.Lane("cpu.load", 0, 8), ordering.Lane("cpu.load", 5, 8))
	fmt.Println(ordering.Lane("", 0, 8), ordering.Lane("", 1, 8))
	// Output:
	// 1 1
	// 4 1
}
