package rabbitmq

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// policies are what sets arguments from outside, by the names of queues and
// exchanges: the one of the highest priority that fits a name, and of the
// operators' policies likewise one.
type policies struct{ users, operators []policy }

type policy struct {
	listedPolicy
	names *regexp.Regexp
}

// policies reads both lists. A user who may not see them is told so.
func (m *management) policies(ctx context.Context) (p policies, unseen []string, err error) {
	for _, list := range []struct {
		name string
		into *[]policy
	}{{"policies", &p.users}, {"operator-policies", &p.operators}} {
		var listed []listedPolicy
		err := m.get(ctx, list.name, "", &listed)
		switch {
		case forbidden(err):
			unseen = append(unseen, fmt.Sprintf("what %s set is not known: user %s may not see them, which takes the tag policymaker", strings.ReplaceAll(list.name, "-", " "), printable(m.user)))
			continue
		case err != nil:
			return p, nil, err
		}
		for _, l := range listed {
			names, err := regexp.Compile(l.Pattern)
			if err != nil {
				unseen = append(unseen, fmt.Sprintf("what policy %s sets is not known: its pattern %q is not understood here", printable(l.Name), printable(l.Pattern)))
				continue
			}
			*list.into = append(*list.into, policy{l, names})
		}
		slices.SortStableFunc(*list.into, func(a, b policy) int { return b.Priority - a.Priority })
	}
	return p, unseen, nil
}

// fits is the policy that holds for a name; nil if none does. things is "queues" or
// "exchanges".
func fits(all []policy, name, things string) *policy {
	for i := range all {
		p := &all[i]
		to := p.ApplyTo == "all" || p.ApplyTo == things ||
			things == "queues" && (p.ApplyTo == "classic_queues" || p.ApplyTo == "quorum_queues" || p.ApplyTo == "streams")
		if to && p.names.MatchString(name) {
			return p
		}
	}
	return nil
}

// of gives the settings by which policies change what arguments say. Where both say
// a number, the smaller one holds; else the argument does.
func (p *policies) of(name, things string, arguments []bridge.Setting) (out []bridge.Setting) {
	held := slices.Clone(arguments)
	for _, list := range [][]policy{p.users, p.operators} {
		by := fits(list, name, things)
		if by == nil {
			continue
		}
		for _, s := range argumentSettings(by.Definition, by.Name) {
			i := slices.IndexFunc(held, func(h bridge.Setting) bool { return strings.TrimPrefix(h.Name, "x-") == s.Name })
			switch {
			case i < 0:
				held = append(held, s)
				out = append(out, s)
			case s.N > 0 && held[i].N > s.N:
				if j := slices.IndexFunc(arguments, func(a bridge.Setting) bool { return a.Name == held[i].Name }); j >= 0 {
					arguments[j] = s
				} else if j := slices.IndexFunc(out, func(a bridge.Setting) bool { return a.Name == s.Name }); j >= 0 {
					out[j] = s
				}
				held[i] = s
			}
		}
	}
	return out
}
