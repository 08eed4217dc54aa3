package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Recall is as bridge.Recaller says, with the newest n of each partition: which of two
// partitions has the newer ones nobody can say, and any may have all. It reads up to
// the fence, backwards, in steps that grow. // I6
func (s *sink) Recall(ctx context.Context, index, n int, each func(bridge.Placed)) error {
	l := s.lane(index)
	if l == nil {
		return fmt.Errorf("%s: %s: recall: lane %d is not open", Kind, s.opener.Describe(), index)
	}
	r := &lookback{cluster: newCluster(s.opener.system), layout: s.target.layout}
	defer r.cluster.close()
	relay := s.opener.id.String()
	for _, p := range l.parts {
		if n <= 0 {
			break
		}
		placed, err := r.newest(ctx, p, p.fenced, n, func(rec *record) (bridge.Placed, bool) { return placedOf(rec, relay) })
		if err != nil {
			return err
		}
		for i := range placed {
			each(placed[i])
		}
	}
	return nil
}

// newest gives the newest n of a partition's records in front of an offset that are
// wanted, oldest first, as far back as maxScan lets it look.
func (r *lookback) newest(ctx context.Context, p *partition, end int64, n int, want func(*record) (bridge.Placed, bool)) ([]bridge.Placed, error) {
	first, err := r.end(ctx, p, atEarliest)
	if err != nil {
		return nil, err
	}
	first = max(first, end-maxScan)
	var steps [][]bridge.Placed // newest first
	count := 0
	for step := int64(max(n, 1024)); end > first && count < n; step *= 4 {
		from := max(first, end-step)
		var found []bridge.Placed
		if err := r.between(ctx, p, from, end, func(rec *record) {
			if placed, ok := want(rec); ok {
				found = append(found, placed)
			}
		}); err != nil {
			return nil, err
		}
		steps = append(steps, found)
		count += len(found)
		end = from
	}
	all := make([]bridge.Placed, 0, count)
	for _, found := range slices.Backward(steps) {
		all = append(all, found...)
	}
	return all[max(0, count-n):], nil
}

// placedOf reads what the encoder has written into a record of a relay.
func placedOf(rec *record, relay string) (p bridge.Placed, ok bool) {
	p.Position = uint64(rec.offset)
	ours, named := false, false
	for i := range rec.headers {
		switch h := &rec.headers[i]; string(h.key) {
		case bridge.HopRelay:
			ours = string(h.value) == relay
		case bridge.HopID:
			var err error
			if p.ID, p.Key, err = bridge.ParseID(string(h.value)); err != nil {
				return p, false // somebody has used this relay's name
			}
			named = true
		}
	}
	return p, ours && named
}

// Locate is as bridge.Locator says, among the newest maxScan records of each partition
// that the key may have. Where the settings go by the message's address, that is any.
func (s *sink) Locate(ctx context.Context, key string, id bridge.ID) (position uint64, found bool, err error) {
	r := &lookback{cluster: newCluster(s.opener.system), layout: s.target.layout}
	defer r.cluster.close()
	want := id.Text(key)
	for _, p := range s.mayHave(key) {
		end, err := r.end(ctx, p, atLatest)
		if err != nil {
			return 0, false, err
		}
		placed, err := r.newest(ctx, p, end, 1, func(rec *record) (bridge.Placed, bool) {
			for i := range rec.headers {
				if h := &rec.headers[i]; string(h.key) == bridge.HopID && string(h.value) == want {
					return bridge.Placed{ID: id, Key: key, Position: uint64(rec.offset)}, true
				}
			}
			return bridge.Placed{}, false
		})
		if err != nil {
			return 0, false, err
		}
		if len(placed) == 1 {
			return placed[0].Position, true, nil
		}
	}
	return 0, false, nil
}

// mayHave gives the partitions in which a key's messages may be.
func (s *sink) mayHave(key string) []*partition {
	if t := s.target.only; t != nil && key != "" && s.opener.config.Partition == partitionByKey {
		return []*partition{{topic: t, index: partitionOf(octets(key), t.partitions)}}
	}
	return s.target.of(0, 1)
}
