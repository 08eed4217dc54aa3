package demo

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// A server is a nats-server in this process, with JetStream on disk. Its port
// and its data stay the same over a restart.
type server struct {
	name, dir string

	mu      sync.Mutex
	running *natsserver.Server
	port    int
}

// startDeadline is far above the milliseconds that a start takes.
const startDeadline = 20 * time.Second

func newServer(name, dir string) *server {
	return &server{name: name, dir: filepath.Join(dir, name), port: natsserver.RANDOM_PORT}
}

// start returns once clients are served.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := natsserver.NewServer(&natsserver.Options{
		ServerName: s.name, Host: "127.0.0.1", Port: s.port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.dir,
	})
	if err != nil {
		return fmt.Errorf("demo: start the %s: %w", s.name, err)
	}
	n.Start()
	if !n.ReadyForConnections(startDeadline) {
		n.Shutdown()
		return fmt.Errorf("demo: start the %s: not ready after %s", s.name, startDeadline)
	}
	s.running = n
	if s.port == natsserver.RANDOM_PORT {
		var port int
		if _, err := fmt.Sscanf(n.ClientURL(), "nats://127.0.0.1:%d", &port); err != nil {
			return fmt.Errorf("demo: address of the %s: %w", s.name, err)
		}
		s.port = port
	}
	return nil
}

func (s *server) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("nats://127.0.0.1:%d", s.port)
}

// stop returns once everything is on disk and all clients are disconnected.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.Shutdown()
		s.running.WaitForShutdown()
		s.running = nil
	}
}
