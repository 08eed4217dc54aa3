package relay

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/dedupe"
	"github.com/crossfade-mq/crossfade/ordering"
)

// An entry is one received message on its way to being settled.
type entry struct {
	d      *bridge.Delivery
	batch  *batch
	ticket uint64 // of the shard's tracker
	seq    uint64 // of the relay: the order of receipt
	fp     dedupe.Fingerprint
	key    uint64 // hash of the key, where a gate needs it
	shard  int32  // of the source, which keeps what has no key in order
	lane   int16
	flags  entryFlags
}

type entryFlags uint8

const (
	hasFingerprint entryFlags = 1 << iota // fp may suppress repeats
	admitted                              // it is the one in flight with that fp
	sent                                  // it was handed to a lane at least once
	gated                                 // it is the one of its key that the gate let through
	again                                 // it was parked, and is sent again
)

// A batch is memory for deliveries, filled from the front by as many Receives as
// it takes, so that a trickle does not hold a batch a message. It is used again
// once it is full and all its messages are settled.
type batch struct {
	buf  []bridge.Delivery
	left int  // unsettled
	full bool // the receiver is done with it
}

// An outcome is how a message is settled.
type outcome uint8

const (
	placed outcome = iota
	suppressed
	parked
	expired
	looped
	givenBack
)

// A tracked value is what the tracker of a shard keeps of a message until it is
// acknowledged.
type tracked struct {
	receipt bridge.Receipt
	time    int64 // the source's time, or that of receipt, in nanoseconds since 1970
	seq     uint64
}

// none is no seq, behind all others.
const none = ^uint64(0)

// A ledger is everything that receiver, lanes and acker share. The relay's mutex
// guards it.
type ledger struct {
	counts   Counts
	trackers map[int32]*ordering.Tracker[tracked]
	// The tracker asked for last: runs of one shard are the rule.
	latest      *ordering.Tracker[tracked]
	latestShard int32
	window      *dedupe.Window                 // placed IDs
	inFlight    *dedupe.Set                    // IDs of admitted entries
	waiting     map[dedupe.Fingerprint][]entry // repeats of an ID in flight
	acks        []bridge.Receipt               // under the low watermark, not yet acknowledged
	scratch     []tracked
	debt        int    // received and not yet acknowledged
	bytes       int    // of bodies not yet settled
	meanBody    int    // of what came lately: how much the next Receive may bring
	settled     uint64 // received and not in flight any more, when it was looked last
	seq         uint64
	first       uint64 // the oldest seq that is not acknowledged, or one before it
	acksFrom    uint64 // the oldest seq of acks, or none
	acking      uint64 // likewise, of those on their way
	free        []*batch
	capacity    int
	touched     []*ordering.Tracker[tracked] // advanced since the last collect

	held  bool // bytes are at their limit
	moved bool // something was acknowledged in this session

	lastPlaced  time.Time
	lastSettled time.Time
	busySince   time.Time // when something came in while nothing was in flight
	retries     uint64
	reconnects  uint64
}

func (l *ledger) init(debt int, limits Limits) {
	l.capacity, l.acksFrom, l.acking = debt, none, none
	l.meanBody = max(1, limits.Bytes/16)
	l.window = dedupe.NewWindow(limits.Window)
	l.inFlight = dedupe.NewSet(debt)
	l.waiting = make(map[dedupe.Fingerprint][]entry)
	l.trackers = make(map[int32]*ordering.Tracker[tracked])
}

func (l *ledger) tracker(shard int32) *ordering.Tracker[tracked] {
	if l.latest != nil && l.latestShard == shard {
		return l.latest
	}
	t := l.trackers[shard]
	if t == nil {
		t = ordering.NewTracker[tracked](min(l.capacity, 1024))
		l.trackers[shard] = t
	}
	l.latest, l.latestShard = t, shard
	return t
}

// takeBatch gives memory for up to n deliveries.
func (l *ledger) takeBatch(n int) *batch {
	if last := len(l.free) - 1; last >= 0 && n > 1 {
		b := l.free[last]
		l.free = l.free[:last]
		return b
	}
	return &batch{buf: make([]bridge.Delivery, n)}
}

// start enters a received message.
func (l *ledger) start(e *entry, now int64) {
	d := e.d
	t := now
	if y := d.Time.Year(); !d.Time.IsZero() && 1700 < y && y < 2262 { // what nanoseconds can say
		t = d.Time.UnixNano()
	}
	if e.flags&again == 0 {
		e.ticket = l.tracker(d.Receipt.Shard).Start(tracked{receipt: d.Receipt, time: t, seq: l.seq})
	}
	e.seq = l.seq
	l.seq++
	e.batch.left++
	l.counts.Received++
	l.counts.InFlight++
	l.debt++
	l.bytes += len(d.Body)
	if bridge.Planted(bridge.BugEarlyAck) {
		tr := l.tracker(d.Receipt.Shard)
		tr.Done(e.ticket)
		l.touch(tr)
	}
}

// admit decides what becomes of an entry that has not been admitted before: it
// may be sent (true), or it is settled or waits for the one in flight (false).
func (l *ledger) admit(e *entry, now time.Time) bool {
	if e.flags&admitted != 0 {
		return true
	}
	if e.flags&hasFingerprint != 0 {
		switch {
		case l.window.Has(e.fp): // I4: a repeat of what is already placed
			l.settle(e, suppressed)
			return false
		case !l.inFlight.Enter(e.fp): // I1: it settles with the one in flight
			l.waiting[e.fp] = append(l.waiting[e.fp], *e)
			return false
		}
	}
	e.flags |= admitted
	if !e.d.Expires.IsZero() && e.d.Expires.Before(now) && e.flags&again == 0 {
		l.settle(e, expired)
		return false
	}
	if e.flags&hasFingerprint != 0 {
		if bridge.Planted(bridge.BugSuppressInFlight) {
			l.window.Add(e.fp)
		}
	}
	return true
}

// settle ends the life of an entry. Its receipt becomes acknowledgeable once
// every earlier one of its shard is settled too. // I1, I5
func (l *ledger) settle(e *entry, how outcome) {
	l.count(e, how)
	if e.flags&admitted != 0 && e.flags&hasFingerprint != 0 {
		l.inFlight.Remove(e.fp)
		if how == placed {
			l.window.Add(e.fp)
		}
		if len(l.waiting) > 0 {
			repeats := l.waiting[e.fp]
			delete(l.waiting, e.fp)
			for i := range repeats {
				l.settle(&repeats[i], suppressed)
			}
		}
	}
	if e.flags&again != 0 { // what was parked is in nobody's order
		l.acks = append(l.acks, e.d.Receipt)
	} else {
		tr := l.tracker(e.d.Receipt.Shard)
		tr.Done(e.ticket)
		l.touch(tr)
	}
	l.release(e)
}

func (l *ledger) count(e *entry, how outcome) {
	c := &l.counts
	c.InFlight--
	switch how {
	case placed:
		c.Placed++
	case suppressed:
		c.Suppressed++
	case parked:
		c.Parked++
	case expired:
		c.Expired++
	case looped:
		c.Looped++
	case givenBack:
		c.GivenBack++
	}
	l.bytes -= len(e.d.Body)
}

func (l *ledger) release(e *entry) {
	b := e.batch
	*e.d = bridge.Delivery{} // the body goes, however long the others of the batch stay
	e.d = nil
	if b.left--; b.left == 0 && b.full {
		l.recycle(b)
	}
}

func (l *ledger) recycle(b *batch) {
	if b.full = false; len(b.buf) > 1 {
		l.free = append(l.free, b)
	}
}

// fill says that the receiver has used up the batch.
func (l *ledger) fill(b *batch) {
	b.full = true
	if b.left == 0 {
		l.recycle(b)
	}
}

func (l *ledger) touch(tr *ordering.Tracker[tracked]) {
	for _, t := range l.touched {
		if t == tr {
			return
		}
	}
	l.touched = append(l.touched, tr)
}

// collect moves what came under the low watermark to acks, and says whether
// there is anything to acknowledge.
func (l *ledger) collect() bool {
	for _, tr := range l.touched {
		l.scratch = tr.Take(l.scratch[:0])
		if len(l.scratch) > 0 {
			l.acksFrom = min(l.acksFrom, l.scratch[0].seq)
		}
		for i := range l.scratch {
			l.acks = append(l.acks, l.scratch[i].receipt)
		}
	}
	clear(l.scratch)
	l.touched = l.touched[:0]
	return len(l.acks) > 0
}

// ahead is how many may be received so that span are, counted from the oldest that
// is not acknowledged: of several shards one may wait while others go on. // I6
func (l *ledger) ahead(span int) int {
	if span == 0 || bridge.Planted(bridge.BugSpanOff) {
		return 1 << 30
	}
	if room := span - int(l.seq-l.first); room > span/2 {
		return room
	}
	l.first = min(l.through(), l.acksFrom, l.acking)
	return span - int(l.seq-l.first)
}

// through is the oldest seq that is not settled.
func (l *ledger) through() uint64 {
	first := l.seq
	for _, tr := range l.trackers {
		if v, ok := tr.Oldest(); ok {
			first = min(first, v.seq)
		}
	}
	return first
}

// voidAll ends a source session: receipts are void, and what is unsettled goes
// back to the incumbent. The window stays: what is placed is placed.
func (l *ledger) voidAll() {
	l.counts.GivenBack += l.counts.InFlight
	l.counts.InFlight = 0
	clear(l.trackers)
	l.latest = nil
	l.touched = l.touched[:0]
	l.inFlight.Reset()
	clear(l.waiting)
	l.acks = l.acks[:0]
	l.debt, l.bytes = 0, 0
	l.first, l.acksFrom, l.acking = l.seq, none, none
	l.free = nil
	l.held, l.moved = false, false
}

// progressed says whether anything was settled since it was asked last.
func (l *ledger) progressed() bool {
	settled := l.counts.Received - l.counts.InFlight
	was := l.settled
	l.settled = settled
	return settled != was
}

// expect learns how large bodies are from those of one Receive.
func (l *ledger) expect(octets, n int) {
	mean := octets/n + 1
	l.meanBody = max(mean, (7*l.meanBody+mean)/8)
}

// oldest is the time of the oldest message that is received and not settled;
// zero if there is none.
func (l *ledger) oldest() time.Time {
	var ns int64
	for _, tr := range l.trackers {
		if v, ok := tr.Oldest(); ok && (ns == 0 || v.time < ns) {
			ns = v.time
		}
	}
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
