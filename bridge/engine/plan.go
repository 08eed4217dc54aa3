package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/plan"
)

// Plan reads the incumbents of relays and says what their candidates need, beside
// what is there. It changes nothing. Of systems that say nothing of themselves the
// plan tells that they do not.
func Plan(ctx context.Context, c *config.Config, relays []*config.Relay) (*plan.Plan, error) {
	var asked = map[string][]bridge.Object{}
	for _, r := range relays {
		for _, t := range tapsOf(r.Source) {
			asked[r.From.System] = append(asked[r.From.System], bridge.Object{Role: t.Role, Name: t.Name})
		}
	}
	incumbents, err := survey(ctx, c, asked)
	if err != nil {
		return nil, err
	}
	var known []plan.Relay
	var unseen []plan.Unseen
	for _, r := range relays {
		p, why := plannable(c, r, incumbents)
		if why.Text != "" {
			unseen = append(unseen, why)
			continue
		}
		known = append(known, p)
	}
	wanted := plan.Want(known)
	asked = map[string][]bridge.Object{}
	for _, r := range known {
		asked[r.To] = wanted.Objects(r.To)
	}
	candidates, err := survey(ctx, c, asked)
	if err != nil {
		return nil, err
	}
	made := plan.Compare(wanted, candidates)
	for system, t := range incumbents {
		for _, text := range t.Unseen {
			unseen = append(unseen, plan.Unseen{System: system, Text: text})
		}
	}
	made.Add(unseen)
	return made, nil
}

// plannable says what is known of a relay, or why it is not planned.
func plannable(c *config.Config, r *config.Relay, incumbents map[string]bridge.Topology) (plan.Relay, plan.Unseen) {
	kind := c.System(r.To.System).Kind
	target, targets := targetOf(r.Sink)
	t, seen := incumbents[r.From.System]
	switch {
	case !targets || !plan.Plans(kind):
		return plan.Relay{}, plan.Unseen{System: r.To.System, Text: fmt.Sprintf("what relay %s needs there is not known: plans know no candidates of kind %s", r.Name, kind)}
	case !seen:
		return plan.Relay{}, plan.Unseen{System: r.From.System, Text: fmt.Sprintf("what relay %s needs is not known: incumbents of kind %s say nothing of themselves", r.Name, c.System(r.From.System).Kind)}
	}
	return plan.Relay{
		Name: r.Name, From: r.From.System, To: r.To.System, Kind: kind,
		Taps: tapsOf(r.Source), Target: target, Incumbent: t,
	}, plan.Unseen{}
}

// Apply makes what a plan misses and what cannot be seen whether it is there. It
// deletes nothing and changes nothing that is there. If it fails, what was made
// stays, and it can be called again.
func Apply(ctx context.Context, c *config.Config, p *plan.Plan) error {
	for _, s := range c.Systems {
		open := p.Open(s.Name)
		if len(open) == 0 {
			continue
		}
		maker := provisionerOf(s.System)
		if maker == nil {
			return fmt.Errorf("system %s: nothing can be made at systems of kind %s", s.Name, s.Kind)
		}
		making, cancel := context.WithTimeout(ctx, checkPatience)
		err := maker.Provision(making, open)
		cancel()
		if err != nil {
			return fmt.Errorf("system %s: %w", s.Name, err)
		}
	}
	return nil
}

// survey asks systems side by side. Those that cannot say what there is are left
// out.
func survey(ctx context.Context, c *config.Config, asked map[string][]bridge.Object) (map[string]bridge.Topology, error) {
	found := map[string]bridge.Topology{}
	var errs []error
	var mu sync.Mutex // guards found and errs
	var wg sync.WaitGroup
	for _, s := range c.Systems {
		looks := surveyorOf(s.System)
		objects, is := asked[s.Name]
		if looks == nil || !is {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkPatience)
			defer cancel()
			t, err := looks.Survey(ctx, objects)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("system %s: %w", s.Name, err))
				return
			}
			found[s.Name] = t
		})
	}
	wg.Wait()
	return found, errors.Join(errs...)
}

// Chosen gives the relays of those names, in the order of the configuration; all
// if there are none.
func Chosen(c *config.Config, names []string) (out []*config.Relay, err error) {
	for _, name := range names {
		if c.Relay(name) == nil {
			return nil, fmt.Errorf("there is no relay %q in the configuration", bridge.Printable(name, 64))
		}
	}
	for _, r := range c.Relays {
		if len(names) == 0 || slices.Contains(names, r.Name) {
			out = append(out, r)
		}
	}
	return out, nil
}
