package dedupe_test

import (
	"errors"
	"fmt"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// A Sample is a message as a consumer of telemetry gets it, from either queue.
type Sample struct {
	Metric, ID string
	Value      int
}

// A Consumer sums up samples, each once, however often it is delivered: by a
// broker that redelivers, by a producer that tries again, or by two queues side
// by side during a migration.
type Consumer struct {
	seen  *dedupe.Window
	total map[string]int
}

// Handle returns nil when the sample may be acknowledged.
func (c *Consumer) Handle(s Sample) error {
	fp := dedupe.Of(false, s.Metric, s.ID)
	if c.seen.Has(fp) {
		fmt.Println("repeat  ", s.Metric, s.ID)
		return nil // acknowledge it, and do nothing else
	}
	if s.Value < 0 {
		fmt.Println("failed  ", s.Metric, s.ID)
		return errors.New("store: not reachable") // not seen: the redelivery counts
	}
	c.total[s.Metric] += s.Value
	c.seen.Add(fp) // only now that its effect is there to stay
	fmt.Println("counted ", s.Metric, s.ID)
	return nil
}

// A consumer downstream makes itself idempotent with a Window. It has to hold
// more identities than can come between a message and its repeat, and whoever
// restarts fills it again from what was stored, or accepts what repeats then.
func Example() {
	c := &Consumer{seen: dedupe.NewWindow(100_000), total: map[string]int{}}
	for _, s := range []Sample{
		{"cpu", "1", 10},
		{"cpu", "2", 20},
		{"cpu", "1", 10}, // delivered again
		{"mem", "1", 99}, // another metric's 1 is another message
		{"cpu", "3", -1}, // its first handling fails …
		{"cpu", "3", 30}, // … so its redelivery is no repeat
	} {
		if err := c.Handle(s); err != nil {
			continue // not acknowledged: it will come again
		}
	}
	fmt.Println(c.total)
	// Output:
	// counted  cpu 1
	// counted  cpu 2
	// repeat   cpu 1
	// counted  mem 1
	// failed   cpu 3
	// counted  cpu 3
	// map[cpu:60 mem:99]
}

// A message whose producer gave it no ID gets one from where it is stored, if
// that is a position to which a reader can return …
func ExampleFromOrigin() {
	fmt.Println(dedupe.FromOrigin("nats", "NABC", "TELEMETRY", "2026-11-22T00:00:00Z", 0, 42))
	// Output: fa7ed14a6e76c75b5f490f7381003291-0-42
}

// … and else from its content, which two legitimate messages may share.
func ExampleFromContent() {
	once := dedupe.FromContent([]byte("cpu"), []byte("21.5"))
	again := dedupe.FromContent([]byte("cpu"), []byte("21.5"))
	fmt.Println(once == again)
	fmt.Println(dedupe.FromContent([]byte("cpu"), []byte("21.5")) == dedupe.FromContent([]byte("cpu2"), []byte("1.5")))
	// Output:
	// true
	// false
}

// What is in flight is in a Set, counted.
func ExampleSet() {
	inFlight := dedupe.NewSet(0)
	fp := dedupe.Of(true, "", "018f6c2d")
	inFlight.Add(fp)
	inFlight.Add(fp) // the same identity a second time
	inFlight.Remove(fp)
	fmt.Println(inFlight.Has(fp), inFlight.Len())
	inFlight.Remove(fp)
	fmt.Println(inFlight.Has(fp), inFlight.Len())
	// Output:
	// true 1
	// false 0
}
