package kafka

import (
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// answer is what a slot holds: 0 for none, else the offset plus one, negative for a
// repeat.
func answer(offset int64, repeat bool) int64 {
	if repeat {
		return -(offset + 1) - 1
	}
	return offset + 1
}

// placement is the inverse of answer.
func placement(answer int64) bridge.Placement {
	if answer < 0 {
		return bridge.Placement{Position: uint64(max(0, -answer-2)), Repeat: true}
	}
	return bridge.Placement{Position: uint64(answer - 1)}
}

// placed notes where a batch of the partition stands, and goes on to its next one.
// The mutex is held.
func (l *lane) placed(p *partition, offset int64, repeat bool) {
	b := p.sending
	for i, n := range b.numbers {
		at := offset
		if at >= 0 {
			at += int64(i)
		}
		l.slots[n%uint64(len(l.slots))] = answer(at, repeat)
	}
	if offset >= 0 {
		p.next = offset + int64(len(b.numbers))
	}
	l.octets -= b.size()
	p.sending, p.since = nil, time.Time{}
	l.release(b)
	l.enlist(p)
}

// refuse notes that a message which has a number was refused: all in front of it is
// settled, and then the lane ends. Nothing of the partition is sent behind what stands
// in its queue by now. The mutex is held. // I2
func (l *lane) refuse(number uint64, err error) {
	if l.doom == nil || number < l.doom.number {
		l.doom = &refusal{number, err}
	}
}

// flush reports what has become settled. // I1
func (l *lane) flush() {
	l.report.Lock()
	defer l.report.Unlock()
	l.mu.Lock()
	l.told = l.told[:0]
	for l.head < l.next {
		slot := &l.slots[l.head%uint64(len(l.slots))]
		if *slot == 0 {
			break
		}
		l.told = append(l.told, *slot)
		*slot = 0
		l.head++
	}
	if l.doom != nil && l.head == l.doom.number {
		l.fail(l.doom.err)
	}
	err := l.err
	l.mu.Unlock()
	l.signal()
	if l.tell == nil || len(l.told) == 0 && err == nil {
		return
	}
	l.places = slices.Grow(l.places[:0], len(l.told))
	for _, a := range l.told {
		l.places = append(l.places, placement(a))
	}
	tell := l.tell
	if err != nil {
		l.tell = nil
	}
	tell(len(l.places), l.places, err)
}

// fail ends the lane; flush reports it. The mutex is held.
func (l *lane) fail(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	close(l.over)
	l.end()
	l.work.Broadcast()
}

// stop is fail and flush.
func (l *lane) stop(err error) {
	l.mu.Lock()
	l.fail(err)
	l.mu.Unlock()
	l.flush()
}

// signal lets a Send go on that waits for room.
func (l *lane) signal() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// Close is as bridge.Lane says.
func (l *lane) Close() error {
	l.report.Lock()
	l.tell = nil
	l.report.Unlock()
	l.mu.Lock()
	l.fail(bridge.ErrClosed)
	l.mu.Unlock()
	l.wg.Wait()
	return nil
}
