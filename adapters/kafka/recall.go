package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Recall is as bridge.Recaller says, for one partition after another: which of two has
// the newer ones nobody can say, and any may have all. It reads up to the fence. // I6
func (s *sink) Recall(ctx context.Context, index, n int, each func(bridge.Placed) bool) error {
	l := s.lane(index)
	if l == nil {
		return fmt.Errorf("%s: %s: recall: lane %d is not open", Kind, s.opener.Describe(), index)
	}
	r := &lookback{cluster: newCluster(s.opener.system), layout: s.target.layout}
	defer r.cluster.close()
	relay := s.opener.id.String()
	for i, p := range l.parts {
		want := func(rec *record) (bridge.Placed, bool) {
			placed, ok := placedOf(rec, relay)
			placed.Log = int32(i)
			return placed, ok
		}
		if err := r.newest(ctx, p, p.fenced, n, want, each); err != nil {
			return err
		}
	}
	return nil
}

// The steps in which a partition is read backwards grow where few of its records are
// wanted.
const (
	firstStep   = 1 << 13
	longestStep = 1 << 18
)

// newest calls each with up to n of a partition's records in front of an offset that are
// wanted, the newest first, until it wants no more, as far back as maxScan lets it look.
func (r *lookback) newest(ctx context.Context, p *partition, end int64, n int, want func(*record) (bridge.Placed, bool), each func(bridge.Placed) bool) error {
	if n <= 0 {
		return nil
	}
	first, err := r.end(ctx, p, atEarliest)
	if err != nil {
		return err
	}
	first = max(first, end-maxScan)
	var found []bridge.Placed
	for step := int64(firstStep); end > first; {
		from := max(first, end-step)
		found = found[:0]
		if err := r.between(ctx, p, from, end, func(rec *record) {
			if placed, ok := want(rec); ok {
				found = append(found, placed)
			}
		}); err != nil {
			return err
		}
		for _, placed := range slices.Backward(found) {
			if n--; !each(placed) || n == 0 {
				return nil
			}
		}
		if end = from; int64(len(found)) < step/2 {
			step = min(4*step, longestStep)
		}
	}
	return nil
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
		case bridge.HopOrigin:
			p.Origin, _ = bridge.ParseOrigin(string(h.value))
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
		is := func(rec *record) (bridge.Placed, bool) {
			for i := range rec.headers {
				if h := &rec.headers[i]; string(h.key) == bridge.HopID && string(h.value) == want {
					return bridge.Placed{Position: uint64(rec.offset)}, true
				}
			}
			return bridge.Placed{}, false
		}
		err = r.newest(ctx, p, end, 1, is, func(placed bridge.Placed) bool {
			position, found = placed.Position, true
			return false
		})
		if err != nil || found {
			return position, found, err
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
