//go:build planted

package relay

import (
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A relay that lets the other shards go on while one waits is found.
func TestAPlantedRelayWithoutBoundIsFound(t *testing.T) {
	defer bridge.Plant("")
	bridge.Plant(bridge.BugSpanOff)
	if n := whileOneWaits(t, 1000); n < 1000 {
		t.Errorf("%d of 1,000 were received while the first waits, although nothing holds them", n)
	}
}
