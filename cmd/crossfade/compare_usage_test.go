package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// comparing is a configuration with comparisons of one memory broker, in which nothing ever
// comes.
const comparing = `name: compared
systems:
  - {name: a, kind: memory, streams: [{name: S}, {name: T}]}
comparisons:
  - {name: delivery, incumbent: {system: a, stream: S}, candidate: {system: a, stream: T}, grace: 100ms}
  - {name: back, incumbent: {system: a, stream: T}, candidate: {system: a, stream: S}, grace: 100ms}
`

func TestCompareUsage(t *testing.T) {
	many := file(t, comparing)
	none := file(t, quiet)
	const nowhere = "nats://127.0.0.1:1/S"
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	addresses := func(incumbent, candidate string, more ...string) []string {
		return append([]string{"--incumbent", incumbent, "--candidate", candidate, "--for", "1s"}, more...)
	}
	for _, c := range []struct {
		args []string
		want string // part of what is said
	}{
		// Which comparison?
		{[]string{"a", "b"}, "accepts at most 1 arg(s), received 2"},
		{[]string{}, "open crossfade.yaml: no such file or directory: name a configuration with --config, or both streams with --incumbent and --candidate"},
		{[]string{"-c", "/nonexistent.yaml"}, "config: open /nonexistent.yaml: no such file or directory\n"},
		{[]string{"-c", none}, "the configuration has no comparisons: write one under comparisons, or name both streams with --incumbent and --candidate"},
		{[]string{"x", "-c", none}, "the configuration has no comparisons"},
		{[]string{"-c", many}, "which comparison? There is delivery, back"},
		{[]string{"delivry", "-c", many}, `there is no comparison "delivry"; there is delivery, back`},
		{[]string{"del\x1b[31m", "-c", many}, `there is no comparison "del\\x1B[31m"; there is`},
		{[]string{"-c", file(t, strings.ReplaceAll(comparing, "candidate:", "candidat:"))}, `unknown key "candidat"; did you mean "candidate"?`},
		{[]string{"--incumbent", nowhere}, "missing [candidate]"},
		{[]string{"--candidate", nowhere}, "missing [incumbent]"},
		{[]string{"-c", many, "--incumbent", nowhere, "--candidate", nowhere}, "[candidate config] were all set"},
		{addresses(nowhere, nowhere, "delivery"), `"delivery" is a comparison of a configuration, and --incumbent and --candidate name both streams: give one of the two`},
		// An empty variable of a script is no reason to compare something else.
		{addresses("", ""), `--incumbent: "" is no address of a stream`},

		// Addresses.
		{addresses("x", nowhere), `--incumbent: "x" is no address of a stream` + "\nA stream's address is one of"},
		{addresses(nowhere, "http://host/S"), `--candidate: "http://host/S" is no address of a stream`},
		{addresses(nowhere, "://host/S"), `--candidate: "://host/S" is no address of a stream`},
		{addresses("kafka://host:9092", nowhere), "--incumbent: which topic? It stands behind the brokers\n"},
		{addresses("kafka://host:9092/", nowhere), "--incumbent: which topic?"},
		{addresses("kafka://host:9092/T,,U", nowhere), `--incumbent: kafka: from: topics: "" is not a topic's name`},
		{addresses("kafka://host:9092/T?partition=3", nowhere), `--incumbent: nothing is known of "partition"`},
		{addresses("kafka://host/T", nowhere), `--incumbent: kafka: system incumbent: brokers: "host" is not HOST:PORT`},
		{addresses(nowhere, "nats://host:4222"), "--candidate: which stream? It stands behind the server\n"},
		{addresses(nowhere, "nats://host:4222/?subjects=a.>"), "--candidate: which stream?"},
		{addresses(nowhere, "nats://host:4222/T?subject=a.>"), `--candidate: nothing is known of "subject"`},
		{addresses(nowhere, "nats://host:4222/T?subjects=a&subjects=b"), "--candidate: subjects is there twice"},
		{addresses(nowhere, "nats://host:4222/T?subjects=a..b"), "--candidate: nats: from: subjects"},
		{addresses(nowhere, "nats://host:4222/T?%zz"), "--candidate: what stands behind the ? is not NAME=VALUE&…"},
		{addresses(nowhere, "nats://host:4222/T%zz"), "--candidate: behind the host a % stands in front of two hexadecimal digits"},
		{addresses(nowhere, "nats://host:4222/T.x"), `--candidate: nats: from: stream "T.x": is not a stream's name`},
		{addresses(nowhere, "nats://one:4222,nats://two:4222/T"), "--candidate: want one address; more of one cluster go into the file as urls"},
		{addresses("amqp://host:5672/v", nowhere), "--incumbent: name a stream, or an exchange\n"},
		{addresses("amqp://host:5672/v?stream=s&exchange=e", nowhere), "--incumbent: name a stream, or an exchange\n"},
		{addresses("amqp://host:5672/v?stream=s&routing_key=k", nowhere), "--incumbent: a routing_key goes with an exchange\n"},
		{addresses("amqp://host:5672/v?exchange=e&routing_key=k&queue=q", nowhere), `--incumbent: nothing is known of "queue"`},
		{addresses("amqp://host:5672/v?exchange=e&exchange=f", nowhere), "--incumbent: exchange is there twice"},

		// Key, ID and what is ignored.
		{addresses(nowhere, nowhere, "--key", "bogus"), `--key: "bogus" is none of address, routing-key, subject, topic, shard`},
		{addresses(nowhere, nowhere, "--key", "heder:h"), `--key: unknown key "heder"; did you mean "header"?`},
		{addresses(nowhere, nowhere, "--key", "token:x"), "--key: token:x: want a number, which part of the address it is"},
		{addresses(nowhere, nowhere, "--key", "token:"), "--key: token:: a name, a path or a number is missing behind the colon"},
		{addresses(nowhere, nowhere, "--key", "header:"), "--key: header:: a name, a path or a number is missing behind the colon"},
		{addresses(nowhere, nowhere, "--key", "from: shard}, id: {from"), "--key: "},
		{addresses(nowhere, nowhere, "--id", "bogus"), `--id: "bogus" is none of message-id, nats-msg-id, origin, content`},
		{addresses(nowhere, nowhere, "--ignore", "address,clock"), `--ignore: "clock" is none of address, time, headers, properties, header:NAME, property:NAME`},
		{addresses(nowhere, nowhere, "--ignore", "property:speed"), `--ignore: there is no property "speed"`},
		{addresses(nowhere, nowhere, "--ignore", "none,address"), `--ignore: "none" is none of`},
		{[]string{"-c", many, "delivery", "--ignore", "address"}, "--ignore goes with --incumbent and --candidate; a comparison of a configuration says its own"},
		{[]string{"-c", many, "delivery", "--key", "shard"}, "--key goes with --incumbent and --candidate"},
		{[]string{"-c", many, "delivery", "--id", "content"}, "--id goes with --incumbent and --candidate"},

		// When.
		{addresses(nowhere, nowhere, "--for", "-1s"), "--for: a duration is not negative"},
		{addresses(nowhere, nowhere, "--settle", "-1s"), "--settle: a duration is not negative"},
		{addresses(nowhere, nowhere, "--grace", "-1s"), "--grace: a duration is not negative"},
		{addresses(nowhere, nowhere, "--for", "5"), "missing unit"},
		{addresses(nowhere, nowhere, "--until", "2026-01-31T14:00:00Z"), "[for until] were all set"},
		{[]string{"-c", many, "delivery", "--until", "tomorrow"}, `--until: "tomorrow": want a time such as 2026-01-31T14:00:00Z`},
		{[]string{"-c", many, "delivery", "--until", "2026-01-31"}, `--until: "2026-01-31": want a time such as 2026-01-31T14:00:00Z`},
		{addresses(nowhere, nowhere, "--from", "yesterday"), `--from: "yesterday": want now, first, a time such as 2026-01-31T14:00:00Z`},
		{[]string{"-c", many, "delivery", "--from", "last"}, `--from: "last": want now, first`},

		// What is written.
		{addresses(nowhere, nowhere, "-o", "report.pdf"), "--out: report.pdf: want a file that ends in .txt, .json or .html"},
		{addresses(nowhere, nowhere, "-o", filepath.Join(dir, "r.txt"), "-o", "report"), "--out: report: want a file"},
		{addresses(nowhere, nowhere, "-o", filepath.Join(dir, "none", "r.txt")), "--out: open " + filepath.Join(dir, "none", "r.txt") + ": no such file or directory"},
		{addresses(nowhere, nowhere, "--evidence", filepath.Join(plain, "evidence")), "--evidence: mkdir " + plain + ": not a directory"},
		{addresses(nowhere, nowhere, "--log-level", "loud"), `--log-level: "loud" is none of debug, info, warn, error`},
		{addresses(nowhere, nowhere, "--bogus"), "unknown flag: --bogus"},
	} {
		code, stdout, stderr := command(t, append([]string{"compare"}, c.args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d\nstdout: %s\nstderr: %s\nwant %q", c.args, code, stdout, stderr, c.want)
		}
		if strings.Contains(stderr, "***") {
			t.Errorf("%q: the help is hidden as if it were a password: %s", c.args, stderr)
		}
		if strings.Contains(stderr, "the addresses") {
			t.Errorf("%q: a file is named that nobody wrote: %s", c.args, stderr)
		}
	}
}

func TestReplayUsage(t *testing.T) {
	dir := t.TempDir()
	written := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "accepts 1 arg(s), received 0"},
		{[]string{"a", "b"}, "accepts 1 arg(s), received 2"},
		{[]string{"--bogus", "a"}, "unknown flag: --bogus"},
		{[]string{filepath.Join(dir, "none")}, "no such file or directory"},
		{[]string{dir}, "is a directory"},
		{[]string{written("empty", "")}, filepath.Join(dir, "empty") + " is none, or is not whole"},
		{[]string{written("report", `{"comparison":"streams","verdict":"drift"}`)}, filepath.Join(dir, "report") + " is none"},
		{[]string{written("cut", `{"format":1,"kind":"missing","history":[{"side":"incumb`)}, filepath.Join(dir, "cut") + " is none, or is not whole"},
		{[]string{written("later", `{"format":2,"kind":"missing"}`)}, filepath.Join(dir, "later") + " is of format 2, and this program reads up to 1: take the version that wrote it"},
		{[]string{written("odd", `{"format":1,"kind":"od\u001b[31md"}`)}, `"od\x1b[31md" is no kind of difference`},
		{[]string{written("nothing", `{"format":1,"kind":"missing"}`)}, "it holds no messages: the recorder did not reach so far back (see evidence.flight)"},
		{[]string{written("message", `{"format":1,"kind":"missing","incumbent":{"message":{"side":"incumbent","message":{"id":"bogus"}}}}`)}, `id "bogus": want scope and provenance`},
		{[]string{written("grace", `{"format":1,"kind":"missing","rules":{"grace":"long"},"incumbent":{"message":{"side":"incumbent","message":{"id":"kp~k~1"}}}}`)}, `invalid duration "long"`},
	} {
		code, stdout, stderr := command(t, append([]string{"replay"}, c.args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d\nstdout: %s\nstderr: %s\nwant %q", c.args, code, stdout, stderr, c.want)
		}
	}
}

// Both have exit codes of their own, and say so.
func TestCompareHelpSaysTheExitCodes(t *testing.T) {
	for name, want := range map[string]string{"compare": compareExitHelp, "replay": replayExitHelp} {
		code, out, _ := command(t, name, "--help")
		if code != 0 || !strings.Contains(out, want) || strings.Contains(out, exitHelp) {
			t.Errorf("%s --help: exit code %d\n%s", name, code, out)
		}
	}
	if _, out, _ := command(t, "compare", "--help"); !strings.Contains(out, addressHelp) {
		t.Errorf("compare --help does not say what an address is:\n%s", out)
	}
	if _, out, _ := command(t, "--help"); !strings.Contains(out, "  compare ") || !strings.Contains(out, "  replay ") {
		t.Errorf("--help: %s", out)
	}
}

// Each kind of address becomes the system and the block that it names.
func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		address, kind string
		settings      []string
		block         []string
	}{
		{"kafka://one:9092,two:9092/T,U", "kafka", []string{`brokers: ["one:9092", "two:9092"]`}, []string{`topics: ["T", "U"]`}},
		{"kafka+tls://u:p@one:9092/T", "kafka", []string{`brokers: ["one:9092"]`, "tls: {}  # ca, cert and key where the machine's own certificates are not enough",
			"sasl:", "  mechanism: plain  # or scram-sha-256, scram-sha-512", `  user: "u"`, `  password: "${env:INCUMBENT_PASSWORD}"`}, []string{`topics: ["T"]`}},
		{"nats://host:4222/S", "nats", []string{`url: "nats://host:4222"`}, []string{`stream: "S"`}},
		{"nats://token@host:4222/S%40x?subjects=a.>,b+c", "nats", []string{`url: "nats://host:4222"`, `token: "${env:INCUMBENT_TOKEN}"`}, []string{`stream: "S@x"`, `subjects: ["a.>", "b+c"]`}},
		{"tls://u:${env:P}@host:4222/S", "nats", []string{`url: "tls://host:4222"`, `user: "u"`, `password: "${env:P}"`}, []string{`stream: "S"`}},
		{"nats://u:a/b@host:4222/S", "nats", []string{`url: "nats://host:4222"`, `user: "u"`, `password: "${env:INCUMBENT_PASSWORD}"`}, []string{`stream: "S"`}},
		{"amqp://u:p@host:5672/v?stream=s", "rabbitmq", []string{`url: "amqp://u@host:5672/v"`, `password: "${env:INCUMBENT_PASSWORD}"`}, []string{`stream: "s"`}},
		{"amqps://host?exchange=e@x&routing_key=a.%23", "rabbitmq", []string{`url: "amqps://host"`},
			[]string{"tap: stream", `bindings: [{exchange: "e@x", routing_key: "a.#"}]`, "accept: [stream-headers, mandatory, alternate-exchange]"}},
		{"amqp://host?exchange=e", "rabbitmq", []string{`url: "amqp://host"`},
			[]string{"tap: stream", `bindings: [{exchange: "e", routing_key: "#"}]`, "accept: [stream-headers, mandatory, alternate-exchange]"}},
	} {
		s, err := streamOf("incumbent", "incumbent", c.address, &origin{secrets: map[string]string{}})
		if err != nil || s.system.Kind != c.kind || strings.Join(s.system.Settings, "\n") != strings.Join(c.settings, "\n") || strings.Join(s.block, "\n") != strings.Join(c.block, "\n") {
			t.Errorf("%s: %v, %s\n%s\n%s", c.address, err, s.system.Kind, strings.Join(s.system.Settings, "\n"), strings.Join(s.block, "\n"))
		}
	}
}

func TestRedactedAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"":                              "",
		"nats://host/S":                 "nats://host/S",
		"user:hunter2@host/S":           "***@host/S",
		"nats://user:hunter2@host/S":    "nats://***@host/S",
		"nats://hunter2@host/S":         "nats://***@host/S",
		"nats://user:hun@ter2@host/S":   "nats://***@host/S",
		"user:hunter2://x@host/S":       "***@host/S",
		"nats:/user:hunter2@host/S":     "***@host/S",
		"kafka+tls://user:hu/nter2@h/T": "kafka+tls://***@h/T",
	} {
		if got := redacted(address); got != want {
			t.Errorf("redacted(%q) = %q, want %q", address, got, want)
		}
	}
}

// Whatever is wrong with an address, and wherever, its password is not said.
func TestNoPasswordIsSaid(t *testing.T) {
	const nowhere = "nats://127.0.0.1:1/S"
	for _, address := range []string{
		"user:hunter2@host/S", "nats:/user:hunter2@host/S", "http://user:hunter2@host/S", "hunter2@host",
		"kafka://user:hunter2@", "kafka://user:hunter2@host:9092", "kafka://user:hunter2@host/T", "kafka://user:hunter2@host:9092/T,,", "kafka://user:hunter2@host:9092/T?x=1",
		"kafka://user:x/hunter2@host:9092", "kafka://user:x?hunter2@host:9092/T", "kafka://user:hunter2${x@host:9092/T?x=1",
		"kafka+tls://user:hunter2@host:99999/T", "kafka+tls://hunter2:hunter2@host/T",
		"nats://user:hunter2@", "nats://user:hunter2@host", "nats://user:hunter2@host:99999/S", "nats://user:hunter2@host/S.x", "nats://user:hunter2@ho st/S", "nats://user:hunter2@host/S?x=1",
		"nats://user:x/hunter2@host", "nats://user:x?hunter2@host/S", "nats://user:x?subjects=hunter2@host/S", "nats://hunter2@host", "tls://hunter2@host/S?x",
		"nats://user:hunter2${@host/S", "nats://user:hunter2@host:4222,nats://user:hunter2@other:4222/S",
		"amqp://user:hunter2@", "amqp://user:hunter2@host", "amqp://user:hunter2@host/v?queue=q", "amqp://user:hunter2@host:99999/v?stream=s", "amqp://user:hunter2@ho,st/v?stream=s",
		"amqp://user:x?hunter2@host/v", "amqp://user:x?hunter2&stream=s@host/v", "amqp://user:x?a=1&hunter2=2@host/v?stream=s", "amqps://user:x/hunter2@host/v?x=1",
		"amqp://user:hunter2@host/%zz?stream=s", "amqp://user:hunter2@host/v?stream=%zz",
	} {
		for _, args := range [][]string{{"--incumbent", address, "--candidate", nowhere}, {"--incumbent", nowhere, "--candidate", address}} {
			code, stdout, stderr := command(t, append([]string{"compare", "--for", "1s", "--id", "bogus"}, args...)...)
			if all := stdout + stderr; code != 2 || strings.Contains(all, "hunter2") || stderr == "" {
				t.Errorf("%q: exit code %d\n%s", args, code, all)
			}
		}
	}
}
