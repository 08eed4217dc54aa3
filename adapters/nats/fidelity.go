package nats

import "github.com/crossfade-mq/crossfade/bridge"

var (
	_ bridge.Carrier = (*SinkOpener)(nil)
	_ bridge.Carrier = (*coreSinkOpener)(nil)
	_ bridge.Giver   = (*SourceOpener)(nil)
	_ bridge.Giver   = (*coreSourceOpener)(nil)
)

// Carries is the mapping of a stream.
func (o *SinkOpener) Carries() []bridge.Mapping { return carried(false) }

// Carries is the mapping of subjects without a stream.
func (o *coreSinkOpener) Carries() []bridge.Mapping { return carried(true) }

// Gives is what a stream gives.
func (o *SourceOpener) Gives() []bridge.Mapping { return given(false) }

// Gives is what a subscription gives.
func (o *coreSourceOpener) Gives() []bridge.Mapping { return given(true) }

// carried is how NATS carries each field: text in headers, and little else.
func carried(core bool) []bridge.Mapping {
	lines := make([]bridge.Mapping, 0, len(bridge.Fields()))
	for _, f := range bridge.Fields() {
		m, ok := native[f]
		if !ok {
			m.Carriage = bridge.CarriedInHop
		}
		if core && f == bridge.FieldHeaderText {
			m = bridge.Mapping{} // only max_payload bounds them
		}
		m.Field = f
		lines = append(lines, m)
	}
	return lines
}

// native holds the fields that do not travel in a crossfade- header alone.
var native = map[bridge.Field]bridge.Mapping{
	bridge.FieldBody:      {Parks: bridge.ReasonOversized, Limit: "with its headers above max_payload or max_msg_size"},
	bridge.FieldNullBody:  {Carriage: bridge.CarriedInHop, Note: "NATS has none; it is seen as empty"},
	bridge.FieldEmptyBody: {},
	bridge.FieldKey:       {Carriage: bridge.CarriedInHop, Note: "within Nats-Msg-Id where that holds the ID of a key"},
	bridge.FieldID:        {Carriage: bridge.CarriedPartly, Note: "as Nats-Msg-Id, if it tells repeats"},
	bridge.FieldAddress:   {Parks: bridge.ReasonName, Limit: "a subject too long for max_control_line"},
	bridge.FieldExpiration: {
		Carriage: bridge.CarriedInHop, Note: "NATS does not act on it; past it the next relay counts the message as expired",
	},
	bridge.FieldHeaderText:    {Parks: bridge.ReasonOversized, Limit: "all headers above 64 KiB"},
	bridge.FieldHeaderRepeats: {},
	bridge.FieldHeaderBinary:  {Carriage: bridge.CarriedInHop, Note: "clients trim blanks and fold lines"},
	bridge.FieldHeaderControl: {Carriage: bridge.CarriedPartly, Note: "text, and not by which NATS acts: Nats-…, Status, Description"},
}

// given is what a source gives of what producers at NATS can write.
func given(core bool) []bridge.Mapping {
	lines := []bridge.Mapping{
		{Field: bridge.FieldBody},
		{Field: bridge.FieldEmptyBody},
		{Field: bridge.FieldKey, Note: "where the settings find it"},
		{Field: bridge.FieldID, Note: "Nats-Msg-Id, or where the settings find it"},
		{Field: bridge.FieldAddress, Note: "the subject"},
	}
	if core {
		lines = append(lines, bridge.Mapping{Field: bridge.FieldReplyTo, Note: "the reply subject"})
	} else {
		lines = append(lines,
			bridge.Mapping{Field: bridge.FieldTime, Note: "the server's, of its arrival"},
			bridge.Mapping{Field: bridge.FieldExpiration, Note: "Nats-TTL where the stream allows it, counted from the delivery"})
	}
	return append(lines,
		bridge.Mapping{Field: bridge.FieldHeaderText},
		bridge.Mapping{Field: bridge.FieldHeaderOrder, Carriage: bridge.CarriedLost, Note: "clients keep headers in a map; the values of a name keep their order"},
		bridge.Mapping{Field: bridge.FieldHeaderRepeats},
		bridge.Mapping{Field: bridge.FieldHeaderBinary, Carriage: bridge.CarriedPartly, Note: "clients trim blanks around a value, and make blanks of line ends"},
		bridge.Mapping{Field: bridge.FieldHeaderName},
		bridge.Mapping{Field: bridge.FieldHeaderControl, Note: "Nats-…: as the producer's words, without effect"},
	)
}
