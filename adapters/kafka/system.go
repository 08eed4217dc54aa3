package kafka

import (
	"crypto/rand"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Adapter is the line of the adapter table.
func Adapter() bridge.Adapter {
	return bridge.Adapter{Kind: Kind, System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s := &system{name: name, process: rand.Text()}
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
	name    string
	config  SystemConfig
	process string // unlike that of any other process

	mu    sync.Mutex
	alive map[*conn]struct{} // guarded by mu
	dead  bool               // guarded by mu: a test has killed the process
}

// opened keeps the set of connections, so that a test can cut them as the death of the
// process does; a dead process has none.
func (s *system) opened(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if s.alive == nil {
		s.alive = map[*conn]struct{}{}
	}
	s.alive[c] = struct{}{}
	return true
}

func (s *system) closed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alive, c)
}

var (
	_ bridge.System        = (*system)(nil)
	_ bridge.Keeper        = (*system)(nil)
	_ bridge.SourceOpener  = (*SourceOpener)(nil)
	_ bridge.JournalOpener = (*SourceOpener)(nil)
	_ bridge.Checker       = (*SourceOpener)(nil)
	_ bridge.Sited         = (*SourceOpener)(nil)
	_ bridge.Source        = (*source)(nil)
	_ bridge.Holder        = (*source)(nil)
	_ bridge.Resumer       = (*source)(nil)
	_ bridge.Backlogger    = (*source)(nil)
	_ bridge.Journal       = (*journal)(nil)
)
