package rabbitmq

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// topology is what the broker's own tool lists, beside what every broker has.
func topology(t *testing.T, s *brokers.Server) []string {
	t.Helper()
	var all []string
	for _, list := range [][]string{
		{"list_queues", "name", "type", "arguments"},
		{"list_exchanges", "name", "type", "arguments"},
		{"list_bindings", "source_name", "destination_name", "destination_kind", "routing_key", "arguments"},
	} {
		cmd := exec.Command("/usr/lib/rabbitmq/bin/rabbitmqctl", append([]string{"-q"}, list...)...)
		cmd.Env = []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + s.Dir, "LANG=C.UTF-8",
			fmt.Sprintf("ERL_EPMD_PORT=%d", s.Ports[2]), fmt.Sprintf("RABBITMQ_NODENAME=crossfade%d@localhost", s.Ports[0]),
			"RABBITMQ_CONF_ENV_FILE=/dev/null",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", list, err, out)
		}
		for line := range strings.Lines(string(out)) {
			all = append(all, list[0]+": "+strings.TrimSpace(line))
		}
	}
	slices.Sort(all)
	return all
}

// held gives the names of what a bridge has at the broker, by relay.
func held(t *testing.T, s *system, bridgeName string) map[string][]string {
	t.Helper()
	hs, err := s.Holdings(t.Context(), bridgeName)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, h := range hs {
		names[h.Relay] = append(names[h.Relay], h.Kind+" "+h.Name)
		if h.Kind == "" || h.Text == "" {
			t.Errorf("%+v says too little", h)
		}
	}
	return names
}

// Remove leaves the broker as it was before the bridge came: by its own tool's
// word, and with what an operator made under names like the bridge's.
func TestRemoveLeavesNothing(t *testing.T) {
	t.Parallel()
	server := brokers.PrivateRabbitMQ(t)
	n := newNode(t, server.URL())
	s := n.open(t)
	x := n.exchange(t, unique(t), "topic")
	ch := n.channel(t)
	for _, name := range []string{"crossfade.b.r.operator", "orders"} {
		n.queue(t, name, typeClassic)
		if err := ch.QueueBind(name, "#", x, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	before := topology(t, server)
	if none := held(t, s, "b"); len(none) != 0 {
		t.Fatalf("before the bridge came it has %v", none)
	}
	if err := s.Remove(t.Context(), "b", "r"); err != nil {
		t.Fatalf("nothing is there to be removed: %v", err)
	}
	if after := topology(t, server); !slices.Equal(before, after) {
		t.Fatalf("looking has changed something: %v", after)
	}
	blocks := map[string]string{
		"quorum":   "tap: quorum\naccept: [priorities]\nbindings: [{exchange: " + x + ", routing_key: 'a.#'}, {exchange: " + x + ", routing_key: 'b.#'}]",
		"classic":  "tap: classic\nbindings: [{exchange: " + x + ", routing_key: '#'}]",
		"stream":   "tap: stream\naccept: [stream-headers]\nbindings: [{exchange: " + x + ", routing_key: '#'}]",
		"existing": "stream: crossfade.own",
	}
	n.queue(t, "crossfade.own", typeStream)
	before = topology(t, server)
	sources := map[string]bridge.Source{}
	for relay, block := range blocks {
		o, err := s.Source(bridge.Identity{Bridge: "b", Relay: relay}, settings(block))
		if err != nil {
			t.Fatal(err)
		}
		sources[relay] = openSource(t, o.(*sourceOpener))
		j, err := o.(*sourceOpener).OpenJournal(t.Context(), "parked")
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n.publish(t, x, publishing{"a.1", amqp.Publishing{}}, publishing{"c", amqp.Publishing{}})
	names := held(t, s, "b")
	for relay, want := range map[string]int{"quorum": 3, "classic": 3, "stream": 3, "existing": 2, "": 1} {
		if len(names[relay]) != want {
			t.Errorf("%s has %v, want %d things", relay, names[relay], want)
		}
	}
	written := entries(t, s, "b")
	for relay := range blocks { // a restart notes nothing
		_ = sources[relay].Close()
		o, _ := s.Source(bridge.Identity{Bridge: "b", Relay: relay}, settings(blocks[relay]))
		sources[relay] = openSource(t, o.(*sourceOpener))
	}
	if now := entries(t, s, "b"); now != written {
		t.Errorf("%d entries before a restart, %d after it", written, now)
	}
	if err := s.Remove(t.Context(), "b", "quorum"); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" || !strings.Contains(err.Error(), "runs this relay") {
		t.Fatalf("while a process runs the relay: %v", err)
	}
	if got := held(t, s, "b"); len(got["quorum"]) != 3 {
		t.Fatalf("a refused removal left %v", got["quorum"])
	}
	for relay := range blocks {
		_ = sources[relay].Close()
		if err := s.Remove(t.Context(), "b", ""); bridge.ClassOf(err) != bridge.Stopping {
			t.Fatalf("the record was removed before the rest: %v", err)
		}
		for range 2 { // twice is as good
			if err := s.Remove(t.Context(), "b", relay); err != nil {
				t.Fatalf("%s: %v", relay, err)
			}
		}
		if got := held(t, s, "b"); len(got[relay]) != 0 {
			t.Fatalf("%s is left with %v", relay, got[relay])
		}
	}
	if err := s.Remove(t.Context(), "b", ""); err != nil {
		t.Fatal(err)
	}
	after := topology(t, server)
	if !slices.Equal(before, after) {
		t.Fatalf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// entries counts what is noted.
func entries(t *testing.T, s *system, bridgeName string) int {
	t.Helper()
	n, err := s.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	last, empty, err := n.tail(t.Context(), recordName(bridgeName), n.broker.emptyPatience())
	if err != nil || empty {
		t.Fatalf("empty %v: %v", empty, err)
	}
	return int(last) + 1
}

// What is noted and was never made is no holding; what was made by somebody else
// is none either, and is left alone.
func TestHoldingsAreWhatIsThere(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	name := unique(t)
	n.deleteLater(t, recordName(name))
	theirs := n.queue(t, "crossfade."+name, typeClassic)
	x := n.exchange(t, unique(t), "fanout")
	b := binding{Exchange: x, Arguments: map[string][2]string{"n": {"number", "5"}}}
	err := s.note(t.Context(), name,
		thing{kind: "classic queue", name: "none-" + name, use: useTap}.make("r"),
		note{Do: noteBind, Relay: "r", Name: theirs, Binding: &b})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.channel(t).QueueBind(theirs, "", x, false, b.table()); err != nil {
		t.Fatal(err)
	}
	if got := held(t, s, name)["r"]; len(got) != 1 || got[0] != "binding "+theirs {
		t.Fatalf("held are %v", got)
	}
	if err := s.Remove(t.Context(), name, "r"); err != nil {
		t.Fatal(err)
	}
	if err := n.put(t.Context(), x, publishing{"k", amqp.Publishing{}}); err != nil {
		t.Fatal(err)
	}
	q, err := n.channel(t).QueueDeclarePassive(theirs, true, false, false, false, nil)
	if err != nil || q.Messages != 0 {
		t.Fatalf("an operator's queue after the removal: %+v, %v", q, err)
	}
	if err := s.Remove(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
}
