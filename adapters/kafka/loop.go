package kafka

import (
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Named  = (*SourceOpener)(nil)
	_ bridge.Named  = (*SinkOpener)(nil)
	_ bridge.Looper = (*sink)(nil)
)

// Names is as bridge.Named says: the topics, or the pattern, of which only the brokers
// know which topics it names.
func (o *SourceOpener) Names() (names []string) {
	if o.config.Pattern != "" {
		return []string{"pattern " + o.config.Pattern}
	}
	for _, t := range o.config.Topics {
		names = append(names, "topic "+t)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
