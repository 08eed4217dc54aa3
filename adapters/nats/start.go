package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// validStart says that a relay can begin there at all.
func (c *SourceConfig) validStart() error {
	s := &c.Start
	switch {
	case c.Core && s.Kind != bridge.StartDefault && s.Kind != bridge.StartNow:
		return wrongIn("from", "start %s: core NATS keeps nothing, so it can only be now: what was published before the relay runs is not copied", s)
	case s.Kind == bridge.StartOffset && s.Offset == 0:
		return wrongIn("from", "start 0: the first message of a stream has the number 1; all that it holds is start: first")
	case s.Kind == bridge.StartOrigin && (s.Stream.System != Kind || s.Stream.Name != c.Stream):
		return wrongIn("from", "start %s: that is a message of %s %s, and the relay reads stream %s", s, s.Stream.System, bridge.Printable(s.Stream.Name, 64), c.Stream)
	}
	return nil
}

// originOf is what the origins of a stream's messages name.
func originOf(info *jetstream.StreamInfo) *bridge.Stream {
	return &bridge.Stream{
		System: Kind, Cluster: clusterOf(info), Name: info.Config.Name,
		Incarnation: strconv.FormatInt(info.Created.UnixNano(), 36), Replayable: true,
	}
}

// begin is the mark of a relay's first session: from then on it is fixed where
// the relay began, however late it comes to its first acknowledgement.
func (s *source) begin(ctx context.Context) (mark, error) {
	m := mark{Stream: s.info.Config.Name, Created: s.info.Created, Floor: s.info.State.LastSeq}
	var err error
	switch start := &s.cfg.Start; start.Kind {
	case bridge.StartNow:
	case bridge.StartTime:
		m.Floor, err = s.conn.before(ctx, s.info, start.Time)
	case bridge.StartOffset, bridge.StartOrigin:
		if err = reaches(s.info, start); err == nil {
			m.Floor = start.Offset - 1
		} else {
			err = fatally(s.conn, s.info, err)
		}
	default:
		m = s.beginFirst()
	}
	return m, err
}

// beginFirst is a mark in front of all that the stream holds.
func (s *source) beginFirst() mark {
	m := mark{Stream: s.info.Config.Name, Created: s.info.Created, Floor: s.info.State.LastSeq}
	if s.info.State.Msgs > 0 {
		m.Floor = s.info.State.FirstSeq - 1
	}
	return m
}

// startHint goes with every start that the stream cannot give.
const startHint = "Write start: first for all that the stream holds, now for what comes from now on, or a position that it holds."

func fatally(c *connection, info *jetstream.StreamInfo, err error) error {
	return bridge.Fatal(fmt.Errorf("%s: %s: stream %s: %w", Kind, c.system.name, info.Config.Name, err), startHint)
}

// reaches says why a relay cannot begin at a position of the stream. One that the
// stream does not hold any more is refused and not passed over: it says which
// messages would be missing.
func reaches(info *jetstream.StreamInfo, start *bridge.Start) error {
	if start.Kind == bridge.StartOrigin {
		if is := originOf(info); start.Stream.Cluster != is.Cluster || start.Stream.Incarnation != is.Incarnation {
			return fmt.Errorf("start %s: this is another stream of that name, whose messages are %s", start, bridge.Origin{Stream: is, Offset: start.Offset})
		}
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	switch {
	case start.Offset > last+1:
		return fmt.Errorf("start %s: it ends at %d; the messages from %d to %d would not be copied", start, last, last+1, start.Offset-1)
	case start.Offset < first:
		return fmt.Errorf("start %s: it begins at %d; the messages from %d to %d are gone and would not be copied", start, first, start.Offset, first-1)
	}
	return nil
}

// before gives the sequence in front of the first message at or after a time. The
// server looks it up for a consumer, which is of no further use.
func (c *connection) before(ctx context.Context, info *jetstream.StreamInfo, at time.Time) (uint64, error) {
	if at.After(time.Now()) {
		return 0, fatally(c, info, fmt.Errorf("start %s: that is yet to come; what is stored until then would not be copied", at.Format(time.RFC3339Nano)))
	}
	name := info.Config.Name
	consumer, err := c.js.CreateConsumer(ctx, name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &at, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: consumerLife, MemoryStorage: true, Replicas: 1, HeadersOnly: true,
	})
	if err != nil {
		return 0, c.failed(ctx, "stream "+name+": look for the start", err)
	}
	found := consumer.CachedInfo()
	if err := c.js.DeleteConsumer(ctx, name, found.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, c.failed(ctx, "stream "+name+": look for the start", err)
	}
	return found.Delivered.Stream, nil
}

// begins says, in a preflight, where the relay will begin and what of the stream
// is not copied.
func (p *preflight) begins(ctx context.Context, subject string, info *jetstream.StreamInfo, start *bridge.Start) {
	state := &info.State
	switch start.Kind {
	case bridge.StartNow:
		if state.Msgs > 0 {
			p.warn(subject, fmt.Sprintf("none yet; the relay will begin at what comes from then on: the %d messages that the stream holds are not copied", state.Msgs), "Write start: first to copy them.")
			return
		}
		p.pass(subject, "none yet; the relay will begin at what comes from then on")
	case bridge.StartOffset, bridge.StartOrigin:
		if err := reaches(info, start); err != nil {
			p.failed(subject, err, startHint)
			return
		}
		p.pass(subject, fmt.Sprintf("none yet; the relay will begin at %d", start.Offset))
	case bridge.StartTime:
		p.beginsAt(ctx, subject, info, start.Time)
	default:
		p.pass(subject, "none yet; the relay will begin at the first message that the stream holds")
	}
}

func (p *preflight) beginsAt(ctx context.Context, subject string, info *jetstream.StreamInfo, at time.Time) {
	text := "none yet; the relay will begin at the first message at or after " + at.Format(time.RFC3339Nano)
	if at.After(time.Now()) {
		p.failed(subject, errors.New("start "+at.Format(time.RFC3339Nano)+": that is yet to come"), startHint)
		return
	}
	if first := info.State.FirstSeq; first > 1 && info.State.FirstTime.After(at) {
		p.warn(subject, fmt.Sprintf("%s: the stream begins at %d, of %s; what was stored before is gone and not copied", text, first, made(info.State.FirstTime)), "")
		return
	}
	p.pass(subject, text)
}
