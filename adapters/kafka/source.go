package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A SourceOpener opens sessions of one tap of topics.
type SourceOpener struct {
	system *system
	id     bridge.Identity
	config SourceConfig
}

// Source validates the from block of a relay.
func (s *system) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	var c SourceConfig
	if err := settings(&c); err != nil {
		return nil, err
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	return &SourceOpener{system: s, id: id, config: c}, nil
}

// Traits are what a tap of topics promises.
func (o *SourceOpener) Traits() bridge.SourceTraits {
	t := bridge.SourceTraits{
		Ordered: true, Durable: true, Replayable: true, SourceTime: true, Journals: true, Sharded: true,
		Notes: []string{
			"The tap is the consumer group " + groupOf(o.id) + ", in which one process has all partitions; its offsets are the relay's position.",
			"What retention removes before it is read is a gap: the relay stops and says so.",
		},
	}
	if o.config.Uncommitted {
		t.Notes = append(t.Notes, "Records of transactions that are aborted later are copied too (uncommitted).")
	}
	return t
}

// Describe names the tap.
func (o *SourceOpener) Describe() string {
	switch {
	case o.config.Pattern != "":
		return "topics /" + o.config.Pattern + "/"
	case len(o.config.Topics) == 1:
		return "topic " + o.config.Topics[0]
	}
	return "topics " + strings.Join(o.config.Topics, ", ")
}

// A part is one partition that a session reads.
type part struct {
	spot
	number int     // among the session's
	id     topicID // of the topic; zero where the brokers know none
	place  place
	shard  int32
	gap    bool // Receive's: records were removed in front of the next

	window       window // guarded by the source's mu, as what follows
	scanned      int64  // nothing of the partition is waiting for Receive below this offset
	scannedEpoch int32  // of the leader that wrote what is in front of it; -1 is not known
	given        int64  // scanned when Receive was called last, or waited; -1 before
	early        []run  // what earlier sessions have settled above their floor
	changed      bool   // it is among those whose floor may have moved

	floor int64 // that the group holds; guarded by the source's ackMu
	epoch int32 // of the leader that wrote what is in front of the floor; likewise

	feed feed // the reader's
}

// A source is a session of a tap.
//
//	group ◄─beat── member          leaders ──► reader ──► Receive
//	      ◄─commit── offsets ◄── Ack
type source struct {
	opener  *SourceOpener
	asks    *cluster // layouts, positions
	commits *cluster
	joins   *cluster // the membership, which may wait long for an answer
	member  *member
	offsets *offsets
	reader  *reader
	parts   []*part
	intake  intake         // Receive's
	ends    map[spot]int64 // where the partitions ended when the session began, if known

	stop    context.CancelFunc // ends what runs in the background
	running sync.WaitGroup
	over    chan struct{} // closed at the end of the session

	mu     sync.Mutex // guards what follows, and the parts; not held across I/O
	cause  error      // why the session is over
	closed bool
	moved  []*part // those whose floor may have moved
	ahead  []*part // those that are scanned further than given

	ackMu sync.Mutex // one writer of the positions at a time: Ack, Hold, Close or the reader
	wrote time.Time  // when the latest write ended
}

// Open begins a session: it waits until no other process has the tap, takes it, and
// reads on behind what the relay has acknowledged.
func (o *SourceOpener) Open(ctx context.Context) (bridge.Source, error) {
	s := &source{opener: o, asks: newCluster(o.system), commits: newCluster(o.system), joins: newCluster(o.system), over: make(chan struct{})}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.open(ctx, background); err != nil {
		if why := s.why(); why != nil && ctx.Err() == nil {
			err = why
		}
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open gets everything for a session; background lasts as long as that.
func (s *source) open(ctx, background context.Context) error {
	l, err := s.tapped(ctx)
	if err != nil {
		return err
	}
	group := groupOf(s.opener.id)
	s.member = newMember(s.joins, group, assignmentOf(s.parts))
	s.offsets = &offsets{coordinator: coordinator{cluster: s.commits, group: group}, member: s.member, ended: s.over}
	if err := s.member.standBy(ctx); err != nil {
		return err
	}
	n, err := openNotes(ctx, s.asks, s.opener.id.Bridge)
	if err != nil {
		return err
	}
	if err := n.makes(ctx, s.opener.id.Relay, kindGroup, group, useTap); err != nil {
		return err
	}
	if err := s.member.join(ctx); err != nil {
		return err
	}
	s.run(background, s.member.beat)
	if err := s.claim(ctx, l, n); err != nil {
		return err
	}
	s.reader = newReader(s, l)
	s.run(background, s.reader.lead)
	return nil
}

// run runs f beside the session, which ends with what f gives.
func (s *source) run(ctx context.Context, f func(context.Context) error) {
	s.running.Go(func() {
		if err := f(ctx); ctx.Err() == nil {
			s.end(err)
		}
	})
}

// end ends the session for a reason. The first one counts.
func (s *source) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

func (s *source) finish(err error) {
	if s.cause == nil {
		s.cause = err
		close(s.over)
		s.stop()
	}
}

// why is the reason for which the session is over, or nil.
func (s *source) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason()
}

func (s *source) reason() error {
	if s.closed {
		return bridge.ErrClosed
	}
	return s.cause
}

// ended says why a method failed.
func (s *source) ended(ctx context.Context, err error) error {
	switch why := s.why(); {
	case why != nil:
		return why
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// tapped looks which partitions are tapped.
func (s *source) tapped(ctx context.Context) (*layout, error) {
	l, topics, err := s.opener.look(ctx, s.asks)
	if err == nil {
		s.partition(l, topics)
	}
	return l, err
}

// partition makes the parts of topics.
func (s *source) partition(l *layout, topics []*topicLayout) {
	for _, t := range topics {
		stream := &bridge.Stream{System: Kind, Cluster: l.cluster, Name: t.name, Incarnation: incarnationOf(t), Replayable: true}
		var id topicID
		_, _ = hex.Decode(id[:], []byte(t.id)) // look has written it
		for i := range t.partitions {
			at := spot{t.name, int32(i)}
			s.parts = append(s.parts, &part{spot: at, number: len(s.parts), id: id, place: place{stream, at.partition}, shard: shardOf(at), window: newWindow(), given: -1})
		}
	}
	s.ahead = slices.Clone(s.parts)
}

func assignmentOf(parts []*part) assignment {
	a := assignment{}
	for _, p := range parts {
		a[p.topic] = append(a[p.topic], p.partition)
	}
	return a
}

// unknownIncarnation stands for the topic IDs of clusters that have none.
const unknownIncarnation = "0"

func incarnationOf(t *topicLayout) string {
	if t.id == "" {
		return unknownIncarnation
	}
	return t.id
}

// shardOf gives a partition's number among shards, the same in every session: that of
// the partition alone would be shared by those of other topics.
func shardOf(s spot) int32 {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s/%d", s.topic, s.partition)
	return int32(h.Sum32() >> 1)
}

// ticketBits is how many bits of a receipt's Seq are the ticket in the partition's
// window; the others are the number of the partition.
const ticketBits = 40

// Ack is as bridge.Source says. The low watermarks go into the group with one commit.
// // I1
func (s *source) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	s.settle(receipts)
	return s.commit(ctx, nil)
}

// settle notes what is acknowledged.
func (s *source) settle(receipts []bridge.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range receipts {
		seq := receipts[i].Seq
		if n := seq >> ticketBits; n < uint64(len(s.parts)) {
			p := s.parts[n]
			p.window.Done(seq & (1<<ticketBits - 1))
			s.mayMove(p)
		}
	}
}

// mayMove notes that a part's floor may have moved; mu is held.
func (s *source) mayMove(p *part) {
	if !p.changed {
		p.changed = true
		s.moved = append(s.moved, p)
	}
}

// commit writes the floors that have moved, and those of others.
func (s *source) commit(ctx context.Context, others []*part) error {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	if why := s.why(); why != nil {
		return why
	}
	marks := s.marks(others)
	if len(marks) == 0 {
		return nil
	}
	s.pace(ctx)
	if err := s.write(ctx, marks); err != nil {
		err = s.ended(ctx, err)
		s.end(err)
		return err
	}
	return nil
}

// marks takes down what is to be written: the floors that have moved, and those of
// others; ackMu is held.
func (s *source) marks(others []*part) map[spot]mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks := map[spot]mark{}
	for _, p := range others {
		marks[p.spot] = s.mark(p)
	}
	for _, p := range s.moved {
		p.changed = false
		if m := s.mark(p); m.floor > p.floor {
			marks[p.spot] = m
		}
	}
	s.moved = s.moved[:0]
	return marks
}

// mark gives how far a part has come; mu is held.
func (s *source) mark(p *part) mark {
	floor, epoch := p.floor, p.epoch
	if newest, moved := p.window.settle(); moved {
		floor, epoch = newest.offset+1, newest.epoch
	}
	if p.window.Len() == 0 {
		floor, epoch = p.scanned, p.scannedEpoch
	}
	p.early = above(p.early, floor)
	return mark{floor: floor, epoch: epoch, note: noteOf(p.place.stream.Incarnation, floor, p.early)}
}

// write commits marks; ackMu is held.
func (s *source) write(ctx context.Context, marks map[spot]mark) error {
	written := marks
	if bridge.Planted(bridge.BugCommitBackwards) && rand.IntN(2) == 0 {
		written = backwards(marks)
	}
	if err := s.offsets.commit(ctx, written); err != nil {
		return err
	}
	for _, p := range s.parts {
		if m, ok := marks[p.spot]; ok {
			p.floor, p.epoch = m.floor, m.epoch
		}
	}
	s.wrote = time.Now()
	return nil
}

// backwards is a planted mistake: half of what is settled is taken back.
func backwards(marks map[spot]mark) map[spot]mark {
	earlier := maps.Clone(marks)
	for s, m := range earlier {
		m.floor /= 2
		earlier[s] = m
	}
	return earlier
}

// pace waits until the next write is due; ackMu is held.
func (s *source) pace(ctx context.Context) {
	wait := ackEvery - time.Since(s.wrote)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.over:
	}
}

// Hold is as bridge.Holder says: the floors are written anew, which only the member of
// the newest generation can do. // I6
func (s *source) Hold(ctx context.Context) error { return s.commit(ctx, s.parts) }

// Close is as bridge.Source says.
func (s *source) Close() error {
	s.mu.Lock()
	was, lost := s.closed, s.cause != nil
	s.closed = true
	s.finish(bridge.ErrClosed)
	s.mu.Unlock()
	if was {
		return nil
	}
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if s.member != nil {
		if s.reader != nil && !lost {
			s.leave(ctx)
		}
		s.member.leave(ctx)
	}
	for _, c := range []*cluster{s.asks, s.commits, s.joins} {
		c.close()
	}
	return nil
}

// leaveTime bounds the orderly end of a session.
const leaveTime = time.Second

// leave writes the newest floors and what is acknowledged above them, so that it does
// not come again after an orderly end. If it cannot, it comes again.
func (s *source) leave(ctx context.Context) {
	if !s.ackMu.TryLock() {
		return // a write is on its way and may not come back
	}
	defer s.ackMu.Unlock()
	marks := map[spot]mark{}
	s.mu.Lock()
	for _, p := range s.parts {
		m := s.mark(p)
		early, newest := p.window.early(), m.floor
		if n := len(early); n > 0 {
			newest = early[n-1][1] + 1
		}
		early = append(early, above(p.early, newest)...)
		if m.floor > p.floor || len(early) > 0 {
			m.note = noteOf(p.place.stream.Incarnation, m.floor, early)
			marks[p.spot] = m
		}
	}
	s.mu.Unlock()
	if len(marks) > 0 {
		_ = s.write(ctx, marks)
	}
}
