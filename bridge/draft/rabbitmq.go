package draft

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crossfade-mq/crossfade/bridge"
)

// fromRabbit taps each exchange by a queue of the bridge's own, and reads each
// stream beside its other readers.
func fromRabbit(s *Side) (out []relay) {
	for i := range s.Objects {
		o := &s.Objects[i]
		r := relay{object: o}
		switch {
		case o.Own || o.Role != bridge.RoleExchange && o.Role != bridge.RoleQueue && o.Role != bridge.RoleLog:
			continue
		case !utf8.ValidString(o.Name):
			r.reason = "its name is not text"
		case o.Role == bridge.RoleExchange:
			if builtIn(o.Name) && len(bindingsOf(s, o.Name)) == 0 {
				continue // every broker has it, and nobody uses it
			}
			r.exchange(s)
		case o.Role == bridge.RoleQueue:
			if boundTo(s, o) {
				continue // what leads to it is tapped, or says why it is not
			}
			r.reason = "only the default exchange leads to it, which cannot be tapped; once its application has stopped, it can be read itself (queue: " + o.Name + ", competes: true)"
		default:
			r.from = []string{
				"# An existing stream, read beside its other readers. first copies all that it holds,",
				"# now only what comes from now on.",
				"stream: " + quoted(o.Name),
				"start: first",
			}
		}
		out = append(out, r)
	}
	return out
}

func builtIn(exchange string) bool { return strings.HasPrefix(exchange, "amq.") }

// bindingsOf are the applications' bindings of an exchange.
func bindingsOf(s *Side, exchange string) (out []*bridge.Object) {
	own := map[string]bool{}
	for i := range s.Objects {
		o := &s.Objects[i]
		if o.Own {
			own[o.Name] = true
		}
		if o.Role == bridge.RoleBinding && o.From == exchange && !own[o.Name] {
			out = append(out, o)
		}
	}
	return out
}

func boundTo(s *Side, o *bridge.Object) bool {
	return slices.ContainsFunc(s.Objects, func(b bridge.Object) bool {
		return b.Role == bridge.RoleBinding && b.To == o.Role && b.Name == o.Name
	})
}

// exchange drafts a tap of an exchange.
func (r *relay) exchange(s *Side) {
	o, bindings := r.object, bindingsOf(s, r.object.Name)
	switch {
	case o.Refusal != "":
		r.reason = o.Refusal
		return
	case len(bindings) > 0 && !slices.ContainsFunc(bindings, func(b *bridge.Object) bool { return b.To != bridge.RoleLog }):
		r.reason = "it leads to streams only, which are read themselves"
		return
	}
	r.around(s, bindings)
	r.from = []string{"tap: quorum"}
	if major := strings.SplitN(s.Version, ".", 2)[0]; len(major) > 1 || major >= "4" {
		r.from = []string{"tap: classic"}
		r.notes = append(r.notes, "From RabbitMQ 4 on a quorum queue gives messages of higher priority first. Where no producer sets priorities, tap: quorum with accept: [priorities] costs the incumbent less.")
	}
	var all []string
	switch o.Kind {
	case "topic exchange":
		all = []string{binding(o.Name, "#")}
		r.from = append(r.from, "accept: [mandatory]")
		r.notes = append(r.notes, "The tap gets every message, so a producer that publishes as mandatory is not told any more of those that no application gets. Where that matters, bind the tap with the applications' keys"+keysText(bindings)+" and take accept away.")
	case "direct exchange":
		for _, key := range keysOf(bindings) {
			all = append(all, binding(o.Name, key))
		}
		if len(all) == 0 {
			r.reason = "a direct exchange is tapped key by key, and nothing is bound to it that says which keys there are"
			return
		}
		r.notes = append(r.notes, "A direct exchange is tapped key by key, with those that the applications bind today. One that is bound later has to be added here.")
	case "headers exchange":
		all = []string{fmt.Sprintf("  - {exchange: %s, arguments: {x-match: all}}", quoted(o.Name))}
		r.notes = append(r.notes, "Bound without a header to compare, the tap gets every message; a producer that publishes as mandatory is not told any more of those that no application gets.")
	default:
		all = []string{binding(o.Name, "")}
	}
	r.from = append(append(r.from, "bindings:"), all...)
}

func binding(exchange, key string) string {
	if key == "" {
		return fmt.Sprintf("  - {exchange: %s}", quoted(exchange))
	}
	return fmt.Sprintf("  - {exchange: %s, routing_key: %s}", quoted(exchange), quoted(key))
}

func keysOf(bindings []*bridge.Object) (out []string) {
	for _, b := range bindings {
		out = append(out, b.Key)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func keysText(bindings []*bridge.Object) string {
	all := keysOf(bindings)
	if len(all) == 0 {
		return " (nothing is bound to it today)"
	}
	return " (today: " + strings.Join(all, ", ") + ")"
}

// around says what leads to the exchange besides, and who gets its messages.
func (r *relay) around(s *Side, bindings []*bridge.Object) {
	var to, from, dead []string
	for _, b := range bindings {
		to = append(to, b.Name)
	}
	for i := range s.Objects {
		b := &s.Objects[i]
		if b.Role == bridge.RoleBinding && b.To == bridge.RoleExchange && b.Name == r.object.Name {
			from = append(from, b.From)
		}
		if x, ok := b.Setting(bridge.MeaningDeadLetter); ok && x.Value == r.object.Name && !b.Own {
			dead = append(dead, b.Name)
		}
	}
	say := func(text string, names []string) {
		slices.Sort(names)
		if names = slices.Compact(names); len(names) > 0 {
			r.notes = append(r.notes, fmt.Sprintf(text, strings.Join(names, ", ")))
		}
	}
	say("It leads to %s.", to)
	say("Dead letters of %s go here.", dead)
	say("It gets messages of %s too, by bindings between exchanges: where both are tapped, both targets have them.", from)
}

// toRabbit writes into an exchange of the same name where RabbitMQ is the incumbent
// too, so that its queues can be bound as they are, and else into a stream.
func toRabbit(d *drafting, r *relay) {
	if d.from.Kind == "rabbitmq" && r.object.Role == bridge.RoleExchange {
		r.to = []string{
			"# plan makes the exchange, and the queues and bindings of the applications. What an",
			"# exchange leads to cannot be read back: after a crash, what was in flight may be there",
			"# twice, with the same message-id.",
			"exchange: " + quoted(r.object.Name),
			`routing_key: "{address}"`,
		}
		return
	}
	name := r.object.Name
	for i := 2; otherwise(d.to, name); i++ {
		name = fmt.Sprintf("%s-%d", r.object.Name, i)
	}
	r.to = []string{
		"# A stream can be read back, so a crash leaves no repeats. Write exchange: NAME in its",
		"# place to give each application a queue of its own.",
		"stream: " + quoted(name),
	}
}

// otherwise says that the candidate has a queue of that name which is no stream.
func otherwise(to *Side, name string) bool {
	return slices.ContainsFunc(to.Objects, func(o bridge.Object) bool { return o.Role == bridge.RoleQueue && o.Name == name })
}
