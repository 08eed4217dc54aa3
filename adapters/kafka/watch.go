package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// watchEvery is how often a lane looks whether its topics are what they were, and
// manyNames of how many topics it asks more rarely.
const (
	watchEvery = 3 * time.Second
	manyNames  = 10
)

// watch ends the lane when partitions have been added to one of its topics, since
// keys have moved to others by then, and when a topic was deleted and made again,
// since nothing keeps earlier sessions out of the new one. It has a connection of
// its own.
func (l *lane) watch(ctx context.Context) {
	o := l.sink.opener
	c := newCluster(o.system)
	defer c.close()
	names := slices.Collect(maps.Keys(l.byName))
	for pause(ctx, watchEvery*time.Duration(1+len(names)/manyNames)) {
		found, err := c.look(ctx, names...)
		if err != nil {
			continue // whoever sends finds out as well, and deals with it
		}
		if err := l.sink.target.changed(found); err != nil {
			l.stop(fmt.Errorf("%s: %s: %w", Kind, o.system.name, err))
			return
		}
	}
}

// changed says what is not any more as it was at Open. A topic that is missing may be
// so for a moment.
func (t *target) changed(found *layout) error {
	for name, was := range t.topics {
		is := found.topics[name]
		switch {
		case is == nil:
		case is.id != was.id:
			return fmt.Errorf("topic %s was deleted and made again: its ID was %s and is %s: %w", name, was.id, is.id, bridge.ErrRerouted)
		case int32(len(is.partitions)) > was.partitions:
			return fmt.Errorf("topic %s has %d partitions by now, and had %d: %w", name, len(is.partitions), was.partitions, bridge.ErrRerouted)
		}
	}
	return nil
}
