package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A scope is what a relay's taps read, and who else reads that.
type scope struct {
	places  []bridge.Object // what is tapped, as far as it was seen
	flows   []flow          // the addresses that the taps give
	readers []reader        // applications that read the same, by name
}

// A flow is a set of addresses.
type flow struct {
	space string // the exchange; empty where it may be any
	takes bridge.Pattern
}

// A reader is an application's queue or consumer, with what leads to it.
type reader struct {
	object bridge.Object
	routes []route
}

// A route is one binding or filter by which a reader gets messages.
type route struct {
	flow
	of        *bridge.Object // what is tapped
	key       string         // as the incumbent spells it
	arguments []bridge.Setting
}

// String is the route in a few words.
func (t *route) text(to *bridge.Object) string {
	s := describe(t.of)
	switch {
	case t.key != "" && t.of.Role == bridge.RoleLog:
		s += ", filter " + t.key
	case t.key != "":
		s += ", key " + t.key
	}
	for _, a := range t.arguments {
		s += ", " + text(a)
	}
	return s + ", to " + describe(to)
}

func scopeOf(r *Relay) scope {
	s := scope{}
	for i := range r.Incumbent.Objects {
		o := &r.Incumbent.Objects[i]
		if slices.ContainsFunc(r.Taps, func(t bridge.Tap) bool { return t.Of(o) }) {
			s.places = append(s.places, *o)
		}
	}
	for _, t := range r.Taps {
		s.flows = append(s.flows, flowOf(r, &s, t)...)
	}
	for i := range s.places {
		p := &s.places[i]
		switch p.Role {
		case bridge.RoleExchange:
			s.behind(r, p)
		case bridge.RoleLog:
			s.beside(r, p)
		}
	}
	slices.SortFunc(s.readers, func(a, b reader) int { return a.object.Compare(&b.object) })
	return s
}

// tapped gives what of the places a tap reads; nothing if it was not seen.
func (s *scope) tapped(t *bridge.Tap) (out []*bridge.Object) {
	for i := range s.places {
		if t.Of(&s.places[i]) {
			out = append(out, &s.places[i])
		}
	}
	return out
}

// flowOf gives the addresses that a tap gives.
func flowOf(r *Relay, s *scope, t bridge.Tap) (out []flow) {
	places := s.tapped(&t)
	switch t.Role {
	case bridge.RoleExchange:
		kind := ""
		if len(places) > 0 {
			kind = places[0].Kind
		}
		return []flow{{spaceOf(r, t.Name), through(kind, t.Key)}}
	case bridge.RoleQueue:
		return []flow{{"", bridge.AnyName}}
	}
	takes := t.Takes
	if len(takes) == 0 {
		takes = []bridge.Pattern{bridge.AnyName}
	}
	for _, take := range takes {
		if len(places) == 0 && t.Match == nil {
			out = append(out, flow{"", take})
		}
		for _, p := range places {
			for _, m := range within(p, take) {
				out = append(out, flow{"", m})
			}
		}
	}
	return out
}

// spaceOf is the exchange that messages of a tapped exchange were sent to. Where
// other exchanges lead to it, that may be any of them.
func spaceOf(r *Relay, exchange string) string {
	if slices.ContainsFunc(r.Incumbent.Objects, func(o bridge.Object) bool {
		return o.Role == bridge.RoleBinding && o.To == bridge.RoleExchange && o.Name == exchange
	}) {
		return ""
	}
	return exchange
}

// through is what a binding of an exchange lets through; one of an unknown type is
// read as a topic exchange.
func through(kind, key string) bridge.Pattern {
	switch kind {
	case "direct exchange":
		return bridge.ExactPattern(key)
	case "topic exchange", "":
		return bridge.TopicPattern(key)
	}
	return bridge.AnyName
}

// meet is what two patterns have in common, or a little more; false where that is
// nothing.
func meet(a, b bridge.Pattern) (bridge.Pattern, bool) {
	switch {
	case a.Covers(b):
		return b, true
	case b.Covers(a), a.Overlaps(b):
		return a, true
	}
	return "", false
}

// behind finds the queues that get messages of an exchange, through other exchanges
// too.
func (s *scope) behind(r *Relay, tapped *bridge.Object) {
	space := spaceOf(r, tapped.Name)
	var walk func(exchange *bridge.Object, so route, seen []string)
	walk = func(exchange *bridge.Object, so route, seen []string) {
		for i := range r.Incumbent.Objects {
			b := &r.Incumbent.Objects[i]
			if b.Role != bridge.RoleBinding || b.From != exchange.Name {
				continue
			}
			takes, ok := meet(through(exchange.Kind, b.Key), so.takes)
			to := find(&r.Incumbent, b.To, b.Name)
			if !ok || to == nil || to.Own {
				continue
			}
			next := route{flow{space, takes}, tapped, cmp.Or(so.key, b.Key), append(slices.Clone(so.arguments), b.Settings...)}
			if b.To != bridge.RoleExchange {
				s.read(to, next)
			} else if !slices.Contains(seen, to.Name) {
				walk(to, next, append(slices.Clone(seen), to.Name))
			}
		}
	}
	walk(tapped, route{flow: flow{space, bridge.AnyName}}, []string{tapped.Name})
}

// beside finds the readers of a log.
func (s *scope) beside(r *Relay, tapped *bridge.Object) {
	for i := range r.Incumbent.Objects {
		o := &r.Incumbent.Objects[i]
		if o.Role != bridge.RoleReader || o.From != tapped.Name || o.Own {
			continue
		}
		filters := o.Takes
		if len(filters) == 0 {
			filters = []bridge.Pattern{bridge.AnyName}
		}
		for _, f := range filters {
			for _, takes := range within(tapped, f) {
				s.read(o, route{flow: flow{"", takes}, of: tapped, key: shown(r.Incumbent.Kind, f)})
			}
		}
	}
}

// within is what a filter leaves of what a log takes.
func within(log *bridge.Object, filter bridge.Pattern) (out []bridge.Pattern) {
	if len(log.Takes) == 0 {
		return []bridge.Pattern{filter}
	}
	for _, has := range log.Takes {
		if m, ok := meet(filter, has); ok {
			out = append(out, m)
		}
	}
	return out
}

// shown is a filter in the words of its system; nothing for one that lets all
// through.
func shown(kind string, p bridge.Pattern) string {
	if p == bridge.AnyName {
		return ""
	}
	if subject, ok := p.Subject(); ok && kind == "nats" {
		return subject
	}
	return string(p)
}

func (s *scope) read(o *bridge.Object, t route) {
	for i := range s.readers {
		if s.readers[i].object.Same(o) {
			s.readers[i].routes = append(s.readers[i].routes, t)
			return
		}
	}
	s.readers = append(s.readers, reader{*o, []route{t}})
}

func find(t *bridge.Topology, role bridge.Role, name string) *bridge.Object {
	for i := range t.Objects {
		if t.Objects[i].Role == role && t.Objects[i].Name == name {
			return &t.Objects[i]
		}
	}
	return nil
}

// unread names the routes of applications that the taps do not read, and takes
// those away of which they read nothing.
func (k *work) unread() {
	for i := range k.relay.Taps {
		t := &k.relay.Taps[i]
		if t.Role != 0 && len(k.scope.tapped(t)) == 0 && !slices.Contains(k.relay.Incumbent.Blind, t.Role) {
			k.miss(strings.TrimSpace(roleName(t.Role)+" "+cmp.Or(t.Name, "by pattern")), "it is not there at the incumbent, so nothing is read of it")
		}
	}
	var kept []reader
	for _, r := range k.scope.readers {
		var routes []route
		for _, t := range r.routes {
			switch k.read(&t) {
			case Present:
				routes = append(routes, t)
			case Differs:
				routes = append(routes, t)
				k.miss(t.text(&r.object), "the tap reads only a part of it: what is outside does not reach the candidate, unless the tap is widened")
			default:
				k.miss(t.text(&r.object), "the tap does not read it: nothing of it reaches the candidate")
			}
		}
		if len(routes) > 0 {
			kept = append(kept, reader{r.object, routes})
		}
	}
	k.scope.readers = kept
}

func roleName(r bridge.Role) string {
	return [...]string{"", "exchange", "queue", "stream or topic", "reader", "binding"}[r]
}

// read says how much of a route the taps read: Present is all, Differs a part.
func (k *work) read(t *route) State {
	state := Missing
	for i := range k.relay.Taps {
		tap := &k.relay.Taps[i]
		if !tap.Of(t.of) {
			continue
		}
		takes := tap.Takes
		if tap.Role == bridge.RoleExchange {
			takes = []bridge.Pattern{through(t.of.Kind, tap.Key)}
		}
		switch {
		case !sameHeaders(t.of, tap.Arguments, t.arguments):
		case len(takes) == 0, t.takes.CoveredBy(takes):
			return Present
		case slices.ContainsFunc(takes, t.takes.Overlaps):
			state = Differs
		}
	}
	return state
}

// sameHeaders says that a tap with these arguments gets what a binding with those
// gets: of a headers exchange, where they are equal or the tap compares nothing.
func sameHeaders(of *bridge.Object, tap, binding []bridge.Setting) bool {
	compares := func(all []bridge.Setting) (out []bridge.Setting) {
		for _, s := range all {
			if s.Name != "x-match" {
				out = append(out, s)
			}
		}
		return out
	}
	return of.Kind != "headers exchange" || len(compares(tap)) == 0 || slices.Equal(tap, binding)
}
