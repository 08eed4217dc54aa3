package memory

import "github.com/crossfade-mq/crossfade/bridge"

var (
	_ bridge.Carrier = (*SinkOpener)(nil)
	_ bridge.Giver   = (*SourceOpener)(nil)
)

// Carries says that everything is carried as it is: messages stay what they are.
func (o *SinkOpener) Carries() []bridge.Mapping {
	lines := everything()
	if o.config.MaxBody > 0 {
		lines[bridge.FieldBody].Parks, lines[bridge.FieldBody].Limit = bridge.ReasonOversized, "above max_body"
	}
	return lines
}

// Gives says that everything comes as it was put.
func (*SourceOpener) Gives() []bridge.Mapping { return everything() }

func everything() []bridge.Mapping {
	lines := make([]bridge.Mapping, 0, len(bridge.Fields()))
	for _, f := range bridge.Fields() {
		lines = append(lines, bridge.Mapping{Field: f})
	}
	return lines
}
