package draft

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A file is what a draft says, as far as it is judged here.
type file struct {
	Name    string
	Systems []struct{ Name, Kind, URL string }
	Relays  []struct {
		Name     string
		From, To map[string]any
	}
}

func read(t interface{ Fatalf(string, ...any) }, d Draft) (f file) {
	if err := yaml.Unmarshal([]byte(d.Text), &f); err != nil {
		t.Fatalf("%v:\n%s", err, d.Text)
	}
	return f
}

// The configuration expands "${" only where no "$" is in front.
func expanded(s string) string { return strings.ReplaceAll(s, "$${", "${") }

func side(name, kind, version string, objects ...bridge.Object) Side {
	return Side{Name: name, Settings: []string{"url: x"}, Topology: bridge.Topology{Kind: kind, System: name, Version: version, Objects: objects}}
}

func exchange(kind, name string) bridge.Object {
	return bridge.Object{Role: bridge.RoleExchange, Kind: kind + " exchange", Name: name}
}

func bound(from, key, to string, role bridge.Role) bridge.Object {
	return bridge.Object{Role: bridge.RoleBinding, Kind: "binding", Name: to, To: role, From: from, Key: key}
}

func TestDrafts(t *testing.T) {
	queue := bridge.Object{Role: bridge.RoleQueue, Kind: "classic queue", Name: "q", Settings: []bridge.Setting{{Meaning: bridge.MeaningDeadLetter, Name: "x-dead-letter-exchange", Value: "dead"}}}
	stream := bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "events"}
	refused := exchange("x-consistent-hash", "hash")
	refused.Refusal = "one more binding takes messages away"
	own := bridge.Object{Role: bridge.RoleQueue, Kind: "quorum queue", Name: "crossfade.tap", Own: true}
	rabbit := []bridge.Object{
		exchange("topic", "orders"), exchange("direct", "jobs"), exchange("direct", "nobody"), exchange("fanout", "dead"), exchange("headers", "h"), exchange("topic", "amq.topic"), exchange("direct", "amq.direct"), exchange("topic", "only-streams"),
		refused, queue, {Role: bridge.RoleQueue, Kind: "quorum queue", Name: "lonely"}, stream, own,
		bound("orders", "a.#", "q", bridge.RoleQueue), bound("orders", "#", "crossfade.tap", bridge.RoleQueue), bound("jobs", "now", "q", bridge.RoleQueue), bound("jobs", "later", "q", bridge.RoleQueue),
		bound("amq.direct", "k", "q", bridge.RoleQueue), bound("only-streams", "#", "events", bridge.RoleLog), bound("dead", "", "q", bridge.RoleQueue), bound("orders", "x", "dead", bridge.RoleExchange),
	}
	for name, c := range map[string]struct {
		from, to Side
		relays   int
		left     int
		says     []string
	}{
		"RabbitMQ 3 to NATS": {side("incumbent", "rabbitmq", "3.10.8", rabbit...), side("candidate", "nats", "2.15"), 6, 4, []string{
			"- name: orders\n", "tap: quorum", "accept: [mandatory]", `- {exchange: orders, routing_key: "#"}`, "(today: a.#, x)", "stream: ORDERS", `subject: "orders.{address}"`,
			"- {exchange: jobs, routing_key: later}\n        - {exchange: jobs, routing_key: now}", "- {exchange: amq.direct, routing_key: k}", "- {exchange: dead}", "Dead letters of q go here.", "It gets messages of orders too",
			"- {exchange: h, arguments: {x-match: all}}", "stream: events\n      start: first", "x-consistent-hash exchange hash: one more binding takes messages away",
			"topic exchange only-streams: it leads to streams only", "direct exchange nobody: a direct exchange is tapped key by key", "quorum queue lonely: only the default exchange leads to it",
		}},
		"RabbitMQ 4 to RabbitMQ": {side("incumbent", "rabbitmq", "4.0.5", exchange("topic", "orders"), stream), side("candidate", "rabbitmq", "4.0.5", bridge.Object{Role: bridge.RoleQueue, Kind: "classic queue", Name: "events"}), 2, 0, []string{
			"tap: classic", "accept: [priorities] costs the incumbent less", "exchange: orders\n      routing_key: \"{address}\"", "stream: events-2",
		}},
		"NATS to RabbitMQ": {side("incumbent", "nats", "", bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "A", Settings: []bridge.Setting{{Meaning: bridge.MeaningPerKey}}}, bridge.Object{Role: bridge.RoleLog, Kind: "key-value bucket", Name: "KV_b"},
			bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "W", Refusal: "work queue"}, bridge.Object{Role: bridge.RoleReader, Kind: "consumer", Name: "c", From: "A"}), side("candidate", "rabbitmq", "3.10.8"), 1, 2, []string{
			"max_msgs_per_subject", "stream: A\n", "key-value bucket KV_b: clients use it", "stream W: work queue",
		}},
		"NATS to NATS": {side("incumbent", "nats", "", bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "A"}), side("candidate", "nats", ""), 1, 0, []string{`subject: "{subject}"`}},
		"Kafka to NATS": {side("incumbent", "kafka", "", bridge.Object{Role: bridge.RoleLog, Kind: "topic", Name: "sales.eu", Settings: []bridge.Setting{{Meaning: bridge.MeaningPerKey}}}, bridge.Object{Role: bridge.RoleLog, Kind: "topic", Name: "crossfade.x", Own: true}), side("candidate", "nats", ""), 1, 0, []string{
			"topics: [sales.eu]", "It is compacted", "stream: SALES-EU", `subject: "sales-eu.{key}"`}},
		"RabbitMQ to Kafka": {side("incumbent", "rabbitmq", "3.10.8", exchange("topic", "a.b"), exchange("topic", "a b"), exchange("topic", "a-b")), side("candidate", "kafka", ""), 3, 0, []string{"topic: a.b\n", "topic: a-b-2\n", "topic: a-b\n"}},
		"taken names": {side("incumbent", "rabbitmq", "3.10.8", exchange("fanout", "a.b"), exchange("fanout", "a-b"), exchange("fanout", "c"), exchange("fanout", "d")), side("candidate", "nats", "",
			bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "C", Takes: []bridge.Pattern{"z"}}, bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: "D", Takes: []bridge.Pattern{"d.*.#"}}), 4, 0, []string{
			"stream: A-B\n", "stream: A-B-2\n", "stream: C-2\n", "stream: D\n"}},
	} {
		d, err := Write("migration", c.from, c.to)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f := read(t, d)
		if d.Relays != c.relays || d.Left != c.left || len(f.Relays) != c.relays || len(f.Systems) != 2 || f.Name != "migration" {
			t.Errorf("%s: %d relays, %d left, want %d and %d:\n%s", name, d.Relays, d.Left, c.relays, c.left, d.Text)
		}
		folded := strings.ReplaceAll(regexp.MustCompile(`\n  # +`).ReplaceAllString(d.Text, " "), "- ", "- ")
		for _, s := range c.says {
			if !strings.Contains(d.Text, s) && !strings.Contains(folded, s) {
				t.Errorf("%s: it does not say %q:\n%s", name, s, d.Text)
			}
		}
	}
	for name, c := range map[string][2]Side{
		"nothing":   {side("a", "nats", ""), side("b", "nats", "")},
		"one":       {side("a", "nats", "", stream), side("a", "nats", "", stream)},
		"from else": {side("a", "memory", "", stream), side("b", "nats", "")},
		"to else":   {side("a", "nats", "", stream), side("b", "memory", "")},
	} {
		if d, err := Write("m", c[0], c[1]); err == nil {
			t.Errorf("%s: it drafts:\n%s", name, d.Text)
		}
	}
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Whatever things are called, the file is YAML, names each of them as it is called,
// and no two relays are called the same or write into the same stream.
func TestDraftsOfAnyNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.String(), rapid.StringMatching(`[aA.:#{}$ "'-]{1,8}`), rapid.StringMatching(`[a.-]{1,60}`), rapid.SampledFrom([]string{"true", "null", "${env:X}", "~", "#", "\n", "a: b", "\u2028"})), 1, 6, strings.Clone).Draw(t, "names")
		var objects []bridge.Object
		want := map[string]bool{}
		for _, n := range names {
			if strings.HasPrefix(n, "amq.") || !utf8.ValidString(n) {
				continue
			}
			objects = append(objects, exchange("topic", n))
			want[n] = true
		}
		if len(objects) == 0 {
			t.Skip("nothing to tap")
		}
		kind := rapid.SampledFrom([]string{"nats", "rabbitmq", "kafka"}).Draw(t, "to")
		d, err := Write("m", side("a", "rabbitmq", "3", objects...), side("b", kind, ""))
		if err != nil {
			t.Fatal(err)
		}
		f := read(t, d)
		relays, targets := map[string]bool{}, map[string]bool{}
		for _, r := range f.Relays {
			name := expanded(fmt.Sprint(r.From["bindings"].([]any)[0].(map[string]any)["exchange"]))
			if !want[name] {
				t.Fatalf("it taps %q, which there is not:\n%s", name, d.Text)
			}
			delete(want, name)
			to := fmt.Sprint(r.To["stream"], r.To["exchange"], r.To["topic"])
			if relays[r.Name] || targets[to] || !nameForm.MatchString(r.Name) {
				t.Fatalf("relay %q to %q:\n%s", r.Name, to, d.Text)
			}
			relays[r.Name], targets[to] = true, true
		}
		if len(want) > 0 {
			t.Fatalf("no relay for %v:\n%s", want, d.Text)
		}
	})
}
