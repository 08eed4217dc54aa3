package rabbitmq

import (
	"fmt"
	"time"
)

// A heldSince knows for how long something has been delivered and not
// acknowledged, to an eighth of the bound: it remembers which delivery was the
// newest at each look.
type heldSince struct {
	bound time.Duration
	marks []heldMark
}

type heldMark struct {
	tag uint64
	at  time.Time
}

// look is told of the newest tag delivered and of the one up to which all are
// acknowledged, and says whether something has been held for longer than the bound.
func (h *heldSince) look(newest, floor uint64, now time.Time) bool {
	for len(h.marks) > 0 && h.marks[0].tag <= floor {
		h.marks = h.marks[1:]
	}
	if newest > floor && (len(h.marks) == 0 || h.marks[len(h.marks)-1].tag < newest) {
		h.marks = append(h.marks, heldMark{newest, now})
	}
	return len(h.marks) > 0 && now.Sub(h.marks[0].at) >= h.bound
}

// watchHeld ends the session when it has held something un-acknowledged for too
// long, which gives all back in order. The broker's own time-out would do it at
// another moment, and from RabbitMQ 4.3 on without ending the channel.
func (s *queueSource) watchHeld(bound time.Duration) {
	tick := time.NewTicker(max(bound/8, 10*time.Millisecond))
	defer tick.Stop()
	h := heldSince{bound: bound}
	for {
		select {
		case <-s.over:
			return
		case now := <-tick.C:
			newest := s.intake.delivered()
			s.ackMu.Lock()
			floor := s.acks.floor
			s.ackMu.Unlock()
			if h.look(newest, floor, now) {
				s.intake.end(fmt.Errorf("rabbitmq: %s: a message was not acknowledged for %v (unacked_timeout): all is given back before the broker's own time-out, and read again", s.queue, bound))
				return
			}
		}
	}
}
