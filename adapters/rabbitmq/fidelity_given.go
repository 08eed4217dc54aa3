package rabbitmq

import "github.com/crossfade-mq/crossfade/bridge"

// given is what a tap gives of what producers at RabbitMQ can write. What the
// producer's own client cannot write is not among it: amqp091-go keeps headers in a
// map and writes no priority 0, others do.
func given(tap string, major int) []bridge.Mapping {
	stream := tap == typeStream
	lines := []bridge.Mapping{
		{Field: bridge.FieldBody},
		{Field: bridge.FieldEmptyBody},
		{Field: bridge.FieldKey, Note: "where the settings find it"},
		{Field: bridge.FieldID, Note: "message-id, or where the settings find it"},
		{Field: bridge.FieldAddress, Note: "exchange and routing key"},
		{Field: bridge.FieldTime, Note: "the timestamp property: whole seconds"},
		{Field: bridge.FieldExpiration, Note: "counted from the delivery"},
		{Field: bridge.FieldTTL},
		{Field: bridge.FieldPriority},
		{Field: bridge.FieldContentType},
		{Field: bridge.FieldCorrelation},
		{Field: bridge.FieldReplyTo},
		{Field: bridge.FieldProperties},
		{Field: bridge.FieldZero},
		{Field: bridge.FieldHeaderText},
		{Field: bridge.FieldHeaderBytes},
		{Field: bridge.FieldHeaderInteger},
		{Field: bridge.FieldHeaderUint64, Carriage: bridge.CarriedPartly, Note: "a classic queue gives it; quorum queues and streams make it signed"},
		{Field: bridge.FieldHeaderFloat},
		{Field: bridge.FieldHeaderDecimal},
		{Field: bridge.FieldHeaderTimestamp},
		{Field: bridge.FieldHeaderTable},
		{Field: bridge.FieldHeaderNull},
		{Field: bridge.FieldHeaderOrder},
		{Field: bridge.FieldHeaderRepeats},
		{Field: bridge.FieldHeaderBinary},
		{Field: bridge.FieldHeaderName},
		{Field: bridge.FieldHeaderControl},
	}
	set := func(f bridge.Field, c bridge.Carriage, note string) {
		for i := range lines {
			if lines[i].Field == f {
				lines[i] = bridge.Mapping{Field: f, Carriage: c, Note: note}
			}
		}
	}
	switch {
	case tap == typeQuorum, stream, major >= 4:
		set(bridge.FieldHeaderUint64, bridge.CarriedLost, "it comes as a signed number")
	case tap == typeClassic:
		set(bridge.FieldHeaderUint64, bridge.CarriedNatively, "")
	}
	if stream || major >= 4 {
		set(bridge.FieldHeaderOrder, bridge.CarriedLost, "headers come sorted by name")
	}
	if major >= 4 {
		set(bridge.FieldHeaderRepeats, bridge.CarriedLost, "the first of each name comes")
	}
	if tap == typeQuorum && major >= 4 {
		set(bridge.FieldPriority, bridge.CarriedNatively, "higher ones come first")
	}
	if stream {
		set(bridge.FieldExpiration, bridge.CarriedLost, "streams do not count: a time to live begins anew at the target")
		set(bridge.FieldHeaderTimestamp, bridge.CarriedPartly, "what milliseconds of 64 bits cannot say comes as another")
		set(bridge.FieldHeaderDecimal, bridge.CarriedLost, "the broker closes the producer's connection")
		set(bridge.FieldHeaderTable, bridge.CarriedLost, "dropped: CC, BCC and x-death too")
		set(bridge.FieldHeaderControl, bridge.CarriedPartly, "x-stream-offset is the broker's own")
	}
	if stream && major >= 4 {
		set(bridge.FieldZero, bridge.CarriedPartly, "delivery mode 0, or none, comes as 1")
		set(bridge.FieldHeaderBytes, bridge.CarriedLost, "it comes as text")
		set(bridge.FieldHeaderControl, bridge.CarriedPartly, "x-stream-offset, x-exchange and x-routing-key are the broker's own")
	}
	return lines
}
