package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process is one run of the command.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	listen string
	log    string // path
}

// startBridge runs "crossfade run" and does not wait for anything.
func startBridge(t testing.TB, binary, config, listen, log string, env ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(binary, "run", "-c", config, "--http-listen", listen), exited: make(chan struct{}), listen: listen, log: log}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(p.kill)
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
}

// stop asks for an orderly end and gives the exit code.
func (p *process) stop(t testing.TB, within time.Duration) int {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("the bridge did not end within %s of SIGTERM", within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// peakMemory is the largest resident size of the process so far, in MiB.
func (p *process) peakMemory() (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			return kib >> 10, err
		}
	}
	return 0, errors.New("no VmHWM")
}

// A status is what the stories read of the bridge's.
type status struct {
	Ready  bool          `json:"ready"`
	Relays []relayStatus `json:"relays"`

	Comparisons []comparisonStatus `json:"comparisons"`
}

type relayStatus struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Why    string `json:"why"`
	Counts struct {
		Received   uint64 `json:"received"`
		Placed     uint64 `json:"placed"`
		Suppressed uint64 `json:"suppressed"`
		Parked     uint64 `json:"parked"`
		Expired    uint64 `json:"expired"`
		Looped     uint64 `json:"looped"`
		GivenBack  uint64 `json:"given_back"`
		InFlight   uint64 `json:"in_flight"`
	} `json:"counts"`
	Lag struct {
		Messages int64 `json:"messages"`
	} `json:"lag"`
	Retries    uint64 `json:"retries"`
	Reconnects uint64 `json:"reconnects"`
}

func (s *relayStatus) balanced() bool {
	c := &s.Counts
	return c.Received == c.Placed+c.Suppressed+c.Parked+c.Expired+c.Looped+c.GivenBack+c.InFlight
}

var client = http.Client{Timeout: 2 * time.Second}

// status asks the running bridge.
func (p *process) status() (status, error) {
	var s status
	r, err := client.Get("http://" + p.listen + "/api/v1/status")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

// everyRelay says whether the bridge answers and ok holds for every relay.
func (p *process) everyRelay(ok func(*relayStatus) bool) bool {
	s, err := p.status()
	if err != nil || len(s.Relays) == 0 {
		return false
	}
	for i := range s.Relays {
		if !ok(&s.Relays[i]) {
			return false
		}
	}
	return true
}

// logTail is the end of what the process wrote.
func (p *process) logTail(lines int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// command runs the command to its end and gives its output and exit code.
func command(t testing.TB, binary string, env []string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
