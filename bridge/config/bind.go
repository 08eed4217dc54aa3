package config

import (
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

// bind hands each block to its adapter. A system that is wrong is still known by
// its name, so that its relays are not reported as well.
func (l *loader) bind(c *Config, adapters []bridge.Adapter) {
	var kinds, names []string
	for _, a := range adapters {
		kinds = append(kinds, a.Kind)
	}
	systems := map[string]*System{}
	for i, s := range c.Systems {
		at := fmt.Sprintf("systems[%d]", i)
		if s.Name != "" && systems[s.Name] == nil {
			names, systems[s.Name] = append(names, s.Name), s
		}
		if s.Kind == "" {
			continue
		}
		k := slices.Index(kinds, s.Kind)
		if k < 0 {
			l.failAt(at+".kind", "there is no kind %q%s", bridge.Printable(s.Kind, 64), didYouMean(s.Kind, kinds))
			continue
		}
		system, err := adapters[k].System(s.Name, s.Settings.Decode)
		if l.bound(at, &s.Settings, err) {
			s.System = system
		}
	}
	for i, r := range c.Relays {
		at := fmt.Sprintf("relays[%d]", i)
		r.Identity = bridge.Identity{Bridge: c.Name, Relay: r.Name}
		if s := l.system(at+".from", r.From, systems, names); s != nil {
			source, err := s.Source(r.Identity, r.From.Settings.Decode)
			if l.bound(at+".from", &r.From.Settings, err) {
				r.Source = source
				l.checkPromises(at, r)
			}
		}
		if s := l.system(at+".to", r.To, systems, names); s != nil {
			sink, err := s.Sink(r.Identity, r.To.Settings.Decode)
			if l.bound(at+".to", &r.To.Settings, err) {
				r.Sink = sink
			}
		}
	}
	for i, x := range c.Comparisons {
		l.bindComparison(fmt.Sprintf("comparisons[%d]", i), c, x, systems, names)
	}
}

// system gives what the endpoint's system was made into; nil if there is a
// mistake, which is reported by then.
func (l *loader) system(at string, e Endpoint, systems map[string]*System, names []string) bridge.System {
	if l.places[at] == nil || l.places[at].ShortTag() == "!!null" {
		l.failAt(at, "is required")
		return nil
	}
	if !l.required(at+".system", e.System) {
		return nil
	}
	s := systems[e.System]
	if s == nil {
		l.failAt(at+".system", "there is no system %q%s", bridge.Printable(e.System, 64), didYouMean(e.System, names))
		return nil
	}
	return s.System
}

// bound reports what an adapter found wrong with a block, and settings that it
// never looked at.
func (l *loader) bound(at string, b *Block, err error) bool {
	if err != nil {
		l.wrap(at, err)
		return false
	}
	if !b.used && b.mapping != nil && len(b.mapping.Content) > 0 {
		key := b.mapping.Content[0]
		l.fail(key, at, "unknown key %q; there are no settings here", bridge.Printable(key.Value, 64))
		return false
	}
	return true
}

// checkPromises looks at what only the source's traits decide.
func (l *loader) checkPromises(at string, r *Relay) {
	if l.failedWithin(at+".key") || l.failedWithin(at+".id") {
		return
	}
	if err := (identify.Spec{Key: r.Key, ID: r.ID}).Validate(r.Source.Traits()); err != nil {
		l.failIdentify(at, err)
	}
}
