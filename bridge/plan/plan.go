package plan

import (
	"cmp"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Relay is what is known of a relay before anything was asked of its candidate.
type Relay struct {
	Name string
	// From and To are the names of the systems in the configuration.
	From, To string
	// Kind is the adapter kind of the candidate.
	Kind      string
	Taps      []bridge.Tap
	Target    bridge.Target
	Incumbent bridge.Topology
}

// Wanted is what relays need at their candidates, whatever is there.
type Wanted struct {
	Items  []Item
	Lost   []Lost
	Routes []Route
}

// An Item is one thing that a candidate needs.
type Item struct {
	// Relays are those that need it, and System is where.
	Relays []string
	System string
	Object bridge.Object
	// For is the application's object that it is the counterpart of: "quorum queue
	// orders". Empty for what the relay itself writes into.
	For string
	// Origins are the systems, as they name themselves, out of which it is wanted.
	Origins []string
	// Names are those that messages get at what a relay writes into.
	Names []Named
}

// A Named is a way by which messages come, and the names that they get.
type Named struct {
	Relay, Route string
	Names        bridge.Pattern
	tapped       bool // all that a tap gives, and not one application's part of it
}

// A Lost is a setting of the incumbent's that the candidate does not have.
type Lost struct {
	Relay string
	// Object and Setting are the incumbent's: "quorum queue orders",
	// "x-message-ttl 60000".
	Object, Setting string
	// Text says what that means.
	Text string
}

// A Route is a way by which messages do not arrive.
type Route struct {
	Relay string
	// Route is the way: "topic exchange telemetry, key a.#, to quorum queue orders".
	Route string
	// Text says what it misses.
	Text string
}

// Objects are those that are wanted at a system: what its survey is asked for.
func (w *Wanted) Objects(system string) (out []bridge.Object) {
	for _, item := range w.Items {
		if item.System == system {
			out = append(out, item.Object)
		}
	}
	return out
}

// A State says how a wanted object stands at the candidate.
type State uint8

// The states, in the order in which a plan shows them.
const (
	Missing State = iota // it is not there
	Unknown              // it cannot be seen whether it is there
	Differs              // it is there and set otherwise; it is left as it is
	Present              // it is there
)

// String is the word in a plan.
func (s State) String() string { return [...]string{"missing", "unknown", "differs", "there"}[s&3] }

// A Step is an Item beside what is there.
type Step struct {
	Item
	State State
	// Text says in what it differs, or what is in its way.
	Text string
}

// A Plan is what candidates need, beside what they have.
type Plan struct {
	Steps  []Step
	Lost   []Lost
	Routes []Route
	// Unseen says what is not known, by system.
	Unseen []Unseen
}

// An Unseen is one thing that is not known of a system.
type Unseen struct{ System, Text string }

// Missing counts the steps that are known to be missing.
func (p *Plan) Missing() (n int) {
	for _, s := range p.Steps {
		if s.State == Missing {
			n++
		}
	}
	return n
}

// Open are the objects of a system that Provision is for: those that are missing or
// cannot be seen, in the order in which they are to be made.
func (p *Plan) Open(system string) (out []bridge.Object) {
	for _, s := range p.Steps {
		if s.System == system && (s.State == Missing || s.State == Unknown) {
			out = append(out, s.Object)
		}
	}
	slices.SortStableFunc(out, func(a, b bridge.Object) int { return a.Compare(&b) })
	return out
}

// Want says what relays need at their candidates.
func Want(relays []Relay) *Wanted {
	w := &Wanted{}
	for i := range relays {
		r := &relays[i]
		want := dialects[r.Kind]
		if want == nil || len(r.Taps) == 0 {
			continue // whoever asked knows, by Plans
		}
		k := &work{relay: r, scope: scopeOf(r), out: w}
		k.unread()
		want(k)
	}
	natsSettle(w)
	for i := range w.Items {
		bridge.SortSettings(w.Items[i].Object.Settings)
	}
	slices.SortStableFunc(w.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.System, b.System), a.Object.Compare(&b.Object))
	})
	w.Lost = sorted(w.Lost, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(a.Relay, b.Relay), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Setting, b.Setting))
	})
	w.Routes = sortedRoutes(w.Routes)
	return w
}

// Plans says whether candidates of that kind can be planned.
func Plans(kind string) bool { return dialects[kind] != nil }

func sorted[T comparable](all []T, by func(a, b T) int) []T {
	slices.SortStableFunc(all, by)
	return slices.Compact(all)
}

func sortedRoutes(all []Route) []Route {
	return sorted(all, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Relay, b.Relay), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Text, b.Text))
	})
}

// dialects are the kinds of candidates that are known, each with what it needs.
var dialects = map[string]func(*work){"nats": natsWants, "rabbitmq": rabbitWants, "kafka": kafkaWants}

// A work is the planning of one relay.
type work struct {
	relay *Relay
	scope scope
	out   *Wanted
}

// need adds an object, or what is new in it to one that is wanted already.
func (k *work) need(o bridge.Object, counterpart string) {
	origins := []string{}
	if k.relay.Incumbent.System != "" {
		origins = append(origins, k.relay.Incumbent.System)
	}
	for i := range k.out.Items {
		item := &k.out.Items[i]
		if item.System != k.relay.To || !item.Object.Same(&o) {
			continue
		}
		if !slices.Contains(item.Relays, k.relay.Name) {
			item.Relays = append(item.Relays, k.relay.Name)
		}
		item.Origins = append(item.Origins, origins...)
		item.Object.Takes = reduced(append(item.Object.Takes, o.Takes...))
		for _, s := range o.Settings {
			if j := slices.IndexFunc(item.Object.Settings, func(h bridge.Setting) bool { return h.Name == s.Name }); j < 0 {
				item.Object.Settings = append(item.Object.Settings, s)
			} else if s.N > item.Object.Settings[j].N {
				item.Object.Settings[j] = s
			}
		}
		return
	}
	o.Takes = reduced(o.Takes)
	k.out.Items = append(k.out.Items, Item{Relays: []string{k.relay.Name}, System: k.relay.To, Object: o, For: counterpart, Origins: origins})
}

// reduced sorts patterns and takes those away that others cover.
func reduced(all []bridge.Pattern) (out []bridge.Pattern) {
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	for i, p := range all {
		others := slices.Concat(all[:i], all[i+1:])
		covered := slices.ContainsFunc(others, func(q bridge.Pattern) bool {
			return q.Covers(p) && (!p.Covers(q) || q < p)
		})
		if !covered {
			out = append(out, p)
		}
	}
	return out
}

// names notes which names messages get at what the relay writes into.
func (k *work) names(target *bridge.Object) {
	var names []Named
	t := k.relay.Target
	add := func(f flow, route string, tapped bool) {
		if p, ok := t.Names.Pattern(f.space, f.takes, t.Encode); ok {
			names = append(names, Named{k.relay.Name, route, p, tapped})
		}
	}
	for _, f := range k.scope.flows {
		all := cmp.Or(shown(k.relay.Incumbent.Kind, f.takes), "everything")
		add(f, "what the tap reads: "+all, true)
	}
	for i := range k.scope.readers {
		r := &k.scope.readers[i]
		for j := range r.routes {
			add(r.routes[j].flow, r.routes[j].text(&r.object), false)
		}
	}
	for i := range k.out.Items {
		if item := &k.out.Items[i]; item.System == k.relay.To && item.Object.Same(target) {
			item.Names = append(item.Names, names...)
		}
	}
}

func (k *work) lose(o *bridge.Object, setting, text string) {
	k.out.Lost = append(k.out.Lost, Lost{k.relay.Name, describe(o), setting, text})
}

func (k *work) miss(route, text string) {
	k.out.Routes = append(k.out.Routes, Route{k.relay.Name, route, text})
}

// describe names an object in a few words.
func describe(o *bridge.Object) string {
	switch {
	case o.Role == bridge.RoleReader:
		return o.Kind + " " + o.Name + " of " + o.From
	case o.Role == bridge.RoleBinding && o.Key != "":
		return "binding of " + o.From + " to " + o.Name + ", key " + o.Key
	case o.Role == bridge.RoleBinding:
		return "binding of " + o.From + " to " + o.Name
	}
	return o.Kind + " " + o.Name
}

// Describe names the object in a few words.
func (i *Item) Describe() string { return describe(&i.Object) }

// Takes says what the object takes, in the words of its system; nothing for what
// takes all.
func (i *Item) Takes() string {
	o := &i.Object
	switch {
	case o.Role == bridge.RoleBinding && o.Key != "":
		return "key " + o.Key
	case o.Role == bridge.RoleLog && o.Kind == "stream" && len(o.Takes) > 0:
		return "subjects " + subjects(o.Takes)
	case o.Role == bridge.RoleReader && len(o.Takes) > 0:
		return "filter " + subjects(o.Takes)
	}
	return ""
}
