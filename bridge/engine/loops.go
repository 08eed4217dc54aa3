package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// loops are the cycles of a configuration. One in which each relay writes what the
// next one reads is a Fail, unless it is a pair of which one is declared the way back
// of the other. Where the names differ and only the systems lead round it is a Warn.
//
// That is what the configuration tells, and not all: two systems of it may be one
// cluster, an exchange may lead to a queue, a stream may take from another, and
// another bridge may lead back. What comes round that way is seen by its origin and
// by the relays that carried it, and counted as looped.
func loops(c *config.Config) []RelayFinding {
	var out []RelayFinding
	for i, r := range c.Relays {
		if round := cycle(c.Relays[:i+1], r, feeds); round != nil {
			out = append(out, RelayFinding{r.Name, "", false, refuseCycle(round)})
			continue
		}
		if cycle(c.Relays, r, feeds) == nil && cycle(c.Relays, r, leadsTo) != nil {
			out = append(out, RelayFinding{r.Name, "", false, bridge.Finding{
				Level: bridge.Warn, Subject: r.From.System + " → " + r.To.System,
				Text: "relays lead from " + r.To.System + " back to " + r.From.System,
				Hint: "See that what the one writes does not reach what the other reads; if it does, and the one is the way back of the other, write reverse_of in it.",
			}})
		}
	}
	return out
}

// refuseCycle says what is wrong with relays of which each feeds the next and the
// last one the first, the one that the configuration names last in front.
func refuseCycle(round []*config.Relay) bridge.Finding {
	f := bridge.Finding{Level: bridge.Fail, Subject: round[0].From.System + " → " + round[0].To.System}
	names := make([]string, len(round))
	for i, r := range round {
		names[i] = fmt.Sprintf("%s (%s)", r.Name, r.Place)
	}
	switch last := round[0]; len(round) {
	case 1:
		f.Text = fmt.Sprintf("relay %s writes to what it reads, %s, so its messages would go round for ever", names[0], common(last, last))
		f.Hint = "Let it write elsewhere."
	case 2:
		f.Text = fmt.Sprintf("relays %s and %s lead round: the one writes %s and the other %s, and each reads what the other writes",
			names[1], names[0], common(round[1], last), common(last, round[1]))
		f.Hint = fmt.Sprintf("If %s is the way back of %s, write reverse_of: %s in it: what came by the one is then not sent back by the other. If not, let one of them read or write elsewhere.",
			last.Name, round[1].Name, round[1].Name)
	default:
		f.Text = fmt.Sprintf("relays %s lead round: each writes what the next one reads, and the last one what the first one reads", strings.Join(names, ", "))
		f.Hint = "Take one of them away, or let it read or write elsewhere: only of two relays can one be declared the way back, by reverse_of."
	}
	return f
}

// common names what one relay writes and another reads.
func common(writes, reads *config.Relay) string {
	read := namesOf(reads.Source)
	both := slices.DeleteFunc(slices.Clone(namesOf(writes.Sink)), func(n string) bool { return !slices.Contains(read, n) })
	return strings.Join(both, ", ") + " of " + writes.To.System
}

// leadsTo says that one relay writes to the system that another reads, and that
// neither is declared the way back of the other.
func leadsTo(a, b *config.Relay) bool {
	return a.To.System == b.From.System && a.ReverseOf != b.Name && b.ReverseOf != a.Name
}

// feeds says that, besides, it writes the very thing.
func feeds(a, b *config.Relay) bool {
	read := namesOf(b.Source)
	return leadsTo(a, b) && slices.ContainsFunc(namesOf(a.Sink), func(n string) bool { return slices.Contains(read, n) })
}

// cycle gives a shortest way through relays that begins with start and leads back to
// it, or nil.
func cycle(relays []*config.Relay, start *config.Relay, next func(a, b *config.Relay) bool) []*config.Relay {
	from := map[*config.Relay]*config.Relay{}
	for queue := []*config.Relay{start}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if next(at, start) {
			round := []*config.Relay{at}
			for at != start {
				at = from[at]
				round = append(round, at)
			}
			slices.Reverse(round)
			return round
		}
		for _, r := range relays {
			if _, seen := from[r]; !seen && r != start && next(at, r) {
				from[r] = at
				queue = append(queue, r)
			}
		}
	}
	return nil
}

// reversed names the relays whose way back r is, and those that are r's, as bridge
// and relay.
func reversed(c *config.Config, r *config.Relay) (out []string) {
	for _, other := range c.Relays {
		if other.Name == r.ReverseOf || other.ReverseOf == r.Name {
			out = append(out, other.Identity.String())
		}
	}
	return out
}
