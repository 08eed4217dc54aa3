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
// settings. A Fail is refused at startup; a Warn is a waiver, said aloud.
func promises(r *config.Relay) []RelayFinding {
	p := &promiser{relay: r, from: r.Source.Traits(), to: r.Sink.Traits()}
	p.source()
	p.sink()
	p.recall()
	p.parking()
	return p.found
}

type promiser struct {
	relay *config.Relay
	from  bridge.SourceTraits
	to    bridge.SinkTraits
	found []RelayFinding
}

func (p *promiser) add(level bridge.Level, side, subject, text, hint string) {
	p.found = append(p.found, RelayFinding{p.relay.Name, side, false, bridge.Finding{Level: level, Subject: subject, Text: text, Hint: hint}})
}

// admitted adds what an operator has to admit: a Fail until the word is there.
func (p *promiser) admitted(word bool, text, hint string) {
	side, subject := "from "+p.relay.From.System, p.relay.Source.Describe()
	if word {
		p.add(bridge.Warn, side, subject, text+", as the configuration admits", "")
		return
	}
	p.add(bridge.Fail, side, subject, text, hint)
}

func (p *promiser) notes(side, subject string, notes []string) {
	for _, n := range notes {
		p.found = append(p.found, RelayFinding{p.relay.Name, side, true, bridge.Finding{Level: bridge.Pass, Subject: subject, Text: n}})
	}
}

func (p *promiser) source() {
	r, side, subject := p.relay, "from "+p.relay.From.System, p.relay.Source.Describe()
	if p.from.Competing {
		p.admitted(r.From.Settings.True(CompetesWord), "it takes messages away from the application that reads it",
			"Use a tap of the bridge's own. If it is meant, write "+CompetesWord+": true in from.")
	}
	if !p.from.Ordered {
		p.admitted(r.Order == config.OrderNone, "it does not say in which order its messages were sent, so no key is kept in order",
			"If no order is needed, write order: none in the relay.")
	}
	if !p.from.Durable {
		p.add(bridge.Warn, side, subject, "at most once: what is in flight when the bridge stops or the connection breaks is lost",
			"Use a tap that stores its messages where none may be lost.")
	}
	p.notes(side, subject, p.from.Notes)
}

func (p *promiser) sink() {
	side, subject := "to "+p.relay.To.System, p.relay.Sink.Describe()
	switch {
	case !p.to.Durable:
		p.add(bridge.Warn, side, subject, "at most once: nothing says that a message arrived",
			"Use a target that stores its messages where none may be lost.")
	case p.to.Fence == bridge.FenceNone:
		p.add(bridge.Warn, side, subject, "nothing keeps an earlier session of this relay from publishing beside this one",
			"See that one process runs this relay, and not two.")
	}
	p.notes(side, subject, p.to.Notes)
}

// recall is about duplicates after a crash. // I6
func (p *promiser) recall() {
	side, subject := "to "+p.relay.To.System, p.relay.Sink.Describe()
	switch {
	case !p.to.Durable || !p.from.Durable:
	case p.to.Recall == 0:
		p.add(bridge.Warn, side, subject, "it cannot be read back: after a crash, messages within the debt may be there twice, with the same ID",
			"Let consumers drop repeats by ID, or write to a target that can be read back.")
	case p.to.Recall <= p.from.Slack:
		p.add(bridge.Warn, side, subject, fmt.Sprintf("only the newest %d messages can be read back, and the incumbent may deliver %d again that were acknowledged: after its crash some may be there twice, with the same ID", p.to.Recall, p.from.Slack),
			"Let consumers drop repeats by ID.")
	}
}

// parking is about messages that can never be delivered.
func (p *promiser) parking() {
	r, journals := p.relay, journalsOf(p.relay.Source) != nil
	switch {
	case r.Park == config.ParkStop:
	case !journals && r.ParkFile == "":
		p.add(bridge.Warn, "", "parking", "this incumbent keeps no journals: the relay stops at the first message that can never be delivered",
			"Name a park_file on a disk that is kept, or write park: stop if that is meant.")
	case journals && r.ParkFile != "":
		p.add(bridge.Warn, "", "parking", "park_file has no effect: this incumbent keeps what is parked itself", "Take park_file away.")
	}
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
