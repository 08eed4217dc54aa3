package engine

import (
	"fmt"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// CompetesWord is the setting of a from block by which an operator admits that
// the source takes messages away from an application. Adapters with such sources
// have it.
const CompetesWord = "competes"

// promises says what a relay cannot hold with this source, this sink and these
// settings. A Fail is refused at startup; a Warn is a waiver, said aloud; a Pass
// is a note of the adapter.
func promises(r *config.Relay) []bridge.Finding {
	from, to := r.Source.Traits(), r.Sink.Traits()
	var out []bridge.Finding
	add := func(level bridge.Level, subject, hint, format string, args ...any) {
		out = append(out, bridge.Finding{Level: level, Subject: subject, Text: fmt.Sprintf(format, args...), Hint: hint})
	}
	source, sink := r.Source.Describe(), r.Sink.Describe()

	if from.Competing {
		if !r.From.Settings.True(CompetesWord) {
			add(bridge.Fail, source, "Use a tap of the bridge's own. If it is meant, write "+CompetesWord+": true in from.",
				"it takes messages away from the application that reads it")
		} else {
			add(bridge.Warn, source, "", "it takes messages away from the application that reads it, as the configuration admits")
		}
	}
	if !from.Ordered {
		if r.Order != config.OrderNone {
			add(bridge.Fail, source, "If no order is needed, write order: none in the relay.",
				"it does not say in which order its messages were sent, so no key can be kept in order")
		} else {
			add(bridge.Warn, source, "", "no key is kept in order, as the configuration admits")
		}
	}
	if !from.Durable {
		add(bridge.Warn, source, "Use a tap that stores its messages where none may be lost.",
			"at most once: what is in flight when the bridge stops or the connection breaks is lost")
	}
	if !to.Durable {
		add(bridge.Warn, sink, "Use a target that stores its messages where none may be lost.",
			"at most once: nothing says that a message arrived")
	}
	if to.Durable && to.Fence == bridge.FenceNone {
		add(bridge.Warn, sink, "See that one process runs this relay, and not two.",
			"nothing keeps an earlier session of this relay from publishing beside this one")
	}
	out = append(out, recallPromise(r, from, to)...)
	out = append(out, parkPromise(r)...)
	for _, n := range from.Notes {
		add(bridge.Pass, source, "", "%s", n)
	}
	for _, n := range to.Notes {
		add(bridge.Pass, sink, "", "%s", n)
	}
	return out
}

// recallPromise is about duplicates after a crash. // I6
func recallPromise(r *config.Relay, from bridge.SourceTraits, to bridge.SinkTraits) []bridge.Finding {
	sink := r.Sink.Describe()
	switch {
	case !to.Durable || !from.Durable:
		return nil
	case to.Recall == 0:
		return []bridge.Finding{{
			Level: bridge.Warn, Subject: sink,
			Text: "it cannot be read back: after a crash, messages within the debt may be there twice, with the same ID",
			Hint: "Let consumers drop repeats by ID, or write to a target that can be read back.",
		}}
	case to.Recall <= from.Slack:
		return []bridge.Finding{{
			Level: bridge.Warn, Subject: sink,
			Text: fmt.Sprintf("only the newest %d messages can be read back, and the incumbent may deliver %d again that were acknowledged: after its crash some may be there twice, with the same ID", to.Recall, from.Slack),
			Hint: "Let consumers drop repeats by ID.",
		}}
	}
	return nil
}

// parkPromise is about messages that can never be delivered.
func parkPromise(r *config.Relay) []bridge.Finding {
	journals := journalsOf(r.Source) != nil
	switch {
	case r.Park == config.ParkStop:
		return nil
	case !journals && r.ParkFile == "":
		return []bridge.Finding{{
			Level: bridge.Warn, Subject: "parking",
			Text: "this incumbent keeps no journals: the relay stops at the first message that can never be delivered",
			Hint: "Name a park_file on a disk that is kept, or write park: stop if that is meant.",
		}}
	case journals && r.ParkFile != "":
		return []bridge.Finding{{
			Level: bridge.Warn, Subject: "parking",
			Text: "park_file has no effect: this incumbent keeps what is parked itself", Hint: "Take park_file away.",
		}}
	}
	return nil
}

// loops names the relays by which messages may come back to where they were.
func loops(relays []*config.Relay) []RelayFinding {
	next := map[string][]string{}
	for _, r := range relays {
		next[r.From.System] = append(next[r.From.System], r.To.System)
	}
	var out []RelayFinding
	for _, r := range relays {
		if reaches(next, r.To.System, r.From.System, map[string]bool{}) {
			out = append(out, RelayFinding{r.Name, bridge.Finding{
				Level: bridge.Warn, Subject: r.From.System + " → " + r.To.System,
				Text: "relays lead from " + r.To.System + " back to " + r.From.System,
				Hint: "See that what the one writes is not what the other reads, or messages go round for ever.",
			}})
		}
	}
	return out
}

func reaches(next map[string][]string, from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, n := range next[from] {
		if reaches(next, n, to, seen) {
			return true
		}
	}
	return false
}

// A Refusal is why a configuration cannot be run, with every reason in it.
type Refusal []RelayFinding

// Error is one line for each reason.
func (f Refusal) Error() string {
	lines := make([]string, len(f))
	for i, r := range f {
		lines[i] = fmt.Sprintf("relay %s: %s: %s — %s", r.Relay, r.Subject, r.Text, r.Hint)
	}
	return strings.Join(lines, "\n")
}
