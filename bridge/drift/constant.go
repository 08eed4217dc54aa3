package drift

import (
	"time"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// ConstantOptions are those of a comparison whose memory does not grow with the lag.
// Zero values mean the defaults.
type ConstantOptions struct {
	// Cells is how many cells a window's sketch has, at 56 octets. What differs in one
	// window takes an edge if it is corrupted, three if it is missing or extra, six if
	// two changed places; two thirds of the cells can be told. Default 1,536.
	Cells int
	// Late is from when on a message is late, beyond what the incumbent's reader lags
	// itself. Default never.
	Late time.Duration
	// Stuck is how long a key may wait while others go on. Default 30 s.
	Stuck time.Duration
	// Remember is how many IDs of each side are remembered to tell repeats and
	// duplicates; no fewer than the relay remembers. Default 262,144, at 30 octets each.
	Remember int
	// Keys is how many keys are expected. A hint.
	Keys int
}

func (o *ConstantOptions) setDefaults() {
	if o.Cells == 0 {
		o.Cells = 1536
	}
	o.Cells = max(hashes, o.Cells-o.Cells%hashes)
	if o.Stuck == 0 {
		o.Stuck = 30 * time.Second
	}
	if o.Remember == 0 {
		o.Remember = 1 << 18
	}
}

// Constant compares by windows, each a sketch of constant size over the edges of its
// messages: key, the ID before it, ID, digest. Equal histories cancel, whatever the lag;
// what is left when a window is over are the messages that differ, by name. A window is
// a function of the message, so that both sides put it into the same.
//
//	incumbent + a→b  b→c  c→d        a→b cancels; left are b→c, c→d of one and
//	candidate − a→b       b→d        b→d of the other: c is missing
//
// It is a value without goroutines or clock; one caller at a time.
type Constant struct {
	opts    ConstantOptions
	keys    keyTable
	seen    [sides]*dedupe.Window
	windows map[int64]*span
	spare   []sketch
	first   int64 // windows below are not judged
	done    int64 // windows below are
	begun   bool
	chains  map[uint64]*chain // of keys with differences, for windows to come
	gaps    [][2]int64
	stuck   map[uint64]bool // keys, and whether they are by the latest sweep
	blind   time.Duration   // when a window was judged of which nothing is known
	lag     histogram
	swept   time.Duration
	moved   time.Duration // when the candidate had a message last
	tally   Windows

	findings
	scratch []residue
}

// A span is a window that is not judged yet.
type span struct {
	sketch  sketch
	n       [sides]uint64
	again   map[identity][sides]uint64 // IDs that came again, how often
	expires map[identity]time.Duration // of the incumbent's messages
	more    bool                       // expire
	since   [sides]time.Duration       // when the first of each side was observed
	lagging time.Duration              // the most that the incumbent's reader lagged
}

// mostTold is how many IDs of a window are told apart that came again, or expire.
const mostTold = 4096

// NewConstant makes a comparison that has seen nothing.
func NewConstant(o ConstantOptions) *Constant {
	o.setDefaults()
	return &Constant{
		opts: o, keys: newKeyTable(o.Keys), windows: map[int64]*span{}, chains: map[uint64]*chain{}, stuck: map[uint64]bool{},
		seen: [sides]*dedupe.Window{dedupe.NewWindow(o.Remember), dedupe.NewWindow(o.Remember)},
	}
}

// Begin says which is the first window of which both readers see all.
func (x *Constant) Begin(window int64) { x.first = window }

// ObserveAll is Observe for several messages of one side, in order.
func (x *Constant) ObserveAll(side Side, os []Observation) {
	for i := range os {
		x.Observe(side, &os[i])
	}
}

// Unreadable counts a message that a reader could not make out, or that no window takes.
func (x *Constant) Unreadable(side Side) {
	x.counts.Observed[side]++
	x.counts.Incomparable[side]++
}

// Observe takes in a message of one side, which comes in the order of its key there.
func (x *Constant) Observe(side Side, o *Observation) {
	x.counts.Observed[side]++
	x.now = max(x.now, o.At)
	if o.Loop {
		x.one(Loop, side, o)
	}
	key := keyOf(o)
	who := identity{key, o.ID}
	if o.Window < x.first { // but for what comes behind it
		x.counts.Before[side]++
		x.seen[side].Add(who.fingerprint())
		x.keys.find(key).set(side, o.ID&mask48)
		return
	}
	if x.begun && o.Window < x.done {
		x.tooLate(side, o, who)
		return
	}
	w := x.window(o.Window)
	if w.since[side] == 0 {
		w.since[side] = o.At
	}
	if !o.Anonymous && !x.seen[side].Add(who.fingerprint()) {
		x.cameAgain(side, w, who)
		return
	}
	w.n[side]++
	e := edge{key: key & mask60, id: o.ID & mask60, body: o.Body & mask60, rest: uint64(o.Head&mask30)<<30 | uint64(o.Place&mask30)}
	times := int64(1)
	k := x.keys.find(key)
	if side == Candidate {
		times = -1
		x.moved = max(x.moved, o.At)
	}
	e.prev = k.id(side)
	if side == Candidate || !k.behind {
		k.when = uint16((o.At + time.Second - 1) / time.Second)
	}
	k.set(side, o.ID&mask48)
	k.behind = k.id(Incumbent) != k.id(Candidate) && (k.behind || side == Incumbent)
	w.sketch.add(&e, times)
	if side == Incumbent && o.Expires > 0 {
		w.mayExpire(identity{e.key, e.id}, o.Expires)
	}
	x.late(side, w, o)
}

const mask30 = 1<<30 - 1

func (x *Constant) window(n int64) *span {
	w := x.windows[n]
	if w == nil {
		w = &span{}
		if last := len(x.spare) - 1; last >= 0 {
			w.sketch, x.spare = x.spare[last], x.spare[:last]
		} else {
			w.sketch = sketch{make([]cell, x.opts.Cells)}
		}
		x.windows[n] = w
	}
	return w
}

// late finds late what comes much later after its own time than the incumbent's do.
func (x *Constant) late(side Side, w *span, o *Observation) {
	if o.Time == 0 {
		return
	}
	lag := o.At - o.Time
	if side == Incumbent {
		w.lagging = max(w.lagging, lag)
		return
	}
	x.lag.add(lag - w.lagging)
	if x.opts.Late > 0 && lag > w.lagging+x.opts.Late {
		x.one(Late, side, o)
	}
}

// cameAgain notes an ID that its side has had before.
func (x *Constant) cameAgain(side Side, w *span, who identity) {
	if w.again == nil {
		w.again = map[identity][sides]uint64{}
	}
	n, known := w.again[who]
	if !known && len(w.again) >= mostTold {
		x.counts.Incomparable[side]++
		return
	}
	n[side]++
	w.again[who] = n
}

// mayExpire notes when a message of the incumbent expires.
func (w *span) mayExpire(who identity, at time.Duration) {
	if w.expires == nil {
		w.expires = map[identity]time.Duration{}
	}
	if w.more = w.more || len(w.expires) >= mostTold; !w.more {
		w.expires[who] = at
	}
}

// tooLate judges a message of a window that is judged already.
func (x *Constant) tooLate(side Side, o *Observation, who identity) {
	if !o.Anonymous && !x.seen[side].Add(who.fingerprint()) {
		if side == Candidate {
			x.one(Duplicate, side, o)
		} else {
			x.counts.Repeats[side]++
		}
		return
	}
	x.counts.Incomparable[side]++
}
