package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// A SystemHolding is one thing that the bridge made, and where.
type SystemHolding struct {
	System string
	bridge.Holding
}

// Holdings lists what a bridge made at the systems of its configuration, relays
// that the configuration does not have any more included, in the order in which it
// is to be removed. It creates nothing. The error joins those of the systems that
// could not be asked; what the others hold is given all the same.
func Holdings(ctx context.Context, c *config.Config) ([]SystemHolding, error) {
	var out []SystemHolding
	var errs []error
	for _, s := range c.Systems {
		k := keeperOf(s.System)
		if k == nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, checkPatience)
		held, err := k.Holdings(asking, c.Name)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("system %s: what the bridge made there cannot be listed: %w", s.Name, err))
		}
		for _, h := range held {
			out = append(out, SystemHolding{s.Name, h})
		}
	}
	return out, errors.Join(errs...)
}

// OfRelay gives those of one relay, and, if no other relay has anything left at a
// system, those that all of them shared there: what a removal removes.
func OfRelay(all []SystemHolding, relay string) (out []SystemHolding) {
	for _, h := range all {
		if h.Relay == relay {
			out = append(out, h)
		}
	}
	for _, h := range all {
		if h.Relay == "" && last(all, h.System, relay) && (len(out) > 0 || relay == "") {
			out = append(out, h)
		}
	}
	return out
}

// last says that nobody but that relay has anything of its own at a system.
func last(all []SystemHolding, system, relay string) bool {
	return !slices.ContainsFunc(all, func(h SystemHolding) bool {
		return h.System == system && h.Relay != "" && h.Relay != relay
	})
}

// Remove deletes what OfRelay lists of a relay. If it fails, it can be called again.
// It begins where the relay reads: while a process runs it, nothing is removed.
func Remove(ctx context.Context, c *config.Config, relay string) error {
	all, err := Holdings(ctx, c)
	if err != nil {
		return err // what cannot be seen might be left behind for ever
	}
	todo := OfRelay(all, relay)
	for _, s := range inOrder(c, relay) {
		k := keeperOf(s.System)
		if k == nil {
			continue
		}
		own, shared := false, false
		for _, h := range todo {
			own = own || h.System == s.Name && h.Relay == relay
			shared = shared || h.System == s.Name && h.Relay == ""
		}
		if own {
			if err := k.Remove(ctx, c.Name, relay); err != nil {
				return fmt.Errorf("system %s: %w", s.Name, err)
			}
		}
		if shared {
			if err := k.Remove(ctx, c.Name, ""); err != nil {
				return fmt.Errorf("system %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

// inOrder puts the system that the relay reads from in front.
func inOrder(c *config.Config, relay string) []*config.System {
	systems := slices.Clone(c.Systems)
	r := c.Relay(relay)
	if r == nil {
		return systems
	}
	slices.SortStableFunc(systems, func(a, b *config.System) int {
		switch {
		case a.Name == r.From.System && b.Name != a.Name:
			return -1
		case b.Name == r.From.System && b.Name != a.Name:
			return 1
		}
		return 0
	})
	return systems
}

// orphans are the holdings of relays and comparisons that the configuration does not have.
func orphans(ctx context.Context, c *config.Config) (out []RelayFinding) {
	all, err := Holdings(ctx, c)
	if err != nil {
		out = append(out, RelayFinding{"", "", false, bridge.Finding{
			Level: bridge.Warn, Subject: "holdings", Text: config.RedactURLs(err.Error()), Hint: "Orphans of removed relays are not seen until it can be.",
		}})
	}
	for _, h := range all {
		if h.Relay != "" && !c.Knows(h.Relay) {
			out = append(out, RelayFinding{h.Relay, "at " + h.System, false, bridge.Finding{
				Level: bridge.Warn, Subject: h.Kind + " " + h.Name, Text: "belongs to a relay or comparison that the configuration does not have: " + h.Text,
				Hint: "If it is not to come back, crossfade remove " + h.Relay + " removes what is left of it.",
			}})
		}
	}
	return out
}
