package nats

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// maxRecall is how many of a relay's messages can be read back; it bounds the
	// debt, and costs half a second or so at the start of a session.
	maxRecall = 1 << 17
	// maxScan is how far back Recall looks for them among those of others, in runs that
	// are longer where few are the relay's.
	maxScan    = 1 << 20
	firstRun   = 1 << 13
	longestRun = 1 << 16
)

// Recall is as bridge.Recaller says: it reads headers only, backwards in runs of
// sequences. What landed after Open is not looked at: then nothing that this session
// sends is taken. // I6
func (s *sink) Recall(ctx context.Context, index, n int, each func(bridge.Placed) bool) error {
	l := s.lane(index)
	if l == nil {
		return fmt.Errorf("%s: stream %s: recall: lane %d is not open", Kind, s.opener.config.Stream, index)
	}
	if n <= 0 || s.opener.config.Consumed || bridge.Planted(bridge.BugRecallOff) {
		return nil
	}
	run, last := uint64(firstRun), l.target.last
	for end := last; end >= max(1, l.target.first) && last-end < maxScan; {
		start := max(1, l.target.first, end-min(run, end)+1)
		placed, err := s.readBack(ctx, l.conn, start, end)
		if err != nil {
			return err
		}
		for _, p := range slices.Backward(placed) {
			if n--; !each(p) || n == 0 {
				return nil
			}
		}
		if uint64(len(placed)) < run/2 {
			run = min(2*run, longestRun)
		}
		end = start - 1
	}
	return nil
}

// readBack gives this relay's messages between two sequences.
func (s *sink) readBack(ctx context.Context, conn *connection, start, end uint64) ([]bridge.Placed, error) {
	r, err := conn.openReader(ctx, readerConfig{
		stream: s.opener.config.Stream, start: start, headersOnly: true,
		maxPending: int(min(end-start+1, defaultMaxPending)), maxBytes: defaultMaxBytes, metadata: ownMetadata(s.opener.id, purposeRecall),
	})
	if err != nil {
		return nil, err
	}
	defer r.forget()
	var placed []bridge.Placed
	relay := s.opener.id.String()
	err = r.until(ctx, end, func(m *nats.Msg, pos position) error {
		if v := m.Header[bridge.HopRelay]; len(v) != 1 || v[0] != relay {
			return nil
		}
		if p, err := placedOf(m, pos); err == nil { // else somebody has used this relay's name
			placed = append(placed, p)
		}
		return nil
	})
	return placed, err
}

// placedOf reads the ID as encode has written it.
func placedOf(m *nats.Msg, pos position) (p bridge.Placed, err error) {
	p.Position = pos.stream
	if v := m.Header[bridge.HopOrigin]; len(v) == 1 {
		p.Origin, _ = bridge.ParseOrigin(v[0])
	}
	if v := m.Header[bridge.HopID]; len(v) == 1 {
		p.ID, p.Key, err = bridge.ParseID(v[0])
	} else if v := m.Header[headerMsgID]; len(v) == 1 && !strings.HasPrefix(v[0], unnamedPrefix) {
		p.ID, p.Key, err = bridge.ParseNativeID(v[0])
	}
	return p, err
}
