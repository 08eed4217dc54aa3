package adapters_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// A sending is a sink with its lanes.
type sending struct {
	t     *testing.T
	place *place
	sink  bridge.Sink
	lanes map[int]*laneInUse
}

// A laneInUse is a lane with what was sent through it.
type laneInUse struct {
	bridge.Lane
	sent []uint64

	mu      sync.Mutex
	settled int
	refused []int // places in sent
	err     error
	changed chan struct{}
}

func (l *laneInUse) tell(n int, placements []bridge.Placement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range placements {
		if p.Refused != nil {
			l.refused = append(l.refused, l.settled+i)
		}
	}
	l.settled += n
	if err != nil {
		l.err = err
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// lane is the one that the message belongs to.
func (s *sending) lane(m *bridge.Message) *laneInUse {
	s.t.Helper()
	number := 0
	if r, ok := s.sink.(bridge.Router); ok {
		number = r.Route(m, s.place.sink.Traits().Lanes)
	}
	if s.lanes[number] == nil {
		l := &laneInUse{changed: make(chan struct{}, 1)}
		var err error
		if l.Lane, err = s.sink.Open(s.t.Context(), number, l.tell); err != nil {
			s.t.Fatal(err)
		}
		s.lanes[number] = l
	}
	return s.lanes[number]
}

// send hands a message to its lane, or notes that the sink refuses it.
func (s *sending) send(number uint64, m *bridge.Message) {
	s.t.Helper()
	l := s.lane(m)
	_, err := l.Send(s.t.Context(), []*bridge.Message{m})
	switch {
	case err == nil:
		l.sent = append(l.sent, number)
	case bridge.ClassOf(err) == bridge.Rejected:
		s.refuse(number, err, m)
	default:
		s.t.Fatalf("%s: message %d, %+v: %v", s.place.sink.Describe(), number, m, err)
	}
}

// refuse wants the reason to be one that the sink declares.
func (s *sending) refuse(number uint64, err error, m *bridge.Message) {
	s.t.Helper()
	s.place.parked[number] = true
	reason := bridge.ReasonOf(err)
	if !slices.ContainsFunc(s.place.sink.(bridge.Carrier).Carries(), func(l bridge.Mapping) bool { return l.Parks == reason }) {
		s.t.Errorf("%s: refuses %+v, which it does not declare: %v", s.place.sink.Describe(), m, err)
	}
}

// settle waits until everything is.
func (s *sending) settle() {
	s.t.Helper()
	ctx, cancel := contextFor(s.t, 30*time.Second)
	defer cancel()
	for _, l := range s.lanes {
		for {
			l.mu.Lock()
			settled, refused, err := l.settled, l.refused, l.err
			l.mu.Unlock()
			if err != nil {
				s.t.Fatalf("%s: %d of %d settled: %v", s.place.sink.Describe(), settled, len(l.sent), err)
			}
			if settled == len(l.sent) {
				if len(refused) > 0 {
					s.t.Errorf("%s: %d messages were refused late", s.place.sink.Describe(), len(refused))
				}
				break
			}
			select {
			case <-l.changed:
			case <-ctx.Done():
				s.t.Fatalf("%s: %d of %d settled", s.place.sink.Describe(), settled, len(l.sent))
			}
		}
	}
}

// placed is how many are.
func (s *sending) placed() (n int) {
	for _, l := range s.lanes {
		n += len(l.sent)
	}
	return n
}

func (s *sending) close() {
	for _, l := range s.lanes {
		_ = l.Close()
	}
}
