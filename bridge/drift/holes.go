package drift

import "time"

// A hole is a message of the incumbent that the candidate has passed by.
type hole struct {
	was    Observation
	ord    uint32
	passed time.Duration
}

// holes are what the candidate has passed by, by identity and in the order of when it
// did. It is small where little is wrong.
type holes struct {
	by     map[identity][]hole
	keys   map[uint64]int
	queue  []due
	lost   map[identity]struct{} // found missing
	losses []identity            // likewise, in order
}

type due struct {
	who    identity
	ord    uint32
	passed time.Duration
}

// mostLost is how many missing messages are remembered, in case they come after all.
const mostLost = 1 << 16

func newHoles() holes {
	return holes{by: map[identity][]hole{}, keys: map[uint64]int{}, lost: map[identity]struct{}{}}
}

// of is how many there are of a key.
func (h *holes) of(key uint64) int { return h.keys[key] }

func (h *holes) add(key uint64, one hole) {
	who := identity{key, one.was.ID}
	h.by[who] = append(h.by[who], one)
	h.keys[key]++
	h.queue = append(h.queue, due{who, one.ord, one.passed})
}

// take takes the first of that identity out.
func (h *holes) take(who identity) (one hole, ok bool) {
	if len(h.by) == 0 {
		return one, false
	}
	all, ok := h.by[who]
	if !ok {
		return one, false
	}
	one = all[0]
	if h.by[who] = all[1:]; len(all) == 1 {
		delete(h.by, who)
	}
	if h.keys[who.key]--; h.keys[who.key] == 0 {
		delete(h.keys, who.key)
	}
	return one, true
}

// expired takes out, oldest first, what was passed up to a time.
func (h *holes) expired(until time.Duration) (one hole, ok bool) {
	for len(h.queue) > 0 && h.queue[0].passed <= until {
		d := h.queue[0]
		h.queue = h.queue[1:]
		if all := h.by[d.who]; len(all) > 0 && all[0].ord == d.ord { // else it has come
			return h.take(d.who)
		}
	}
	return one, false
}

// loses remembers that a message was found missing.
func (h *holes) loses(who identity) {
	if _, ok := h.lost[who]; ok {
		return
	}
	if len(h.losses) >= mostLost {
		delete(h.lost, h.losses[0])
		h.losses = h.losses[1:]
	}
	h.lost[who] = struct{}{}
	h.losses = append(h.losses, who)
}

// returns says, once, that a message had been found missing.
func (h *holes) returns(who identity) bool {
	if len(h.lost) == 0 {
		return false
	}
	_, ok := h.lost[who]
	delete(h.lost, who)
	return ok
}

// isLost says that a message of that identity was found missing, and has not come.
func (h *holes) isLost(who identity) bool {
	if len(h.lost) == 0 {
		return false
	}
	_, ok := h.lost[who]
	return ok
}
