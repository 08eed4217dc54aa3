package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A lane is a session with some partitions. Send encodes messages into the batch
// that fills for their partition, and never waits but for room; senders take what
// is ready, one batch of a partition at a time, and whoever has the answer reports
// what has become settled, in the order of Send.
//
//	Send ──► partition 1: batch, batch ──► ready ──► senders ──► leaders
//	  ▲      partition 5: batch        ──►   │          │
//	  └─────────────── room ◄── settled ◄── slots ◄─────┘
//
// A batch is sent as soon as none of its partition is under way: none waits for
// others to fill it.
type lane struct {
	sink        *sink
	index       int
	compression codec
	encoder     *encoder // Send's
	sendErr     error    // Send's: why the lane has ended for it
	strangers   strangers
	parts       []*partition
	byName      map[string][]*partition // by number; nil those of other lanes; of one topic each

	report sync.Mutex         // held while settled is called, so that calls do not overlap
	tell   bridge.Settled     // guarded by report; nil behind the end
	places []bridge.Placement // guarded by report
	told   []int64            // guarded by report
	end    context.CancelFunc // ends what the senders are at
	wg     sync.WaitGroup     // of the senders

	mu      sync.Mutex
	work    *sync.Cond       // of mu: ready has something, or the lane is over
	slots   []int64          // answers by number, a ring; see answer
	head    uint64           // the oldest message that is not reported
	next    uint64           // the number of the next message
	octets  int              // of batches that are not answered
	ready   []*partition     // that have something to be sent, in that order
	brokers map[int32]string // HOST:PORT by node
	free    []*batch
	idle    int // senders that wait for work
	doom    *refusal
	err     error         // what ended the lane
	over    chan struct{} // closed when the lane has ended
	room    chan struct{} // has one when there may be room
}

// A refusal is the message for whose sake the lane will end: once all in front of it
// is settled.
type refusal struct {
	number uint64
	err    error
}

const (
	// maxSenders is how many produce requests of a lane are under way at a time, each
	// on connections of its own.
	maxSenders = 4
	// stride is how many messages Send encodes before others get their turn.
	stride = 64
	// waitingBatches is how many full batches' octets a lane holds at most, whatever
	// its window is.
	waitingBatches = 8
)

func startLane(s *sink, index int, parts []*partition, settled bridge.Settled) *lane {
	o := s.opener
	by, _ := codecOfName(o.config.Compression)
	l := &lane{
		sink: s, index: index, compression: by, parts: parts, byName: map[string][]*partition{},
		encoder: newEncoder(o.id, o.config.template, false), tell: settled,
		slots: make([]int64, o.config.Window), brokers: s.target.layout.brokers, over: make(chan struct{}), room: make(chan struct{}, 1),
	}
	l.work = sync.NewCond(&l.mu)
	for _, p := range parts {
		t := p.topic
		if l.byName[t.name] == nil {
			l.byName[t.name] = make([]*partition, t.partitions)
		}
		l.byName[t.name][p.index] = p
		p.limit = o.config.Batch
		if most := t.settings.maxMessage; most > 0 {
			p.limit = min(p.limit, most)
		}
		p.keepTime = o.config.Timestamp == timestampOriginal && t.keepsTime()
		p.leader = s.target.layout.topics[t.name].partitions[p.index].leader
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	for range min(maxSenders, len(parts)) {
		l.wg.Go(func() { newSender(l).run(ctx) })
	}
	if len(parts) > 0 {
		l.wg.Go(func() { l.watch(ctx) })
	}
	return l
}

// Send is as bridge.Lane says.
func (l *lane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	n := 0
	for n < len(msgs) {
		if err := l.waitForRoom(ctx); err != nil {
			l.sendErr = err
			return n, err
		}
		k, err := l.hand(msgs[n:min(len(msgs), n+stride)])
		n += k
		if errors.Is(err, errStranger) {
			err = l.meet(ctx, msgs[n])
		}
		if err != nil {
			if bridge.ClassOf(err) != bridge.Rejected {
				l.sendErr = err
			}
			return n, err
		}
	}
	return n, nil
}

// waitForRoom waits while the window is full, and finds out that the lane has ended.
func (l *lane) waitForRoom(ctx context.Context) error {
	for {
		if l.sendErr != nil {
			return l.sendErr
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.mu.Lock()
		err, free := l.err, l.hasRoom()
		l.mu.Unlock()
		if err != nil {
			return ended(err)
		}
		if free {
			return nil
		}
		select {
		case <-l.room:
		case <-l.over:
		case <-ctx.Done():
		}
	}
}

// hasRoom says that a message may be handed over. Nothing is any more once one was
// refused: the lane is about to end. The mutex is held.
func (l *lane) hasRoom() bool {
	return l.doom == nil && l.next-l.head < uint64(len(l.slots)) && l.octets < waitingBatches*l.sink.opener.config.Batch
}

// ended says that the lane has ended for a cause that was reported before; a Reject
// was about the message that it was reported for, not about this one.
func ended(cause error) error {
	if bridge.ClassOf(cause) == bridge.Rejected {
		return fmt.Errorf("%s: the lane has ended: %s", Kind, cause.Error())
	}
	return cause
}

// hand encodes messages until the window is full or one is refused, and has senders
// take what is ready.
func (l *lane) hand(msgs []*bridge.Message) (n int, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < len(msgs) && err == nil && l.err == nil && l.hasRoom() {
		if err = l.put(msgs[n], now); err == nil {
			n++
		}
	}
	l.rouse()
	return n, err
}

// put adds a message to the batch that fills for its partition. The mutex is held.
func (l *lane) put(m *bridge.Message, now time.Time) error {
	p, err := l.find(m)
	if err != nil {
		return err
	}
	l.encoder.original, l.encoder.takes = p.keepTime, p.topic.settings.takes()
	out, err := l.encoder.encode(m, p.index, now)
	if err != nil {
		return err
	}
	b := p.open(l)
	before := b.size()
	if b.count() == 0 {
		before = 0
	}
	b.add(out.timestamp, out.key, out.value, out.headers)
	if b.size() > p.limit && b.count() > 1 {
		b.takeBack()
		b.closed = true
		b, before = p.open(l), 0
		b.add(out.timestamp, out.key, out.value, out.headers)
	}
	if b.size() > p.limit {
		if err := p.tooLarge(b); err != nil {
			l.drop(p, b)
			return err
		}
		b.closed = true
	}
	l.octets += b.size() - before
	b.numbers = append(b.numbers, l.next)
	l.next++
	p.sequence = sequenceAfter(p.sequence, 1)
	l.enlist(p)
	return nil
}

// tooLarge refuses a message that is too large for the topic, all alone in a batch.
// What compression makes of it counts.
func (p *partition) tooLarge(b *batch) error {
	most := p.topic.settings.maxMessage
	if most == 0 || b.size() <= most {
		return nil
	}
	packed, err := b.finish()
	if err != nil {
		return err
	}
	if len(packed) <= most {
		return nil
	}
	return bridge.Reject(bridge.ReasonOversized, fmt.Errorf("topic %s: a batch with this message alone has %d octets, the topic takes %d (max.message.bytes)", p.topic.name, len(packed), most))
}

// drop takes a batch away to which nothing was added after all. The mutex is held.
func (l *lane) drop(p *partition, b *batch) {
	p.queue = p.queue[:len(p.queue)-1]
	l.release(b)
}

// enlist has a sender take what the partition has. The mutex is held.
func (l *lane) enlist(p *partition) {
	if p.ready() {
		p.listed = true
		l.ready = append(l.ready, p)
	}
}

// rouse has a sender look whether something is ready. The mutex is held.
func (l *lane) rouse() {
	if len(l.ready) > 0 && l.idle > 0 {
		l.work.Signal()
	}
}

// spare gives an empty batch. The mutex is held.
func (l *lane) spare() *batch {
	n := len(l.free)
	if n == 0 {
		return &batch{}
	}
	b := l.free[n-1]
	l.free = l.free[:n-1]
	return b
}

// release keeps a batch's memory for the next one. The mutex is held.
func (l *lane) release(b *batch) {
	if len(l.free) < waitingBatches {
		l.free = append(l.free, b)
	}
}
