package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The words with which a from block accepts what a tap may change for
// applications, or for the order of what it reads. // I2 I7
const (
	acceptHeaders    = "stream-headers"
	acceptAlternate  = "alternate-exchange"
	acceptMandatory  = "mandatory"
	acceptType       = "exchange-type"
	acceptPriorities = "priorities"
)

var sourceAccepts = map[string]string{
	acceptHeaders:    "a stream tap: a decimal header makes the broker close its producer's connection, and arrays and tables are lost",
	acceptAlternate:  "messages that only the tap matches no longer go to the alternate exchange",
	acceptMandatory:  "producers that publish as mandatory are no longer told of messages that only the tap matches",
	acceptType:       "an exchange whose type is not direct, topic, fanout or headers, or cannot be found out",
	acceptPriorities: "from RabbitMQ 4 on a quorum tap gives higher priorities first",
}

var sinkAccepts = map[string]string{
	acceptAlternate: "messages without a binding go to the alternate exchange, and are not parked",
}

// A risk is what is wrong with a tap or target unless its word is accepted.
type risk struct {
	word string // empty where nothing makes it right
	seen bool   // it is known, rather than possible: opening refuses it
	text string
	hint string
}

// err is the refusal; nil where the risk is accepted or only possible.
func (r risk) err(subject string, accepted bridge.Accepts) error {
	if !r.seen || r.word != "" && accepted.Has(r.word) {
		return nil
	}
	return bridge.Fatal(fmt.Errorf("rabbitmq: %s %s", subject, r.text), r.advice())
}

func (r risk) advice() string {
	if r.word == "" {
		return r.hint
	}
	return r.hint + " Or write accept: [" + r.word + "]."
}

// report adds the risk as a finding.
func (r risk) report(to *report, subject string, accepted bridge.Accepts) {
	if r.word != "" && accepted.Has(r.word) {
		to.add(bridge.Warn, subject, r.text+" (accepted: "+r.word+")", r.hint)
		return
	}
	to.add(bridge.Fail, subject, r.text, r.advice())
}

// takers are the types of exchanges that choose among their bindings, so that one
// more takes messages away from the application. // I7
var takers = []string{"x-consistent-hash", "x-random", "x-local-random", "x-modulus-hash"}

// exchangeRisks are those of a tap on an exchange of that type.
func exchangeRisks(kind string, alternate bool, keys []string) []risk {
	var rs []risk
	switch {
	case kind == "":
		rs = append(rs, risk{acceptType, true, "has a type that cannot be found out: on some a tap takes messages away from the application",
			"Let the user configure the exchange, so that the broker tells its type; it must be direct, topic, fanout or headers."})
	case slices.Contains(takers, kind):
		rs = append(rs, risk{"", true, "is of type " + kind + ", where one more binding takes messages away from the application",
			"Tap the exchange before it, from which its messages come."})
	case !copies(kind):
		rs = append(rs, risk{acceptType, true, "is of type " + kind + ", of which it is not known whether one more binding changes what the application gets",
			"Tap the exchange before it, from which its messages come."})
	}
	if alternate {
		rs = append(rs, risk{acceptAlternate, true, "has an alternate exchange, where messages that only the tap matches no longer go",
			"Bind the tap with keys that the application binds too, and tap the alternate exchange as well."})
	}
	if kind == "topic" && slices.ContainsFunc(keys, wild) {
		rs = append(rs, risk{acceptMandatory, false, "is tapped with a wildcard: a producer that publishes as mandatory is no longer told of messages that only the tap matches",
			"Bind the tap with keys that the application binds too."})
	}
	return rs
}

// wild says that a topic binding matches more than one routing key.
func wild(key string) bool {
	return slices.ContainsFunc(strings.Split(key, "."), func(word string) bool { return word == "*" || word == "#" })
}

// copies says that every binding of such an exchange gets a message of its own.
func copies(kind string) bool {
	return kind == "direct" || kind == "topic" || kind == "fanout" || kind == "headers"
}

// tapped gives the exchanges of the bindings with their routing keys.
func (o *sourceOpener) tapped() (names []string, keys map[string][]string) {
	keys = map[string][]string{}
	for _, b := range o.settings.Bindings {
		if _, again := keys[b.Exchange]; !again {
			names = append(names, b.Exchange)
		}
		keys[b.Exchange] = append(keys[b.Exchange], b.RoutingKey)
	}
	return names, keys
}

// priorityRisk is that of a quorum tap.
func (o *sourceOpener) priorityRisk(b broker) (risk, bool) {
	return risk{acceptPriorities, true, fmt.Sprintf("is a quorum queue, and RabbitMQ %d gives messages of higher priority first: the order of their keys is lost", b.major),
		"Use tap: classic or tap: stream, which keep the order."}, o.settings.Tap == typeQuorum && b.major >= 4
}

// mayTap refuses what a tap would change for applications and nobody has accepted.
func (o *sourceOpener) mayTap(n *session) error {
	names, keys := o.tapped()
	for _, name := range names {
		kind, alternate, err := n.exchangeKind(name)
		if err != nil {
			return setupError("exchange "+name, err)
		}
		for _, r := range exchangeRisks(kind, alternate, keys[name]) {
			if err := r.err("exchange "+name, o.settings.Accept); err != nil {
				return err
			}
		}
	}
	if r, has := o.priorityRisk(n.broker); has {
		return r.err("tap "+o.tap, o.settings.Accept)
	}
	return nil
}

// alternateRisk is that of a target exchange.
func alternateRisk() risk {
	return risk{acceptAlternate, true, "has an alternate exchange: messages without a binding go there and are not parked",
		"Name an exchange without one."}
}

var errStreamHeaders = errors.New("tap: stream: a message with a decimal header makes the broker close its producer's connection once a stream is bound, and array and table headers are lost; use tap: quorum or classic, or write accept: [" + acceptHeaders + "] if no producer sets such headers")
