package rabbitmq

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// What a tap on an exchange of each type risks, and whether a word makes it right.
func TestExchangeRisks(t *testing.T) {
	for _, v := range []struct {
		kind      string
		alternate bool
		key       string
		word      string // of the one risk; "-" for one that no word accepts
		opens     bool
	}{
		{kind: "direct", key: "#", opens: true},
		{kind: "fanout", opens: true},
		{kind: "headers", opens: true},
		{kind: "topic", key: "a.b*.#c", opens: true},
		{kind: "topic", key: "a.#", word: acceptMandatory, opens: true},
		{kind: "topic", key: "*", word: acceptMandatory, opens: true},
		{kind: "direct", alternate: true, word: acceptAlternate},
		{kind: "x-consistent-hash", word: "-"},
		{kind: "x-random", word: "-"},
		{kind: "x-local-random", word: "-"},
		{kind: "x-modulus-hash", word: "-"},
		{kind: "x-recent-history", word: acceptType},
		{kind: "x-delayed-message", word: acceptType},
		{kind: "", word: acceptType},
	} {
		rs := exchangeRisks(v.kind, v.alternate, []string{v.key})
		if v.word == "" {
			if len(rs) != 0 {
				t.Errorf("%+v: %+v", v, rs)
			}
			continue
		}
		if len(rs) != 1 || rs[0].word != strings.Trim(v.word, "-") {
			t.Errorf("%+v: %+v", v, rs)
			continue
		}
		err := rs[0].err("exchange x", nil)
		if (err == nil) != v.opens || err != nil && (bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "") {
			t.Errorf("%+v, not accepted: %v", v, err)
		}
		all := bridge.Accepts{acceptAlternate, acceptHeaders, acceptMandatory, acceptType, acceptPriorities}
		if err := rs[0].err("exchange x", all); (err == nil) != (v.word != "-") {
			t.Errorf("%+v, accepted: %v", v, err)
		}
		for _, accepted := range []bridge.Accepts{nil, all} {
			r := &report{}
			rs[0].report(r, "exchange x", accepted)
			want := bridge.Fail
			if accepted != nil && v.word != "-" {
				want = bridge.Warn
			}
			if f := r.findings[0]; f.Level != want || f.Hint == "" {
				t.Errorf("%+v, accepted %v: %+v", v, accepted, f)
			}
		}
	}
	for word := range sourceAccepts {
		if err := (bridge.Accepts{word}).Validate(sourceAccepts); err != nil {
			t.Error(err)
		}
	}
}

// An alternate exchange on what is tapped or written is refused when it is opened,
// unless the configuration has the word, and before anything is made.
func TestAlternateExchangesAreRefused(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	x := unique(t)
	if err := n.channel(t).ExchangeDeclare(x, "topic", true, false, false, false, amqp.Table{"alternate-exchange": "amq.fanout"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.channel(t).ExchangeDelete(x, false, false) })
	block := "tap: classic\nbindings: [{exchange: " + x + ", routing_key: a}]\n"
	o := n.source(t, s, n.identity(t), block)
	if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), acceptAlternate) {
		t.Errorf("a tap: %v", err)
	}
	if _, err := n.channel(t).QueueDeclarePassive(o.tap, true, false, false, false, nil); err == nil {
		t.Error("the tap was made")
	}
	_ = openSource(t, n.source(t, s, n.identity(t), block+"accept: [alternate-exchange]")).Close()
	if _, err := n.sink(t, s, n.identity(t), "exchange: "+x).Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), acceptAlternate) {
		t.Errorf("a target: %v", err)
	}
	if _, err := n.sink(t, s, n.identity(t), "exchange: "+x+"\naccept: [alternate-exchange]").Open(t.Context()); err != nil {
		t.Errorf("a target that is accepted: %v", err)
	}
}

// On RabbitMQ 4 a quorum tap is refused, since it gives higher priorities first.
func TestPriorities(t *testing.T) {
	s := &system{}
	for _, v := range []struct {
		major   int
		tap     string
		accept  bridge.Accepts
		refused bool
	}{
		{3, typeQuorum, nil, false},
		{4, typeQuorum, nil, true},
		{4, typeQuorum, bridge.Accepts{acceptPriorities}, false},
		{4, typeClassic, nil, false},
		{4, typeStream, nil, false},
	} {
		o := newSourceOpener(s, bridge.Identity{}, sourceSettings{Tap: v.tap, Accept: v.accept})
		err := o.mayTap(&session{broker: broker{major: v.major}})
		if (err != nil) != v.refused || err != nil && (bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), acceptPriorities)) {
			t.Errorf("%+v: %v", v, err)
		}
	}
}

// Taps that are not refused give messages of mixed priorities in the order in which
// they were published.
func TestPrioritiesKeepTheirOrder(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	version, _ := n.conn.Properties["version"].(string)
	t.Logf("RabbitMQ %s", version)
	for _, kind := range []string{typeClassic, typeStream, typeQuorum} {
		x := n.exchange(t, unique(t), "topic")
		o := n.source(t, s, n.identity(t), "tap: "+kind+"\naccept: [stream-headers]\nbindings: [{exchange: "+x+", routing_key: k}]")
		src, err := o.Open(t.Context())
		if kind == typeQuorum && !strings.HasPrefix(version, "3.") {
			if bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), acceptPriorities) {
				t.Errorf("a quorum tap: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = src.Close() // so that all wait in the queue together
		ps := bodies(0, 200, 0)
		for i := range ps {
			ps[i].Priority = uint8(i * 7 % 11)
		}
		n.publish(t, x, ps...)
		for i, d := range receive(t, openSource(t, o), len(ps)) {
			if string(d.Body) != string(ps[i].Body) {
				t.Errorf("%s: number %d is %s", kind, i, d.Body)
				break
			}
		}
	}
}
