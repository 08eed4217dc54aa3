package brokers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	rabbit := PrivateRabbitMQ(t)
	if err := publishOne(rabbit.URL()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Server{rabbit, PrivateNATS(t)} {
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
	if n, err := readyMessages(rabbit.URL()); err != nil || n != 1 {
		t.Fatalf("after stop and kill the queue holds %d messages (%v), want 1", n, err)
	}
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

// TestLeash runs itself in a process that dies by kill -9 with both servers up.
func TestLeash(t *testing.T) {
	if report := os.Getenv("LEASH_REPORT"); report != "" {
		nats, rabbit := PrivateNATS(t), PrivateRabbitMQ(t)
		if err := os.WriteFile(report, []byte(nats.Dir+"\n"+rabbit.Dir), 0o644); err != nil {
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
	eventually(t, 2*startWithin, "started or ended", func() bool {
		b, err := os.ReadFile(report)
		dirs = bytes.Split(b, []byte("\n"))
		select {
		case <-exited:
			return true
		default:
			return err == nil && len(dirs) == 2
		}
	})
	if len(dirs) != 2 {
		if rabbitInstalled() != nil {
			Missing(t, rabbitInstalled())
		}
		t.Fatalf("the process ended early:\n%s", &out)
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
}

func TestUpAndDown(t *testing.T) {
	for _, name := range []string{envAMQP, envNATS} {
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
	urls := readEnv(filepath.Join(root, "env"))
	dirs, err := filepath.Glob(filepath.Join(root, "up", "*"))
	if err != nil || len(urls) != 2 || len(dirs) > 2 {
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
