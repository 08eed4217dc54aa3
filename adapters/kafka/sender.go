package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// A sender carries batches to leaders, one request at a time, and deals with what
// they answer. It has connections of its own.
type sender struct {
	lane    *lane
	cluster *cluster
	group   []*partition // of the request at hand: of one leader
	req     produceRequest
	res     produceResponse
	body    []byte
}

func newSender(l *lane) *sender { return &sender{lane: l, cluster: newCluster(l.sink.opener.system)} }

// run works until the lane is over.
func (s *sender) run(ctx context.Context) {
	defer s.cluster.close()
	for s.take() {
		if err := s.produce(ctx); err != nil {
			s.lane.stop(err)
			return
		}
	}
}

// maxRequest is about how many octets of batches go into one request.
const maxRequest = 4 << 20

// take waits for something to send, and takes the oldest batch of each partition that
// is ready and has the leader of the one that waits longest. It gives false when the
// lane is over.
func (s *sender) take() bool {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ready) == 0 && l.err == nil {
		l.idle++
		l.work.Wait()
		l.idle--
	}
	if l.err != nil {
		return false
	}
	s.group = s.group[:0]
	leader, octets, rest := l.ready[0].leader, 0, l.ready[:0]
	for _, p := range l.ready {
		if p.leader != leader || octets > maxRequest {
			rest = append(rest, p)
			continue
		}
		p.take()
		octets += p.sending.size()
		s.group = append(s.group, p)
	}
	clear(l.ready[len(rest):])
	l.ready = rest
	l.rouse()
	return true
}

// take makes the partition's oldest batch the one that is under way. The lane's
// mutex is held.
func (p *partition) take() {
	b := p.queue[0]
	p.queue = slices.Delete(p.queue, 0, 1)
	p.listed = false
	b.closed = true
	p.sending = b
	if p.since.IsZero() {
		p.since = time.Now()
	}
}

// produce sends the group's batches. An error ends the lane.
func (s *sender) produce(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	err := s.exchange(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return s.again(ctx, s.group, err)
	}
	return s.answers(ctx)
}

// prepare makes the request.
func (s *sender) prepare() error {
	slices.SortFunc(s.group, (*partition).compare)
	s.req.timeout = int32(s.lane.sink.opener.system.config.RequestTimeout.Milliseconds())
	s.req.partitions = s.req.partitions[:0]
	for _, p := range s.group {
		b := p.sending
		if b.packed == nil {
			var err error
			if b.packed, err = b.finish(); err != nil {
				return fmt.Errorf("%s: topic %s partition %d: %w", Kind, p.topic.name, p.index, err)
			}
		}
		s.req.partitions = append(s.req.partitions, producePartition{topic: p.topic.name, index: p.index, batch: b.packed})
	}
	return nil
}

// exchange sends the request to the group's leader and reads the answer.
func (s *sender) exchange(ctx context.Context) error {
	l := s.lane
	l.mu.Lock()
	leader, address := s.group[0].leader, l.brokers[s.group[0].leader]
	l.mu.Unlock()
	if address == "" {
		return errNoLeader
	}
	k, err := s.cluster.at(ctx, leader, address)
	if err != nil {
		return err
	}
	version, err := k.version(protocol.Produce, 3, 8)
	if err != nil {
		return err
	}
	s.body, err = k.exchange(ctx, &frame{
		key: protocol.Produce, version: version, wait: time.Duration(s.req.timeout) * time.Millisecond,
		body: func(dst []byte) []byte { return appendProduce(dst, version, &s.req) },
	}, s.body)
	if err != nil {
		return err
	}
	if err := readProduce(s.body, version, &s.res); err != nil {
		return k.failed("Produce", err)
	}
	return nil
}

// answers deals with what the leader said of each batch.
func (s *sender) answers(ctx context.Context) error {
	var retry []*partition
	var cause, failure error
	for _, p := range s.group {
		again, err := error(nil), errUnanswered
		if r := s.answerOf(p); r != nil {
			again, err = s.lane.answered(p, r)
		}
		if err != nil && failure == nil {
			failure = s.about(p, err)
		}
		if again != nil {
			retry, cause = append(retry, p), again
		}
	}
	s.lane.flush()
	if failure != nil || len(retry) == 0 {
		return failure
	}
	return s.again(ctx, retry, cause)
}

var errUnanswered = errors.New("the leader said nothing about its batch")

// about says which partition an error is about.
func (s *sender) about(p *partition, err error) error {
	return fmt.Errorf("%s: %s: topic %s partition %d: %w", Kind, s.cluster.system.name, p.topic.name, p.index, err)
}

// answerOf finds the answer for one partition.
func (s *sender) answerOf(p *partition) *produceResult {
	for i := range s.res.partitions {
		if r := &s.res.partitions[i]; r.index == p.index && r.topic == p.topic.name {
			return r
		}
	}
	return nil
}

// again has the same batches sent once more, to whoever leads their partitions by
// then. Their sequences tell the leader which of them it has (KIP-98). A partition
// that makes no progress for twice request_timeout ends the lane.
func (s *sender) again(ctx context.Context, parts []*partition, cause error) error {
	patience := 2 * s.cluster.system.config.RequestTimeout
	var names []string
	var longest time.Duration
	for _, p := range parts {
		if stopping(cause) {
			return s.about(p, cause)
		}
		tried := time.Since(p.since)
		if tried > patience {
			return s.about(p, fmt.Errorf("no progress for %s: %w", tried.Round(time.Millisecond), cause))
		}
		longest = max(longest, tried)
		if !slices.Contains(names, p.topic.name) {
			names = append(names, p.topic.name)
		}
	}
	if !pause(ctx, min(max(longest/4, leastPause), mostPause)) {
		return context.Cause(ctx)
	}
	found, err := s.cluster.look(ctx, names...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if stopping(err) {
			return err
		}
		found = nil // all of them may be away for the moment
	}
	return s.relist(parts, found)
}

// How long a sender waits before it sends a batch again: the longer, the longer the
// batch has been tried.
const (
	leastPause = 20 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// relist puts batches back to what is ready, for the leaders that were found.
func (s *sender) relist(parts []*partition, found *layout) error {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range parts {
		if found != nil {
			if err := p.lookedUp(found); err != nil {
				return s.about(p, err)
			}
		}
		p.queue = slices.Insert(p.queue, 0, p.sending)
		p.sending = nil
		l.enlist(p)
	}
	if found != nil {
		l.brokers = found.brokers
	}
	l.rouse()
	return nil
}

// lookedUp learns who leads the partition by now. The lane's mutex is held.
func (p *partition) lookedUp(found *layout) error {
	t := found.topics[p.topic.name]
	switch {
	case t == nil || int(p.index) >= len(t.partitions):
		p.leader = -1 // deleted, or not everywhere yet
	case t.id != p.topic.id:
		return fmt.Errorf("the topic was deleted and made again: its ID was %s and is %s", p.topic.id, t.id)
	default:
		p.leader = t.partitions[p.index].leader
	}
	return nil
}

// unwell says that a leader could not take a batch now, and may later.
func unwell(e kafkago.Error) bool {
	switch e {
	case kafkago.RequestTimedOut, kafkago.BrokerNotAvailable, kafkago.NetworkException, kafkago.NotEnoughReplicas,
		kafkago.NotEnoughReplicasAfterAppend, kafkago.ThrottlingQuotaExceeded, kafkago.InvalidMessage, kafkago.ListenerNotFound:
		return true
	}
	return elsewhere(e)
}

// said is what a leader's answer says in words.
func said(r *produceResult) string {
	var text []string
	for _, rec := range r.records {
		if rec.message != "" {
			text = append(text, rec.message)
			break
		}
	}
	if r.message != "" && !slices.Contains(text, r.message) {
		text = append(text, r.message)
	}
	return strings.Join(text, "; ")
}
