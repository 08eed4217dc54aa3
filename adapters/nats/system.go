package nats

import (
	"sync"

	"github.com/nats-io/nuid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Adapter is the line of the adapter table.
func Adapter() bridge.Adapter {
	return bridge.Adapter{Kind: Kind, System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s := &system{name: name, process: nuid.Next()}
		if err := settings(&s.config); err != nil {
			return nil, err
		}
		if err := s.config.finish(name); err != nil {
			return nil, err
		}
		return s, nil
	}}
}

// A system is one NATS server or cluster, as configured.
type system struct {
	name    string
	config  SystemConfig
	process string // unlike that of any other process

	mu    sync.Mutex
	alive map[*connection]struct{} // guarded by mu
}

// Source validates the from block of a relay.
func (s *system) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	var c SourceConfig
	if err := settings(&c); err != nil {
		return nil, err
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	if c.Core {
		return &coreSourceOpener{system: s, id: id, config: c}, nil
	}
	return &SourceOpener{system: s, id: id, config: c}, nil
}

// Sink validates the to block of a relay.
func (s *system) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	var c SinkConfig
	if err := settings(&c); err != nil {
		return nil, err
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	if c.Core {
		return &coreSinkOpener{system: s, id: id, config: c}, nil
	}
	return &SinkOpener{system: s, id: id, config: c}, nil
}

// opened and closed keep the set of connections, so that a test can cut them.
func (s *system) opened(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive == nil {
		s.alive = map[*connection]struct{}{}
	}
	s.alive[c] = struct{}{}
}

func (s *system) closed(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alive, c)
}

var (
	_ bridge.System        = (*system)(nil)
	_ bridge.Keeper        = (*system)(nil)
	_ bridge.Surveyor      = (*system)(nil)
	_ bridge.Provisioner   = (*system)(nil)
	_ bridge.Tapping       = (*SourceOpener)(nil)
	_ bridge.Tapping       = (*coreSourceOpener)(nil)
	_ bridge.Targeting     = (*SinkOpener)(nil)
	_ bridge.Targeting     = (*coreSinkOpener)(nil)
	_ bridge.SourceOpener  = (*SourceOpener)(nil)
	_ bridge.SourceOpener  = (*coreSourceOpener)(nil)
	_ bridge.SinkOpener    = (*SinkOpener)(nil)
	_ bridge.SinkOpener    = (*coreSinkOpener)(nil)
	_ bridge.JournalOpener = (*SourceOpener)(nil)
	_ bridge.Checker       = (*SourceOpener)(nil)
	_ bridge.Checker       = (*coreSourceOpener)(nil)
	_ bridge.Checker       = (*SinkOpener)(nil)
	_ bridge.Checker       = (*coreSinkOpener)(nil)
	_ bridge.Sited         = (*SourceOpener)(nil)
	_ bridge.Sited         = (*coreSourceOpener)(nil)
	_ bridge.Sited         = (*SinkOpener)(nil)
	_ bridge.Sited         = (*coreSinkOpener)(nil)
	_ bridge.Named         = (*SourceOpener)(nil)
	_ bridge.Named         = (*coreSourceOpener)(nil)
	_ bridge.Named         = (*SinkOpener)(nil)
	_ bridge.Named         = (*coreSinkOpener)(nil)
	_ bridge.Looper        = (*sink)(nil)
	_ bridge.Looper        = (*coreSink)(nil)
	_ bridge.Source        = (*source)(nil)
	_ bridge.Source        = (*coreSource)(nil)
	_ bridge.Backlogger    = (*source)(nil)
	_ bridge.Holder        = (*source)(nil)
	_ bridge.Sink          = (*sink)(nil)
	_ bridge.Sink          = (*coreSink)(nil)
	_ bridge.Recaller      = (*sink)(nil)
	_ bridge.Lane          = (*lane)(nil)
	_ bridge.Lane          = (*coreLane)(nil)
	_ bridge.Journal       = (*journal)(nil)
)
