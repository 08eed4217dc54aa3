package brokers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrUnavailable is what the start of a server answers that is not installed
// here. Its text says what to install.
var ErrUnavailable = errors.New("not available")

// Kind is a kind of server.
type Kind string

// The kinds of servers.
const (
	KindRabbitMQ  Kind = "rabbitmq"  // what the machine has: 3.10 on Debian 12
	KindRabbitMQ4 Kind = "rabbitmq4" // 4.0, in a folder of its own
	KindNATS      Kind = "nats"
	KindKafka     Kind = "kafka"
)

// allKinds are those of which tests share one server each.
var allKinds = []Kind{KindRabbitMQ, KindRabbitMQ4, KindNATS, KindKafka}

// amqp says that the servers of the kind are RabbitMQs.
func (k Kind) amqp() bool { return k == KindRabbitMQ || k == KindRabbitMQ4 }

// ports is how many a server of the kind needs.
func (k Kind) ports() int {
	switch {
	case k.amqp():
		return 3
	case k == KindKafka:
		return 4
	}
	return 1
}

// startWithin bounds a start: a RabbitMQ that was killed under load took 13 s, a
// Kafka on a machine with ten others at work for each core took 56 s.
const startWithin = 3 * time.Minute

// A Server is one private server with its data folder. Its methods are for one
// caller at a time, URL and PID excepted.
type Server struct {
	Kind  Kind
	Dir   string
	Ports []int // clients first; RabbitMQ: then distribution, then epmd; Kafka: then the controller, then two of its detour
	// Plugins are what a RabbitMQ starts with; they count from the next start on.
	Plugins []string
	// Security is what a Kafka asks of clients; nil is nothing.
	Security *KafkaSecurity `json:",omitempty"`
	leash    *leash
}

// New reserves a folder under root and ports for a server and starts nothing.
func New(kind Kind, root string) (*Server, error) {
	if err := installed(kind); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("brokers: %s: %w", kind, err)
	}
	dir, err := os.MkdirTemp(root, string(kind)+"-")
	if err != nil {
		return nil, fmt.Errorf("brokers: %s: %w", kind, err)
	}
	ports, err := freePorts(kind.ports())
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, Dir: dir, Ports: ports}
	if err := s.save(); err != nil {
		return nil, err
	}
	return s, nil
}

// Attach gives the server whose folder dir is, running or not.
func Attach(dir string) (*Server, error) {
	b, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if err != nil {
		return nil, fmt.Errorf("brokers: %w", err)
	}
	s := &Server{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("brokers: %s: %w", dir, err)
	}
	s.Dir = dir
	return s, nil
}

func (s *Server) save() error {
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, "server.json"), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("brokers: %s: %w", s.Kind, err)
	}
	return nil
}

// URL is where clients connect. It stays the same through restarts.
func (s *Server) URL() string {
	switch {
	case s.Kind.amqp():
		return "amqp://guest:guest@" + Address(s.Ports[0]) + "/"
	case s.Kind == KindKafka && s.Security != nil:
		return "kafka://" + Address(s.Ports[2])
	case s.Kind == KindKafka:
		return "kafka://" + Address(s.Ports[0])
	}
	return "nats://" + Address(s.Ports[0])
}

// Leash ties the server to the life of this process: when the process ends,
// whatever way, the server is killed and its folder removed.
func (s *Server) Leash() error {
	if s.leash != nil {
		return nil
	}
	root := ""
	if s.Kind == KindRabbitMQ4 {
		var err error
		if root, err = Rabbit4Root(); err != nil {
			return err
		}
	}
	l, err := newLeash(s.Dir, s.epmdPort(), root)
	s.leash = l
	return err
}

func (s *Server) epmdPort() int {
	if s.Kind.amqp() {
		return s.Ports[2]
	}
	return 0
}

// Start starts the server on its folder and returns when clients are served.
func (s *Server) Start(ctx context.Context) error {
	if s.PID() != 0 {
		return fmt.Errorf("brokers: %s %s: is running", s.Kind, s.Dir)
	}
	cmd, err := s.command()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("brokers: %s: %w", s.Kind, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("brokers: %s: start: %w", s.Kind, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the server
	if err := os.WriteFile(s.pidPath(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("brokers: %s: %w", s.Kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := s.awaitReady(ctx, exited); err != nil {
		return fmt.Errorf("brokers: %s %s: %w\n%s", s.Kind, s.Dir, err, s.logTail())
	}
	return nil
}

func (s *Server) awaitReady(ctx context.Context, exited <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-exited:
			_ = os.Remove(s.pidPath())
			return fmt.Errorf("ended while starting: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("does not answer on %s: %w", Address(s.Ports[0]), context.Cause(ctx))
		case <-tick.C:
			if Answers(s.URL()) == nil {
				return nil
			}
		}
	}
}

// Stop ends the server in an orderly way; it answers once the port is closed.
// Stopping a server that does not run is no error.
func (s *Server) Stop(ctx context.Context) error { return s.end(ctx, syscall.SIGTERM) }

// Kill ends the server at once, as kill -9 does; it answers once the port is
// closed.
func (s *Server) Kill(ctx context.Context) error { return s.end(ctx, syscall.SIGKILL) }

func (s *Server) end(ctx context.Context, sig syscall.Signal) error {
	pid := s.PID()
	if pid == 0 {
		return nil
	}
	target := pid
	if sig == syscall.SIGKILL {
		target = -pid // the whole group: RabbitMQ's starting shell and its virtual machine
	}
	if err := syscall.Kill(target, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("brokers: %s: kill %d: %w", s.Kind, pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for s.alive(pid) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("brokers: %s: process %d goes on after %s: %w", s.Kind, pid, sig, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return os.Remove(s.pidPath())
}

func (s *Server) alive(pid int) bool {
	if s.owns(pid) {
		return true
	}
	for _, p := range s.Ports[:min(2, len(s.Ports))] {
		if listening(p) {
			return true
		}
	}
	return false
}

// Restart is Stop and Start.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Remove kills the server, if it runs, with what belongs to it, and removes its
// folder.
func (s *Server) Remove() error {
	ctx := context.Background()
	err := s.Kill(ctx)
	if p := s.epmdPort(); p != 0 {
		s.killEPMD(p)
	}
	if s.leash != nil {
		err = errors.Join(err, s.leash.release())
		s.leash = nil
	}
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// PID is the process of the running server (for RabbitMQ: the leader of its
// process group), 0 where it does not run.
func (s *Server) PID() int {
	b, err := os.ReadFile(s.pidPath())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || !s.owns(pid) {
		return 0
	}
	return pid
}

// owns says whether the process is a live one that this server's folder belongs
// to, so that a number that was given to somebody else is never signalled.
func (s *Server) owns(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		_, noProc := os.Stat("/proc/self")
		return noProc != nil // without /proc the number has to do
	}
	return strings.Contains(string(environ), "CROSSFADE_BROKER="+s.Dir+"\x00")
}

func (s *Server) pidPath() string { return filepath.Join(s.Dir, "pid") }
func (s *Server) logPath() string { return filepath.Join(s.Dir, "out.log") }

func (s *Server) logTail() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-2000):])
}

func (s *Server) command() (*exec.Cmd, error) {
	switch {
	case s.Kind.amqp():
		return s.rabbitCommand()
	case s.Kind == KindKafka:
		return s.kafkaCommand()
	}
	return s.natsCommand()
}

// installed says why a kind of server cannot be started here.
func installed(kind Kind) error {
	switch kind {
	case KindRabbitMQ:
		return rabbitInstalled()
	case KindRabbitMQ4:
		return rabbit4Installed()
	case KindKafka:
		return kafkaInstalled()
	}
	return natsInstalled()
}
