package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A plan between two NATS servers: the exit code says whether something is missing.
func TestPlanExitCodes(t *testing.T) {
	from, to := incumbent(t), incumbent(t)
	f := file(t, `name: plan
systems:
  - {name: old, kind: nats, url: "`+from+`"}
  - {name: new, kind: nats, url: "`+to+`"}
  - {name: a, kind: memory, streams: [{name: T}]}
relays:
  - {name: there, from: {system: old, stream: S}, to: {system: new, stream: S, subject: "{subject}"}}
  - {name: missing, from: {system: old, stream: S}, to: {system: new, stream: T, subject: "t.{subject}"}}
  - {name: unknown, from: {system: old, stream: S}, to: {system: a, stream: T}}
`)
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"nobody"}, 2, "", `there is no relay "nobody"`},
		{[]string{"there"}, 0, "Nothing is missing.", ""},
		{[]string{"missing"}, 1, "To make what is missing (1): crossfade plan missing -c ", ""},
		{nil, 1, "plans know no candidates of kind memory", ""},
		{[]string{"--apply"}, 0, "Made what was missing (1). It is yours", ""},
		{nil, 0, "there  new     stream  T", ""},
		{[]string{"--apply"}, 0, "Nothing is missing.", ""},
	} {
		code, out, errs := command(t, append([]string{"plan", "-c", f}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.stdout) || !strings.Contains(errs, c.stderr) {
			t.Errorf("plan %q: exit %d, want %d\n%s\n%s", c.args, code, c.code, out, errs)
		}
	}
	gone := file(t, strings.ReplaceAll(quiet, "kind: memory, streams: [{name: S}, {name: T}]", `kind: nats, url: "nats://127.0.0.1:1"`)+"")
	gone = file(t, strings.ReplaceAll(mustRead(t, gone), "to: {system: a, stream: T}", `to: {system: a, stream: T, subject: "{subject}"}`))
	if code, out, errs := command(t, "plan", "-c", gone); code != 1 || !strings.Contains(errs, "system a: ") {
		t.Errorf("of a server that is down: exit %d\n%s\n%s", code, out, errs)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestInitWritesNoSecretAndNoOtherFile(t *testing.T) {
	from, to := incumbent(t), incumbent(t)
	path := filepath.Join(t.TempDir(), "first.yaml")
	named := strings.Replace(from, "nats://", "nats://us%65r:hunter2%21@", 1)
	code, out, errs := command(t, "init", "--from", named, "--to", to, "-o", path)
	text := mustRead(t, path)
	if code != 0 || errs != "" || !strings.Contains(out, "Set INCUMBENT_PASSWORD in the environment") || !strings.Contains(out, "1 relays; 0 things have none") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if strings.Contains(text, "hunter2") || !strings.Contains(text, `password: "${env:INCUMBENT_PASSWORD}"`) || !strings.Contains(text, `user: "user"`) || !strings.Contains(text, "stream: S") {
		t.Errorf("it says:\n%s", text)
	}
	if code, _, errs := command(t, "init", "--from", from, "--to", to, "-o", path); code != 2 || !strings.Contains(errs, "is not overwritten") || mustRead(t, path) != text {
		t.Errorf("over a file that is there: exit %d, %s", code, errs)
	}
	t.Setenv("INCUMBENT_PASSWORD", "hunter2!")
	nc, err := nats.Connect(to)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "S"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plan", "--apply"}, {"check"}} {
		if code, out, errs := command(t, append(args, "-c", path)...); code != 0 {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
	if _, err := js.Stream(t.Context(), "S"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "--from: want an address"},
		{[]string{"--from", "http://x", "--to", to}, "--from: want an address"},
		{[]string{"--from", from, "--to", "nats://a,nats://b"}, "--to: want one address"},
		{[]string{"--from", from, "--to", to, "--to-management", "http://x"}, "only RabbitMQ has one"},
		{[]string{"--from", "amqp://h", "--from-management", "ftp://x", "--to", to}, "management cannot be read"},
	} {
		if code, out, errs := command(t, append([]string{"init"}, c.args...)...); code != 2 || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("init %q: exit %d, %s%s, want %q", c.args, code, out, errs, c.want)
		}
	}
}

func TestAddressesLoseTheirSecrets(t *testing.T) {
	for _, c := range []struct {
		url, management string
		lines           []string
		secrets         string
	}{
		{"amqp://h:1/v", "", []string{`url: "amqp://h:1/v"`}, ""},
		{"amqps://u:p%40@h", "", []string{`url: "amqps://u@h"`, `password: "${env:INCUMBENT_PASSWORD}"`}, "INCUMBENT_PASSWORD=p@ "},
		{"amqp://u:${env:X}@h", "http://m:s%40@h:1", []string{`url: "amqp://u@h"`, `password: "${env:X}"`, `management: "http://m:${env:INCUMBENT_MANAGEMENT_PASSWORD}@h:1"`}, "INCUMBENT_MANAGEMENT_PASSWORD=s%40 "},
		{"amqp://h", "http://h:1", []string{`url: "amqp://h"`, `management: "http://h:1"`}, ""},
		{"nats://h", "", []string{`url: "nats://h"`}, ""},
		{"nats://to:ken@h", "", []string{`url: "nats://h"`, `user: "to"`, `password: "${env:INCUMBENT_PASSWORD}"`}, "INCUMBENT_PASSWORD=ken "},
		{"tls://token@h", "", []string{`url: "tls://h"`, `token: "${env:INCUMBENT_TOKEN}"`}, "INCUMBENT_TOKEN=token "},
		{"kafka://a:1,b:2", "", []string{`brokers: ["a:1", "b:2"]`}, ""},
		{"kafka+tls://u:p@a:1", "", []string{`brokers: ["a:1"]`, "tls: {}  # ca, cert and key where the machine's own certificates are not enough", "sasl:", "  mechanism: plain  # or scram-sha-256, scram-sha-512", `  user: "u"`, `  password: "${env:INCUMBENT_PASSWORD}"`}, "INCUMBENT_PASSWORD=p "},
		{"nats://${file:u}:${file:p}@h", "", []string{`url: "nats://h"`, `user: "${file:u}"`, `password: "${file:p}"`}, ""},
	} {
		o := &origin{secrets: map[string]string{}}
		s, err := (&sideFlags{"from", "incumbent", &c.url, &c.management}).side(o)
		secrets := ""
		for _, name := range o.names {
			secrets += name + "=" + o.secrets[name] + " "
		}
		if err != nil || strings.Join(s.Settings, "\n") != strings.Join(c.lines, "\n") || secrets != c.secrets {
			t.Errorf("%s: %q, %q, %v; want %q, %q", c.url, s.Settings, secrets, err, c.lines, c.secrets)
		}
	}
}
