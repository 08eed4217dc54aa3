package compare

import "github.com/crossfade-mq/crossfade/bridge"

// What has come again in a session, where nothing has a lasting place: which items these
// deliveries are follows from their order alone. Where items are equal, as a producer's
// repeats are, the first of them may be any of those, and only what follows tells:
//
//	items:  a  b  a  c  d       came: a, b   is not from the second a on, but from the first
//
// So what came is kept, and what does not follow is looked for from an earlier start.
type rejoin struct {
	first int // the item that the first of them is taken for
	came  []cameAgain
	void  []bridge.Receipt // of deliveries that were taken for other items than they are
}

type cameAgain struct {
	what    uint64
	receipt bridge.Receipt
}

// mostStarts is from how many items equal to the first the rest is looked for: it is one
// of few, or contents are all the same, and nothing tells.
const mostStarts = 64

// note keeps what has come again.
func (s *shard) note(what uint64, receipt bridge.Receipt) {
	s.rejoin.came = append(s.rejoin.came, cameAgain{what, receipt})
}

// rejoined finds all that has come from an earlier start, and gives the item of the last; -1
// if there is no such start.
func (s *shard) rejoined() int {
	r := &s.rejoin
	last := r.came[len(r.came)-1].what
	if !s.holds(last) {
		return -1
	}
	for start := min(r.first, len(s.items)) - 1; start >= 0; start-- {
		if s.adjoin(start) {
			r.first = start
			return s.assign(start)
		}
	}
	for start, tried := min(r.first, len(s.items))-1, 0; start >= 0 && tried < mostStarts; start-- {
		if s.items[start].what != r.came[0].what {
			continue
		}
		tried++
		if s.follow(start) {
			r.first = start
			return s.assign(start)
		}
	}
	return -1
}

func (s *shard) holds(what uint64) bool {
	for i := range s.items {
		if s.items[i].what == what {
			return true
		}
	}
	return false
}

// adjoin says that all that came is there, one behind the other, from a start.
func (s *shard) adjoin(start int) bool {
	came := s.rejoin.came
	if len(s.items)-start < len(came) {
		return false
	}
	for n := range came {
		if s.items[start+n].what != came[n].what {
			return false
		}
	}
	return true
}

// follow says that all that came is there, in order, from a start.
func (s *shard) follow(start int) bool {
	n := 0
	for at := start; at < len(s.items) && n < len(s.rejoin.came); at++ {
		if s.items[at].what == s.rejoin.came[n].what {
			n++
		}
	}
	return n == len(s.rejoin.came)
}

// assign gives receipts to the items that follow a start, and gives the last of these.
// Those of items that are judged are void: they are acknowledged, perhaps once more.
func (s *shard) assign(start int) (last int) {
	for i := range s.items {
		s.items[i].receipt, s.items[i].valid = bridge.Receipt{}, false
	}
	n := 0
	for at := start; n < len(s.rejoin.came); at++ {
		it, r := &s.items[at], &s.rejoin.came[n]
		if it.what != r.what {
			continue
		}
		if at >= s.head {
			it.receipt, it.valid = r.receipt, true
		} else {
			s.rejoin.void = append(s.rejoin.void, r.receipt)
		}
		last = at
		n++
	}
	return last
}

// over forgets what came, when nothing more of it can come.
func (r *rejoin) over() { r.first, r.came = 0, nil }
