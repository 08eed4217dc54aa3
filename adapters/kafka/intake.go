package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An intake makes messages of chunks. It is Receive's.
type intake struct {
	chunk  *chunk // at hand
	opened bool   // a batch of it is at hand too
	reader batchReader
	filter abortedFilter
	record record
	room   room
	first  map[*part]int64 // the parts that come before all others, each up to that offset
}

// begin takes the next chunk in hand.
func (t *intake) begin(c *chunk) {
	t.chunk, t.opened = c, false
	t.reader.owned = true
	t.reader.reset(c.records)
	t.filter.reset(c.aborted)
}

// next gives the next record of the chunk that is for the relay. It is false at the end
// of the chunk.
func (t *intake) next(committed bool) (ok bool, err error) {
	for {
		if !t.opened {
			if more, err := t.batchToRead(committed); !more || err != nil {
				return false, err
			}
		}
		ok, err := t.reader.next(&t.record)
		switch {
		case err != nil:
			return false, err
		case !ok:
			t.opened = false
		case t.record.offset >= t.chunk.from: // a batch may begin before what was asked for
			return true, nil
		}
	}
}

// batchToRead goes to the next batch of which records are for the relay.
func (t *intake) batchToRead(committed bool) (bool, error) {
	for {
		h, ok, err := t.reader.nextBatch()
		if !ok || err != nil {
			return false, err
		}
		marker, err := t.reader.marker()
		if err != nil {
			return false, err
		}
		switch {
		case committed && t.filter.skip(&h, marker), h.control(), h.lastOffset < t.chunk.from:
			continue
		}
		t.opened = true
		t.room.begin(h.count)
		return true, nil
	}
}

// endOf gives the offset behind the last whole batch of a record set, and the leader epoch
// of that batch; 0 if there is none. What it reads is checked when the batch is.
func endOf(set []byte) (next int64, epoch int32) {
	for len(set) >= batchHeaderSize {
		length := int32(binary.BigEndian.Uint32(set[atLength:]))
		if length < batchHeaderSize-batchPrefix || int64(length)+batchPrefix > int64(len(set)) {
			return next, epoch
		}
		epoch = int32(binary.BigEndian.Uint32(set[atLeaderEpoch:]))
		next = int64(binary.BigEndian.Uint64(set)) + int64(int32(binary.BigEndian.Uint32(set[atLastOffsetDelta:]))) + 1
		set = set[batchPrefix+int(length):]
	}
	return next, epoch
}

// Receive is as bridge.Source says.
func (s *source) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, fmt.Errorf("%s: receive: no room for a delivery was given", Kind)
	}
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err := s.handled(); err != nil {
			return 0, err
		}
		n, err := s.some(into)
		if err != nil { // what came before it is void with the session
			s.end(err)
			return 0, s.ended(ctx, err)
		}
		if n > 0 {
			return n, nil
		}
		if err := s.wait(ctx); err != nil {
			return 0, s.ended(ctx, err)
		}
	}
}

// handled notes that whoever calls Receive is done with what it gave before, unless the
// session is over: then it says why.
func (s *source) handled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.reason(); why != nil {
		return why
	}
	for _, p := range s.ahead {
		p.given = p.scanned
	}
	s.ahead = s.ahead[:0]
	return nil
}

// idleCommit is after how long without anything new the floors are written that have
// moved over what is not for the relay: markers of transactions, records of aborted
// ones, and what compaction took.
const idleCommit = 2 * time.Second

// wait waits until something arrives.
func (s *source) wait(ctx context.Context) error {
	timer := time.NewTimer(idleCommit)
	defer timer.Stop()
	for {
		select {
		case <-s.reader.arrived:
			return nil
		case <-timer.C:
			if err := s.commit(context.WithoutCancel(ctx), nil); err != nil { // a write whose outcome is unknown would end the session
				return err
			}
			timer.Reset(idleCommit)
		case <-s.over:
			return bridge.ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// some gives what has arrived, as far as there is room. It may give nothing.
func (s *source) some(into []bridge.Delivery) (n int, err error) {
	t := &s.intake
	for n < len(into) {
		if t.chunk == nil {
			c := s.reader.next(t.first)
			if c == nil {
				return n, nil
			}
			t.begin(c)
		}
		p := t.chunk.part
		p.gap = p.gap || t.chunk.gap
		ok, err := t.next(!s.opener.config.Uncommitted)
		if err != nil {
			return 0, fmt.Errorf("%s: %s: topic %s: partition %d: %w", Kind, s.opener.system.name, p.topic, p.partition, err)
		}
		if !ok {
			s.passed(t.chunk)
			s.reader.done(t.chunk)
			if last, is := t.first[p]; is && t.chunk.next > last {
				delete(t.first, p)
			}
			t.chunk = nil
			continue
		}
		if len(t.first) > 0 && s.waits() {
			continue
		}
		receipt, fresh := s.receipt(p, &t.record)
		if !fresh {
			continue
		}
		d := &into[n]
		decode(&t.record, p.place, &d.Message, &t.room)
		d.Redelivered, d.Receipt, d.Stored = false, receipt, p.place.at(t.record.offset)
		d.Gap, p.gap = p.gap, false
		n++
	}
	return n, nil
}

// receipt begins a delivery. fresh is false if an earlier session has settled it.
func (s *source) receipt(p *part, r *record) (receipt bridge.Receipt, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scans(p, r.offset+1, s.intake.reader.header.leaderEpoch)
	ticket := p.window.Start(point{offset: r.offset, time: r.timestamp, epoch: s.intake.reader.header.leaderEpoch})
	for _, e := range p.early {
		if e[0] <= r.offset && r.offset <= e[1] {
			p.window.Done(ticket)
			s.mayMove(p)
			return receipt, false
		}
	}
	return bridge.Receipt{Shard: p.shard, Seq: uint64(p.number)<<ticketBits | ticket}, true
}

// passed notes that nothing is left of a chunk.
func (s *source) passed(c *chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scans(c.part, c.next, c.epoch)
	s.mayMove(c.part)
}

// scans notes how far a part has come; mu is held.
func (s *source) scans(p *part, to int64, epoch int32) {
	if p.given == p.scanned && p.scanned != to {
		s.ahead = append(s.ahead, p)
	}
	p.scanned, p.scannedEpoch = to, epoch
}
