package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// placing is what an opener knows of how many partitions topics have, and have had.
type placing struct {
	counts map[string][]int32
	asked  time.Time
	wrong  int    // messages that were elsewhere
	name   []byte // the topic of the one at hand
}

// How often the brokers are asked where a message is elsewhere: for each of the first, and
// then now and then.
const (
	placeFirst = 100
	placeEvery = time.Second
)

// Placed is as bridge.Placer says: topic and partition are those that the settings give.
func (o *SinkOpener) Placed(ctx context.Context, d *bridge.Delivery) (right, known bool) {
	if d.Stored.Stream == nil || d.Stored.Stream.System != Kind {
		return false, false
	}
	p := &o.placing
	name, err := o.config.template.Append(p.name[:0], &d.Message, appendTopic)
	if p.name = name; err != nil {
		return false, false // no relay places it
	}
	if o.isPlaced(name, d) {
		return true, true
	}
	if p.wrong < placeFirst || time.Since(p.asked) >= placeEvery {
		if err := o.countPartitions(ctx); err != nil {
			return false, false
		}
		if o.isPlaced(name, d) {
			return true, true
		}
	}
	p.wrong++
	return false, p.counts[string(name)] != nil
}

// isPlaced says that a message is where it belongs, by a number of partitions that the
// topic has or has had.
func (o *SinkOpener) isPlaced(name []byte, d *bridge.Delivery) bool {
	return d.Stored.Stream.Name == string(name) && slices.ContainsFunc(o.placing.counts[string(name)], func(n int32) bool {
		return o.config.partition(&d.Message, n) == d.Stored.Shard
	})
}

// countPartitions asks how many partitions the target's topics have.
func (o *SinkOpener) countPartitions(ctx context.Context) error {
	c := newCluster(o.system)
	defer c.close()
	var names []string
	if name, literal := o.config.template.Literal(); literal {
		names = append(names, name)
	}
	l, err := c.look(ctx, names...)
	if err != nil {
		return err
	}
	p := &o.placing
	if p.asked = time.Now(); p.counts == nil {
		p.counts = map[string][]int32{}
	}
	for name, t := range o.targetOf(l).topics {
		if !slices.Contains(p.counts[name], t.partitions) {
			p.counts[name] = append(p.counts[name], t.partitions)
		}
	}
	return nil
}
