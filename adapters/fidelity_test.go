package adapters_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
)

var update = flag.Bool("update", false, "write the mapping tables into OPERATING.md and bridge/doc.go")

// A side is one kind of tap or target, as the documents show it.
type side struct {
	name, kind, system, block string
}

const (
	someRabbit = "url: amqp://127.0.0.1:1"
	someKafka  = "brokers: ['127.0.0.1:1']"
	someNATS   = "url: nats://127.0.0.1:1"
	bindings   = "\nbindings: [{exchange: x, routing_key: k}]"
)

var targets = []side{
	{"RabbitMQ queue", "rabbitmq", someRabbit, "queue: q"},
	{"RabbitMQ stream", "rabbitmq", someRabbit, "stream: s"},
	{"RabbitMQ exchange", "rabbitmq", someRabbit, "exchange: x"},
	{"Kafka topic", "kafka", someKafka, "topic: t"},
	{"JetStream and core NATS", "nats", someNATS, "stream: S\nsubject: 'x.{address}'"},
}

var taps = []side{
	{"RabbitMQ classic tap", "rabbitmq", someRabbit, "tap: classic" + bindings},
	{"RabbitMQ quorum tap", "rabbitmq", someRabbit, "tap: quorum" + bindings},
	{"RabbitMQ stream tap", "rabbitmq", someRabbit, "tap: stream\naccept: [stream-headers]" + bindings},
	{"Kafka", "kafka", someKafka, "topics: [t]"},
	{"JetStream", "nats", someNATS, "stream: S"},
	{"core NATS", "nats", someNATS, "core: true\nsubjects: [a]"},
}

func systemOf(t *testing.T, s side) bridge.System {
	t.Helper()
	for _, a := range adapters.Table() {
		if a.Kind != s.kind {
			continue
		}
		system, err := a.System("test", block("%s", s.system))
		if err != nil {
			t.Fatal(err)
		}
		return system
	}
	t.Fatalf("no adapter of kind %s", s.kind)
	return nil
}

var someone = bridge.Identity{Bridge: "b", Relay: "r"}

func carries(t *testing.T, s side) []bridge.Mapping {
	t.Helper()
	o, err := systemOf(t, s).Sink(someone, block("%s", s.block))
	if err != nil {
		t.Fatal(err)
	}
	return o.(bridge.Carrier).Carries()
}

func gives(t *testing.T, s side) []bridge.Mapping {
	t.Helper()
	o, err := systemOf(t, s).Source(someone, block("%s", s.block))
	if err != nil {
		t.Fatal(err)
	}
	return o.(bridge.Giver).Gives()
}

// The operator's tables are what the adapters declare, and so is that of package
// bridge.
func TestDocumentsShowTheMapping(t *testing.T) {
	var all [][]bridge.Mapping
	for _, s := range targets {
		all = append(all, carries(t, s))
	}
	between(t, "../OPERATING.md", "<!-- mapping: generated; go test ./adapters -run Documents -update writes it -->\n", "<!-- end of mapping -->\n",
		operatorTable(all)+"\n"+losses(t))
	between(t, "../bridge/doc.go", "// # How each system carries each field\n", "// A Kafka tombstone is", docTable(all))
}

// between wants, or writes, the text between two marks of a file.
func between(t *testing.T, path, from, to, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), from)
	got, tail, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("%s has no %q with %q behind it", path, from, to)
	}
	if *update {
		if err := os.WriteFile(path, []byte(head+from+want+to+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("the table in %s is not what the adapters declare; go test ./adapters -run Documents -update writes it", path)
	}
}

// operatorTable has a row for each field and a column for each target, then the
// conditions and what is parked, each once.
func operatorTable(all [][]bridge.Mapping) string {
	var b strings.Builder
	b.WriteString("| field |")
	for _, s := range targets {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(targets)) + "|\n")
	for _, f := range bridge.Fields() {
		fmt.Fprintf(&b, "| %s |", f)
		for _, lines := range all {
			b.WriteString(" " + map[bridge.Carriage]string{
				bridge.CarriedNatively: "natively", bridge.CarriedPartly: "natively or header", bridge.CarriedInHop: "header", bridge.CarriedNot: "parked",
			}[lines[f].Carriage] + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| field | at | natively, or worth knowing |\n|---|---|---|\n")
	once(&b, all, func(m bridge.Mapping) string { return m.Note })
	b.WriteString("\n| field | at | parked |\n|---|---|---|\n")
	once(&b, all, func(m bridge.Mapping) string {
		if m.Parks == "" {
			return ""
		}
		return "`" + string(m.Parks) + "`: " + m.Limit
	})
	return b.String()
}

// once writes a row for each thing that is said of a field, with the targets of
// which it is.
func once(b *strings.Builder, all [][]bridge.Mapping, says func(bridge.Mapping) string) {
	for _, f := range bridge.Fields() {
		at := map[string][]string{}
		var order []string
		for i, lines := range all {
			text := says(lines[f])
			if text == "" {
				continue
			}
			if at[text] == nil {
				order = append(order, text)
			}
			at[text] = append(at[text], targets[i].name)
		}
		for _, text := range order {
			fmt.Fprintf(b, "| %s | %s | %s |\n", f, strings.Join(at[text], "; "), text)
		}
	}
}

// losses lists what taps do not give as it was written, each once.
func losses(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| field | tap | what becomes of it before a relay reads it |\n|---|---|---|\n")
	for _, f := range bridge.Fields() {
		at := map[string][]string{}
		var order []string
		for _, s := range taps {
			for _, m := range gives(t, s) {
				if m.Field != f || m.Carriage == bridge.CarriedNatively {
					continue
				}
				if at[m.Note] == nil {
					order = append(order, m.Note)
				}
				at[m.Note] = append(at[m.Note], s.name)
			}
		}
		for _, note := range order {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", f, strings.Join(at[note], "; "), note)
		}
	}
	return b.String()
}

// docTable is the operator's in letters.
func docTable(all [][]bridge.Mapping) string {
	var b strings.Builder
	b.WriteString("//\n// \"n\" is natively, \"h\" in a crossfade- header, \"n/h\" natively where it survives, \"+p\"\n" +
		"// that some of it is parked. Adapters declare it (see Carrier); OPERATING.md has the\n// conditions, and what taps lose (see Giver).\n//\n")
	fmt.Fprintf(&b, "//\t%-28s", "field")
	for _, s := range targets {
		fmt.Fprintf(&b, " %-18s", short(s.name))
	}
	trim(&b)
	for _, f := range bridge.Fields() {
		fmt.Fprintf(&b, "//\t%-28s", f)
		for _, lines := range all {
			m := lines[f]
			code := map[bridge.Carriage]string{
				bridge.CarriedNatively: "n", bridge.CarriedPartly: "n/h", bridge.CarriedInHop: "h", bridge.CarriedNot: "p",
			}[m.Carriage]
			if m.Parks != "" && m.Carriage != bridge.CarriedNot {
				code += "+p"
			}
			fmt.Fprintf(&b, " %-18s", code)
		}
		trim(&b)
	}
	b.WriteString("//\n")
	return b.String()
}

func short(name string) string {
	return strings.NewReplacer("JetStream and core ", "", " topic", "").Replace(name)
}

// trim ends a line without blanks.
func trim(b *strings.Builder) {
	text := strings.TrimRight(b.String(), " ") + "\n"
	b.Reset()
	b.WriteString(text)
}
