package faulty

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A lane is a session that may fail at any Send.
type lane struct {
	*sink
	inner    bridge.Lane
	number   int
	outer    bridge.Settled
	name     string // of the place where Sends fail
	refusals string // of the place where messages are refused
	sends    int    // only Send uses it
	kept     bool   // inner goes on as a zombie; only Send writes it, under mu

	mu      sync.Mutex // held while outer is called, which does not block
	handed  int        // messages that inner has been given
	settled int        // and has confirmed
	allow   int        // how many more confirmations come through; -1 is all
	last    error      // what is reported when allow is used up
	told    bool       // nothing more is reported
	ended   error      // what Send answers
	pattern []error    // per message unsettled: nil, or why it was refused; SurvivesAny only
}

// onSettled passes on what inner reports, as far as the faults let it.
func (l *lane) onSettled(n int, placements []bridge.Placement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled += n
	if l.told {
		return
	}
	if l.allow >= 0 && n > l.allow {
		n = l.allow
		if placements != nil {
			placements = placements[:n]
		}
	}
	if l.allow >= 0 {
		l.allow -= n
	}
	if n > 0 {
		l.emit(n, placements)
	}
	switch {
	case l.allow == 0:
		l.tell(l.last)
	case err != nil:
		l.ended = err
		l.tell(err)
	}
}

// emit reports that n more messages which inner has taken are settled, with the
// refused ones in between. l.mu is held.
func (l *lane) emit(n int, placements []bridge.Placement) {
	if len(l.pattern) == 0 {
		l.outer(n, placements, nil)
		return
	}
	var report []bridge.Placement
	for i := 0; len(l.pattern) > 0 && (i < n || l.pattern[0] != nil); l.pattern = l.pattern[1:] {
		p := bridge.Placement{Refused: l.pattern[0]}
		if p.Refused == nil {
			if placements != nil {
				p = placements[i]
			}
			i++
		}
		report = append(report, p)
	}
	if len(report) > 0 {
		l.outer(len(report), report, nil)
	}
}

// tell reports an error, once. l.mu is held.
func (l *lane) tell(err error) {
	if !l.told {
		l.told = true
		l.outer(0, nil, err)
	}
}

// bound lets only so many more confirmations through, of those that inner owes,
// and err behind them.
func (l *lane) bound(err error, allow func(owed int) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allow, l.last, l.ended = allow(l.handed-l.settled), err, err
	if l.allow == 0 {
		l.tell(err)
	}
}

func none(int) int     { return 0 }
func all(owed int) int { return owed }

// mute ends the lane for that cause, and lets nothing more be reported.
func (l *lane) mute(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told, l.ended = true, cause
}

// cut ends the lane as a lost connection does; Send gives the cause.
func (l *lane) cut(cause error) error {
	l.mute(cause)
	_ = l.inner.Close() // the connection is gone; nobody is left to hear of it
	return cause
}

// Send is as bridge.Lane says, but for the faults.
func (l *lane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	if ended != nil {
		return 0, ended
	}
	if len(msgs) == 0 {
		return 0, nil
	}
	l.walk(ctx)
	k := l.faults.draw(l.name, Before, After, Delay, Disconnect, Partial, Zombie)
	switch k.kind {
	case Before:
		return 0, l.cut(k.err)
	case Disconnect:
		l.bound(k.err, none)
		_ = l.inner.Close()
		return len(msgs), nil
	case After:
		return l.unanswered(ctx, msgs, &k)
	case Partial:
		return l.partly(ctx, msgs, &k)
	case Zombie:
		return l.die(ctx, msgs, &k)
	case Delay:
		if err := k.pause(ctx); err != nil {
			return 0, l.cut(err)
		}
	}
	return l.take(ctx, msgs)
}

// taken leaves out the messages that the plan refuses, which never take effect.
func (l *lane) taken(msgs []*bridge.Message) []*bridge.Message {
	if l.faults.plan.Refuse == nil {
		return msgs
	}
	var kept []*bridge.Message
	for _, m := range msgs {
		if l.faults.plan.Refuse(m) == nil {
			kept = append(kept, m)
		}
	}
	return kept
}

// unanswered has all messages take effect, and loses the answer: told by Send or
// by settled.
func (l *lane) unanswered(ctx context.Context, msgs []*bridge.Message, k *strike) (int, error) {
	bySend := k.rng.IntN(2) == 0
	if bySend {
		l.mute(k.err)
	} else {
		l.bound(k.err, none)
	}
	l.give(ctx, l.before(msgs))
	if bySend {
		return k.rng.IntN(len(msgs)), k.err
	}
	return len(msgs), nil
}

// before gives what of a pipeline can take effect: all in front of a message that
// is refused, or all others where any subset may survive. // I2
func (l *lane) before(msgs []*bridge.Message) []*bridge.Message {
	if l.subset {
		return l.taken(msgs)
	}
	return msgs[:l.refused(msgs)]
}

// refused is the index of the first message that the plan refuses.
func (l *lane) refused(msgs []*bridge.Message) int {
	if l.faults.plan.Refuse == nil {
		return len(msgs)
	}
	i := slices.IndexFunc(msgs, func(m *bridge.Message) bool { return l.faults.plan.Refuse(m) != nil })
	if i < 0 {
		return len(msgs)
	}
	return i
}

// give hands messages to inner whatever comes of it.
func (l *lane) give(ctx context.Context, msgs []*bridge.Message) int {
	if len(msgs) == 0 {
		return 0
	}
	l.expect(msgs, nil)
	n, _ := l.inner.Send(ctx, msgs) // what is lost is lost: the lane has ended
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed += n
	return n
}

// partly has part of the messages take effect, a prefix or any subset, confirms
// some of what was sure, and then fails by settled.
func (l *lane) partly(ctx context.Context, msgs []*bridge.Message, k *strike) (int, error) {
	part, sure := l.part(msgs, k)
	l.bound(k.err, func(owed int) int { return k.rng.IntN(owed + sure + 1) })
	if l.give(ctx, part) < len(part) { // no more will be confirmed
		l.mu.Lock()
		defer l.mu.Unlock()
		l.tell(k.err)
	}
	return len(msgs), nil
}

// part chooses what takes effect; the first sure of msgs are the first of it.
func (l *lane) part(msgs []*bridge.Message, k *strike) (part []*bridge.Message, sure int) {
	if !l.subset {
		part = msgs[:k.rng.IntN(l.refused(msgs)+1)]
		return part, len(part)
	}
	gap := false
	for _, m := range msgs {
		if k.rng.IntN(2) == 0 || len(l.taken([]*bridge.Message{m})) == 0 {
			gap = true
			continue
		}
		part = append(part, m)
		if !gap {
			sure++
		}
	}
	return part, sure
}

// die leaves the inner lane to a zombie: part of the messages take effect now,
// the others when the successor has begun to send.
func (l *lane) die(ctx context.Context, msgs []*bridge.Message, k *strike) (int, error) {
	l.mute(k.err)
	msgs = l.before(msgs)
	now := k.rng.IntN(len(msgs) + 1)
	given := l.give(ctx, msgs[:now])
	z := &zombie{inner: l.inner, after: 1 + k.rng.IntN(3)}
	for _, m := range msgs[min(given, now):] {
		z.msgs = append(z.msgs, copied(m))
	}
	l.mu.Lock()
	l.kept = true
	l.mu.Unlock()
	l.graves.bury(l.number, z)
	return 0, k.err
}

// copied is the message with slices of its own, since those of a lane that is
// closed are the caller's again.
func copied(m *bridge.Message) *bridge.Message {
	c := *m
	c.Body = bytes.Clone(m.Body)
	c.Headers = slices.Clone(m.Headers)
	for i := range c.Headers {
		c.Headers[i].Value = bytes.Clone(c.Headers[i].Value)
	}
	c.Properties = slices.Clone(m.Properties)
	return &c
}

// take hands messages over as they are, up to one that the plan refuses.
func (l *lane) take(ctx context.Context, msgs []*bridge.Message) (int, error) {
	i := l.refused(msgs)
	if i == len(msgs) {
		return l.pass(ctx, msgs)
	}
	l.faults.count(Refuse)
	why := l.faults.plan.Refuse(msgs[i])
	way := l.faults.draw(l.refusals).rng.IntN(2)
	if way == 1 && l.subset {
		return l.passAround(ctx, msgs)
	}
	if n, err := l.pass(ctx, msgs[:i]); err != nil {
		return n, err
	}
	if way == 0 {
		return i, why
	}
	l.bound(why, all)
	return len(msgs), nil
}

// pass hands messages to inner.
func (l *lane) pass(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	l.expect(msgs, nil)
	n, err := l.inner.Send(ctx, msgs)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed += n
	if err != nil && bridge.ClassOf(err) != bridge.Rejected {
		l.ended = err
	}
	if len(l.pattern) > 0 {
		l.pattern = l.pattern[:len(l.pattern)-(len(msgs)-n)]
	}
	return n, err
}

// expect notes which answers are to come, where some are refusals.
func (l *lane) expect(msgs []*bridge.Message, why func(*bridge.Message) error) {
	if !l.subset || l.faults.plan.Refuse == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range msgs {
		if why != nil {
			l.pattern = append(l.pattern, why(m))
		} else {
			l.pattern = append(l.pattern, nil)
		}
	}
}

// passAround hands over all messages but those refused, which are answered in
// their turn by placements.
func (l *lane) passAround(ctx context.Context, msgs []*bridge.Message) (int, error) {
	sent := 0
	for sent < len(msgs) {
		if why := l.faults.plan.Refuse(msgs[sent]); why != nil {
			l.expect(msgs[sent:sent+1], l.faults.plan.Refuse)
			l.mu.Lock()
			if !l.told {
				l.emit(0, nil) // at once if nothing is in front of it
			}
			l.mu.Unlock()
			sent++
			continue
		}
		n, err := l.pass(ctx, msgs[sent:sent+1+l.refused(msgs[sent+1:])])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return len(msgs), nil
}

// Close is as bridge.Lane says.
func (l *lane) Close() error {
	l.mu.Lock()
	l.told, l.ended = true, bridge.ErrClosed
	kept := l.kept
	l.mu.Unlock()
	if kept {
		return nil
	}
	return l.inner.Close()
}
