package memory

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// first gives the position with which a new tap begins. The mutex is held.
func (s *Stream) first(start *bridge.Start) (uint64, error) {
	refuse := func(format string, args ...any) error {
		return bridge.Fatal(fmt.Errorf("%s: stream %s: start %s: %s", Kind, s.config.Name, start, fmt.Sprintf(format, args...)),
			"Write start: first for all that the stream holds, now for what comes from now on, or a position that it holds.")
	}
	switch start.Kind {
	case bridge.StartNow:
		return s.log.last + 1, nil
	case bridge.StartTime:
		if start.Time.After(time.Now()) {
			return 0, refuse("that is yet to come; what is stored until then would not be copied")
		}
		for p := s.log.first; p <= s.log.last; p++ {
			if !s.log.at(p).Time.Before(start.Time) {
				return p, nil
			}
		}
		return s.log.last + 1, nil
	case bridge.StartOrigin, bridge.StartOffset:
		switch {
		case start.Kind == bridge.StartOrigin && *start.Stream != *s.origin:
			return 0, refuse("messages of this stream are %s", bridge.Origin{Stream: s.origin, Offset: start.Offset})
		case start.Offset > s.log.last+1:
			return 0, refuse("it ends at %d; the messages from %d to %d would not be copied", s.log.last, s.log.last+1, start.Offset-1)
		case start.Offset < s.log.first:
			return 0, refuse("it begins at %d; the messages from %d to %d are gone and would not be copied", s.log.first, start.Offset, s.log.first-1)
		}
		return start.Offset, nil
	}
	return s.log.first, nil
}
