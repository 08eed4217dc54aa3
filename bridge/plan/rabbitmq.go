package plan

import (
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// rabbitWants says what a relay needs at RabbitMQ: the queue or stream that it
// names, or an exchange with a queue for each application and the bindings.
func rabbitWants(k *work) {
	target := k.relay.Target.Object
	switch target.Role {
	case bridge.RoleQueue, bridge.RoleLog:
		k.oneForAll(target)
	case bridge.RoleExchange:
		k.exchange(target)
	}
}

// oneForAll is a queue or stream that gets everything.
func (k *work) oneForAll(target bridge.Object) {
	for i := range k.scope.places {
		k.carry(&k.scope.places[i], &target)
	}
	readers := k.scope.readers
	alone := len(readers) == 1 && target.Role == bridge.RoleQueue
	for i := range readers {
		r := &readers[i]
		if alone {
			k.carry(&r.object, &target)
			continue
		}
		if target.Role == bridge.RoleQueue {
			k.lose(&r.object, "", "all that the relay carries goes into the one queue "+target.Name+": it is no place for a second application; name an exchange as the target to give each its own queue")
			continue
		}
		k.carry(&r.object, &bridge.Object{Role: bridge.RoleReader, Kind: "stream consumer", From: target.Name})
	}
	k.need(target, "")
}

// exchange is a target exchange with what is behind it.
func (k *work) exchange(target bridge.Object) {
	target.Kind = k.exchangeKind()
	for i := range k.scope.places {
		k.carry(&k.scope.places[i], &target)
	}
	k.need(target, "")
	k.names(&target)
	for i := range k.scope.readers {
		r := &k.scope.readers[i]
		if leaves, ok := r.object.Setting(bridge.MeaningLeaves); ok {
			k.lose(&r.object, text(leaves), "it goes with its last consumer: its application makes and binds one of its own at "+target.Name)
			continue
		}
		q := k.queueFor(&r.object)
		k.need(q, describe(&r.object))
		for j := range r.routes {
			k.bind(&r.routes[j], &r.object, &q, &target)
		}
	}
	if len(k.scope.readers) == 0 {
		k.miss(describe(&target), "no application is known that would be bound to it: what no binding takes is parked; bind a queue before the relay runs")
	}
}

// exchangeKind is the type of what is tapped, where that is one that copies. Names
// that only a pattern can say need a topic exchange.
func (k *work) exchangeKind() string {
	kind := ""
	for i := range k.scope.places {
		p := &k.scope.places[i]
		if kind != "" && kind != p.Kind {
			return topicExchange
		}
		kind = p.Kind
	}
	switch kind {
	case "direct exchange", "fanout exchange", "headers exchange":
		return kind
	}
	return topicExchange
}

const topicExchange = "topic exchange"

// queueFor is the counterpart of an application's queue, consumer or group: of the
// same type where RabbitMQ is the incumbent too, else a quorum queue.
func (k *work) queueFor(o *bridge.Object) bridge.Object {
	q := bridge.Object{Role: bridge.RoleQueue, Kind: "quorum queue", Name: o.Name}
	if k.relay.Incumbent.Kind == "rabbitmq" && o.Role != bridge.RoleReader {
		q.Role, q.Kind = o.Role, o.Kind
	}
	k.carry(o, &q)
	k.deadLetters(&q, nil)
	return q
}

// bind leads the names of a route to a queue.
func (k *work) bind(t *route, of, to, target *bridge.Object) {
	names, ok := k.relay.Target.Names.Pattern(t.space, t.takes, k.relay.Target.Encode)
	if !ok {
		k.miss(t.text(of), "no message of it gets a name by "+k.relay.Target.Names.String())
		return
	}
	b := bridge.Object{Role: bridge.RoleBinding, Kind: "binding", Name: to.Name, To: to.Role, From: target.Name}
	switch target.Kind {
	case topicExchange:
		b.Key = strings.ReplaceAll(string(names), `\`, "")
		if bridge.TopicPattern(b.Key) != names {
			k.miss(t.text(of), "a topic exchange reads '*' and '#' in a key as wildcards: its queue gets more, by "+b.Key)
		}
	case "direct exchange":
		if b.Key, ok = names.Exact(); !ok {
			k.miss(t.text(of), "a direct exchange knows no wildcards: bind its queue to "+target.Name+" with each key by itself")
			return
		}
	case "headers exchange":
		b.Settings = t.arguments
	}
	k.need(b, "")
}

// deadLetters adds the place where a queue's dead letters go, and what is bound
// there. A tapped exchange is the target there, as its messages come back to it.
func (k *work) deadLetters(q *bridge.Object, seen []string) {
	x, ok := q.Setting(bridge.MeaningDeadLetter)
	if !ok {
		return
	}
	name, _ := x.Value.(string)
	for i := range k.scope.places {
		if k.scope.places[i].Role == bridge.RoleExchange && k.scope.places[i].Name == name {
			set(q, bridge.Setting{Meaning: bridge.MeaningDeadLetter, Name: x.Name, Value: k.relay.Target.Object.Name})
			return
		}
	}
	if name == "" {
		key, _ := q.Setting(bridge.MeaningDeadLetterKey)
		to, _ := key.Value.(string)
		k.copyQueue(find(&k.relay.Incumbent, bridge.RoleQueue, to), seen)
		return
	}
	exchange := find(&k.relay.Incumbent, bridge.RoleExchange, name)
	if exchange == nil || slices.Contains(seen, "exchange "+name) {
		return
	}
	if !builtIn(name) {
		copied := bridge.Object{Role: bridge.RoleExchange, Kind: exchange.Kind, Name: name}
		k.carry(exchange, &copied)
		k.need(copied, "")
	}
	seen = append(slices.Clone(seen), "exchange "+name)
	for i := range k.relay.Incumbent.Objects {
		b := &k.relay.Incumbent.Objects[i]
		if b.Role != bridge.RoleBinding || b.From != name || b.To == bridge.RoleExchange {
			continue
		}
		if to := find(&k.relay.Incumbent, b.To, b.Name); to != nil && !to.Own {
			k.copyQueue(to, seen)
			k.need(*b, "")
		}
	}
}

// builtIn says that a broker has that exchange by itself.
func builtIn(exchange string) bool { return exchange == "" || strings.HasPrefix(exchange, "amq.") }

func (k *work) copyQueue(o *bridge.Object, seen []string) {
	if o == nil || o.Own || slices.Contains(seen, "queue "+o.Name) {
		return
	}
	q := bridge.Object{Role: o.Role, Kind: o.Kind, Name: o.Name}
	k.carry(o, &q)
	k.deadLetters(&q, append(slices.Clone(seen), "queue "+o.Name))
	k.need(q, describe(o))
}

// set puts a setting in the place of the one of that name.
func set(o *bridge.Object, s bridge.Setting) {
	o.Settings = slices.Clone(o.Settings)
	for i := range o.Settings {
		if o.Settings[i].Name == s.Name {
			o.Settings[i] = s
			return
		}
	}
	o.Settings = append(o.Settings, s)
}
