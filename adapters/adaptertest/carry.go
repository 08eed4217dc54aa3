package adaptertest

import (
	"errors"
	"maps"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A carrier brings messages to the target as the relay does, over any number of
// lives: fence, recall, leave out what landed, send the rest in order.
type carrier struct {
	e      *env
	msgs   []bridge.Message
	placed map[string]bool // settled in any life, or recalled
	traits bridge.SinkTraits
}

func (e *env) carrier(msgs []bridge.Message) *carrier {
	return &carrier{e: e, msgs: msgs, placed: map[string]bool{}, traits: e.facts.to}
}

// live carries until so many more are settled, or everything is, or the lane
// ends. It leaves the lane as it is, with messages on their way.
func (c *carrier) live(p Process, enough int) *lane {
	c.e.Helper()
	l := c.e.lane(p, 0)
	if c.traits.Recall > 0 {
		c.recall(l)
	}
	var left []bridge.Message
	for i := range c.msgs {
		if !c.placed[c.msgs[i].ID.Value] {
			left = append(left, c.msgs[i])
		}
	}
	for i := range min(c.carry(l, left, enough), len(left)) {
		c.placed[left[i].ID.Value] = true
	}
	return l
}

// recall reads back what landed. Where that covers all messages it is all that a
// new life knows, and what was settled before has to be in it.
func (c *carrier) recall(l *lane) {
	c.e.Helper()
	landed := map[string]bool{}
	for _, r := range l.recall(0, min(c.traits.Recall, 2*len(c.msgs))) {
		landed[r.ID.Value] = true
	}
	if c.traits.Recall < len(c.msgs) {
		maps.Copy(c.placed, landed)
		return
	}
	for id := range c.placed {
		if !landed[id] {
			c.e.Errorf("message %s was settled, but recall does not see it", id)
		}
	}
	c.placed = landed
}

// carry sends until enough is settled or the lane ends, and gives how many were.
func (c *carrier) carry(l *lane, left []bridge.Message, enough int) int {
	c.e.Helper()
	sent, done := 0, 0
	for sent < len(left) && done < enough {
		n, err := l.send(left[sent : sent+c.step(left[sent:])])
		sent += n
		if err != nil {
			done, _ = l.state()
			return done
		}
		if c.traits.Survives == bridge.SurvivesAny { // I2
			done, err = l.await(sent)
		} else {
			done, err = l.state()
		}
		if err != nil {
			break
		}
	}
	done, err := l.await(min(sent, enough))
	if errors.Is(err, errPatience) {
		c.e.Fatalf("settled %d of %d: %v", done, sent, err)
	}
	return done
}

// step is how many messages go out at once: where any subset may survive, no two
// of a key.
func (c *carrier) step(left []bridge.Message) int {
	n := min(1+c.e.rand.IntN(16), len(left))
	if c.traits.Survives == bridge.SurvivesPrefix {
		return n
	}
	keys := map[string]bool{}
	for i := range n {
		if keys[left[i].Key] {
			return i
		}
		keys[left[i].Key] = true
	}
	return n
}

// finish carries what is left, in as many lives as a handful of refusals take.
func (c *carrier) finish(p Process) {
	c.e.Helper()
	for range 5 {
		l := c.live(p, len(c.msgs))
		l.end()
		if len(c.placed) == len(c.msgs) {
			return
		}
	}
	c.e.Fatalf("placed %d of %d messages in five lives", len(c.placed), len(c.msgs))
}

// want wants in the target what the traits promise after deaths: everything, in
// the order of each key; and once, where there is a fence and recall.
func (c *carrier) want() {
	c.e.Helper()
	got := c.e.read()
	if c.traits.Recall > 0 && c.traits.Fence != bridge.FenceNone { // I6
		c.e.wantSame("the target", got, c.msgs)
		return
	}
	c.e.note("the target may hold repeats after a death: it is not both fenced and recalled")
	c.e.wantAll("the target", got, c.msgs)
}
