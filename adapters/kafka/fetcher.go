package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A fetcher asks one leader for all parts that it leads.
type fetcher struct {
	reader  *reader
	node    int32
	address string
	room    chan struct{} // there is room for a part, or a part is new
	running bool          // guarded by the reader's mu

	req   fetchRequest // run's, as what follows
	asked []*part
	told  []*part // those that the last answer told of
	res   fetchResponse
	turn  int // which part is asked for first
	wait  time.Duration
	some  bool // the last answer had records
	still bool // parts are full, and nobody has made room for a while
}

// run fetches until nothing is left for it to do.
func (f *fetcher) run(ctx context.Context) error {
	for {
		if err := f.prove(ctx); err != nil {
			if bridge.ClassOf(err) == bridge.Transient {
				f.gone(err)
				return nil
			}
			return err
		}
		some, full := f.plan()
		switch {
		case !some && !full:
			return nil
		case !some:
			select {
			case <-f.room:
				f.wait = 0
				continue
			case <-ctx.Done():
				return nil
			}
		}
		f.paces(full)
		b := f.reader.body()
		err := f.fetch(ctx, b)
		if err == nil {
			err = f.took(ctx, b)
		} else {
			f.gone(err)
			return nil
		}
		if err != nil {
			return err
		}
		if full && !f.some && !f.still {
			f.rests(ctx)
		}
	}
}

// paces says how long the broker may wait. While some parts have no room it is not to
// wait for the others: the room may be there in a moment. If nobody makes room it is
// asked in short turns, longer by and by.
func (f *fetcher) paces(full bool) {
	made := false
	select {
	case <-f.room:
		made = true
	default:
	}
	switch {
	case !full:
		f.wait, f.still = fetchWait, false
	case f.still && !made:
		f.wait = min(max(2*f.wait, fullWait), fetchWait)
	default:
		f.wait, f.still = 0, false
	}
}

// rests waits for room, where the parts that have room have no records.
func (f *fetcher) rests(ctx context.Context) {
	timer := time.NewTimer(fullWait)
	defer timer.Stop()
	select {
	case <-f.room:
	case <-timer.C:
		f.still = true
	case <-ctx.Done():
	}
}

// plan makes the request: what is asked of which part. full says that some parts have
// no room, or have to be proven first. A fetcher without parts is at its end.
func (f *fetcher) plan() (some, full bool) {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	f.asked, f.req.partitions = f.asked[:0], f.req.partitions[:0]
	for _, p := range r.source.parts {
		switch {
		case p.feed.leader != f.node:
		case p.feed.unproven, p.feed.queued >= 2*r.quantum:
			full = true
		default:
			f.asked = append(f.asked, p)
		}
	}
	n := len(f.asked)
	if n == 0 {
		if !full {
			f.retires()
		}
		return false, full
	}
	f.turn++
	for i := range n { // the broker fills its answer in this order
		p := f.asked[(i+f.turn)%n]
		f.req.partitions = append(f.req.partitions, fetchPartition{
			topic: p.topic, id: p.id, index: p.partition, leaderEpoch: p.feed.epoch, offset: p.feed.next, maxBytes: int32(r.quantum),
		})
	}
	return true, full
}

// retires takes the fetcher out of the reader; mu is held.
func (f *fetcher) retires() {
	if f.reader.fetchers[f.node] == f {
		delete(f.reader.fetchers, f.node)
	}
}

// gone gives up all parts, since the leader does not answer.
func (f *fetcher) gone(err error) {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.source.parts {
		if p.feed.leader == f.node && r.fetchers[f.node] == f {
			r.loses(p, err)
		}
	}
	f.retires()
}

// fetch asks once.
func (f *fetcher) fetch(ctx context.Context, b *body) error {
	c := &f.reader.source.opener.config
	k, err := f.reader.fetches.at(ctx, f.node, f.address)
	if err != nil {
		return err
	}
	version, err := f.version(k)
	if err != nil {
		return err
	}
	f.req.maxWait, f.req.minBytes, f.req.maxBytes, f.req.isolation = int32(f.wait.Milliseconds()), 1, int32(c.MaxBytes), readCommitted
	if c.Uncommitted {
		f.req.isolation = readUncommitted
	}
	b.octets, err = k.exchange(ctx, &frame{key: protocol.Fetch, version: version, flexible: version >= fetchFlexible, wait: f.wait,
		body: func(dst []byte) []byte { return appendFetch(dst, version, &f.req) }}, b.octets)
	if err != nil {
		return err
	}
	if err := readFetch(b.octets, version, &f.res); err != nil {
		return k.failed("Fetch", err)
	}
	if e := kafkago.Error(f.res.errorCode); e != 0 {
		return k.refused("Fetch", e)
	}
	return nil
}

// The versions of Fetch that are used: by names up to mostFetch, and fetchIDs.
const (
	leastFetch = 4
	mostFetch  = 11
)

// version asks by the topics' IDs where both sides have them. By its name a topic that was
// deleted and made again is not told from the one that the offset is of.
func (f *fetcher) version(k *conn) (int16, error) {
	if v, ok := k.versions[protocol.Fetch]; ok && v.min <= fetchIDs && fetchIDs <= v.max {
		for _, p := range f.asked {
			if p.id == (topicID{}) {
				return k.version(protocol.Fetch, leastFetch, mostFetch)
			}
		}
		return fetchIDs, nil
	}
	return k.version(protocol.Fetch, leastFetch, mostFetch)
}

// took takes in what one fetch brought.
func (f *fetcher) took(ctx context.Context, b *body) error {
	r := f.reader
	var outside []*part
	r.mu.Lock()
	b.chunks = 1 // this function's own
	f.some = false
	f.told = f.told[:0]
	for i := range f.res.partitions {
		got := &f.res.partitions[i]
		p := f.part(got)
		if p == nil || p.feed.leader != f.node {
			continue
		}
		switch e := kafkago.Error(got.errorCode); {
		case e == 0:
			p.feed.lost, p.feed.why = time.Time{}, nil
			f.some = f.some || len(got.records) > 0
			f.told = append(f.told, p)
			if err := r.enqueue(p, got, b); err != nil {
				r.mu.Unlock()
				return err
			}
		case e == kafkago.OffsetOutOfRange:
			outside = append(outside, p)
		case elsewhere(e):
			r.loses(p, e)
		default:
			r.mu.Unlock()
			return r.refused(p, e)
		}
	}
	if !f.some && f.wait > 0 { // one who may not wait may also be told too little
		f.dries()
	}
	r.release(b)
	r.mu.Unlock()
	for _, p := range outside {
		if err := r.source.outside(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// dries notes that the leader had nothing of what it told of; mu is held. A broker that
// throttles answers at once, and tells of no partition (KIP-219).
func (f *fetcher) dries() {
	for _, p := range f.told {
		if p.feed.leader == f.node && p.feed.lost.IsZero() && !p.feed.dry {
			p.feed.dry = true
			signal(f.reader.arrived) // somebody may wait for it
		}
	}
}

// part finds the part that an answer is about.
func (f *fetcher) part(got *fetchedPartition) *part {
	for _, p := range f.asked {
		if p.partition == got.index && (p.topic == got.topic || got.topic == "" && p.id == got.id) {
			return p
		}
	}
	return nil
}

// elsewhere says that another broker has to be asked, or the same one later.
func elsewhere(e kafkago.Error) bool {
	switch e {
	case kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.ReplicaNotAvailable, kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch,
		kafkago.UnknownTopicOrPartition, kafkago.KafkaStorageError, kafkago.OffsetNotAvailable, kafkago.UnknownTopicID, kafkago.InconsistentTopicID:
		return true
	}
	return false
}

func (r *reader) refused(p *part, e kafkago.Error) error {
	err := fmt.Errorf("%s: %s: topic %s: partition %d: Fetch: %w", Kind, r.source.opener.system.name, p.topic, p.partition, e)
	if e == kafkago.TopicAuthorizationFailed {
		return bridge.Fatal(err, "Grant the bridge's user Read on the topic.")
	}
	return err
}

// enqueue puts what came of a part into the queue; mu is held.
func (r *reader) enqueue(p *part, got *fetchedPartition, b *body) error {
	next, epoch := endOf(got.records)
	if next <= p.feed.next {
		if len(got.records) > 0 {
			return fmt.Errorf("%s: %s: topic %s: partition %d: what follows offset %d came cut short, %d octets", Kind, r.source.opener.system.name, p.topic, p.partition, p.feed.next, len(got.records))
		}
		return nil
	}
	c := &chunk{part: p, from: p.feed.next, next: next, epoch: epoch, records: got.records, aborted: append([]abortedTransaction(nil), got.aborted...), body: b}
	b.chunks++
	p.feed.next, p.feed.last = next, epoch
	p.feed.queued += len(got.records)
	p.feed.dry = false
	r.queue = append(r.queue, c)
	signal(r.arrived)
	return nil
}
