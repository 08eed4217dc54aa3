package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Compare puts what is wanted beside what is there, by the names of the systems.
// Systems of which nothing is known are left out of found.
func Compare(w *Wanted, found map[string]bridge.Topology) *Plan {
	p := &Plan{Lost: slices.Clone(w.Lost), Routes: slices.Clone(w.Routes)}
	for _, item := range w.Items {
		there, known := found[item.System]
		switch {
		case !known:
			p.Steps = append(p.Steps, Step{item, Unknown, "its system cannot be looked at"})
		case ours(&item, &there):
			p.ownSystem(&item)
		default:
			p.Steps = append(p.Steps, compare(item, &there))
			p.unmatched(&item, &there, w)
		}
	}
	var unseen []Unseen
	for system, t := range found {
		for _, text := range t.Unseen {
			unseen = append(unseen, Unseen{system, text})
		}
	}
	p.Add(unseen)
	p.Routes = sortedRoutes(p.Routes)
	return p
}

// Add adds what is not known.
func (p *Plan) Add(unseen []Unseen) {
	p.Unseen = sorted(append(p.Unseen, unseen...), func(a, b Unseen) int {
		return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Text, b.Text))
	})
}

// ours says that what stands for an application is wanted where the application's
// own stands: at the incumbent itself.
func ours(item *Item, there *bridge.Topology) bool {
	return (item.For != "" || item.Object.Role == bridge.RoleBinding) && there.System != "" && slices.Contains(item.Origins, there.System)
}

func (p *Plan) ownSystem(item *Item) {
	if item.Object.Role == bridge.RoleBinding {
		return
	}
	for _, relay := range item.Relays {
		p.Routes = append(p.Routes, Route{relay, item.For, "incumbent and candidate are one system, so no counterpart of that name is planned: bind or subscribe the candidate's application by hand"})
	}
}

// compare is one step.
func compare(item Item, there *bridge.Topology) Step {
	o := &item.Object
	i := slices.IndexFunc(there.Objects, func(f bridge.Object) bool { return f.Same(o) })
	switch {
	case i < 0 && slices.Contains(there.Blind, o.Role):
		return Step{item, Unknown, "it cannot be seen whether it is there; making it again changes nothing"}
	case i < 0:
		item.Object.Settings = affordable(o.Settings, there.Nodes)
		return Step{item, Missing, obstacle(o, there)}
	}
	if d := differences(o, &there.Objects[i], there.Nodes); len(d) > 0 {
		return Step{item, Differs, strings.Join(d, "; ")}
	}
	return Step{item, Present, ""}
}

// affordable takes replicas back to what so many servers can hold.
func affordable(all []bridge.Setting, nodes int) []bridge.Setting {
	all = slices.Clone(all)
	for i, s := range all {
		if s.Meaning == bridge.MeaningReplicas && nodes > 0 && s.N > int64(nodes) {
			all[i].N, all[i].Value = int64(nodes), int64(nodes)
		}
	}
	return all
}

// obstacle says what is in the way of a stream: JetStream lets each subject belong
// to one stream.
func obstacle(o *bridge.Object, there *bridge.Topology) string {
	if there.Kind != "nats" || o.Role != bridge.RoleLog {
		return ""
	}
	for i := range there.Objects {
		f := &there.Objects[i]
		if f.Role == bridge.RoleLog && slices.ContainsFunc(f.Takes, func(p bridge.Pattern) bool { return slices.ContainsFunc(o.Takes, p.Overlaps) }) {
			return "stream " + f.Name + " takes such subjects already (" + subjects(f.Takes) + "), and a subject belongs to one stream: change the relay's template, or write into that stream"
		}
	}
	return ""
}

// differences are those that matter of what is there: a kind, settings, subjects.
func differences(want, there *bridge.Object, nodes int) (out []string) {
	if want.Kind != there.Kind && there.Kind != "" {
		out = append(out, "it is a "+there.Kind)
	}
	if want.Role == bridge.RoleBinding {
		return out
	}
	for _, s := range affordable(want.Settings, nodes) {
		f, has := counterpart(there, s)
		switch {
		case has && !equal(s, f):
			out = append(out, "it has "+text(f)+", the plan "+fmt.Sprint(s.Value))
		case !has && !there.Partly:
			out = append(out, "it has no "+text(s))
		}
	}
	if missing := uncovered(want, there); len(missing) > 0 {
		out = append(out, "it does not take "+subjects(missing))
	}
	return out
}

// counterpart is the setting of that name, or of that meaning by a policy.
func counterpart(there *bridge.Object, s bridge.Setting) (bridge.Setting, bool) {
	i := slices.IndexFunc(there.Settings, func(f bridge.Setting) bool { return argument(f) == s.Name })
	if i < 0 {
		return bridge.Setting{}, false
	}
	return there.Settings[i], true
}

func equal(want, there bridge.Setting) bool {
	if want.Meaning == bridge.MeaningReplicas {
		return there.N >= want.N
	}
	return want.Value == there.Value || want.N == there.N && want.N != 0
}

// uncovered are the patterns that something does not take. A reader without a
// filter takes all.
func uncovered(want, there *bridge.Object) (out []bridge.Pattern) {
	takes := want.Takes
	if want.Role == bridge.RoleReader {
		if len(there.Takes) == 0 {
			return nil
		}
		if len(takes) == 0 {
			takes = []bridge.Pattern{natsAll}
		}
	}
	for _, p := range takes {
		if !p.CoveredBy(there.Takes) {
			out = append(out, p)
		}
	}
	return out
}

// unmatched names the addresses that a relay gets and that nothing at its target
// takes.
func (p *Plan) unmatched(item *Item, there *bridge.Topology, w *Wanted) {
	takes, known := takers(item, there, w)
	if !known {
		return
	}
	for _, n := range item.Names {
		names := []bridge.Pattern{n.Names}
		if item.Object.Role == bridge.RoleLog {
			names = natsFilters(n.Names)
		}
		switch {
		case !slices.ContainsFunc(names, func(p bridge.Pattern) bool { return !p.CoveredBy(takes) }):
		case !slices.ContainsFunc(takes, n.Names.Overlaps):
			p.Routes = append(p.Routes, Route{n.Relay, n.Route, "nothing at " + describe(&item.Object) + " takes the names that it gets (" + nameText(item, n.Names) + "): its messages are parked"})
		case n.tapped:
			p.Routes = append(p.Routes, Route{n.Relay, n.Route, "only a part of the names that it gets (" + nameText(item, n.Names) + ") is taken at " + describe(&item.Object) + ", by " + namesText(item, takes) + ": messages with others are parked"})
		}
	}
}

// takers are the patterns that a target takes once the plan is carried out; false
// where they are not known or do not matter.
func takers(item *Item, there *bridge.Topology, w *Wanted) (takes []bridge.Pattern, known bool) {
	o := &item.Object
	switch {
	case o.Role == bridge.RoleLog && len(o.Takes) > 0:
		if f := find(there, o.Role, o.Name); f != nil {
			return f.Takes, true
		}
		return o.Takes, true
	case o.Role != bridge.RoleExchange || slices.Contains(there.Blind, bridge.RoleBinding):
		return nil, false
	}
	kind := o.Kind
	if f := find(there, o.Role, o.Name); f != nil {
		kind = f.Kind
	}
	if kind == "headers exchange" {
		return nil, false
	}
	for _, other := range w.Items {
		if b := &other.Object; other.System == item.System && b.Role == bridge.RoleBinding && b.From == o.Name && !ours(&other, there) {
			takes = append(takes, through(kind, b.Key))
		}
	}
	for i := range there.Objects {
		if b := &there.Objects[i]; b.Role == bridge.RoleBinding && b.From == o.Name {
			takes = append(takes, through(kind, b.Key))
		}
	}
	return reduced(takes), true
}

func nameText(item *Item, p bridge.Pattern) string { return namesText(item, []bridge.Pattern{p}) }

// namesText spells names as the target's system does.
func namesText(item *Item, all []bridge.Pattern) string {
	if item.Object.Role == bridge.RoleLog {
		var out []bridge.Pattern
		for _, p := range all {
			out = append(out, natsFilters(p)...)
		}
		return subjects(out)
	}
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = string(p)
	}
	return strings.Join(out, ", ")
}
