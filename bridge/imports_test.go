package bridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/crossfade-mq/crossfade"

// A rule says what packages may import beside the standard library. "~" is this
// module, a trailing "/*" is everything below, "*" any other module.
type rule struct {
	packages string
	imports  string // of the package
	tests    string // of its tests, beyond imports, rapid and goleak
	reason   string
}

// Imports point one way: cmd → adapters → bridge, cmd → engine → bridge/*. The
// first rule that fits a package holds for it.
var rules = []rule{
	{"~/bridge", "", "", "the vocabulary: whoever speaks it, third parties too, takes nothing else along"},
	{"~/ordering", "github.com/zeebo/xxh3", "", "a leaf: finished, generic, and of use by itself"},
	{"~/dedupe", "github.com/zeebo/xxh3", "", "a leaf: downstream consumers use it as a library"},
	{"~/bridge/drift", "~/dedupe", "", "pure: no clock, no goroutine, no I/O; remembers IDs as relays do"},
	{"~/bridge/compare", "~/bridge ~/bridge/drift ~/bridge/fields ~/dedupe github.com/zeebo/xxh3 github.com/axiomhq/hyperloglog github.com/tidwall/gjson", "~/adapters/memory ~/adapters/faulty", "makes observations of messages and words of findings; knows no engine"},
	{"~/bridge/bundle", "~/bridge ~/bridge/compare ~/bridge/drift ~/bridge/fields ~/bridge/written github.com/tidwall/gjson github.com/zeebo/xxh3", "~/adapters/memory", "files and what they show; knows no system"},
	{"~/bridge/report", "~/bridge ~/bridge/bundle ~/bridge/compare ~/bridge/drift ~/bridge/telemetry", "", "renders what a comparison has come to; runs none"},
	{"~/bridge/fields", "", "", "pure: two bodies and rules in, the fields that differ out"},
	{"~/bridge/cutover", "", "", "pure: facts in, phase and reasons out"},
	{"~/bridge/plan", "~/bridge", "", "pure: topologies in, what a candidate needs out"},
	{"~/bridge/draft", "~/bridge", "", "pure: topologies in, a configuration's text out"},
	{"~/bridge/relay", "~/bridge ~/ordering ~/dedupe", "~/adapters/memory ~/adapters/faulty ~/bridge/park", "knows sources and sinks by the contract only"},
	{"~/bridge/written", "~/bridge", "", "pure: a message as JSON, and back"},
	{"~/bridge/park", "~/bridge ~/bridge/written", "~/adapters/memory", "knows journals by the contract only"},
	{"~/bridge/identify", "~/bridge ~/dedupe github.com/tidwall/gjson", "", "key and ID of a message; knows no system"},
	{"~/bridge/config", "~/bridge ~/bridge/compare ~/bridge/fields ~/bridge/identify github.com/spf13/viper github.com/spf13/pflag go.yaml.in/yaml/v3", "", "gets the adapters as a value and knows none"},
	{"~/bridge/telemetry", "~/bridge ~/bridge/compare ~/bridge/drift ~/bridge/identify ~/bridge/relay github.com/prometheus/client_golang/*", "", "reads snapshots; relays know nothing of metrics"},
	{"~/bridge/console", "~/bridge ~/bridge/drift ~/bridge/telemetry", "~/bridge/relay ~/bridge/compare", "shows readings; knows no engine"},
	{"~/bridge/engine", "~/bridge ~/bridge/* ~/ordering ~/dedupe github.com/prometheus/client_golang/*", "~/adapters/memory ~/adapters/faulty", "composes all of bridge; gets the adapters as a value and knows none"},
	{"~/bridge/*", "~/bridge ~/bridge/* ~/ordering ~/dedupe", "~/adapters/memory ~/adapters/faulty", "nothing under bridge knows an adapter"},
	{"~/adapters", "~/bridge ~/adapters/*", "~/e2e/brokers github.com/twmb/franz-go/* github.com/nats-io/* github.com/rabbitmq/amqp091-go", "the table: the one place that knows all adapters; its tests take messages through all of them, and so need a place of each kind"},
	{"~/adapters/adaptertest", "~/bridge", "~/adapters/memory ~/adapters/faulty", "judges any adapter, third parties' too, so it knows none"},
	{"~/adapters/faulty", "~/bridge", "~/adapters/memory ~/adapters/adaptertest", "decorates any adapter, so it knows none"},
	{"~/adapters/*", "~/bridge ~/ordering ~/dedupe *", "~/adapters/adaptertest ~/e2e/brokers", "speaks the bridge's language and uses none of its machinery; no adapter knows another"},
	{"~/cmd/crossfade", "~/adapters ~/bridge ~/bridge/* ~/cmd/crossfade/* github.com/spf13/cobra github.com/spf13/pflag", "github.com/nats-io/*", "flags, signals, exit codes; no logic"},
	{"~/cmd/crossfade/demo", "~/adapters/nats ~/bridge ~/bridge/* *", "", "a user's configuration on embedded servers"},
	{"~/configs", "", "~/adapters ~/bridge ~/bridge/* go.yaml.in/yaml/v3", "configurations, and the test that loads them"},
	{"~/e2e/ledger", "~/e2e/* *", "~/bridge ~/e2e/brokers", "independent: judges what arrived with clients of its own and none of our code"},
	{"~/e2e/bench", "~/e2e/* ~/bridge ~/bridge/* ~/adapters/* ~/ordering ~/dedupe *", "", "measures the parts beside a bare copy loop"},
	{"~/e2e/matrix", "~/adapters/adaptertest *", "", "renders what the conformance suite has left"},
	{"~/e2e/consumer", "~/dedupe *", "~/bridge ~/e2e/*", "as a user would write one: of this module it knows what is meant for consumers"},
	{"~/e2e/*", "~/e2e/* *", "~/bridge ~/e2e/*", "drives the real binary and real brokers from outside"},
	{"~/e2e", "~/e2e/* *", "~/e2e/* *", "drives the real binary and real brokers from outside"},
}

// fits says whether an import path fits one of the patterns.
func fits(path string, patterns string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		if p == "*" {
			return path != module && !strings.HasPrefix(path, module+"/")
		}
		p = strings.Replace(p, "~", module, 1)
		if below, ok := strings.CutSuffix(p, "/*"); ok {
			return strings.HasPrefix(path, below+"/")
		}
		return path == p
	})
}

// standard says that a path is of the standard library: its first element has no
// dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func list(t *testing.T) (out []listed) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	data, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// violations gives the imports of p that its rule does not allow.
func violations(p listed) (out []string) {
	i := slices.IndexFunc(rules, func(r rule) bool { return fits(p.ImportPath, r.packages) })
	if i < 0 {
		return []string{p.ImportPath + " has no rule in the table: say what it may import, and why"}
	}
	r := rules[i]
	check := func(what string, paths []string, allowed string) {
		for _, path := range paths {
			if !standard(path) && path != p.ImportPath && !fits(path, allowed) {
				out = append(out, what+p.ImportPath+" imports "+path+": "+r.reason)
			}
		}
	}
	check("", p.Imports, r.imports)
	tests := r.imports + " " + r.tests + " pgregory.net/rapid go.uber.org/goleak github.com/prometheus/client_golang/* go.yaml.in/yaml/v3"
	if fits("example.org/x", r.imports) {
		tests += " *"
	}
	check("a test of ", append(slices.Clone(p.TestImports), p.XTestImports...), tests)
	return out
}

func TestImportsPointOneWay(t *testing.T) {
	packages := list(t)
	if len(packages) < 15 {
		t.Fatalf("go list finds only %d packages", len(packages))
	}
	for _, p := range packages {
		for _, v := range violations(p) {
			t.Error(v)
		}
	}
}

func TestTheRulesCatchWhatPointsTheOtherWay(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"~/bridge", "~/ordering"}, {"~/bridge", "go.uber.org/goleak"}, {"~/ordering", "~/bridge"}, {"~/dedupe", "~/bridge"},
		{"~/bridge/relay", "~/adapters/memory"}, {"~/bridge/relay", "~/bridge/telemetry"}, {"~/bridge/engine", "~/adapters"},
		{"~/bridge/config", "~/bridge/engine"}, {"~/bridge/console", "~/bridge/engine"}, {"~/bridge/other", "~/adapters/nats"}, {"~/bridge/plan", "~/bridge/config"}, {"~/bridge/draft", "~/bridge/plan"},
		{"~/adapters/nats", "~/adapters/rabbitmq"}, {"~/adapters/nats", "~/bridge/relay"}, {"~/adapters/nats", "~/adapters/adaptertest"},
		{"~/adapters/adaptertest", "~/adapters/memory"}, {"~/e2e/ledger", "~/bridge"}, {"~/e2e/ledger", "~/adapters/nats"}, {"~/elsewhere", "~/bridge"},
	} {
		p := listed{ImportPath: strings.Replace(c.from, "~", module, 1), Imports: []string{strings.Replace(c.to, "~", module, 1)}}
		if len(violations(p)) == 0 {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
}
