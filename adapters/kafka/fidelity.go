package kafka

import "github.com/crossfade-mq/crossfade/bridge"

var (
	_ bridge.Carrier = (*SinkOpener)(nil)
	_ bridge.Giver   = (*SourceOpener)(nil)
)

// Carries is the mapping of topics that keep the producer's time.
func (o *SinkOpener) Carries() []bridge.Mapping {
	return carried(o.config.Timestamp == timestampOriginal)
}

// Gives is what topics give.
func (*SourceOpener) Gives() []bridge.Mapping { return given() }

// carried is how a topic carries each field. keepTime says that records carry the
// message's own time.
func carried(keepTime bool) []bridge.Mapping {
	lines := make([]bridge.Mapping, 0, len(bridge.Fields()))
	for _, f := range bridge.Fields() {
		m, ok := native[f]
		if !ok || f == bridge.FieldTime && !keepTime {
			m = bridge.Mapping{Carriage: bridge.CarriedInHop}
		}
		m.Field = f
		lines = append(lines, m)
	}
	return lines
}

// native holds the fields that do not travel in a crossfade- header alone.
var native = map[bridge.Field]bridge.Mapping{
	bridge.FieldBody:      {Parks: bridge.ReasonOversized, Limit: "a record above the topic's max.message.bytes"},
	bridge.FieldNullBody:  {Note: "a tombstone: a compacted topic deletes the key by it"},
	bridge.FieldEmptyBody: {},
	bridge.FieldKey:       {Note: "the record key, unless the message had another at Kafka"},
	bridge.FieldNativeKey: {Note: "the record key"},
	bridge.FieldAddress:   {Parks: bridge.ReasonName, Limit: "a topic's name above 249 characters"},
	bridge.FieldTime: {
		Carriage: bridge.CarriedPartly, Note: "whole milliseconds since 1970 that the topic takes (message.timestamp.….max.ms), unless it has LogAppendTime",
	},
	bridge.FieldExpiration: {
		Carriage: bridge.CarriedInHop, Note: "Kafka does not act on it; past it the next relay counts the message as expired",
	},
	bridge.FieldHeaderText:    {Note: "as octets; crossfade-types says that it is text"},
	bridge.FieldHeaderBytes:   {},
	bridge.FieldHeaderNull:    {},
	bridge.FieldHeaderOrder:   {},
	bridge.FieldHeaderRepeats: {},
	bridge.FieldHeaderBinary:  {},
	bridge.FieldHeaderControl: {Carriage: bridge.CarriedPartly, Note: "text, octets and null: Kafka acts on no header"},
}

// given is what a topic gives of what producers at Kafka can write.
func given() []bridge.Mapping {
	return []bridge.Mapping{
		{Field: bridge.FieldBody},
		{Field: bridge.FieldNullBody, Note: "a tombstone"},
		{Field: bridge.FieldEmptyBody},
		{Field: bridge.FieldKey, Note: "the record key, or where the settings find it"},
		{Field: bridge.FieldNativeKey},
		{Field: bridge.FieldID, Note: "where the settings find it, else topic, partition and offset"},
		{Field: bridge.FieldAddress, Note: "topic and partition"},
		{Field: bridge.FieldTime, Note: "the producer's or the broker's, as the topic says: milliseconds"},
		{Field: bridge.FieldHeaderBytes},
		{Field: bridge.FieldHeaderNull},
		{Field: bridge.FieldHeaderOrder},
		{Field: bridge.FieldHeaderRepeats},
		{Field: bridge.FieldHeaderName},
		{Field: bridge.FieldHeaderControl, Note: "as octets"},
	}
}
