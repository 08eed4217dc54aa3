package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

var update = flag.Bool("update", false, "write the golden files")

const routes = `name: plant
systems:
  - {name: rabbit, kind: rabbitmq, url: "amqp://127.0.0.1:1"}
  - {name: kafka, kind: kafka, brokers: ["127.0.0.1:1"]}
  - {name: jetstream, kind: nats, url: "nats://127.0.0.1:1"}
relays:
  - {name: to-kafka, from: {system: rabbit, tap: stream, accept: [stream-headers], bindings: [{exchange: telemetry, routing_key: "#"}]}, to: {system: kafka, topic: telemetry}}
  - {name: to-jetstream, from: {system: rabbit, tap: classic, bindings: [{exchange: telemetry, routing_key: "#"}]}, to: {system: jetstream, stream: TELEMETRY, subject: "telemetry.{address}"}}
  - {name: back, from: {system: kafka, topics: [telemetry]}, to: {system: rabbit, exchange: telemetry, routing_key: "{key}"}}
  - {name: again, from: {system: rabbit, stream: S}, to: {system: rabbit, exchange: other}}
`

// What an operator reads before a message moves.
func TestFidelityReport(t *testing.T) {
	path := file(t, routes)
	c, err := config.Parse(path, []byte(routes), config.Options{Adapters: adapters.Table()})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := writeFidelities(&out, engine.Fidelities(c)); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/fidelity.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the report is not that of %s; go test ./cmd/crossfade -run FidelityReport -update writes it:\n%s", golden, out.String())
	}
}

// check prints the report behind the findings, also where one fails.
func TestCheckPrintsTheFidelity(t *testing.T) {
	for _, target := range []string{"T", "absent"} {
		_, out, _ := command(t, "check", "-c", file(t, strings.ReplaceAll(quiet, "stream: T}}", "stream: "+target+"}}")))
		findings, report, found := strings.Cut(out, "\nfidelity of r: stream S in memory → stream "+target+" in memory\n")
		if !found || !strings.Contains(findings, " pass, ") || !strings.Contains(report, "as it was") || strings.Contains(report, "lost at the source") {
			t.Errorf("to %s:\n%s", target, out)
		}
	}
}

// A side that declares nothing is said to.
func TestFidelityOfThirdParties(t *testing.T) {
	var out bytes.Buffer
	err := writeFidelities(&out, []engine.Fidelity{
		{Relay: "r", From: "a", To: "b"},
		{Relay: "s", From: "a", To: "b", Assumed: true, Lines: []engine.FidelityLine{{Outcome: engine.OutcomeParked, Fields: bridge.Fields(), Reason: bridge.ReasonLossy, Note: "no"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"the target does not say how it carries what", "the source does not say what it gives", "parked: lossy", "control header"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 160 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}
