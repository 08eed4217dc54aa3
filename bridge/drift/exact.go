package drift

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// Options of a comparison. Zero values mean the defaults.
type Options struct {
	// Grace is how long a message that was passed by a later one of its key may still
	// come before it is missing: never less than this, and twice the 99.9th percentile
	// of the lag that was seen, up to GraceMost. Defaults 5 s and 10 min.
	Grace, GraceMost time.Duration
	// Late is from when on a matched message is late. Default never.
	Late time.Duration
	// Stuck is how long a key may wait while others of its shard go on. Default 30 s.
	Stuck time.Duration
	// Remember is how many matched IDs are remembered to tell duplicates from extra
	// messages and repeats from new ones; no fewer than the relay remembers. Default
	// 1,048,576, at 30 octets each.
	Remember int
	// Keys is how many keys are expected to have messages waiting at once. A hint.
	Keys int
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&o.Grace, 5 * time.Second}, {&o.GraceMost, 10 * time.Minute}, {&o.Stuck, 30 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	o.GraceMost = max(o.GraceMost, o.Grace)
	if o.Remember == 0 {
		o.Remember = 1 << 20
	}
}

// Exact compares message by message and key by key, and holds what waits for its
// counterpart: 40 octets a message and some 50 a key that has any. It is a value
// without goroutines or clock; one caller at a time.
//
//	incumbent: │ 7 │ 8 │ 9 │      what waits, by key, in order
//	candidate:  8 comes: 7 was passed and goes to the holes; 8 is paired
//	            7 comes: it is in the holes, so it is reordered
//	            7 never comes: when the grace is over, it is missing
//
// Where the candidate's reader is ahead, its messages wait until the incumbent's come,
// and are judged in the candidate's order.
type Exact struct {
	opts    Options
	slab    slab
	table   table
	index   map[indexOf]*index // of long lists
	window  *dedupe.Window     // IDs that were matched
	holes   holes
	repeats repeats
	gaps    [sides][]interval
	jumps   map[uint64][]jump
	expiry  map[uint32]time.Duration
	shards  []time.Duration // by shard, when the newest of its messages that are matched was observed
	stuck   map[uint64]stuckKey
	lag     histogram
	begin   time.Duration
	holding bool // keys that come up are held
	reached time.Duration
	marks   Watermarks
	swept   time.Duration
	oldest  [sides]time.Duration

	pending [sides]uint64
	findings
	fetched uint64 // what fetch has read: it has to be of use
}

// NewExact makes a comparison that has seen nothing.
func NewExact(o Options) *Exact {
	o.setDefaults()
	return &Exact{
		opts: o, table: newTable(o.Keys), window: dedupe.NewWindow(o.Remember),
		index: map[indexOf]*index{}, holes: newHoles(), repeats: newRepeats(), jumps: map[uint64][]jump{},
		expiry: map[uint32]time.Duration{}, stuck: map[uint64]stuckKey{},
	}
}

// An identity is a message's key and ID.
type identity struct{ key, id uint64 }

func (i identity) fingerprint() (fp dedupe.Fingerprint) {
	binary.LittleEndian.PutUint64(fp[:8], i.key)
	binary.LittleEndian.PutUint64(fp[8:], i.id)
	return fp
}

// Begin says that the incumbent's reader began later than the candidate's: up to that time
// the latter may have messages of a key that the former has not, in front of the first
// that both have. To begin so is what makes a clean start, and a restart: whatever the
// incumbent's reader has, the candidate's will come to.
func (x *Exact) Begin(until time.Duration) { x.begin = until }

// Observe takes in a message of one side, which comes in the order of its key there.
func (x *Exact) Observe(side Side, o *Observation) {
	x.counts.Observed[side]++
	x.now = max(x.now, o.At)
	if o.Loop {
		x.one(Loop, side, o)
	}
	s := x.table.find(keyOf(o), x.keep)
	switch {
	case (x.holding || s.judged == held) && x.hold(s, side, o):
	case side == Incumbent:
		x.incumbent(s, o)
	default:
		x.candidate(s, o)
	}
}

// Unreadable counts a message that a reader could not make out.
func (x *Exact) Unreadable(side Side) {
	x.counts.Observed[side]++
	x.counts.Incomparable[side]++
}

// keyOf is the key's hash; 0 is none.
func keyOf(o *Observation) uint64 { return max(o.Key&mask60, 1) }

// incumbent takes in a message of the incumbent.
func (x *Exact) incumbent(s *slot, o *Observation) {
	s.ord++
	if n := x.ahead(s, o.ID); n != 0 {
		e := x.slab.at(n)
		e.ord, e.flags = s.ord, e.flags|paired
		x.forget(s, Candidate, o.ID)
		x.pair(s.key, o, &Observation{ID: e.id, Body: e.body, Head: e.head, Place: e.place, At: x.time(e.at)})
		x.pending[Candidate]--
		x.settle(s)
		return
	}
	x.wait(s, Incumbent, o, s.ord, 0)
	s.seen |= bloom(o.ID)
}

// ahead finds a message of the candidate that waits for the incumbent's of that ID.
func (x *Exact) ahead(s *slot, id uint64) uint32 {
	n := s.waiting[Candidate].head
	if n == 0 {
		return 0
	}
	if e := x.slab.at(n); e.id == id && e.flags&paired == 0 {
		return n
	}
	return x.search(s, Candidate, id)
}

// candidate takes in a message of the candidate.
func (x *Exact) candidate(s *slot, o *Observation) {
	who := identity{s.key, o.ID}
	was, ord, ok := x.counterpart(s, who, o.Anonymous)
	switch {
	case ok:
		x.pair(s.key, &was, o)
		if s.waiting[Candidate].head == 0 {
			x.judge(s, ord, o.ID, was.At, o.At)
			return
		}
		x.wait(s, Candidate, o, ord, paired)
	case x.repeats.take(who):
		x.counts.Repeats[Candidate]++
	case x.holes.returns(who):
		x.counts.Recovered++
		x.window.Add(who.fingerprint())
	default:
		x.wait(s, Candidate, o, 0, 0)
	}
}

// counterpart takes the incumbent's message out of what waits. What the candidate has
// passed by with it goes to the holes. Of several with one ID the first is taken, as it
// is first occurrences that keep the order; of equal contents, what is in order.
func (x *Exact) counterpart(s *slot, who identity, anonymous bool) (was Observation, ord uint32, ok bool) {
	if !anonymous {
		if was, ord, ok = x.fromHoles(who); ok {
			return was, ord, true
		}
	}
	if n := s.waiting[Incumbent].head; n != 0 && x.slab.at(n).id == who.id {
		e := x.slab.at(n)
		was, ord = x.observed(s.key, n, e), e.ord
		x.pop(s, Incumbent)
		return was, ord, true
	}
	if anonymous {
		if was, ord, ok = x.fromHoles(who); ok {
			return was, ord, true
		}
	}
	if x.search(s, Incumbent, who.id) == 0 {
		return was, 0, false
	}
	for x.slab.at(s.waiting[Incumbent].head).id != who.id {
		x.passBy(s)
	}
	n := s.waiting[Incumbent].head
	e := x.slab.at(n)
	was, ord = x.observed(s.key, n, e), e.ord
	x.pop(s, Incumbent)
	return was, ord, true
}

// passBy moves the first message that waits to the holes.
func (x *Exact) passBy(s *slot) {
	n := s.waiting[Incumbent].head
	e := x.slab.at(n)
	h := hole{was: x.observed(s.key, n, e), ord: e.ord, passed: x.now}
	x.pop(s, Incumbent)
	x.holes.add(s.key, h)
	x.pending[Incumbent]++
}

func (x *Exact) fromHoles(who identity) (was Observation, ord uint32, ok bool) {
	h, ok := x.holes.take(who)
	if ok {
		x.pending[Incumbent]--
	}
	return h.was, h.ord, ok
}

// observed makes an entry of the incumbent an observation again.
func (x *Exact) observed(key uint64, n uint32, e *entry) Observation {
	o := Observation{Key: key, ID: e.id, Body: e.body, Head: e.head, Place: e.place, Shard: e.shard, At: x.time(e.at), Anonymous: e.flags&anonymous != 0}
	if e.flags&expires != 0 {
		o.Expires = x.expiry[n]
	}
	return o
}

// pair compares what both sides have of a message.
func (x *Exact) pair(key uint64, i, c *Observation) {
	x.counts.Matched++
	if !i.Anonymous {
		x.window.Add(identity{key, i.ID}.fingerprint())
	}
	f := Finding{Key: key, ID: i.ID, Incumbent: i.At, Candidate: c.At}
	switch {
	case i.Body != c.Body:
		x.found(Corrupted, f)
	case i.Head != c.Head:
		x.found(HeaderLossy, f)
	}
	if i.Place != c.Place && i.Place != 0 && c.Place != 0 {
		x.found(Misrouted, f)
	}
	lag := c.At - i.At
	x.lag.add(lag)
	if x.opts.Late > 0 && lag > x.opts.Late {
		x.found(Late, f)
	}
	if n := int(i.Shard) + 1; n > len(x.shards) {
		x.shards = append(x.shards, make([]time.Duration, n-len(x.shards))...)
	}
	x.shards[i.Shard] = max(x.shards[i.Shard], i.At)
}

// judge judges the place of a message of the candidate in the incumbent's order: it is
// reordered if one that follows it there came before it. RFC 4737, section 3.
func (x *Exact) judge(s *slot, ord uint32, id uint64, i, c time.Duration) {
	if s.judged++; s.judged == held {
		s.judged = 1
	}
	if int32(ord-s.next) < 0 {
		x.found(Reordered, Finding{Key: s.key, ID: id, Incumbent: i, Candidate: c, Extent: x.extent(s, ord)})
		return
	}
	if ord != s.next && s.next != 0 || s.next == 0 && ord > 1 {
		x.jumps[s.key] = append(x.jumps[s.key], jump{from: s.next, at: s.judged, when: x.now})
	}
	s.next = ord + 1
	for n := s.waiting[Incumbent].head; n != 0 && int32(x.slab.at(n).ord-ord) < 0; n = s.waiting[Incumbent].head {
		x.passBy(s)
	}
}

// A jump is where the candidate passed messages by.
type jump struct {
	from, at uint32
	when     time.Duration
}

// extent is how many messages have come since the first that the incumbent has behind
// this one, that one included.
func (x *Exact) extent(s *slot, ord uint32) uint32 {
	for _, j := range slices.Backward(x.jumps[s.key]) {
		if int32(ord-j.from) >= 0 {
			return s.judged - j.at
		}
	}
	return 1
}

// settle judges what of the candidate has its counterpart, up to the first that has not.
func (x *Exact) settle(s *slot) {
	for {
		n := s.waiting[Candidate].head
		if n == 0 {
			return
		}
		e := x.slab.at(n)
		if e.flags&paired == 0 {
			return
		}
		x.judge(s, e.ord, e.id, 0, x.time(e.at))
		x.drop(s, Candidate)
	}
}

// wait puts a message at the end of its list.
func (x *Exact) wait(s *slot, side Side, o *Observation, ord uint32, flags entryFlags) {
	n, e := x.slab.take()
	if o.Anonymous {
		flags |= anonymous
	}
	if o.Expires > 0 {
		flags |= expires
		x.expiry[n] = o.Expires
	}
	*e = entry{id: o.ID, body: o.Body, head: o.Head, place: o.Place, ord: ord, at: stamp(o.At), shard: o.Shard, flags: flags}
	l := &s.waiting[side]
	if l.tail == 0 {
		l.head = n
		if side == Incumbent {
			s.oldest = e.at
		}
	} else {
		x.slab.at(l.tail).next = n
	}
	l.tail = n
	if flags&paired == 0 {
		x.pending[side]++
		x.remember(s, side, o.ID, n)
	}
}

// pop takes the first message of a list out, which was not paired.
func (x *Exact) pop(s *slot, side Side) {
	x.forget(s, side, x.slab.at(s.waiting[side].head).id)
	x.pending[side]--
	x.drop(s, side)
}

// drop takes the first entry of a list out.
func (x *Exact) drop(s *slot, side Side) {
	l := &s.waiting[side]
	n := l.head
	e := x.slab.at(n)
	if e.flags&expires != 0 {
		delete(x.expiry, n)
	}
	switch l.head = e.next; {
	case l.head == 0:
		l.tail = 0
		if side == Incumbent {
			s.seen = 0
		}
	case side == Incumbent:
		s.oldest = x.slab.at(l.head).at
	}
	x.slab.give(n, e)
}

// keep says that a key's slot is of use.
func (x *Exact) keep(s *slot) bool {
	return !s.clean() || x.holes.of(s.key) > 0 || len(x.jumps[s.key]) > 0
}

// stamp is a time in an entry.
func stamp(d time.Duration) uint32 { return uint32(d / time.Millisecond) }

// timeOf is that of a stamp, which is within 24 days of now.
func timeOf(at uint32, now time.Duration) time.Duration {
	return (now/time.Millisecond + time.Duration(int32(at-stamp(now)))) * time.Millisecond
}

func (x *Exact) time(at uint32) time.Duration { return timeOf(at, x.now) }
