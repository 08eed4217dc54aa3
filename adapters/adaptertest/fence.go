package adaptertest

import (
	"github.com/crossfade-mq/crossfade/bridge"
)

// zombies opens a lane in one process and then in another, as happens when the
// first has lost touch and does not know it. With an owner's lock the second
// gets in only once the system has dropped the first, so that one is cut off.
func (e *env) zombies(sent []bridge.Message) (zombie, successor *lane) {
	e.Helper()
	first, second := e.process(), e.process()
	zombie = e.lane(first, 0)
	zombie.deliver(sent)
	if e.facts.to.Fence != bridge.FenceLock {
		return zombie, e.lane(second, 0)
	}
	s := e.sink(second)
	if l, err := e.tryLane(s, 0); err == nil {
		return zombie, l // it took the lock away
	} else if bridge.ClassOf(err) != bridge.Transient {
		e.Fatalf("open a lane whose lock is held: %v", err)
	}
	e.die(first)
	return zombie, e.laneOn(s, 0)
}

// late waits until what the zombie sends is answered. It gives how many of its
// messages were settled, and what ended it.
func (l *lane) late(msgs []bridge.Message) (settled int, ended error) {
	l.e.Helper()
	before, _ := l.state()
	if _, err := l.send(msgs); err != nil {
		n, _ := l.state()
		return n - before, err
	}
	n, err := l.await(before + len(msgs))
	return n - before, err
}

func fenceRefuses(e *env) {
	msgs := e.messages(20, 2)
	zombie, successor := e.zombies(msgs[:5])
	successor.deliver(msgs[5:10])
	stray := e.messages(3, 2)
	if n, err := zombie.late(stray); n > 0 || err == nil {
		e.Errorf("the predecessor's late messages: %d settled, %v", n, err)
	}
	successor.deliver(msgs[10:])
	e.want("the target", msgs)
	zombie.end()
}

// fenceNotPassed has the predecessor send between the successor's recall and its
// first message. Either the fence refuses it, or the successor is told, and goes
// the way of the relay: a new session, which recalls.
func fenceNotPassed(e *env) {
	msgs := e.messages(20, 2)
	zombie, successor := e.zombies(msgs[:5])
	landed := 5
	if e.facts.to.Recall > 0 {
		landed = len(successor.recall(0, 100))
	}
	if landed != 5 {
		e.Errorf("the successor recalls %d messages, want 5", landed)
	}
	late, _ := zombie.late(msgs[5:8])
	refused := false
	if _, err := successor.send(msgs[5:]); err != nil {
		refused = true
	} else if _, err := successor.await(15); err != nil {
		refused = true
	}
	switch {
	case !refused:
		if late > 0 {
			e.Errorf("%d of the predecessor's messages were settled behind the successor, which was not told", late)
		}
		e.want("the target", msgs)
	case e.facts.to.Recall == 0:
		e.note("the successor is refused, and cannot read back what landed")
	default:
		successor.end()
		c := e.carrier(msgs)
		c.finish(e.process())
		c.want()
	}
	zombie.end()
}
