package adaptertest

import (
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

var loopChecks = []check{
	{"Loop", "a message says which relays carried it", []waiver{needsLoop}, loopVia},
	{"Loop", "the sink knows what comes from its target, and takes nothing else for it", []waiver{needsLoop}, loopKnown},
}

// loopVia sends a message on its first way, and one that was carried before.
func loopVia(e *env) {
	t, l := e.loop()
	msgs := e.messages(2, 1)
	msgs[1].Via = "b/one c/two-2"
	relay := ""
	for i := range msgs {
		l.deliver(msgs[i : i+1])
		d := t.once(1)[0]
		t.ack(d)
		switch {
		case i == 0 && (d.Via == "" || strings.Contains(d.Via, " ")):
			e.Fatalf("a message on its first way was carried by %q", d.Via)
		case i == 0:
			relay = d.Via
		case d.Via != "b/one c/two-2 "+relay:
			e.Errorf("a message that b/one, c/two-2 and %s carried says %q", relay, d.Via)
		}
	}
}

// loopKnown asks the sink of one place about messages of that place, of another, and
// of some that differ from the first in one part of their origin.
func loopKnown(e *env) {
	t, l := e.loop()
	looper, ok := l.sink.(bridge.Looper)
	if !ok {
		e.without("its sink is no Looper")
		return
	}
	l.deliver(e.messages(1, 1))
	own := t.once(1)[0].Message
	if !looper.Loops(&own) {
		e.note("the origin alone does not say that a message comes from the target")
	}
	if looper.Loops(&bridge.Message{}) {
		e.Errorf("a message without origin is taken for one of the target")
	}
	for what, change := range map[string]func(*bridge.Stream){
		"system":  func(s *bridge.Stream) { s.System += "-2" },
		"cluster": func(s *bridge.Stream) { s.Cluster += "-2"; s.Incarnation += "-2" },
		"stream":  func(s *bridge.Stream) { s.Name += "-2" },
	} {
		other := own
		stream := *own.Origin.Stream
		change(&stream)
		other.Origin.Stream = &stream
		if looper.Loops(&other) {
			e.Errorf("a message of another %s, %s, is taken for one of the target", what, other.Origin)
		}
	}
	if e.Other == nil {
		return
	}
	in := e.tap(e.Other(e.T)) // another relay: this one has its tap
	e.put(e.messages(1, 1))
	if d := in.once(1)[0]; looper.Loops(&d.Message) {
		e.Errorf("a message of another place, %s, is taken for one of the target", d.Origin)
	}
}
