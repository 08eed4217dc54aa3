package kafka

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// safeLag is the least min.compaction.lag.ms at which a compacted topic holds what a
// relay has to read back, if it is started again within that time.
const safeLag = time.Hour

// unfit refuses a topic that cannot be a target.
func (o *SinkOpener) unfit(t *topic) error {
	if !t.settings.compacted || t.settings.compactionLag >= safeLag || o.config.Accept.Has(acceptCompacted) {
		return nil
	}
	// What compaction removed is not recalled, so a crash sends it again, behind newer
	// messages of its key, and the older value stays. // I2
	return bridge.Fatal(fmt.Errorf("%s: %s: topic %s is compacted (cleanup.policy) at once (min.compaction.lag.ms %d): after a crash an older value may take the place of a newer one of its key", Kind, o.system.name, t.name, t.settings.compactionLag.Milliseconds()),
		fmt.Sprintf("Set min.compaction.lag.ms of the topic to %d or more, longer than the bridge may be down; or write accept: [%s].", safeLag.Milliseconds(), acceptCompacted))
}
