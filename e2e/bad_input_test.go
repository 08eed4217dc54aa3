package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// The exit codes, as they are documented.
const (
	failed = 1
	misuse = 2
)

// What users get wrong is answered with what is wrong, where, and what to do;
// nothing crashes and no secret is shown.
func TestBadInput(t *testing.T) {
	bin, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	rabbit, nats := brokers.RabbitMQ(t), brokers.NATS(t)
	good := fmt.Sprintf(`name: bad
http: {listen: "off"}
systems:
  - {name: rabbit, kind: rabbitmq, url: %q}
  - {name: jet, kind: nats, url: %q}
relays:
  - name: r
    from: {system: rabbit, tap: quorum, bindings: [{exchange: amq.topic, routing_key: "#"}]}
    to: {system: jet, stream: MISSING, subject: "x.{address}"}
`, rabbit, nats)
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the configuration has no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, test := range map[string]struct {
		config  string
		command string
		code    int
		says    []string
	}{
		"unknown key":        {with("bindings", "bindigs"), "run", misuse, []string{":8:", `"bindigs"`, `"bindings"`}},
		"wrong type":         {with("tap: quorum", "tap: [quorum]"), "run", misuse, []string{":8:", "tap", "list"}},
		"no unit":            {with("kind: nats,", "kind: nats, connect_timeout: 5,"), "run", misuse, []string{":5:", "connect_timeout", "unit", "5s"}},
		"unknown system":     {with("system: jet", "system: jett"), "run", misuse, []string{"jett", "jet"}},
		"unknown kind":       {with("kind: nats", "kind: nuts"), "run", misuse, []string{":5:", "nuts", "nats"}},
		"not YAML":           {"{", "run", misuse, []string{"not YAML"}},
		"bad template":       {with("x.{address}", "x.{adress}"), "run", misuse, []string{"{adress}", "{address}"}},
		"one name twice":     {good + "  - name: r\n    from: {system: jet, stream: A}\n    to: {system: jet, stream: B, subject: \"{subject}\"}\n", "run", misuse, []string{`"r"`}},
		"unset variable":     {with(rabbit, "${env:CROSSFADE_NOT_SET}"), "run", misuse, []string{"CROSSFADE_NOT_SET"}},
		"missing exchange":   {with("amq.topic", "no.such.exchange"), "check", failed, []string{"no.such.exchange", "fail", "Create"}},
		"missing stream":     {good, "check", failed, []string{"MISSING", "fail", "nats stream add MISSING"}},
		"wrong password":     {with("guest:guest", "guest:hush"), "check", failed, []string{"ACCESS_REFUSED", "password"}},
		"wrong password run": {with("guest:guest", "guest:hush"), "run", failed, []string{"ACCESS_REFUSED", "password"}},
		"nobody there":       {with(rabbit, "amqp://guest:hush@127.0.0.1:1/"), "check", failed, []string{"127.0.0.1:1", "refused"}},
		"no NATS there":      {with(nats, "nats://127.0.0.1:1"), "check", failed, []string{"127.0.0.1:1", "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "crossfade.yaml")
			if err := os.WriteFile(path, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			out, code := command(t, bin, nil, test.command, "-c", path)
			if code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, out)
			}
			for _, want := range test.says {
				if !strings.Contains(out, want) {
					t.Errorf("does not say %q:\n%s", want, out)
				}
			}
			for _, never := range []string{"panic", "goroutine ", "hush"} {
				if strings.Contains(out, never) {
					t.Errorf("says %q:\n%s", never, out)
				}
			}
		})
	}
	if !t.Failed() {
		fmt.Println("STORY ok: bad input is answered with what is wrong, where, and what to do")
	}
}
