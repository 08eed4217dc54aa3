//go:build planted

package compare

import (
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// Every deliberate mistake of a comparison is found by the histories of its deaths. Run with
// -tags planted.
func TestDeathsFindPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	for bug, found := range map[bridge.Bug]func(unseen, wrong []string) bool{
		bridge.BugAgainIsNew:  func(_, wrong []string) bool { return len(wrong) > 0 },
		bridge.BugAckUnjudged: func(unseen, wrong []string) bool { return len(unseen)+len(wrong) > 0 },
		bridge.BugBodyUnseen:  func(unseen, _ []string) bool { return len(unseen) > 0 },
	} {
		t.Run(string(bug), func(t *testing.T) {
			bridge.Plant(bug)
			for seed := range uint64(20) {
				d := newDeaths(t, seed, seed%2 == 1, 0)
				d.live(2)
				if unseen, wrong := d.verdict(); found(unseen, wrong) {
					t.Logf("found at seed %d: %d not found, %d wrongly", seed, len(unseen), len(wrong))
					return
				}
			}
			t.Error("not found in 20 histories")
		})
	}
}

// So are those that show while a side is away.
func TestWhileAwayFindsPlantedMistakes(t *testing.T) {
	defer bridge.Plant("")
	bridge.Plant(bridge.BugFloorUnsure)
	if _, after := whileAway(t, true); after.Drift[drift.Missing] == 0 {
		t.Errorf("%s is not found: %+v", bridge.BugFloorUnsure, after)
	}
	bridge.Plant(bridge.BugMarkUnasked)
	if before, _ := whileAway(t, true); before.Drift[drift.Extra] == 0 {
		t.Errorf("%s is not found: %+v", bridge.BugMarkUnasked, before)
	}
}
