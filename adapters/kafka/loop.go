package kafka

import (
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Named  = (*SourceOpener)(nil)
	_ bridge.Named  = (*SinkOpener)(nil)
	_ bridge.Looper = (*sink)(nil)
)

// Names is as bridge.Named says: the topics, or the pattern, of which only the brokers
// know which topics it names.
func (o *SourceOpener) Names() (names []string) {
	if o.config.Pattern != "" {
		return []string{"pattern " + o.config.Pattern}
	}
	for _, t := range o.config.Topics {
		names = append(names, "topic "+t)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Names is as bridge.Named says.
func (o *SinkOpener) Names() []string { return []string{o.config.what()} }

// Loops is as bridge.Looper says: the message comes from the very topic that it would
// go to. A topic is known by its ID, and by its name where the brokers have no IDs.
func (s *sink) Loops(m *bridge.Message) bool {
	from := m.Origin.Stream
	if from == nil || from.System != Kind || from.Cluster != s.target.layout.cluster {
		return false
	}
	t := s.target.topics[from.Name]
	if t == nil || from.Incarnation != t.id && (t.id != "" || from.Incarnation != unknownIncarnation) {
		return false
	}
	if s.target.only != nil {
		return t == s.target.only
	}
	name, err := s.opener.config.template.Append(nil, m, appendTopic)
	return err == nil && string(name) == t.name
}
