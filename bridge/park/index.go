package park

import "github.com/crossfade-mq/crossfade/bridge"

// An index is what a journal says, read up to some record: what is parked still.
type index struct {
	waiting map[string]*waiting // by ref
	keys    map[ordered]*heldKey
	// placed are the refs of what was sent again and placed, and latest the order
	// in which that was noted.
	placed map[string]bool
	latest []string
}

// mostPlaced bounds what is remembered of what is done with: more than any source
// delivers again of what was acknowledged.
const mostPlaced = 1 << 16

// A waiting message is parked, and neither placed nor discarded.
type waiting struct {
	key    ordered
	hold   bool
	retry  bool
	reason bridge.Reason // if it was refused again
	cause  string
}

// An ordered is what stays in order: a key, or the shard of what has none.
type ordered struct {
	key   string
	shard int32
}

func orderedBy(key string, shard int32) ordered {
	if key != "" {
		shard = 0
	}
	return ordered{key, shard}
}

// A heldKey has messages waiting behind each other.
type heldKey struct {
	waiting int
	retry   bool // all of them, and what joins them, until one is refused
}

func newIndex() *index {
	return &index{waiting: map[string]*waiting{}, keys: map[ordered]*heldKey{}, placed: map[string]bool{}}
}

// apply takes the next item of the journal. Notes about what is not waiting, such
// as repeats, change nothing.
func (x *index) apply(ref string, in *item) {
	if in.Note == "" {
		x.add(ref, in)
		return
	}
	for _, ref := range in.Refs {
		w := x.waiting[ref]
		if w == nil {
			continue
		}
		switch in.Note {
		case notePlaced:
			x.remove(ref, w)
			x.remember(ref)
		case noteDiscarded:
			x.remove(ref, w)
		case noteRetry:
			x.retry(w, true)
		case noteRefused:
			x.retry(w, false)
			w.reason, w.cause = in.Reason, in.Cause
		}
	}
}

func (x *index) add(ref string, in *item) {
	w := &waiting{key: orderedBy(string(in.Key), in.Shard), hold: in.Hold}
	x.waiting[ref] = w
	if !w.hold {
		return
	}
	k := x.keys[w.key]
	if k == nil {
		k = &heldKey{}
		x.keys[w.key] = k
	}
	k.waiting++
}

func (x *index) remove(ref string, w *waiting) {
	delete(x.waiting, ref)
	if !w.hold {
		return
	}
	if k := x.keys[w.key]; k.waiting > 1 {
		k.waiting--
	} else {
		delete(x.keys, w.key)
	}
}

func (x *index) remember(ref string) {
	x.placed[ref] = true
	if x.latest = append(x.latest, ref); len(x.latest) > mostPlaced {
		delete(x.placed, x.latest[0])
		x.latest = x.latest[1:]
	}
}

// retry marks a message, or all of its key where they wait behind each other.
func (x *index) retry(w *waiting, yes bool) {
	if w.hold {
		x.keys[w.key].retry = yes
	} else {
		w.retry = yes
	}
}

// complete gives what the item of that ref does not say of itself.
func (x *index) complete(ref string, p *bridge.Parked) {
	p.Ref = ref
	w := x.waiting[ref]
	if w == nil {
		p.Done = true
		return
	}
	p.Retry = w.retry || w.hold && x.keys[w.key].retry
	if w.cause != "" {
		p.Reason, p.Cause = w.reason, w.cause
	}
}
