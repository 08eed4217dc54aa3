package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// claim reads how far the relay has come, decides where partitions begin of which that is
// not known, and writes all of it under this session's generation: what an earlier
// session writes is refused from then on, and where the relay began is fixed, however
// late it comes to its first acknowledgement.
func (s *source) claim(ctx context.Context, l *layout, n *notes) error {
	marks, err := s.offsets.coordinator.marks(ctx)
	if err != nil {
		return err
	}
	relay := n.of(s.opener.id.Relay)
	var lives []entry
	for _, t := range topicsOf(s.parts) {
		if err := s.resume(ctx, l, t, marks, relay); err != nil {
			return err
		}
		name, id := t[0].topic, t[0].place.stream.Incarnation
		if relay.reads[name] != id {
			lives = append(lives, entry{Do: doRead, Relay: s.opener.id.Relay, Name: name, Topic: id})
		}
	}
	if err := s.Hold(ctx); err != nil {
		return err
	}
	s.learnEnds(ctx, l)
	// Not before: a relay that dies in between has begun, and a life that is noted has
	// positions.
	return n.write(ctx, lives...)
}

// topicsOf groups parts by topic.
func topicsOf(parts []*part) (topics [][]*part) {
	for from := 0; from < len(parts); {
		to := topicEnd(from, len(parts), func(i int) string { return parts[i].topic })
		topics = append(topics, parts[from:to])
		from = to
	}
	return topics
}

// resume decides where the partitions of one topic go on.
func (s *source) resume(ctx context.Context, l *layout, parts []*part, marks map[spot]mark, relay *belongings) error {
	name, id := parts[0].topic, parts[0].place.stream.Incarnation
	was, known := s.lifeOf(parts, marks, relay)
	switch {
	case known && was != id && !s.opener.config.Accept.Has(acceptRecreated):
		return bridge.Fatal(s.wrong(parts[0].spot, "the topic has the ID %s, but the relay has read one with the ID %s", id, was),
			"The topic was deleted and made again, so its offsets mean something else. Let the relay start afresh with crossfade remove "+s.opener.id.Relay+", or write accept: ["+acceptRecreated+"] to copy what it holds now.")
	case known && was != id:
		return s.beginAt(ctx, l, bridge.Start{Kind: bridge.StartFirst}, parts)
	}
	var fresh []*part
	for _, p := range parts {
		if m, ok := marks[p.spot]; ok {
			p.floor, p.epoch, p.early = m.floor, m.epoch, m.runs()
			p.scanned, p.scannedEpoch = p.floor, p.epoch
		} else {
			fresh = append(fresh, p)
		}
	}
	start := s.opener.config.Start
	switch {
	case len(fresh) == 0:
		return nil
	case len(fresh) == len(parts) && known:
		return bridge.Fatal(fmt.Errorf("%s: %s: group %s holds no offset of topic %s, which the relay has read", Kind, s.opener.system.name, groupOf(s.opener.id), name),
			"Its offsets were deleted, or expired while no process of the relay ran (offsets.retention.minutes). Nobody knows any more what was copied: set them with kafka-consumer-groups --reset-offsets, or let the relay start afresh with crossfade remove "+s.opener.id.Relay+".")
	case len(fresh) < len(parts), s.opener.config.pattern != nil && len(relay.reads) > 0:
		start = bridge.Start{Kind: bridge.StartFirst} // they were added while the relay was at work
	}
	return s.beginAt(ctx, l, start, fresh)
}

// lifeOf says which life of a topic the relay has read, if it has read one. An offset that
// was set by hand says nothing of a life, and is taken as it is.
func (s *source) lifeOf(parts []*part, marks map[spot]mark, relay *belongings) (id string, known bool) {
	id, known = relay.reads[parts[0].topic]
	for _, p := range parts {
		m, ok := marks[p.spot]
		if !ok {
			continue
		}
		if m.note.Topic == "" {
			return p.place.stream.Incarnation, true
		}
		id, known = m.note.Topic, true
		if id != p.place.stream.Incarnation {
			return id, true
		}
	}
	return id, known
}

// beginAt sets where parts begin.
func (s *source) beginAt(ctx context.Context, l *layout, start bridge.Start, parts []*part) error {
	begins, err := s.opener.begins(ctx, s.asks, l, start, spotsOf(parts))
	if err != nil {
		return err
	}
	for _, p := range parts {
		p.floor, p.epoch = begins[p.spot], -1
		p.scanned, p.scannedEpoch, p.early = p.floor, -1, nil
	}
	return nil
}

// startHint goes with every start that the topics cannot give.
const startHint = "Write start: first for all that is retained, now for what comes from now on, a time, or an origin that is held."

// begins gives the first offset of partitions that the relay has never read.
func (o *SourceOpener) begins(ctx context.Context, c *cluster, l *layout, start bridge.Start, spots []spot) (map[spot]int64, error) {
	switch start.Kind {
	case bridge.StartNow:
		return c.positions(ctx, l, atLatest, false, spots...)
	case bridge.StartTime:
		return o.beginsAt(ctx, c, l, start.Time, spots)
	case bridge.StartOrigin:
		return o.beginsWith(ctx, c, l, start, spots)
	}
	return c.positions(ctx, l, atEarliest, false, spots...)
}

// beginsAt gives the first record at or after a time; where there is none, what comes
// from now on.
func (o *SourceOpener) beginsAt(ctx context.Context, c *cluster, l *layout, at time.Time, spots []spot) (map[spot]int64, error) {
	if at.After(time.Now()) {
		err := fmt.Errorf("%s: %s: start %s: that is yet to come; what is stored until then would not be copied", Kind, o.system.name, at.Format(time.RFC3339Nano))
		return nil, bridge.Fatal(err, startHint)
	}
	// The end is asked for first: a record that comes in between is found by its time.
	ends, err := c.positions(ctx, l, atLatest, false, spots...)
	if err != nil {
		return nil, err
	}
	ms := at.UnixMilli()
	if at.After(time.UnixMilli(ms)) {
		ms++ // records have whole milliseconds
	}
	found, err := c.positions(ctx, l, ms, false, spots...)
	if err != nil {
		return nil, err
	}
	for s, offset := range found {
		if offset < 0 {
			found[s] = ends[s]
		}
	}
	return found, nil
}

// beginsWith gives the record that an origin names; the other partitions begin at
// their first record, since an origin says nothing of them.
func (o *SourceOpener) beginsWith(ctx context.Context, c *cluster, l *layout, start bridge.Start, spots []spot) (map[spot]int64, error) {
	if err := o.reaches(ctx, c, l, &start); err != nil {
		return nil, err
	}
	found, err := c.positions(ctx, l, atEarliest, false, spots...)
	if err != nil {
		return nil, err
	}
	for _, s := range spots {
		if s.topic == start.Stream.Name && s.partition == start.Shard {
			found[s] = int64(start.Offset)
		}
	}
	return found, nil
}

// reaches says why a relay cannot begin with an origin. One that is not held any more is
// refused and not passed over: it says which records would be missing.
func (o *SourceOpener) reaches(ctx context.Context, c *cluster, l *layout, start *bridge.Start) error {
	wrong := func(format string, args ...any) error {
		return bridge.Fatal(fmt.Errorf("%s: %s: start %s: %s", Kind, o.system.name, start, fmt.Sprintf(format, args...)), startHint)
	}
	at := spot{start.Stream.Name, start.Shard}
	t := l.topics[at.topic]
	switch {
	case start.Stream.System != Kind:
		return wrong("that is a message of %s", bridge.Printable(start.Stream.System, 40))
	case t == nil || !o.config.matches(t.name, t.internal):
		return wrong("the relay does not read topic %s", bridge.Printable(at.topic, 100))
	case start.Stream.Cluster != l.cluster || start.Stream.Incarnation != incarnationOf(t):
		return wrong("this is another topic of that name, whose messages are %s", bridge.Origin{Stream: &bridge.Stream{
			System: Kind, Cluster: l.cluster, Name: t.name, Incarnation: incarnationOf(t), Replayable: true}, Shard: at.partition, Offset: start.Offset})
	case int(at.partition) >= len(t.partitions) || at.partition < 0:
		return wrong("it has %d partitions", len(t.partitions))
	}
	firsts, err := c.positions(ctx, l, atEarliest, false, at)
	if err != nil {
		return err
	}
	lasts, err := c.positions(ctx, l, atLatest, false, at)
	if err != nil {
		return err
	}
	switch first, last := uint64(firsts[at]), uint64(lasts[at]); {
	case start.Offset < first:
		return wrong("the partition begins at %d; the records from %d to %d are gone and would not be copied", first, start.Offset, first-1)
	case start.Offset > last:
		return wrong("the partition ends at %d; the records from there to %d would not be copied", last, start.Offset-1)
	}
	return nil
}
