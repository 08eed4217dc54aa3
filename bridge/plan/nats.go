package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// natsWants says what a relay needs at NATS: a stream whose subjects are the names
// that its template makes, and for each application a durable consumer of it.
func natsWants(k *work) {
	t := k.relay.Target
	if t.Object.Role != bridge.RoleLog {
		for i := range k.scope.readers {
			k.lose(&k.scope.readers[i].object, "", "core NATS keeps nothing for a reader that is away: its application subscribes, and misses what comes meanwhile")
		}
		return
	}
	stream := t.Object
	stream.Takes = apart(k.subjects())
	set(&stream, bridge.Setting{Meaning: bridge.MeaningWindow, Name: "duplicate_window", Value: time.Duration(usualWindow).String(), N: usualWindow})
	for i := range k.scope.places {
		k.carry(&k.scope.places[i], &stream)
	}
	if age, ok := stream.Setting(bridge.MeaningAge); ok && age.N < usualWindow {
		set(&stream, bridge.Setting{Meaning: bridge.MeaningWindow, Name: "duplicate_window", Value: age.Value, N: age.N})
	}
	if slices.Contains(stream.Takes, natsAll) {
		k.miss(describe(&stream), anySubject("the template "+t.Names.String(), &stream))
		return
	}
	k.need(stream, "")
	k.names(&stream)
	names := readableNames(k.scope.readers)
	for i := range k.scope.readers {
		k.consumer(&k.scope.readers[i], names[i], stream.Name)
	}
}

func anySubject(who string, stream *bridge.Object) string {
	return fmt.Sprintf("%s may make any subject, and a stream that confirms cannot take all of them: begin it with a word of its own, such as %s.{address}", who, strings.ToLower(stream.Name))
}

// natsSettle looks at what several relays want of a stream and of its consumers
// together: neither may have patterns that overlap, and a consumer that gets all of
// its stream needs none.
func natsSettle(w *Wanted) {
	all := w.Items
	for i := range all {
		stream := &all[i]
		if !stream.isStream() {
			continue
		}
		takes := apart(stream.Object.Takes)
		stream.Object.Takes = takes
		if slices.Contains(takes, natsAll) {
			for _, relay := range stream.Relays {
				w.Routes = append(w.Routes, Route{relay, stream.Describe(), anySubject("the templates of "+strings.Join(stream.Relays, ", ")+" together", &stream.Object)})
			}
		}
		for j := range all {
			c := &all[j]
			if !c.isConsumer() || c.System != stream.System || c.Object.From != stream.Object.Name {
				continue
			}
			c.Object.Takes = apart(c.Object.Takes)
			if len(takes) > 0 && !slices.ContainsFunc(takes, func(s bridge.Pattern) bool { return !s.CoveredBy(c.Object.Takes) }) {
				c.Object.Takes = nil // all of the stream
			}
		}
	}
	refused := func(system, stream string) bool {
		return slices.ContainsFunc(all, func(i Item) bool {
			return i.System == system && i.Object.Name == stream && i.isStream() && slices.Contains(i.Object.Takes, natsAll)
		})
	}
	w.Items = slices.DeleteFunc(slices.Clone(all), func(i Item) bool {
		return refused(i.System, i.Object.Name) && i.isStream() || i.isConsumer() && refused(i.System, i.Object.From)
	})
}

func (i *Item) isStream() bool { return i.Object.Role == bridge.RoleLog && i.Object.Kind == "stream" }
func (i *Item) isConsumer() bool {
	return i.Object.Role == bridge.RoleReader && i.Object.Kind == "consumer"
}

// usualWindow is for how long a stream knows repeats by itself, in nanoseconds.
const usualWindow = int64(2 * time.Minute)

// natsAll is ">".
const natsAll bridge.Pattern = "*.#"

// subjects are those that the relay's stream has to take. Behind a word of the
// template all are taken, so that a binding that is added later needs no other.
func (k *work) subjects() (out []bridge.Pattern) {
	names := k.relay.Target.Names
	if _, fixed := names.Literal(); !fixed && !strings.HasPrefix(names.String(), "{") {
		all, _ := names.Pattern("", bridge.AnyName, k.relay.Target.Encode)
		prefix := bridge.ExactPattern(strings.TrimSuffix(names.Prefix(), "."))
		if wide := prefix + ".*.#"; wide.Covers(all) {
			return []bridge.Pattern{wide}
		}
	}
	for _, f := range k.scope.flows {
		if p, ok := names.Pattern(f.space, f.takes, k.relay.Target.Encode); ok {
			out = append(out, natsFilters(p)...)
		} else {
			k.miss("address "+string(f.takes), "no message of it gets a name by "+names.String())
		}
	}
	return reduced(out)
}

// natsFilters spells a pattern as subjects with wildcards, which know "any number"
// at the end only, and there not none. What cannot be said is widened.
func natsFilters(p bridge.Pattern) []bridge.Pattern {
	tokens := p.Tokens()
	i := slices.Index(tokens, "#")
	if i < 0 {
		return []bridge.Pattern{p}
	}
	before := bridge.Pattern(strings.Join(tokens[:i], "."))
	switch {
	case i == 0:
		return []bridge.Pattern{natsAll}
	case i < len(tokens)-1 || tokens[i-1] == "*":
		if tokens[i-1] == "*" {
			return []bridge.Pattern{before + ".#"}
		}
		return []bridge.Pattern{before + ".*.#"}
	}
	return []bridge.Pattern{before, before + ".*.#"}
}

// consumer is the counterpart of an application's queue, consumer or group.
func (k *work) consumer(r *reader, name, stream string) {
	if leaves, ok := r.object.Setting(bridge.MeaningLeaves); ok {
		k.lose(&r.object, text(leaves), "it goes with its last consumer: at NATS the application makes an ephemeral consumer of stream "+stream+" itself")
		return
	}
	c := bridge.Object{Role: bridge.RoleReader, Kind: "consumer", Name: name, From: stream}
	for i := range r.routes {
		t := &r.routes[i]
		p, ok := k.relay.Target.Names.Pattern(t.space, t.takes, k.relay.Target.Encode)
		if !ok {
			k.miss(t.text(&r.object), "no message of it gets a name by "+k.relay.Target.Names.String())
			continue
		}
		filters := natsFilters(p)
		c.Takes = append(c.Takes, filters...)
		if !slices.ContainsFunc(filters, p.Covers) && !covers(p, filters) {
			k.miss(t.text(&r.object), "NATS cannot say this pattern: its consumer gets more, by "+subjects(filters))
		}
		if len(t.arguments) > 0 && t.of.Kind == "headers exchange" {
			k.miss(t.text(&r.object), "NATS does not choose by headers: its consumer gets everything of "+t.of.Name+" and has to choose by itself")
		}
	}
	if len(c.Takes) == 0 {
		return // nothing comes to it, and a consumer without a filter would get all
	}
	k.carry(&r.object, &c)
	k.need(c, describe(&r.object))
}

// covers says that filters together say no more than p.
func covers(p bridge.Pattern, filters []bridge.Pattern) bool {
	return !slices.ContainsFunc(filters, func(f bridge.Pattern) bool { return !p.Covers(f) })
}

// apart makes patterns that do not overlap, as those of a stream may not, nor those
// of a consumer: two that do become one that is wider.
func apart(all []bridge.Pattern) []bridge.Pattern {
	all = reduced(all)
	for i := range all {
		for j := range all[:i] {
			if all[i].Overlaps(all[j]) {
				rest := slices.Delete(slices.Delete(slices.Clone(all), i, i+1), j, j+1)
				return apart(append(rest, common(all[i], all[j])))
			}
		}
	}
	return all
}

// common is the tokens that two patterns begin with, and anything behind them.
func common(a, b bridge.Pattern) bridge.Pattern {
	x, y := a.Tokens(), b.Tokens()
	n := 0
	for n < min(len(x), len(y))-1 && x[n] == y[n] {
		n++
	}
	return bridge.Pattern(strings.Join(append(slices.Clone(x[:n]), "*", "#"), "."))
}

// readableNames gives each reader a name that a consumer may have; where two would
// have the same, what does not fit is written as %XX.
func readableNames(readers []reader) []string {
	out, count := make([]string, len(readers)), map[string]int{}
	for i := range readers {
		out[i] = strings.Map(func(r rune) rune {
			if natsUnsafe(r) {
				return '-'
			}
			return r
		}, readers[i].object.Name)
		count[out[i]]++
	}
	for i := range readers {
		if count[out[i]] > 1 {
			out[i] = string(bridge.AppendEscaped(nil, readers[i].object.Name, func(c byte) bool { return !natsUnsafe(rune(c)) }))
		}
	}
	return out
}

func natsUnsafe(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`.*>/\`, r)
}

// subjects spells patterns as NATS does, for a sentence.
func subjects(all []bridge.Pattern) string {
	out := make([]string, len(all))
	for i, p := range all {
		out[i], _ = p.Subject()
	}
	return strings.Join(out, ", ")
}
