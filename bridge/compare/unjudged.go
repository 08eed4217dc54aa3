package compare

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// unjudged is what a side's reader has observed and may not acknowledge yet, by shard, in
// the order in which it was observed. It outlives sessions: what a new one delivers again
// was observed already, and is known by where it is stored; where nothing has a lasting
// place, as in a queue, by what it is and the order in which it comes.
//
//	given up │ acknowledged, kept for a while │ unjudged │ not observed yet
//	         └────── may come again ──────────┴──────────┘
//
// Not for concurrent use.
type unjudged struct {
	streams map[bridge.Stream]uint32
	latest  *bridge.Stream // the one asked for last, and its number
	number  uint32
	shards  map[shardOf]*shard
	n       int // items that hold a receipt, or wait for one to come again
}

// A shardOf is one shard of one stream, in which messages come in order.
type shardOf struct {
	stream uint32
	number int32
}

// A shard holds items in the order of observation. Those below head are acknowledged.
type shard struct {
	items  []item
	head   int
	again  int    // of a new session: items from here on have not come again; -1 in none
	newest uint64 // one more than the offset observed last, where offsets last
	kept   int    // how many acknowledged items are kept
	rejoin rejoin
}

// An item is one message.
type item struct {
	at      time.Duration
	what    uint64 // a hash of all that was observed
	offset  uint64
	receipt bridge.Receipt
	valid   bool // the receipt is one of the session
}

// How many acknowledged items of a shard are kept, for what comes again although it was
// acknowledged: acknowledgements get lost with a connection, and with a busy broker as many
// as it gives un-acknowledged. Where places last it is told by its place.
const (
	mostKept   = 1<<16 + 1<<10
	fewestKept = 1 << 6
)

func newUnjudged() *unjudged {
	return &unjudged{streams: map[bridge.Stream]uint32{}, shards: map[shardOf]*shard{}}
}

// begin is called when a new session begins: receipts of earlier ones are void.
func (u *unjudged) begin() {
	u.latest = nil
	for _, s := range u.shards {
		s.again = 0
		s.rejoin = rejoin{}
		for i := range s.items {
			s.items[i].valid = false
		}
	}
}

// know says whether a delivery was observed before. If so it takes its receipt, or gives
// it back to be acknowledged at once. It is called for each delivery, in turn; add for
// those that were not.
func (u *unjudged) know(d *bridge.Delivery, o *drift.Observation) (known, judged bool) {
	s := u.shard(d)
	at := s.find(d, o)
	if bridge.Planted(bridge.BugAgainIsNew) {
		return false, false
	}
	if at < 0 {
		return lasts(d) && d.Stored.Offset < s.newest, true
	}
	s.again = at + 1
	if at < s.head {
		return true, true
	}
	s.items[at].receipt, s.items[at].valid = d.Receipt, true
	return true, false
}

// find gives the item that a delivery of a new session is, or -1. What is missing in
// between has gone at the system.
func (s *shard) find(d *bridge.Delivery, o *drift.Observation) int {
	what := whatOf(o)
	if s.again < 0 {
		return -1
	}
	if lasts(d) {
		for i := s.again; i < len(s.items); i++ {
			if s.items[i].offset == d.Stored.Offset {
				return i
			}
			if s.items[i].offset > d.Stored.Offset {
				break
			}
		}
		if d.Stored.Offset >= s.newest {
			s.again = -1
		}
		return -1
	}
	return s.next(what, d)
}

// next gives the item that a delivery is which has no lasting place.
func (s *shard) next(what uint64, d *bridge.Delivery) int {
	r := &s.rejoin
	if !d.Redelivered {
		s.again = -1
		r.over()
		return -1
	}
	from := s.again
	if from == 0 { // the first: acknowledged ones may come again, the fewer the likelier
		r.over()
		from = s.head
		for i := min(s.head, len(s.items)-1); i >= 0; i-- {
			if s.items[i].what == what {
				from = i
				break
			}
		}
	}
	s.note(what, d.Receipt)
	for i := from; i < len(s.items); i++ {
		if s.items[i].what == what {
			if len(r.came) == 1 {
				r.first = i
			}
			return i
		}
	}
	i := s.rejoined()
	if i < 0 {
		s.again = -1
		r.over()
	}
	return i
}

// add takes in a delivery that was observed.
func (u *unjudged) add(d *bridge.Delivery, o *drift.Observation) {
	s := u.shard(d)
	s.again = -1
	s.rejoin.over()
	if s.newest = max(s.newest, d.Stored.Offset+1); !lasts(d) {
		s.kept = mostKept
	}
	s.items = append(s.items, item{at: o.At, what: whatOf(o), offset: d.Stored.Offset, receipt: d.Receipt, valid: true})
	u.n++
}

// take appends the receipts of what was observed before that time.
func (u *unjudged) take(before time.Duration, dst []bridge.Receipt) []bridge.Receipt {
	for _, s := range u.shards {
		dst = append(dst, s.rejoin.void...)
		s.rejoin.void = s.rejoin.void[:0]
		for s.head < len(s.items) && s.items[s.head].at < before {
			if it := &s.items[s.head]; it.valid {
				dst = append(dst, it.receipt)
				it.receipt, it.valid = bridge.Receipt{}, false
			}
			s.head++
			u.n--
		}
		s.forget()
	}
	return dst
}

// forget lets go of acknowledged items beyond those that are kept.
func (s *shard) forget() {
	if s.head < 2*s.kept {
		return
	}
	n := s.head - s.kept
	left := copy(s.items, s.items[n:])
	clear(s.items[left:])
	s.items, s.head = s.items[:left], s.head-n
	if s.again > 0 {
		s.again = max(1, s.again-n)
	}
	s.rejoin.first = max(0, s.rejoin.first-n)
}

// nth is when about the n-th oldest was observed: of one shard exactly.
func (u *unjudged) nth(n int) time.Duration {
	var most time.Duration
	for _, s := range u.shards {
		if waiting := len(s.items) - s.head; waiting > 0 {
			most = max(most, s.items[s.head+min(waiting-1, n*waiting/max(1, u.n))].at)
		}
	}
	return most
}

func (u *unjudged) shard(d *bridge.Delivery) *shard {
	if d.Stored.Stream != u.latest || u.latest == nil {
		u.latest = d.Stored.Stream
		var of bridge.Stream
		if u.latest != nil {
			of = *u.latest
		}
		number, known := u.streams[of]
		if !known {
			number = uint32(len(u.streams))
			u.streams[of] = number
		}
		u.number = number
	}
	key := shardOf{u.number, d.Receipt.Shard}
	s := u.shards[key]
	if s == nil {
		s = &shard{again: -1, kept: fewestKept}
		u.shards[key] = s
	}
	return s
}

// lasts says that the place where a delivery is stored is the same in every session.
func lasts(d *bridge.Delivery) bool { return d.Stored.Stream != nil && d.Stored.Stream.Replayable }

// whatOf is a hash of everything that was observed but the time.
func whatOf(o *drift.Observation) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h := o.Key
	for _, v := range [...]uint64{o.ID, o.Body, uint64(o.Head)} {
		h = (h^h>>31)*odd + v
	}
	return h ^ h>>29
}
