package brokers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// eventually waits until ok or until the deadline has passed.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", within, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestServersKeepTheirDataAndAddressThroughStopAndKill(t *testing.T) {
	for _, kind := range allKinds {
		t.Run(string(kind), func(t *testing.T) { keepsDataAndAddress(t, Private(t, kind)) })
	}
}

func keepsDataAndAddress(t *testing.T, s *Server) {
	if s.Kind.amqp() {
		if err := publishOne(s.URL()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if n, err := readyMessages(s.URL()); err != nil || n != 1 {
				t.Fatalf("after stop and kill the queue holds %d messages (%v), want 1", n, err)
			}
		}()
	}
	for name, end := range map[string]func(context.Context) error{"stop": s.Stop, "kill": s.Kill} {
		before := s.PID()
		if err := end(t.Context()); err != nil {
			t.Fatalf("%s %s: %v", s.Kind, name, err)
		}
		if s.PID() != 0 || Answers(s.URL()) == nil {
			t.Fatalf("%s answers after %s", s.Kind, name)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.PID() == before {
			t.Fatalf("%s: %s left process %d running", s.Kind, name, before)
		}
	}
}

// What a RabbitMQ 4 has mounted is seen by nobody else while it runs, and is gone
// with it, so two that run at once do not know of each other.
func TestRabbitMQ4LeavesNoMount(t *testing.T) {
	root, err := Rabbit4Root()
	if err != nil {
		t.Fatal(err)
	}
	one, two := Private(t, KindRabbitMQ4), Private(t, KindRabbitMQ4)
	if m := mountsBelow(t, root); m != "" {
		t.Errorf("mounts that all processes see:\n%s", m)
	}
	if err := publishOne(one.URL()); err != nil {
		t.Fatal(err)
	}
	if _, err := readyMessages(two.URL()); err == nil {
		t.Error("two servers share a queue")
	}
	out, err := one.Ctl(t.Context(), "list_queues", "name")
	if err != nil || strings.TrimSpace(out) != "name\nkept" {
		t.Errorf("rabbitmqctl says %q, %v", out, err)
	}
	for _, s := range []*Server{one, two} {
		if err := s.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(root, "proc", "*"))
	if more, err2 := filepath.Glob(filepath.Join(root, insideDir, "*")); err != nil || err2 != nil || len(left)+len(more) > 0 {
		t.Errorf("left in %s: %v %v", root, left, more)
	}
}

func mountsBelow(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " "+dir) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func TestPluginsAreOnFromTheStart(t *testing.T) {
	for _, kind := range []Kind{KindRabbitMQ, KindRabbitMQ4} {
		t.Run(string(kind), func(t *testing.T) {
			s := Private(t, kind, "rabbitmq_consistent_hash_exchange")
			conn, err := amqp.Dial(s.URL())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ch, err := conn.Channel()
			if err == nil {
				err = ch.ExchangeDeclare("hashed", "x-consistent-hash", false, true, false, false, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnInstalledServerIsNotInstalledAgain(t *testing.T) {
	if err := rabbit4Installed(); err != nil {
		Missing(t, err)
	}
	var say bytes.Buffer
	if err := InstallRabbitMQ4(t.Context(), &say); err != nil || say.Len() > 0 {
		t.Errorf("%v: %s", err, &say)
	}
	t.Setenv(envServers, t.TempDir())
	if err := rabbit4Installed(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("an empty folder has RabbitMQ 4: %v", err)
	}
}

// A folder that another process is filling is waited for.
func TestLockIsForOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan func(), 1)
	go func() {
		unlock, err := lock(path)
		if err != nil {
			unlock = func() {}
		}
		second <- unlock
	}()
	select {
	case <-second:
		t.Fatal("two hold it")
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	(<-second)()
}

func publishOne(url string) error {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	if _, err := ch.QueueDeclare("kept", true, false, false, false, nil); err != nil {
		return err
	}
	c, err := ch.PublishWithDeferredConfirm("", "kept", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent})
	if err == nil && !c.Wait() {
		err = errors.New("not confirmed")
	}
	return err
}

func readyMessages(url string) (int, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return 0, err
	}
	q, err := ch.QueueDeclarePassive("kept", true, false, false, false, nil)
	return q.Messages, err
}

// TestLeash runs itself in a process that dies by kill -9 with a server of each
// kind up.
func TestLeash(t *testing.T) {
	if report := os.Getenv("LEASH_REPORT"); report != "" {
		var dirs []string
		for _, kind := range allKinds {
			if installed(kind) == nil || InCI() {
				dirs = append(dirs, Private(t, kind).Dir)
			}
		}
		if err := os.WriteFile(report+".part", []byte(strings.Join(dirs, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(report+".part", report); err != nil {
			t.Fatal(err)
		}
		select {} // until it is killed
	}
	report := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeash$", "-test.v")
	cmd.Env = append(os.Environ(), "LEASH_REPORT="+report)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	var dirs [][]byte
	eventually(t, 3*startWithin, "started or ended", func() bool {
		b, err := os.ReadFile(report)
		dirs = bytes.Split(b, []byte("\n"))
		select {
		case <-exited:
			return true
		default:
			return err == nil
		}
	})
	if len(dirs) < 2 { // NATS is never missing where there is Go
		if rabbitInstalled() != nil {
			Missing(t, rabbitInstalled())
		}
		t.Fatalf("the process ended early, or has few servers: %q\n%s", dirs, &out)
	}
	var ports []int
	for _, d := range dirs {
		s, err := Attach(string(d))
		if err != nil || s.PID() == 0 {
			t.Fatalf("%s: not running: %v", d, err)
		}
		ports = append(ports, s.Ports...)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-exited
	for _, d := range dirs {
		eventually(t, 30*time.Second, string(d)+" removed", func() bool {
			_, err := os.Stat(string(d))
			return errors.Is(err, os.ErrNotExist)
		})
	}
	for _, p := range ports {
		eventually(t, 10*time.Second, Address(p)+" closed", func() bool { return !listening(p) })
	}
	if root, err := Rabbit4Root(); err != nil || mountsBelow(t, root) != "" {
		t.Errorf("mounts are left: %s %v", mountsBelow(t, root), err)
	}
}

func TestUpAndDown(t *testing.T) {
	for _, kind := range allKinds {
		name := envName(kind)
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	if err := rabbitInstalled(); err != nil {
		Missing(t, err)
	}
	root := filepath.Join(t.TempDir(), "brokers")
	t.Cleanup(func() { _ = Down(context.Background(), root) })
	var say bytes.Buffer
	if Running(root) == nil {
		t.Error("servers run that nobody has started")
	}
	for range 2 { // the second finds the first's
		if err := Up(t.Context(), root, &say); err != nil {
			t.Fatalf("%v\n%s", err, &say)
		}
	}
	want := 0
	for _, kind := range allKinds {
		if installed(kind) == nil {
			want++
		}
	}
	urls := readEnv(filepath.Join(root, "env"))
	dirs, err := filepath.Glob(filepath.Join(root, "up", "*"))
	if err != nil || len(urls) != want || len(dirs) > want {
		t.Fatalf("two calls left addresses %v and folders %v (%v)", urls, dirs, err)
	}
	for name, u := range urls {
		if err := Answers(u); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Running(root); err != nil {
		t.Error(err)
	}
	if err := Down(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	for name, u := range urls {
		if Answers(u) == nil {
			t.Errorf("%s answers after Down", name)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Down left %s: %v", root, err)
	}
}

func TestUpTakesTheAddressesOfTheEnvironment(t *testing.T) {
	t.Setenv(envNATS, NATS(t))
	t.Setenv(envAMQP, "amqp://127.0.0.1:1/")
	err := Up(t.Context(), t.TempDir(), &bytes.Buffer{})
	if err == nil {
		t.Fatal("Up took an address that nobody answers on")
	}
	t.Setenv(envAMQP, "https://127.0.0.1/")
	if err := Up(t.Context(), t.TempDir(), &bytes.Buffer{}); err == nil {
		t.Fatal("Up took an address of another scheme")
	}
}

func TestAMissingBrokerSkipsAUserAndFailsCI(t *testing.T) {
	for ci, want := range map[string]string{"true": "fatal", "": "skip"} {
		t.Setenv("CI", ci)
		got := &recorder{TB: t, name: "(expected by a test)"}
		Missing(got, ErrUnavailable)
		if got.verdict != want {
			t.Errorf("CI=%q: a missing broker is %s, want %s", ci, got.verdict, want)
		}
		got = &recorder{TB: t, name: "(expected by a test)"}
		Missing(got, errors.New("broken"))
		if got.verdict != "fatal" {
			t.Errorf("CI=%q: a broken broker is %s, want fatal", ci, got.verdict)
		}
	}
}

// A recorder keeps the first verdict in place of ending the test.
type recorder struct {
	testing.TB
	name, verdict string
}

func (r *recorder) Fatal(...any) { r.set("fatal") }
func (r *recorder) Skip(...any)  { r.set("skip") }
func (r *recorder) set(v string) {
	if r.verdict == "" {
		r.verdict = v
	}
}
func (r *recorder) Name() string { return r.name }

// A server that tests know by its URL alone lives as long as the process, whatever
// the garbage collector finds.
func TestSharedServerOutlivesTheGarbageCollector(t *testing.T) {
	url, err := startKept(KindNATS)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
	}
	<-time.After(300 * time.Millisecond) // a leash that was let go needs a moment to pull
	if err := Answers(url); err != nil {
		t.Error(err)
	}
	if s, ok := kept.LoadAndDelete(KindNATS); ok {
		if err := s.(*Server).Remove(); err != nil {
			t.Error(err)
		}
	}
}
