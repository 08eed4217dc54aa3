package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// natsEncode is an encoder with an empty token, as subjects have it.
func natsEncode(dst []byte, value string, dotted bool) ([]byte, error) {
	if value == "" {
		return append(dst, '%'), nil
	}
	return bridge.AppendEscaped(dst, value, func(c byte) bool {
		return c == '-' || c == '#' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || dotted && c == '.'
	}), nil
}

func verbatim(dst []byte, value string, _ bool) ([]byte, error) { return append(dst, value...), nil }

func template(s string) *bridge.Template {
	t, err := bridge.ParseTemplate(s)
	if err != nil {
		panic(err)
	}
	return t
}

func toStream(name, subject string) bridge.Target {
	return bridge.Target{Object: bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: name}, Names: template(subject), Encode: natsEncode}
}

func toTopic(topic string, settings ...bridge.Setting) bridge.Target {
	t := bridge.Target{Object: bridge.Object{Role: bridge.RoleLog, Kind: "topic", Settings: settings}, Names: template(topic), Encode: natsEncode}
	t.Object.Name, _ = t.Names.Literal()
	return t
}

func toExchange(name, key string) bridge.Target {
	return bridge.Target{Object: bridge.Object{Role: bridge.RoleExchange, Name: name}, Names: template(key), Encode: verbatim}
}

func exchange(kind, name string, settings ...bridge.Setting) bridge.Object {
	return bridge.Object{Role: bridge.RoleExchange, Kind: kind + " exchange", Name: name, Settings: settings}
}

func queue(kind, name string, settings ...bridge.Setting) bridge.Object {
	return bridge.Object{Role: bridge.RoleQueue, Kind: kind + " queue", Name: name, Settings: settings}
}

func bind(from, key, to string, role bridge.Role, arguments ...bridge.Setting) bridge.Object {
	return bridge.Object{Role: bridge.RoleBinding, Kind: "binding", Name: to, To: role, From: from, Key: key, Settings: arguments}
}

func tap(exchange, key string) bridge.Tap {
	return bridge.Tap{Role: bridge.RoleExchange, Name: exchange, Key: key}
}

func number(m bridge.Meaning, name string, n int64) bridge.Setting {
	return bridge.Setting{Meaning: m, Name: name, Value: n, N: n}
}

func rabbit(objects ...bridge.Object) bridge.Topology {
	return bridge.Topology{Kind: "rabbitmq", System: "rabbitmq cluster a vhost /", Objects: objects}
}

// summary is a plan in lines, as short as it can be said.
func summary(p *Plan) (out []string) {
	for _, s := range p.Steps {
		line := fmt.Sprintf("%s %s", s.State, s.Describe())
		if takes := s.Takes(); takes != "" && s.Object.Role != bridge.RoleBinding {
			line += ", " + takes
		}
		for _, x := range s.Object.Settings {
			if x.Meaning != bridge.MeaningWindow {
				line += ", " + Text(x)
			}
		}
		if s.Text != "" {
			line += ": " + s.Text
		}
		out = append(out, line)
	}
	for _, l := range p.Lost {
		out = append(out, fmt.Sprintf("lost %s %s: %.24s", l.Object, l.Setting, l.Text))
	}
	for _, r := range p.Routes {
		out = append(out, fmt.Sprintf("route %s: %.32s", r.Route, r.Text))
	}
	return out
}

func TestPlans(t *testing.T) {
	hour := number(bridge.MeaningAge, "max_age", int64(time.Hour))
	hour.Value = "1h0m0s"
	for name, c := range map[string]struct {
		relay Relay
		found bridge.Topology
		want  []string
	}{
		"a topic exchange becomes subjects": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("topic", "t"), queue("classic", "a.b"), queue("classic", "all"), bind("t", "x.#", "a.b", bridge.RoleQueue), bind("t", "#", "all", bridge.RoleQueue), bind("t", "y.*.z", "a.b", bridge.RoleQueue))},
			want: []string{"missing stream S, subjects s.>", "missing consumer a-b of S, filter s.x, s.x.>, s.y.*.z", "missing consumer all of S"},
		},
		"what only a pattern in the middle says is widened": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("topic", "t"), queue("classic", "q"), bind("t", "x.#.y", "q", bridge.RoleQueue))},
			want: []string{"missing stream S, subjects s.>", "missing consumer q of S, filter s.x.>", "route topic exchange t, key x.#.y, to classic queue q: NATS cannot say this pattern: it"},
		},
		"filters of one consumer do not overlap": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("topic", "t"), queue("classic", "q"), bind("t", "a.*.c", "q", bridge.RoleQueue), bind("t", "a.b.*", "q", bridge.RoleQueue), bind("t", "z", "q", bridge.RoleQueue))},
			want: []string{"missing stream S, subjects s.>", "missing consumer q of S, filter s.a.>, s.z"},
		},
		"any subject is refused": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toStream("S", "{address}"), Kind: "nats", Incumbent: rabbit(exchange("topic", "t"))},
			want:  []string{"route stream S: the template {address} may make "},
		},
		"a part is not any subject": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "a.#"), tap("t", "b")}, Target: toStream("S", "{address}"), Kind: "nats", Incumbent: rabbit(exchange("topic", "t"))},
			want:  []string{"missing stream S, subjects a, a.>, b"},
		},
		"through an exchange behind the exchange": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("topic", "t"), exchange("topic", "u"), queue("classic", "q"), queue("classic", "never"),
				bind("t", "eu.#", "u", bridge.RoleExchange), bind("u", "eu.paid", "q", bridge.RoleQueue), bind("u", "us.#", "never", bridge.RoleQueue), bind("u", "#", "t", bridge.RoleExchange))},
			want: []string{"missing stream S, subjects s.>", "missing consumer q of S, filter s.eu.paid"},
		},
		"a route that the tap does not read": {
			relay: Relay{Taps: []bridge.Tap{tap("d", "now")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("direct", "d"), queue("classic", "q"), bind("d", "now", "q", bridge.RoleQueue), bind("d", "later", "q", bridge.RoleQueue))},
			want: []string{"missing stream S, subjects s.>", "missing consumer q of S, filter s.now", "route direct exchange d, key later, to classic queue q: the tap does not read it: nothin"},
		},
		"a queue's limits are not a stream's": {
			relay: Relay{Taps: []bridge.Tap{tap("f", "")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(
				exchange("fanout", "f"), queue("quorum", "q", number(bridge.MeaningExpiry, "x-message-ttl", 60), number(bridge.MeaningDeliveries, "x-delivery-limit", 4), number(bridge.MeaningTuning, "x-queue-mode", 0)),
				bind("f", "", "q", bridge.RoleQueue), queue("classic", "temporary", bridge.Setting{Meaning: bridge.MeaningLeaves, Name: "auto_delete", Value: true}), bind("f", "", "temporary", bridge.RoleQueue))},
			want: []string{"missing stream S, subjects s.>", "missing consumer q of S, max_deliver 5",
				"lost classic queue temporary auto_delete true: it goes with its last co", "lost quorum queue q x-message-ttl 60 (60ns): messages of this queue a"},
		},
		"a stream there that takes something else": {
			relay: Relay{Taps: []bridge.Tap{tap("f", "")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(exchange("fanout", "f"))},
			found: bridge.Topology{Kind: "nats", Objects: []bridge.Object{{Role: bridge.RoleLog, Kind: "stream", Name: "S", Takes: []bridge.Pattern{"x.*.#"}, Settings: []bridge.Setting{{Meaning: bridge.MeaningWindow, Name: "duplicate_window", N: usualWindow}}}}},
			want:  []string{"differs stream S, subjects s.>: it does not take s.>", "route what the tap reads: everything: nothing at stream S takes the na"},
		},
		"a subject belongs to one stream": {
			relay: Relay{Taps: []bridge.Tap{tap("f", "")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit(exchange("fanout", "f"))},
			found: bridge.Topology{Kind: "nats", Objects: []bridge.Object{{Role: bridge.RoleLog, Kind: "stream", Name: "OTHER", Takes: []bridge.Pattern{"s.a"}}}},
			want:  []string{"missing stream S, subjects s.>: stream OTHER takes such subjects already (s.a), and a subject belongs to one stream: change the relay's template, or write into that stream"},
		},
		"between RabbitMQs everything is as it was": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toExchange("next", "{address}"), Kind: "rabbitmq", Incumbent: rabbit(
				exchange("topic", "t"), exchange("fanout", "dead"), queue("classic", "q", number(bridge.MeaningExpiry, "x-message-ttl", 60_000), bridge.Setting{Meaning: bridge.MeaningDeadLetter, Name: "x-dead-letter-exchange", Value: "dead"}, number(bridge.MeaningPriority, "x-max-priority", 5)),
				queue("quorum", "graves", bridge.Setting{Meaning: bridge.MeaningDeadLetter, Name: "x-dead-letter-exchange", Value: "t"}), bind("dead", "", "graves", bridge.RoleQueue), bind("t", "a.*", "q", bridge.RoleQueue))},
			want: []string{"missing fanout exchange dead", "missing topic exchange next",
				"missing quorum queue graves, x-dead-letter-exchange next", "missing classic queue q, x-dead-letter-exchange dead, x-max-priority 5, x-message-ttl 60000 (60µs)",
				"missing binding of dead to graves", "missing binding of next to q, key a.*",
				"route what the tap reads: everything: only a part of the names that it"},
		},
		"headers stay headers": {
			relay: Relay{Taps: []bridge.Tap{{Role: bridge.RoleExchange, Name: "h", Arguments: []bridge.Setting{{Name: "x-match", Value: "all"}}}}, Target: toExchange("next", "{address}"), Kind: "rabbitmq", Incumbent: rabbit(
				exchange("headers", "h"), queue("classic", "q"), bind("h", "", "q", bridge.RoleQueue, bridge.Setting{Meaning: bridge.MeaningArgument, Name: "level", Value: "high"}))},
			want: []string{"missing headers exchange next", "missing classic queue q", "missing binding of next to q, level high"},
		},
		"nothing bound": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toExchange("next", "{address}"), Kind: "rabbitmq", Incumbent: rabbit(exchange("topic", "t"))},
			want:  []string{"missing topic exchange next", "route topic exchange next: no application is known that wou", "route what the tap reads: everything: nothing at topic exchange next t"},
		},
		"a stream's limits are not a queue's": {
			relay: Relay{Taps: []bridge.Tap{{Role: bridge.RoleLog, Name: "S"}}, Target: bridge.Target{Object: queue("quorum", "q")}, Kind: "rabbitmq",
				Incumbent: bridge.Topology{Kind: "nats", Objects: []bridge.Object{{Role: bridge.RoleLog, Kind: "stream", Name: "S", Settings: []bridge.Setting{hour}}}}},
			want: []string{"missing quorum queue q", "lost stream S max_age 1h0m0s: a queue keeps a message "},
		},
		"between NATS": {
			relay: Relay{Taps: []bridge.Tap{{Role: bridge.RoleLog, Name: "S", Takes: []bridge.Pattern{"s.a.*.#"}}}, Target: toStream("S", "{address}"), Kind: "nats", Incumbent: bridge.Topology{Kind: "nats", Objects: []bridge.Object{
				{Role: bridge.RoleLog, Kind: "stream", Name: "S", Takes: []bridge.Pattern{"s.*.#", "other"}, Settings: []bridge.Setting{hour, number(bridge.MeaningReplicas, "num_replicas", 3)}},
				{Role: bridge.RoleReader, Kind: "consumer", Name: "c", From: "S", Takes: []bridge.Pattern{"s.a.b"}},
				{Role: bridge.RoleReader, Kind: "consumer", Name: "own", From: "S", Own: true}}}},
			found: bridge.Topology{Kind: "nats", Nodes: 1},
			want:  []string{"missing stream S, subjects s.a.>, max_age 1h0m0s, num_replicas 1", "missing consumer c of S, filter s.a.b"},
		},
		"what is tapped is not there": {
			relay: Relay{Taps: []bridge.Tap{tap("gone", "#")}, Target: toStream("S", "s.{address}"), Kind: "nats", Incumbent: rabbit()},
			want:  []string{"missing stream S, subjects s.>", "route exchange gone: it is not there at the incumbent"},
		},
		"a literal topic": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toTopic("all", bridge.Setting{Meaning: bridge.MeaningPartitions, Name: "partitions", Value: int64(8), N: 8}), Kind: "kafka", Incumbent: rabbit(
				exchange("topic", "t"), queue("quorum", "q", number(bridge.MeaningDeliveries, "x-delivery-limit", 3)), queue("classic", "all"), bind("t", "a.#", "q", bridge.RoleQueue), bind("t", "#", "all", bridge.RoleQueue))},
			want: []string{"missing topic all, partitions 8", "lost quorum queue q x-delivery-limit 3: a group does not count d", "route topic exchange t, key a.#, to quorum queue q: a group reads the whole topic al"},
		},
		"a topic for each key that is bound": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: toTopic("copy.{address}"), Kind: "kafka", Incumbent: rabbit(
				exchange("topic", "t"), queue("classic", "q"), bind("t", "a", "q", bridge.RoleQueue), bind("t", "b.*", "q", bridge.RoleQueue))},
			want: []string{"missing topic copy.a", "route topic exchange t, key b.*, to classic queue q: its topics (copy.b.*) are not kn", "route what the tap reads: everything: which topics copy.{address} make"},
		},
		"between Kafkas": {
			relay: Relay{Taps: []bridge.Tap{{Role: bridge.RoleLog, Match: func(o *bridge.Object) bool { return !o.Own }}}, Target: toTopic("{topic}"), Kind: "kafka", Incumbent: bridge.Topology{Kind: "kafka", Objects: []bridge.Object{
				{Role: bridge.RoleLog, Kind: "topic", Name: "a", Takes: []bridge.Pattern{"a"}, Settings: []bridge.Setting{number(bridge.MeaningPartitions, "partitions", 3), {Meaning: bridge.MeaningPerKey, Name: "cleanup.policy", Value: "compact"}, number(bridge.MeaningReplicas, "replication", 3)}},
				{Role: bridge.RoleLog, Kind: "topic", Name: "b", Takes: []bridge.Pattern{"b"}, Settings: []bridge.Setting{number(bridge.MeaningPartitions, "partitions", 5), {Meaning: bridge.MeaningOther, Name: "min.insync.replicas", Value: "2", N: 2}}},
				{Role: bridge.RoleLog, Kind: "topic", Name: "own", Takes: []bridge.Pattern{"own"}, Own: true}, {Role: bridge.RoleReader, Kind: "consumer group", Name: "g", From: "a"}}}},
			found: bridge.Topology{Kind: "kafka", Nodes: 1},
			want:  []string{"missing topic a, partitions 3, replication 1", "missing topic b, min.insync.replicas 2, partitions 5", "lost topic a cleanup.policy compact: the topic is not made co"},
		},
		"Kafka to NATS": {
			relay: Relay{Taps: []bridge.Tap{{Role: bridge.RoleLog, Name: "a"}}, Target: toStream("S", "s.{key}"), Kind: "nats", Incumbent: bridge.Topology{Kind: "kafka", Objects: []bridge.Object{
				{Role: bridge.RoleLog, Kind: "topic", Name: "a", Takes: []bridge.Pattern{"a"}, Settings: []bridge.Setting{number(bridge.MeaningPartitions, "partitions", 3), {Meaning: bridge.MeaningAge, Name: "retention.ms", Value: "3600000", N: int64(time.Hour)}}},
				{Role: bridge.RoleReader, Kind: "consumer group", Name: "g.x", From: "a"}}}},
			want: []string{"missing stream S, subjects s.>, max_age 1h0m0s", "missing consumer g-x of S, filter s.*", "lost topic a partitions 3: the stream is one sequen"},
		},
		"core NATS keeps nothing": {
			relay: Relay{Taps: []bridge.Tap{tap("t", "#")}, Target: bridge.Target{Names: template("s.{address}"), Encode: natsEncode}, Kind: "nats", Incumbent: rabbit(
				exchange("topic", "t"), queue("classic", "q"), bind("t", "#", "q", bridge.RoleQueue))},
			want: []string{"lost classic queue q : core NATS keeps nothing "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.relay.Name, c.relay.From, c.relay.To = "r", "old", "new"
			if c.found.Kind == "" {
				c.found.Kind = c.relay.Kind
			}
			w := Want([]Relay{c.relay})
			got := summary(Compare(w, map[string]bridge.Topology{"new": c.found}))
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// At the incumbent itself no application's queue is bound a second time: it would
// get its messages twice.
func TestApplicationsAreLeftAloneAtTheIncumbent(t *testing.T) {
	incumbent := rabbit(exchange("topic", "t"), queue("classic", "q"), bind("t", "#", "q", bridge.RoleQueue))
	w := Want([]Relay{{Name: "r", From: "a", To: "a", Kind: "rabbitmq", Taps: []bridge.Tap{tap("t", "#")}, Target: toExchange("next", "{address}"), Incumbent: incumbent}})
	p := Compare(w, map[string]bridge.Topology{"a": incumbent})
	if len(p.Steps) != 1 || p.Steps[0].Object.Name != "next" || p.Missing() != 1 {
		t.Errorf("planned: %q", summary(p))
	}
	if !slices.ContainsFunc(p.Routes, func(r Route) bool { return strings.Contains(r.Text, "incumbent and candidate are one system") }) {
		t.Errorf("nothing says why: %+v", p.Routes)
	}
}

// A system that lists no bindings leaves them unknown, and they are made again.
func TestWhatCannotBeSeen(t *testing.T) {
	incumbent := rabbit(exchange("topic", "t"), queue("classic", "q"), bind("t", "#", "q", bridge.RoleQueue))
	w := Want([]Relay{{Name: "r", From: "a", To: "b", Kind: "rabbitmq", Taps: []bridge.Tap{tap("t", "#")}, Target: toExchange("next", "{address}"), Incumbent: incumbent}})
	p := Compare(w, map[string]bridge.Topology{"b": {Kind: "rabbitmq", System: "another", Blind: []bridge.Role{bridge.RoleBinding}, Unseen: []string{"no bindings"}, Objects: []bridge.Object{exchange("topic", "next"), queue("classic", "q")}}})
	if p.Missing() != 0 || len(p.Open("b")) != 1 || p.Open("b")[0].Role != bridge.RoleBinding || len(p.Unseen) != 1 {
		t.Errorf("%q, open %+v, %+v", summary(p), p.Open("b"), p.Unseen)
	}
	if p = Compare(w, nil); p.Missing() != 0 || len(p.Steps) != 3 {
		t.Errorf("of a system that says nothing: %q", summary(p))
	}
}

// What relays want of one stream together is one that JetStream makes: subjects and
// filters that do not overlap, and a consumer that gets all of it for one of them
// gets all that any other needs too.
func TestRelaysThatShareAStream(t *testing.T) {
	incumbent := rabbit(exchange("topic", "t"), queue("classic", "q"), bind("t", "*.a.#", "q", bridge.RoleQueue),
		exchange("topic", "u"), queue("classic", "all"), bind("u", "a.#", "all", bridge.RoleQueue), bind("t", "b.c", "all", bridge.RoleQueue))
	relay := func(name, template string, taps ...bridge.Tap) Relay {
		return Relay{Name: name, From: "old", To: "new", Kind: "nats", Taps: taps, Target: toStream("S", template), Incumbent: incumbent}
	}
	for _, c := range []struct {
		name   string
		relays []Relay
		want   map[string]string // takes by name
		routes string
	}{
		{"filters of one consumer", []Relay{relay("r0", "s.{address}", tap("t", "#")), relay("r1", "s.t.{address}", tap("t", "#"))},
			map[string]string{"S": "s.>", "q": "", "all": "s.b.c, s.t.b.c"}, ""},
		{"one has all of its relay's", []Relay{relay("r0", "{address}", tap("u", "a.#")), relay("r1", "{address}", tap("t", "b.c"), tap("t", "d"))},
			map[string]string{"S": "a, a.>, b.c, d", "all": "a, a.>, b.c"}, ""},
		{"subjects of one stream", []Relay{relay("r0", "{address}", tap("t", "x.*.b"), tap("t", "x.a.*"))},
			map[string]string{"S": "x.>", "q": "*.a, *.a.>"}, ""},
		{"subjects that are anything together", []Relay{relay("r0", "{address}", tap("t", "*.b")), relay("r1", "{address}", tap("t", "a.*"))}, map[string]string{}, "r0, r1 together may make any subject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Want(c.relays)
			got := map[string]string{}
			for _, i := range w.Items {
				got[i.Object.Name] = subjects(i.Object.Takes)
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if found := slices.ContainsFunc(w.Routes, func(r Route) bool { return strings.Contains(r.Text, c.routes) }); c.routes != "" && !found {
				t.Errorf("nothing says %q: %+v", c.routes, w.Routes)
			}
		})
	}
}

// provided is a system that does what it is told to.
func provided(there bridge.Topology, made []bridge.Object) bridge.Topology {
	there.Objects = slices.Clone(there.Objects)
	for i := range made {
		if !slices.ContainsFunc(there.Objects, func(o bridge.Object) bool { return o.Same(&made[i]) }) {
			there.Objects = append(there.Objects, made[i])
		}
	}
	return there
}

func anyTopology(t *rapid.T) (bridge.Topology, []bridge.Tap) {
	names := []string{"a", "b.c", "b-c", "d"}
	pattern := rapid.StringMatching(`(a|b|\*|#)(\.(a|b|\*|#)){0,3}`)
	var objects []bridge.Object
	var taps []bridge.Tap
	for _, n := range names {
		kind := rapid.SampledFrom([]string{"topic", "direct", "fanout", "headers"}).Draw(t, "type")
		objects = append(objects, exchange(kind, n))
		if rapid.Bool().Draw(t, "tapped") {
			taps = append(taps, tap(n, pattern.Draw(t, "tap")))
		}
		var settings []bridge.Setting
		for _, s := range []bridge.Setting{
			number(bridge.MeaningExpiry, "x-message-ttl", 7), number(bridge.MeaningDeliveries, "x-delivery-limit", 3), number(bridge.MeaningIdle, "x-expires", 9),
			{Meaning: bridge.MeaningDeadLetter, Name: "x-dead-letter-exchange", Value: rapid.SampledFrom(names).Draw(t, "dead")}, number(bridge.MeaningOther, "x-odd", 1),
		} {
			if rapid.Bool().Draw(t, s.Name) {
				settings = append(settings, s)
			}
		}
		objects = append(objects, queue(rapid.SampledFrom([]string{"classic", "quorum"}).Draw(t, "queue"), n, settings...))
	}
	for range rapid.IntRange(0, 8).Draw(t, "bindings") {
		role := rapid.SampledFrom([]bridge.Role{bridge.RoleQueue, bridge.RoleQueue, bridge.RoleExchange}).Draw(t, "to")
		b := bind(rapid.SampledFrom(names).Draw(t, "from"), pattern.Draw(t, "key"), rapid.SampledFrom(names).Draw(t, "name"), role)
		if !slices.ContainsFunc(objects, func(o bridge.Object) bool { return o.Same(&b) }) {
			objects = append(objects, b)
		}
	}
	return rabbit(objects...), taps
}

// A plan that was carried out leaves a plan with nothing missing, whatever was
// there, and the same question has the same answer.
func TestAppliedTwiceIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		incumbent, taps := anyTopology(t)
		if len(taps) == 0 {
			t.Skip("nothing is tapped")
		}
		kind := rapid.SampledFrom([]string{"nats", "rabbitmq", "kafka"}).Draw(t, "kind")
		var relays []Relay
		for i := range rapid.IntRange(1, 3).Draw(t, "relays") {
			r := Relay{Name: fmt.Sprint("r", i), From: "old", To: "new", Kind: kind, Taps: taps, Incumbent: incumbent}
			if r.Target = toStream("S", rapid.SampledFrom([]string{"s.{address}", "{exchange}.{address}", "{address}", "{token:2}.x"}).Draw(t, "subject")); kind == "rabbitmq" {
				r.Target = toExchange(rapid.SampledFrom([]string{"next", "a"}).Draw(t, "exchange"), rapid.SampledFrom([]string{"{address}", "x.{token:1}"}).Draw(t, "key"))
			}
			if kind == "kafka" {
				r.Target = toTopic(rapid.SampledFrom([]string{"all", "{address}", "x.{token:1}"}).Draw(t, "topic"))
			}
			relays = append(relays, r)
		}
		found := bridge.Topology{Kind: kind, System: "another"}
		w := Want(relays)
		before := Compare(w, map[string]bridge.Topology{"new": found})
		if again := Compare(Want(relays), map[string]bridge.Topology{"new": found}); !reflect.DeepEqual(before, again) {
			t.Fatalf("two answers:\n%q\n%q", summary(before), summary(again))
		}
		for _, o := range before.Open("new") {
			for _, p := range o.Takes {
				if _, ok := p.Subject(); kind == "nats" && !ok {
					t.Fatalf("%s takes %q, which NATS cannot say", describe(&o), p)
				}
			}
			if kind == "nats" {
				for i, p := range o.Takes {
					if slices.ContainsFunc(o.Takes[:i], p.Overlaps) {
						t.Fatalf("patterns of %s overlap: %q", describe(&o), o.Takes)
					}
				}
			}
		}
		after := Compare(w, map[string]bridge.Topology{"new": provided(found, before.Open("new"))})
		for _, s := range after.Steps {
			if s.State != Present {
				t.Fatalf("after it was applied: %s %s: %s", s.State, s.Describe(), s.Text)
			}
		}
	})
}
