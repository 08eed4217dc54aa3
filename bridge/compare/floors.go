package compare

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// before is how much of what the incumbent had in front of what is not judged is kept too:
// after a restart it shows that a key had begun, so that what only the candidate has of it
// is extra still.
const before = 2 * time.Second

// settleFloors finds up to when each side is judged, and let go. What the incumbent's reader
// may be given again after a restart has its copies given again to the candidate's: only
// what the incumbent has surely let go counts.
func (c *Comparison) settleFloors(now time.Duration) {
	var judged [2]time.Duration
	for side := range judged {
		if judged[side] = c.lookedAt.Oldest[side]; judged[side] == 0 {
			judged[side] = c.lookedAt.Swept
		}
		judged[side] = max(judged[side], now-c.cfg.Limits.Hold)
	}
	both := min(judged[drift.Incumbent], judged[drift.Candidate])
	c.judged = max(c.judged, both)
	c.bounds.add(now, judged[drift.Candidate])

	i, k := c.readers[drift.Incumbent], c.readers[drift.Candidate]
	most, crowded := k.overfull(now)
	c.floors[drift.Incumbent] = max(c.floors[drift.Incumbent], both-before)
	if at, over := i.overfull(now); over {
		c.floors[drift.Incumbent] = max(c.floors[drift.Incumbent], at)
	}
	if by, ok := c.bounds.reach(most); crowded && ok {
		c.floors[drift.Incumbent] = max(c.floors[drift.Incumbent], by)
	}
	gone := i.settling.surely
	if bridge.Planted(bridge.BugFloorUnsure) {
		gone = c.floors[drift.Incumbent]
	}
	floor := min(judged[drift.Candidate], c.bounds.by(gone))
	switch {
	case crowded && i.full(): // neither would be read on
		floor = max(floor, most)
	case crowded: // nor would the candidate while the incumbent is away
		floor = max(floor, now-c.cfg.Limits.Hold)
	}
	c.floors[drift.Candidate] = max(c.floors[drift.Candidate], floor)
}
