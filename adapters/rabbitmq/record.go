package rabbitmq

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A record is what the bridges of one name have made at a broker. AMQP lists
// nothing, so each thing is noted in a small stream, one for all relays, before it
// is made: what is there and noted is the bridge's own, and nothing else is.
// Locks end with their connection and are not noted.
type record struct {
	noted  bool // the stream is there
	relays map[string]*belongings
}

// belongings are one relay's things, in the order of making, and the bindings of
// its queues.
type belongings struct {
	things   []*thing
	bindings map[string][]binding
}

// A thing is a queue, stream or exchange that was made.
type thing struct {
	kind     string // as a person calls it: "quorum queue", "stream", "exchange"
	name     string
	use      string
	of       string // the tap that it belongs to
	identity string // of a shared tap: made once with it
	switched bool   // of a switch: the new tap receives
	retired  bool   // it is about to be deleted, with nothing in it that is wanted
}

// The uses of things. Journals are used for what their purpose says.
const (
	useTap     = "tap"
	useDropped = "dropped"
	useOffsets = "offsets"
	useSwitch  = "switch"
	useAside   = "aside"
	useJournal = "journal "

	kindQueue    = " queue"
	kindStream   = "stream"
	kindExchange = "exchange"
)

// A note is one entry of the record's stream.
type note struct {
	Do    string `json:"do"`
	Relay string `json:"relay"`
	Name  string `json:"name"`
	Kind  string `json:"kind,omitempty"`
	Use   string `json:"use,omitempty"`
	Of    string `json:"of,omitempty"`
	// Identity is a shared tap's, made once with it.
	Identity string   `json:"identity,omitempty"`
	Binding  *binding `json:"binding,omitempty"`
}

// What notes say.
const (
	noteMake   = "make"   // is about to be made
	noteRetire = "retire" // is about to be deleted
	noteGone   = "gone"
	noteBind   = "bind" // is about to be bound
	noteUnbind = "unbind"
	noteSwitch = "switch" // the new tap is about to receive
)

// A binding is what is bound to, with arguments in a form that keeps their types.
type binding struct {
	Exchange  string               `json:"exchange"`
	Key       string               `json:"key,omitempty"`
	Arguments map[string][2]string `json:"arguments,omitempty"`
}

// bindingOf is a binding of the configuration, which has been checked.
func bindingOf(b bindingSettings) (binding, error) {
	table, err := toTable(b.Arguments)
	if err != nil {
		return binding{}, bridge.Fatal(err, "Correct the binding's arguments.")
	}
	made := binding{Exchange: b.Exchange, Key: b.RoutingKey}
	for name, value := range table {
		if made.Arguments == nil {
			made.Arguments = map[string][2]string{}
		}
		switch v := value.(type) {
		case string:
			made.Arguments[name] = [2]string{"text", v}
		case bool:
			made.Arguments[name] = [2]string{"truth", strconv.FormatBool(v)}
		case float64:
			made.Arguments[name] = [2]string{"float", strconv.FormatFloat(v, 'g', -1, 64)}
		case int64:
			made.Arguments[name] = [2]string{"number", strconv.FormatInt(v, 10)}
		}
	}
	return made, nil
}

// table gives the arguments back.
func (b binding) table() amqp.Table {
	t := amqp.Table{}
	for name, a := range b.Arguments {
		switch a[0] {
		case "text":
			t[name] = a[1]
		case "truth":
			t[name] = a[1] == "true"
		case "float":
			t[name], _ = strconv.ParseFloat(a[1], 64)
		case "number":
			t[name], _ = strconv.ParseInt(a[1], 10, 64)
		}
	}
	return t
}

// same compares bindings.
func (b binding) same(other binding) bool { return b.text() == other.text() }

func (b binding) text() string {
	text, _ := json.Marshal(b) // of texts alone; maps are sorted
	return string(text)
}

// recordName names the stream of a bridge's record.
func recordName(bridgeName string) string { return ownName("holdings", bridgeName) }

// readRecord reads the record, and changes nothing. One that is not there is empty.
func (n *session) readRecord(ctx context.Context, bridgeName string) (*record, error) {
	r := &record{relays: map[string]*belongings{}}
	stream := recordName(bridgeName)
	if _, err := n.passive(stream); missing(err) {
		return r, nil
	} else if err != nil {
		return nil, setupError("read "+stream, err)
	}
	r.noted = true
	last, empty, err := n.tail(ctx, stream, n.broker.emptyPatience())
	if err != nil || empty {
		return r, err
	}
	return r, n.records(ctx, stream, "first", func(offset uint64, _, _ string) bool { return offset >= last }, func(entry []byte) error {
		var e note
		if err := json.Unmarshal(entry, &e); err != nil {
			return bridge.Fatal(fmt.Errorf("rabbitmq: %s: entry %q cannot be read", stream, printable(string(entry))),
				"Something else writes to a stream of the bridge's own; find out what does.")
		}
		r.apply(e)
		return nil
	})
}

// of gives a relay's belongings, which are never nil.
func (r *record) of(relay string) *belongings {
	b := r.relays[relay]
	if b == nil {
		b = &belongings{bindings: map[string][]binding{}}
		r.relays[relay] = b
	}
	return b
}

// apply takes a note in.
func (r *record) apply(e note) {
	b := r.of(e.Relay)
	switch e.Do {
	case noteMake:
		if b.find(e.Kind, e.Name) == nil {
			b.things = append(b.things, &thing{kind: e.Kind, name: e.Name, use: e.Use, of: e.Of, identity: e.Identity})
		}
	case noteGone:
		b.things = slices.DeleteFunc(b.things, func(t *thing) bool { return t.name == e.Name && t.kind == e.Kind })
		if e.Kind != kindExchange {
			delete(b.bindings, e.Name)
		}
	case noteRetire, noteSwitch:
		if t := b.find(e.Kind, e.Name); t != nil {
			t.retired = t.retired || e.Do == noteRetire
			t.switched = t.switched || e.Do == noteSwitch
		}
	case noteBind, noteUnbind:
		if e.Binding == nil {
			return
		}
		rest := slices.DeleteFunc(b.bindings[e.Name], e.Binding.same)
		if e.Do == noteBind {
			rest = append(rest, *e.Binding)
		}
		if b.bindings[e.Name] = rest; len(rest) == 0 {
			delete(b.bindings, e.Name)
		}
	}
}

// find gives the thing of that kind and name; nil if it is not noted.
func (b *belongings) find(kind, name string) *thing {
	for _, t := range b.things {
		if t.name == name && (t.kind == kindExchange) == (kind == kindExchange) {
			return t
		}
	}
	return nil
}

// used gives the things of one use that are not about to be deleted.
func (b *belongings) used(use string) []*thing {
	var found []*thing
	for _, t := range b.things {
		if t.use == use && !t.retired {
			found = append(found, t)
		}
	}
	return found
}

// beside gives what belongs to a tap.
func (b *belongings) beside(tap string) []*thing {
	var found []*thing
	for _, t := range b.things {
		if t.of == tap && (t.use == useDropped || t.use == useOffsets) {
			found = append(found, t)
		}
	}
	return found
}

// note writes notes, and returns once they are durable. It does so on a connection
// of its own: a broker that blocks publishers blocks every connection that has
// ever published.
func (s *system) note(ctx context.Context, bridgeName string, notes ...note) error {
	if len(notes) == 0 {
		return nil
	}
	stream := recordName(bridgeName)
	return s.setUp(ctx, "note in "+stream, func(ctx context.Context, n *session) error {
		if err := n.declareMissing(stream, amqp.Table{"x-queue-type": typeStream}); err != nil {
			return err
		}
		log, err := openLog(n, stream)
		if err != nil {
			return err
		}
		defer log.close()
		for i := range notes {
			text, err := json.Marshal(&notes[i])
			if err != nil {
				return err
			}
			if err := log.append(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// declareMissing declares a queue or stream that is not there.
func (n *session) declareMissing(name string, arguments amqp.Table) error {
	_, err := n.passive(name)
	if missing(err) {
		err = n.declare(name, arguments)
	}
	return setupError("declare "+name, err)
}

// makeNoted declares what is not there, after having noted it as the relay's own.
func (s *system) makeNoted(ctx context.Context, n *session, id bridge.Identity, t thing, arguments amqp.Table) (made bool, err error) {
	if _, err := n.passive(t.name); !missing(err) {
		return false, setupError(t.name, err)
	}
	if err := s.note(ctx, id.Bridge, t.make(id.Relay)); err != nil {
		return false, err
	}
	return true, setupError("declare "+t.name, n.declare(t.name, arguments))
}

// make is the note that t is about to be made.
func (t thing) make(relay string) note {
	return note{Do: noteMake, Relay: relay, Name: t.name, Kind: t.kind, Use: t.use, Of: t.of, Identity: t.identity}
}

// says is another note about t.
func (t thing) says(what, relay string) note {
	return note{Do: what, Relay: relay, Name: t.name, Kind: t.kind}
}
