package kafka

import (
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Adapter is the line of the adapter table.
func Adapter() bridge.Adapter {
	return bridge.Adapter{Kind: Kind, System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s := &system{name: name}
		if err := settings(&s.config); err != nil {
			return nil, err
		}
		if err := s.config.finish(name); err != nil {
			return nil, err
		}
		return s, nil
	}}
}

// A system is one Kafka cluster, as configured.
type system struct {
	name   string
	config SystemConfig

	mu    sync.Mutex
	alive map[*conn]struct{} // guarded by mu
}

// opened keeps the set of connections, so that a test can cut them.
func (s *system) opened(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive == nil {
		s.alive = map[*conn]struct{}{}
	}
	s.alive[c] = struct{}{}
}

func (s *system) closed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alive, c)
}
