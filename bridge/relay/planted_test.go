//go:build planted

package relay_test

import (
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Every deliberate mistake is found by the histories. Run with -tags planted.
func TestHistoriesFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	for bug, want := range map[bridge.Bug]func(verdict) int{
		bridge.BugRecallOff:        func(v verdict) int { return v.duplicated },
		bridge.BugFenceOff:         func(v verdict) int { return v.duplicated + v.reordered },
		bridge.BugEarlyAck:         func(v verdict) int { return v.lost },
		bridge.BugSuppressInFlight: func(v verdict) int { return v.lost },
		bridge.BugManyInFlight:     func(v verdict) int { return v.reordered },
		bridge.BugLaneByID:         func(v verdict) int { return v.reordered },
		bridge.BugGoOn:             func(v verdict) int { return v.lost },
		bridge.BugToTheBack:        func(v verdict) int { return v.reordered },
		bridge.BugHoldOff:          func(v verdict) int { return v.duplicated + v.reordered },
		bridge.BugUnorderedSend:    func(v verdict) int { return v.reordered },
	} {
		t.Run(string(bug), func(t *testing.T) {
			bridge.Plant(bug)
			for seed := range uint64(100) {
				h := &history{seed: seed, anySubset: bug == bridge.BugManyInFlight}
				if v := h.run(t); want(v) > 0 {
					t.Logf("found at seed %d: %s", seed, v)
					return
				}
			}
			t.Error("not found in 100 histories")
		})
	}
}

// So is that of a lane which goes on before the others have read back, where the
// candidate dictates lanes.
func TestRoutedHistoriesFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	for _, bug := range []bridge.Bug{bridge.BugLanesApart, bridge.BugRecallOff, bridge.BugFenceOff, bridge.BugHoldOff} {
		t.Run(string(bug), func(t *testing.T) {
			bridge.Plant(bug)
			for seed := range uint64(100) {
				h := &history{seed: seed, routed: true}
				if v := h.run(t); v.duplicated+v.reordered > 0 {
					t.Logf("found at seed %d: %s", seed, v)
					return
				}
			}
			t.Error("not found in 100 histories")
		})
	}
}

// So is that of a relay which does not take first, of several shards, what is placed
// already.
func TestShardedHistoriesFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	for _, bug := range []bridge.Bug{bridge.BugFirstOff, bridge.BugRecallOff} {
		t.Run(string(bug), func(t *testing.T) {
			bridge.Plant(bug)
			for seed := range uint64(1000) {
				h := &history{seed: seed, shards: 2 + int(seed%5), anySubset: seed%3 == 2}
				if v := h.run(t); v.duplicated > 0 {
					t.Logf("found at seed %d: %s", seed, v)
					return
				}
			}
			t.Error("not found in 1,000 histories")
		})
	}
}

// So is what goes round.
func TestRingsFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	bridge.Plant(bridge.BugLoopUnseen)
	if lens, _ := ring(t, 5*time.Millisecond, "a", "b"); lens[0] <= 80 {
		t.Errorf("not found: %v", lens)
	} else {
		t.Logf("found: 80 messages became %v", lens)
	}
}

// So are the mistakes about what is parked.
func TestPoisonedHistoriesFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	for bug, want := range map[bridge.Bug]func(held, after verdict) int{
		bridge.BugParkUnconfirmed: func(held, after verdict) int { return held.reordered + held.lost + after.lost },
		bridge.BugHoldForgotten:   func(held, after verdict) int { return held.reordered + after.reordered },
		bridge.BugRetryUnordered:  func(_, after verdict) int { return after.reordered },
	} {
		t.Run(string(bug), func(t *testing.T) {
			bridge.Plant(bug)
			for seed := range uint64(100) {
				h := &history{seed: seed}
				if held, after := h.runPoisoned(t); want(held, after) > 0 {
					t.Logf("found at seed %d: %s; %s", seed, held, after)
					return
				}
			}
			t.Error("not found in 100 histories")
		})
	}
}
