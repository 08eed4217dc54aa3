package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"github.com/crossfade-mq/crossfade/bridge"
)

// What ListOffsets takes in place of a time.
const (
	atLatest   int64 = -1 // behind the newest record
	atEarliest int64 = -2 // the oldest that is held
)

// positions asks the leaders of partitions for the offset of the first record at or
// after a time in milliseconds, or at one of the ends. A partition that has no such
// record has the offset -1. committed has the newest end be that of committed records.
// Where a leader has moved it is looked for anew, for as long as request_timeout.
func (c *cluster) positions(ctx context.Context, l *layout, at int64, committed bool, spots ...spot) (map[spot]int64, error) {
	deadline := time.Now().Add(c.system.config.RequestTimeout)
	for {
		found, err := c.positionsOnce(ctx, l, at, committed, spots)
		if err == nil || !movedAway(err) || time.Now().After(deadline) {
			return found, err
		}
		if !pause(ctx, lookPause) {
			return nil, context.Cause(ctx)
		}
		var names []string
		for _, s := range spots {
			if !slices.Contains(names, s.topic) {
				names = append(names, s.topic)
			}
		}
		if l, err = c.look(ctx, names...); err != nil {
			return nil, err
		}
	}
}

// movedAway says that a broker does not lead a partition, or does not know yet that it
// does.
func movedAway(err error) bool {
	var e kafkago.Error
	return errors.Is(err, errNoLeader) || errors.As(err, &e) && elsewhere(e)
}

func (c *cluster) positionsOnce(ctx context.Context, l *layout, at int64, committed bool, spots []spot) (map[spot]int64, error) {
	byLeader := map[*conn][]spot{}
	for _, s := range spots {
		k, err := c.leader(ctx, l, s.topic, s.partition)
		if err != nil {
			return nil, err
		}
		byLeader[k] = append(byLeader[k], s)
	}
	found := map[spot]int64{}
	for k, of := range byLeader {
		if err := k.positions(ctx, l, at, committed, of, found); err != nil {
			return nil, err
		}
	}
	for _, s := range spots {
		if _, ok := found[s]; !ok {
			return nil, fmt.Errorf("%s: %s: topic %s: partition %d: its leader gave no position", Kind, c.system.name, s.topic, s.partition)
		}
	}
	return found, nil
}

func (c *conn) positions(ctx context.Context, l *layout, at int64, committed bool, spots []spot, found map[spot]int64) error {
	req := &listoffsets.Request{ReplicaID: -1}
	if committed {
		req.IsolationLevel = readCommitted
	}
	topics := map[string]int{}
	for _, s := range spots {
		i, ok := topics[s.topic]
		if !ok {
			i = len(req.Topics)
			topics[s.topic] = i
			req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: s.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, listoffsets.RequestPartition{
			Partition: s.partition, CurrentLeaderEpoch: l.topics[s.topic].partitions[s.partition].epoch, Timestamp: at,
		})
	}
	m, err := c.ask(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range m.(*listoffsets.Response).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return c.refused(fmt.Sprintf("ListOffsets of topic %s partition %d", bridge.Printable(t.Topic, 100), p.Partition), kafkago.Error(p.ErrorCode))
			}
			found[spot{t.Topic, p.Partition}] = p.Offset
		}
	}
	return nil
}

// spotsOf are the places of parts.
func spotsOf(parts []*part) []spot {
	spots := make([]spot, len(parts))
	for i, p := range parts {
		spots[i] = p.spot
	}
	return spots
}
