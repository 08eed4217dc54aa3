package memory

import (
	"context"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// answers holds back a lane's answers for the latency. One goroutine, which
// Close waits for, gives them.
type answers struct {
	lane    *lane
	latency time.Duration
	window  int

	mu    sync.Mutex
	queue []answer
	open  int           // messages unanswered
	added chan struct{} // capacity 1: there is something in the queue
	freed chan struct{} // capacity 1: open has sunk
	ended chan struct{} // closed when the goroutine has ended
}

type answer struct {
	placements []bridge.Placement
	due        time.Time
}

func (l *lane) start() {
	a := &answers{
		lane: l, latency: l.config.Latency, window: l.config.Window,
		added: make(chan struct{}, 1), freed: make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	l.answers = a
	go a.run()
}

// room waits until the window has room, and gives how much, up to want.
func (a *answers) room(ctx context.Context, want int) (int, error) {
	for {
		a.mu.Lock()
		free := a.window - a.open
		a.mu.Unlock()
		if free > 0 {
			return min(free, want), nil
		}
		select {
		case <-a.freed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-a.lane.cut:
			return 0, bridge.ErrClosed
		}
	}
}

// add takes the answer for what has just been stored.
func (a *answers) add(placements []bridge.Placement) {
	if len(placements) == 0 {
		return
	}
	a.mu.Lock()
	a.queue = append(a.queue, answer{append([]bridge.Placement(nil), placements...), time.Now().Add(a.latency)})
	a.open += len(placements)
	a.mu.Unlock()
	signal(a.added)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run answers in order until the lane ends. A lane that the broker ended says
// so; one that was closed says nothing more.
func (a *answers) run() {
	defer close(a.ended)
	for {
		next, ok := a.head()
		if !ok {
			select {
			case <-a.added:
				continue
			case <-a.lane.cut:
				a.lost()
				return
			}
		}
		timer := time.NewTimer(time.Until(next.due))
		select {
		case <-timer.C:
		case <-a.lane.cut:
			timer.Stop()
			a.lost()
			return
		}
		a.lane.settled(len(next.placements), next.placements, nil)
		a.pop(len(next.placements))
		signal(a.freed)
	}
}

func (a *answers) head() (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return answer{}, false
	}
	return a.queue[0], true
}

func (a *answers) pop(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = a.queue[1:]
	a.open -= n
}

// lost reports what ended the lane, unless Send or Close has.
func (a *answers) lost() {
	l := a.lane
	l.stream.mu.Lock()
	cause, told := l.ended, l.told
	l.stream.mu.Unlock()
	if !told {
		l.settled(0, nil, cause)
	}
}
