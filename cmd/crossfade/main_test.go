package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge/console"
)

// asCommand makes the test binary the command itself, so that signals and exit
// codes are those of a process.
const asCommand = "CROSSFADE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs crossfade in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

const quiet = `name: quiet
http: {listen: "127.0.0.1:0"}
systems:
  - {name: a, kind: memory, streams: [{name: S}, {name: T}]}
relays:
  - {name: r, from: {system: a, stream: S}, to: {system: a, stream: T}}
`

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crossfade.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	good, bad := file(t, quiet), file(t, strings.ReplaceAll(quiet, "stream: T", "steam: T"))
	unreachable := file(t, strings.ReplaceAll(quiet, "127.0.0.1:0", "127.0.0.1:1"))
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // parts
	}{
		{[]string{}, 0, "Exit codes:", ""},
		{[]string{"--help"}, 0, "config", ""},
		{[]string{"version"}, 0, "crossfade ", ""},
		{[]string{"bogus"}, 2, "", `unknown command "bogus"`},
		{[]string{"run", "more"}, 2, "", `unknown command "more"`},
		{[]string{"run", "--bogus"}, 2, "", "unknown flag: --bogus"},
		{[]string{"run", "-c", "/nonexistent.yaml"}, 2, "", "config: open /nonexistent.yaml: no such file"},
		{[]string{"run", "-c", bad}, 2, "", bad + `:6:61: relays[0].to: unknown key "steam"; did you mean "stream"?`},
		{[]string{"check", "-c", bad}, 2, "", "did you mean"},
		{[]string{"check", "-c", good}, 0, "pass, ", ""},
		{[]string{"check", "-c", file(t, strings.ReplaceAll(quiet, "{system: a, stream: T}", "{system: a, stream: U}"))}, 1, "fail   r", ""},
		{[]string{"config", "print", "-c", good}, 0, "level: info\n", ""},
		{[]string{"config", "print", "-c", good, "--log-level", "debug"}, 0, "level: debug\n", ""},
		{[]string{"config", "print", "-c", good, "--log-level", "loud"}, 2, "", `--log-level: "loud" is none of`},
		{[]string{"config"}, 0, "print", ""},
		{[]string{"status", "-c", good}, 2, "", "leaves the port open"},
		{[]string{"status", "-c", file(t, strings.ReplaceAll(quiet, "127.0.0.1:0", "off"))}, 2, "", "http.listen is off"},
		{[]string{"status", "-c", unreachable}, 1, "", "Is the bridge running, and is 127.0.0.1:1 its http.listen?"},
		{[]string{"status", "-c", good, "--addr", "x"}, 2, "", "none of the others can be"},
		{[]string{"run", "-c", unreachable, "--http-listen", "256.0.0.1:x"}, 2, "", `--http-listen: "256.0.0.1:x": want host:port`},
		{[]string{"remove", "-c", good}, 2, "", "accepts 1 arg(s)"},
		{[]string{"remove", "nobody", "-c", good}, 2, "", `there is no relay "nobody"`},
		{[]string{"remove", "r", "-c", good}, 0, "nothing at the brokers for relay r", ""},
		{[]string{"parked", "list", "nobody", "-c", good}, 2, "", `has no relay "nobody"; its relays are r`},
		{[]string{"parked", "list", "r", "-c", good}, 0, "has nothing parked", ""},
		{[]string{"parked", "retry", "r", "-c", good}, 1, "", "say which"},
		{[]string{"parked", "retry", "r", "--all", "-c", good}, 0, "Nothing is parked that fits", ""},
		{[]string{"parked", "retry", "r", "abc", "--all", "-c", good}, 1, "", "say which"},
		{[]string{"parked", "discard", "r", "abc", "-c", good}, 1, "", `nothing is parked as "abc"`},
		{[]string{"parked", "list", "r", "-c", file(t, strings.ReplaceAll(quiet, "stream: T}", "stream: T}, park: stop"))}, 2, "", "parks nothing"},
		{[]string{"demo", "--for", "5"}, 2, "", "missing unit"},
	} {
		code, stdout, stderr := command(t, c.args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || (c.stderr == "") != (stderr == "") {
			t.Errorf("%q: exit %d\nstdout: %s\nstderr: %s\nwant exit %d, %q, %q", c.args, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
	}
}

// Every command says what its exit codes mean.
func TestHelpSaysTheExitCodes(t *testing.T) {
	for _, name := range []string{"run", "check", "plan", "init", "status", "demo", "remove", "parked", "parked list", "parked show", "parked retry", "parked discard"} {
		if _, out, _ := command(t, append(strings.Fields(name), "--help")...); !strings.Contains(out, exitHelp) {
			t.Errorf("%s --help: %s", name, out)
		}
	}
}

// A process is crossfade as a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bufio.Reader
	log    strings.Builder
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{t: t, cmd: cmd, stderr: bufio.NewReader(pipe)}
}

// until reads the log up to the line with that message, and gives its fields.
func (p *process) until(msg string) map[string]any {
	p.t.Helper()
	for {
		line, err := p.stderr.ReadString('\n')
		if err != nil {
			p.t.Fatalf("no %q in the log: %v\n%s", msg, err, p.log.String())
		}
		p.log.WriteString(line)
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			p.t.Fatalf("not JSON: %q", line)
		}
		if strings.HasPrefix(fields["msg"].(string), msg) {
			return fields
		}
	}
}

// exit reads the log to its end and gives the exit code, or -1 for a signal.
func (p *process) exit() int {
	rest, _ := io.ReadAll(p.stderr)
	p.log.Write(rest)
	_ = p.cmd.Wait() // the code says it
	return p.cmd.ProcessState.ExitCode()
}

func TestRunUntilASignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, "run", "-c", file(t, quiet))
		address := p.until("console")["address"].(string)
		p.until("starts")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		await(ctx, t, address, "idle", func(r *console.Relay) bool { return r.Ready && r.State == "idle" })
		cancel()
		if code, out, errs := command(t, "status", "--addr", address); code != 0 || !strings.HasPrefix(out, "r  a → a  placed 0") || !strings.Contains(out, "idle") {
			t.Errorf("status: exit %d, %s%s", code, out, errs)
		}
		code, out, _ := command(t, "status", "--addr", address, "--json")
		var s console.Status
		if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || s.Bridge != "quiet" || len(s.Relays) != 1 {
			t.Errorf("status --json: exit %d, %v, %s", code, err, out)
		}
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		p.until("stopping")
		p.until("ended")
		if code := p.exit(); code != 0 {
			t.Errorf("%s: exit %d\n%s", sig, code, p.log.String())
		}
	}
}

// await asks a running bridge until its first relay is as wanted.
func await(ctx context.Context, t *testing.T, address, what string, is func(*console.Relay) bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := console.Fetch(ctx, address)
		if err == nil && is(&s.Relays[0]) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never %s: %+v, %v", what, s, err)
		}
	}
}

// incumbent gives the address of a NATS server whose stream S holds messages.
func incumbent(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := js.Publish(t.Context(), "s.a", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return s.ClientURL()
}

// The first signal drains. Here what is in flight is not confirmed before an hour
// is over, so only the second one ends the process.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	p := start(t, "run", "-c", file(t, `name: stuck
http: {listen: "127.0.0.1:0"}
systems:
  - {name: nats, kind: nats, url: "`+incumbent(t)+`"}
  - {name: a, kind: memory, streams: [{name: T}]}
relays:
  - {name: r, from: {system: nats, stream: S}, to: {system: a, stream: T, latency: 2h}, limits: {drain: 1h}}
`))
	address := p.until("console")["address"].(string)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	await(ctx, t, address, "in flight", func(r *console.Relay) bool { return r.Counts.InFlight == 5 })
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.until("stopping")
	await(ctx, t, address, "draining", func(r *console.Relay) bool { return r.State == "draining" && r.Counts.InFlight == 5 })
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != 128+int(syscall.SIGINT) {
		t.Errorf("ended with %v\n%s", p.cmd.ProcessState, p.log.String())
	}
}

func TestRunThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := start(t, "run", "-c", file(t, quiet), "--http-listen", l.Addr().String())
	last := p.until("ended with a failure")
	cause, hint := last["cause"].(string), last["hint"].(string)
	if code := p.exit(); code != 1 || !strings.Contains(cause, "address already in use") || !strings.Contains(hint, "Set http.listen") {
		t.Errorf("exit %d: %s; %s", code, cause, hint)
	}
}
