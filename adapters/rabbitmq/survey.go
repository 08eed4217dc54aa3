package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Survey is as bridge.Surveyor says. With the management API it gives the whole
// virtual host; without, what is asked for is looked for over AMQP, which neither
// lists anything nor tells bindings and policies.
func (s *system) Survey(ctx context.Context, asked []bridge.Object) (bridge.Topology, error) {
	t := bridge.Topology{Kind: Kind}
	err := s.setUp(ctx, "survey "+s.name, func(_ context.Context, n *session) error {
		defer n.close()
		t.Version = n.broker.version
		t.System = fmt.Sprintf("rabbitmq cluster %s vhost %s", n.broker.cluster, s.uri.Vhost)
		if s.management == nil {
			return n.probe(&t, asked)
		}
		return nil
	})
	switch {
	case err != nil:
		return t, err
	case s.management == nil:
		t.Blind = append(t.Blind, bridge.RoleBinding)
		t.Unseen = append(t.Unseen, "the management API is not used (management: http://HOST:15672 in the system's block), and AMQP lists nothing: "+
			"which queues are bound to an exchange, with which keys, and what policies set is not known; what the configuration names was looked for by itself")
	default:
		if err := s.list(ctx, &t); err != nil {
			return t, err
		}
	}
	slices.SortFunc(t.Objects, func(a, b bridge.Object) int { return a.Compare(&b) })
	return t, nil
}

// probe looks for what is asked for, by declarations that create nothing.
func (n *session) probe(t *bridge.Topology, asked []bridge.Object) error {
	for i := range asked {
		o := bridge.Object{Role: asked[i].Role, Name: asked[i].Name, Partly: true}
		switch o.Role {
		case bridge.RoleExchange:
			kind, alternate, err := n.exchangeKind(o.Name)
			if missing(err) {
				continue
			}
			if err != nil {
				return setupError("exchange "+o.Name, err)
			}
			if kind != "" {
				o.Kind = kind + " exchange"
			}
			if alternate {
				o.Settings = []bridge.Setting{{Meaning: bridge.MeaningAlternate, Name: "alternate-exchange", Value: "(set)"}}
			}
		case bridge.RoleQueue, bridge.RoleLog:
			q, err := n.queueArguments(o.Name)
			if missing(err) {
				continue
			}
			if err != nil {
				return setupError("queue "+o.Name, err)
			}
			if q.kind() != "" {
				o.Role, o.Kind = queueKind(q.kind())
			}
			o.Settings = argumentSettings(q.arguments, "")
		default:
			continue
		}
		if !slices.ContainsFunc(t.Objects, func(f bridge.Object) bool { return f.Same(&o) }) {
			t.Objects = append(t.Objects, o)
		}
	}
	return nil
}

// queueKind is the role and kind of a queue type.
func queueKind(t string) (bridge.Role, string) {
	if t == typeStream {
		return bridge.RoleLog, typeStream
	}
	return bridge.RoleQueue, t + " queue"
}

// list reads the virtual host from the management API.
func (s *system) list(ctx context.Context, t *bridge.Topology) error {
	m := s.manage()
	var exchanges []listedExchange
	var queues []listedQueue
	var bindings []listedBinding
	var nodes []struct{}
	err := m.get(ctx, "exchanges", "name,type,durable,auto_delete,internal,arguments", &exchanges)
	if err == nil {
		err = m.get(ctx, "queues", "name,durable,auto_delete,exclusive,arguments", &queues)
	}
	if err == nil {
		err = m.get(ctx, "bindings", "", &bindings)
	}
	if err != nil {
		return err
	}
	if m.get(ctx, "nodes", "name", &nodes) == nil { // which takes the tag monitoring
		t.Nodes = len(nodes)
	}
	rules, unseen, err := m.policies(ctx)
	if err != nil {
		return err
	}
	t.Unseen = append(t.Unseen, unseen...)
	for i := range exchanges {
		if e := &exchanges[i]; e.Name != "" && !strings.HasPrefix(e.Name, "amq.rabbitmq.") {
			t.Objects = append(t.Objects, e.object(rules))
		}
	}
	kinds := map[string]bridge.Role{}
	for i := range queues {
		if q := &queues[i]; !q.Exclusive {
			o := q.object(rules)
			kinds[o.Name] = o.Role
			t.Objects = append(t.Objects, o)
		}
	}
	for i := range bindings {
		b := &bindings[i]
		o := bridge.Object{Role: bridge.RoleBinding, Kind: "binding", Name: b.To, From: b.Source, To: bridge.RoleExchange, Key: b.RoutingKey, Settings: bindingSettingsOf(b.Arguments)}
		if b.ToType == "queue" {
			o.To = kinds[b.To]
		}
		if b.Source != "" && o.To != 0 { // the default exchange leads to every queue; exclusive ones were left out
			t.Objects = append(t.Objects, o)
		}
	}
	return nil
}

// object says what an exchange is.
func (e *listedExchange) object(rules policies) bridge.Object {
	o := bridge.Object{Role: bridge.RoleExchange, Kind: e.Type + " exchange", Name: e.Name, Own: own(e.Name)}
	o.Settings = argumentSettings(e.Arguments, "")
	o.Settings = append(o.Settings, rules.of(e.Name, "exchanges", o.Settings)...)
	flag := func(is bool, m bridge.Meaning, name string, value any) {
		if is {
			o.Settings = append(o.Settings, bridge.Setting{Meaning: m, Name: name, Value: value})
		}
	}
	flag(!e.Durable, bridge.MeaningTransient, "durable", false)
	flag(e.AutoDelete, bridge.MeaningLeaves, "auto_delete", true)
	flag(e.Internal, bridge.MeaningInternal, "internal", true)
	bridge.SortSettings(o.Settings)
	for _, r := range exchangeRisks(e.Type, false, nil) {
		o.Refusal = r.text + ": " + r.hint
	}
	if _, has := o.Setting(bridge.MeaningAlternate); has && o.Refusal == "" {
		o.Refusal = "has an alternate exchange, where messages that only the tap matches no longer go, which accept: [" + acceptAlternate + "] in from takes on"
	}
	return o
}

// object says what a queue is.
func (q *listedQueue) object(rules policies) bridge.Object {
	kind, _ := q.Arguments["x-queue-type"].(string)
	if kind == "" {
		kind = typeClassic
	}
	o := bridge.Object{Name: q.Name, Own: own(q.Name)}
	o.Role, o.Kind = queueKind(kind)
	o.Settings = argumentSettings(q.Arguments, "")
	o.Settings = append(o.Settings, rules.of(q.Name, "queues", o.Settings)...)
	if !q.Durable {
		o.Settings = append(o.Settings, bridge.Setting{Meaning: bridge.MeaningTransient, Name: "durable", Value: false})
	}
	if q.AutoDelete {
		o.Settings = append(o.Settings, bridge.Setting{Meaning: bridge.MeaningLeaves, Name: "auto_delete", Value: true})
	}
	bridge.SortSettings(o.Settings)
	if o.Role == bridge.RoleQueue {
		o.Refusal = "is an application's queue, which only one reader gets each message of: tap an exchange that leads to it"
	}
	return o
}

// own says that a thing has a name of the bridge's own. For a plan that is enough;
// what is removed goes by the notes, see holdings.
func own(name string) bool { return strings.HasPrefix(name, namePrefix+".") }

// meanings are those of arguments, by their names without "x-".
var meanings = map[string]bridge.Meaning{
	"message-ttl": bridge.MeaningExpiry, "expires": bridge.MeaningIdle, "max-length": bridge.MeaningMessages,
	"max-length-bytes": bridge.MeaningBytes, "max-age": bridge.MeaningAge, "overflow": bridge.MeaningFull,
	"dead-letter-exchange": bridge.MeaningDeadLetter, "dead-letter-routing-key": bridge.MeaningDeadLetterKey,
	"delivery-limit": bridge.MeaningDeliveries, "max-priority": bridge.MeaningPriority,
	"single-active-consumer": bridge.MeaningSingle, "alternate-exchange": bridge.MeaningAlternate,
	"quorum-initial-group-size": bridge.MeaningReplicas, "initial-cluster-size": bridge.MeaningReplicas,
	"consumer-timeout": bridge.MeaningUnacked,
	"queue-mode":       bridge.MeaningTuning, "queue-version": bridge.MeaningTuning, "queue-master-locator": bridge.MeaningTuning,
	"queue-leader-locator": bridge.MeaningTuning, "stream-max-segment-size-bytes": bridge.MeaningTuning,
	"stream-filter-size-bytes": bridge.MeaningTuning, "max-in-memory-length": bridge.MeaningTuning, "max-in-memory-bytes": bridge.MeaningTuning,
	"ha-mode": bridge.MeaningTuning, "ha-params": bridge.MeaningTuning, "ha-sync-mode": bridge.MeaningTuning,
	"ha-sync-batch-size": bridge.MeaningTuning, "ha-promote-on-failure": bridge.MeaningTuning, "ha-promote-on-shutdown": bridge.MeaningTuning,
	"dead-letter-strategy": bridge.MeaningTuning,
	"federation-upstream":  bridge.MeaningFlow, "federation-upstream-set": bridge.MeaningFlow,
}

// argumentSettings are the settings that arguments, or a policy of that name, make.
func argumentSettings(arguments map[string]any, policy string) (out []bridge.Setting) {
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		if name == "x-queue-type" {
			continue // which the kind says
		}
		out = append(out, settingOf(name, arguments[name], policy))
	}
	return out
}

func settingOf(name string, value any, policy string) bridge.Setting {
	s := bridge.Setting{Meaning: meanings[strings.TrimPrefix(name, "x-")], Name: name, Value: plainValue(value), By: policy}
	n, isNumber := s.Value.(int64)
	switch {
	case isNumber && (s.Meaning == bridge.MeaningExpiry || s.Meaning == bridge.MeaningIdle || s.Meaning == bridge.MeaningUnacked):
		if n <= math.MaxInt64/int64(time.Millisecond) {
			s.N = n * int64(time.Millisecond)
		}
	case isNumber:
		s.N = n
	case s.Meaning == bridge.MeaningAge:
		text, _ := s.Value.(string)
		s.N = ageOf(text)
	}
	return s
}

// plainValue is a value as a Setting has it.
func plainValue(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case string, bool, int64:
		return v
	}
	return fmt.Sprint(v)
}

// ageOf reads the time of a stream's x-max-age: "7D", "3600s".
func ageOf(s string) int64 {
	units := map[byte]time.Duration{'Y': 365 * 24 * time.Hour, 'M': 30 * 24 * time.Hour, 'D': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}
	if s == "" || units[s[len(s)-1]] == 0 {
		return 0
	}
	var n int64
	if _, err := fmt.Sscanf(s[:len(s)-1], "%d", &n); err != nil {
		return 0
	}
	return n * int64(units[s[len(s)-1]])
}

// bindingSettingsOf are a binding's arguments, sorted.
func bindingSettingsOf(arguments map[string]any) (out []bridge.Setting) {
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		out = append(out, bridge.Setting{Meaning: bridge.MeaningArgument, Name: name, Value: plainValue(arguments[name])})
	}
	return out
}

// Taps is as bridge.Tapping says.
func (o *sourceOpener) Taps() (out []bridge.Tap) {
	switch {
	case o.settings.Queue != "":
		return []bridge.Tap{{Role: bridge.RoleQueue, Name: o.settings.Queue}}
	case o.settings.Stream != "":
		return []bridge.Tap{{Role: bridge.RoleLog, Name: o.settings.Stream}}
	}
	for _, b := range o.settings.Bindings {
		out = append(out, bridge.Tap{Role: bridge.RoleExchange, Name: b.Exchange, Key: b.RoutingKey, Arguments: bindingSettingsOf(b.Arguments)})
	}
	return out
}

// Target is as bridge.Targeting says.
func (o *sinkOpener) Target() bridge.Target {
	t := bridge.Target{Names: o.target.key, Encode: keyToken}
	if o.target.kind == toExchange {
		t.Object = bridge.Object{Role: bridge.RoleExchange, Name: o.target.exchange}
		return t
	}
	t.Object.Role, t.Object.Kind = queueKind(o.target.kind)
	t.Object.Name = o.target.queue
	return t
}

// forbidden says that a list is not for this user, which is no failure.
func forbidden(err error) bool { return errors.Is(err, errForbidden) }
