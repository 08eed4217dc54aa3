package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// kafkaWants says what a relay needs at Kafka: the topics that its template makes.
// Groups are made by their applications.
func kafkaWants(k *work) {
	t := k.relay.Target
	topics := k.topics()
	for _, name := range topics {
		topic := t.Object
		topic.Name = name
		topic.Settings = slices.Clone(topic.Settings)
		for i := range k.scope.places {
			if p := &k.scope.places[i]; len(topics) == 1 || k.leadsTo(p, name) {
				k.carry(p, &topic)
			}
		}
		for _, s := range t.Object.Settings {
			set(&topic, s) // what the configuration says comes first
		}
		topic.Takes = []bridge.Pattern{bridge.ExactPattern(name)}
		k.need(topic, "")
	}
	for i := range k.scope.readers {
		k.group(&k.scope.readers[i], topics)
	}
}

// topics are those that the relay writes to, as far as addresses tell.
func (k *work) topics() (out []string) {
	t := k.relay.Target
	if name, literal := t.Names.Literal(); literal {
		return []string{name}
	}
	add := func(f flow) bool {
		names, ok := t.Names.Pattern(f.space, f.takes, t.Encode)
		name, exact := names.Exact()
		if ok && exact {
			out = append(out, name)
		}
		return exact || !ok
	}
	for _, f := range k.scope.flows {
		if !add(f) {
			all := cmp.Or(shown(k.relay.Incumbent.Kind, f.takes), "everything")
			k.miss("what the tap reads: "+all, fmt.Sprintf("which topics %s makes of it is not known before the messages come: make them, or write create: in the relay's to block; what has no topic is parked", t.Names))
		}
	}
	for i := range k.scope.readers {
		for _, r := range k.scope.readers[i].routes {
			add(r.flow)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leadsTo says that what is tapped gives messages to a topic.
func (k *work) leadsTo(p *bridge.Object, topic string) bool {
	t := k.relay.Target
	return slices.ContainsFunc(p.Takes, func(takes bridge.Pattern) bool {
		names, ok := t.Names.Pattern("", takes, t.Encode)
		return ok && names.Covers(bridge.ExactPattern(topic))
	})
}

// group says what an application loses by reading as a group.
func (k *work) group(r *reader, topics []string) {
	t := k.relay.Target
	k.carry(&r.object, &bridge.Object{Role: bridge.RoleReader, Kind: "consumer group"})
	name, literal := t.Names.Literal()
	for i := range r.routes {
		route := &r.routes[i]
		switch names, ok := t.Names.Pattern(route.space, route.takes, t.Encode); {
		case literal && !k.all(&route.flow):
			k.miss(route.text(&r.object), "a group reads the whole topic "+name+": its application gets more than today, and has to choose by the key or the headers")
		case literal:
		case !ok:
			k.miss(route.text(&r.object), "no message of it gets a name by "+t.Names.String())
		case !slices.ContainsFunc(topics, func(topic string) bool { return names.Covers(bridge.ExactPattern(topic)) }):
			k.miss(route.text(&r.object), "its topics ("+string(names)+") are not known before the messages come: its group subscribes by a pattern")
		}
	}
}

// all says that a flow is all that the taps give.
func (k *work) all(f *flow) bool {
	return !slices.ContainsFunc(k.scope.flows, func(tapped flow) bool { return !f.takes.Covers(tapped.takes) })
}
