package adaptertest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

var identityChecks = []check{
	{"Identity", "bodies: null, empty, every octet, 64 KiB", []waiver{needsLoop}, hop(bodySamples)},
	{"Identity", "keys: empty, odd, long", []waiver{needsLoop}, hop(keySamples)},
	{"Identity", "IDs: odd, long, apart in a trailing space, of every scope and provenance, none", []waiver{needsLoop}, hop(idSamples)},
	{"Identity", "addresses: space, name and partition", []waiver{needsLoop}, hop(addressSamples)},
	{"Identity", "headers of every type", []waiver{needsLoop}, hop(typeSamples)},
	{"Identity", "headers: order, repeats, odd names, many, 64 KiB", []waiver{needsLoop}, hop(headerSamples)},
	{"Identity", "control headers of any system travel and act on nothing", []waiver{needsLoop}, hopTogether(controlSamples)},
	{"Identity", "properties of every kind: present, zero, null, absent", []waiver{needsLoop}, hop(propertySamples)},
	{"Identity", "time, expiry and origin", []waiver{needsLoop}, hop(timeSamples)},
	{"Identity", "a repeat is suppressed, or placed again with the same ID", []waiver{needsSink}, repeatPlaced},
	{"Identity", "equal IDs of two keys are two messages", []waiver{needsSink}, equalIDs},
	{"Identity", "an ID that differs in a trailing space is another", []waiver{needsSink}, trailingSpace},
	{"Identity", "a content-derived ID swallows nothing", []waiver{needsSink}, contentSwallows},
	{"Identity", "messages without ID are all placed", []waiver{needsSink}, withoutID},
}

func needsLoop(f *facts) string {
	if !f.source || !f.sink {
		return "the adapter: it has no source and sink to go through"
	}
	return ""
}

// hop sends each sample through the system and back, one by one.
func hop(list func() []sample) func(*env) {
	return func(e *env) {
		t, l := e.loop()
		var last *bridge.Message
		all := list()
		for i := range all {
			s := &all[i]
			if !l.carries(s) {
				l = l.again()
				continue
			}
			got := t.once(1)[0]
			for last != nil && diff(last, &got.Message) == "" && diff(&s.Message, &got.Message) != "" {
				got = t.once(1)[0] // a repeat of the one before
			}
			if d := diff(&s.Message, &got.Message); d != "" {
				e.Errorf("%s: %s", s.name, d)
			}
			t.ack(got)
			last = &s.Message
		}
	}
}

// hopTogether sends all samples before it receives any, so that what one does to
// the others shows.
func hopTogether(list func() []sample) func(*env) {
	return func(e *env) {
		t, l := e.loop()
		want := map[string]*sample{}
		all := list()
		for i := range all {
			if l.carries(&all[i]) {
				want[all[i].ID.Value] = &all[i]
			} else {
				l = l.again()
			}
		}
		for len(want) > 0 {
			for _, d := range t.once(8) {
				if s := want[d.ID.Value]; s != nil {
					if d := diff(&s.Message, &d.Message); d != "" {
						e.Errorf("%s: %s", s.name, d)
					}
					delete(want, d.ID.Value)
				}
				t.ack(d)
			}
		}
	}
}

// loop opens a source on what a sink writes.
func (e *env) loop() (*tap, *lane) {
	e.Helper()
	p := e.Loop(e.T)
	if p.Source == nil || p.Sink == nil {
		e.Fatalf("Loop gives no source or no sink")
	}
	t := e.tapOf(p.Source)
	t.identify = nil // the ID that the sink carried is to come back
	return t, e.lane(p, 0)
}

// carries sends a sample. What a sink refuses with a reason, because the system
// cannot carry it at all, goes into the notes.
func (l *lane) carries(s *sample) bool {
	l.e.Helper()
	ended, refused := l.verdict(s.Message)
	l.over = ended
	if refused == nil {
		return true
	}
	reason := bridge.ReasonOf(refused)
	if !s.mayPark || bridge.ClassOf(refused) != bridge.Rejected || reason == bridge.ReasonPoison {
		l.e.Errorf("%s: %v", s.name, refused)
		return false
	}
	l.e.note("parked as %s: %s", reason, s.name)
	return false
}

// again is the lane, or a new one if this one has ended.
func (l *lane) again() *lane {
	l.e.Helper()
	if !l.over {
		return l
	}
	if err := l.Close(); err != nil {
		l.e.Logf("close of the lane: %v", err)
	}
	next := l.e.laneOn(l.sink, 0)
	next.own = l.own
	return next
}

// diff says in which fields got is not what was sent; "" is in none. // I3
func diff(want, got *bridge.Message) string {
	var d []string
	is := func(field string, same bool, w, g any) {
		if !same {
			d = append(d, fmt.Sprintf("%s is %.120q, want %.120q", field, fmt.Sprint(g), fmt.Sprint(w)))
		}
	}
	is("key", want.Key == got.Key, want.Key, got.Key)
	is("id", want.ID == got.ID || want.ID.IsZero() && got.ID.IsZero(), want.ID, got.ID)
	is("address", want.Address == got.Address, want.Address, got.Address)
	is("body null", (want.Body == nil) == (got.Body == nil), want.Body == nil, got.Body == nil)
	is("body", bytes.Equal(want.Body, got.Body), want.Body, got.Body)
	is("headers", slices.EqualFunc(want.Headers, got.Headers, sameHeader), printed(want.Headers), printed(got.Headers))
	is("properties", sameProperties(want.Properties, got.Properties), want.Properties, got.Properties)
	is("time", want.Time.IsZero() || want.Time.Equal(got.Time), want.Time, got.Time)
	if _, ok := want.Property(bridge.KindExpiration); !ok || !want.Expires.IsZero() { // a source may understand its own
		is("expiry", want.Expires.Equal(got.Expires), want.Expires, got.Expires)
	}
	is("origin", want.Origin.Stream == nil || want.Origin.String() == got.Origin.String(), want.Origin, got.Origin)
	return strings.Join(d, "; ")
}

func sameHeader(a, b bridge.Header) bool {
	return a.Name == b.Name && a.Type == b.Type && bytes.Equal(a.Value, b.Value)
}

// printed names the headers as name/type/value, cut short.
func printed(hs []bridge.Header) string {
	var b strings.Builder
	for i, h := range hs {
		if i == 8 {
			fmt.Fprintf(&b, "… %d", len(hs))
			break
		}
		fmt.Fprintf(&b, "%.24q/%c/%.24q ", h.Name, h.Type.Letter(), h.Value)
	}
	return b.String()
}

func sameProperties(a, b []bridge.Property) bool {
	if len(a) != len(b) {
		return false
	}
	for _, p := range a {
		if !slices.Contains(b, p) {
			return false
		}
	}
	return true
}

// repeatPlaced sends the same message twice.
func repeatPlaced(e *env) {
	l := e.lane(e.process(), 0)
	msgs := e.messages(4, 2)
	l.deliver(msgs)
	l.deliver(msgs[1:2])
	g := l.given()[4]
	got := e.atLeast(4)
	count := 0
	for i := range got {
		if got[i].ID == msgs[1].ID && got[i].Key == msgs[1].Key {
			count++
		}
	}
	switch {
	case e.facts.to.Suppresses > 0 && (count != 1 || !g.Repeat):
		e.Errorf("the trait Suppresses is %v, but a repeat is there %d times, with placement %+v", e.facts.to.Suppresses, count, g)
	case e.facts.to.Suppresses == 0 && g.Repeat && count != 1:
		e.Errorf("the placement says Repeat, but the message is there %d times", count)
	case e.facts.to.Suppresses == 0 && !g.Repeat && count != 2:
		e.Errorf("a repeat was settled as stored, but the message is there %d times", count)
	}
}

// atLeast reads the target; where it is not durable, until so many are there.
func (e *env) atLeast(n int) []bridge.Message {
	e.Helper()
	if !e.facts.to.Durable {
		e.until(fmt.Sprintf("the target has %d messages", n), func() bool { return len(e.read()) >= n })
	}
	return e.read()
}

// allPlaced sends messages, and wants every one of them in the target.
func allPlaced(e *env, msgs []bridge.Message) {
	e.Helper()
	l := e.lane(e.process(), 0)
	for i := range msgs {
		l.deliver(msgs[i : i+1])
		if g := l.given()[i]; g.Repeat || g.Refused != nil {
			e.Errorf("message %d: placement %+v", i, g)
		}
	}
	var want, have []string
	for i := range msgs {
		want = append(want, string(msgs[i].Body))
	}
	for _, m := range e.atLeast(len(msgs)) {
		have = append(have, string(m.Body))
	}
	if !slices.Equal(want, have) {
		e.Errorf("the target holds the bodies %s\nwant %s", show(have), show(want))
	}
}

func equalIDs(e *env) {
	msgs := e.messages(6, 3)
	for i := range msgs {
		msgs[i].Key = e.facts.key(0, i)
		msgs[i].ID.Value = "id-equal"
	}
	allPlaced(e, msgs)
}

func trailingSpace(e *env) {
	values := []string{"id", "id ", " id", "id  ", "ID", "id\t"}
	msgs := e.messages(2*len(values), 1)
	for i := range msgs {
		msgs[i].ID = bridge.ID{Value: values[i/2], Scope: bridge.Scope(i % 2)}
	}
	allPlaced(e, msgs)
}

func contentSwallows(e *env) {
	msgs := e.messages(4, 1)
	for i := range msgs {
		msgs[i].ID = bridge.ID{Value: "0123456789abcdef", From: bridge.FromContent}
		msgs[i].Body = []byte("21.5 °C")
	}
	allPlaced(e, msgs)
}

func withoutID(e *env) {
	msgs := e.messages(4, 2)
	for i := range msgs {
		msgs[i].ID = bridge.ID{}
		msgs[i].Body = []byte("21.5 °C")
	}
	allPlaced(e, msgs)
}
