package rabbitmq

import "github.com/crossfade-mq/crossfade/bridge"

var (
	_ bridge.Carrier = (*sinkOpener)(nil)
	_ bridge.Giver   = (*sourceOpener)(nil)
)

// Carries is the target's mapping at the generation of the broker; until one was
// connected to, at both.
func (o *sinkOpener) Carries() []bridge.Mapping {
	return atGeneration(&o.system.major, func(major int) []bridge.Mapping { return carried(o.target.kind, major) })
}

// Gives is what the tap gives, likewise.
func (o *sourceOpener) Gives() []bridge.Mapping {
	return atGeneration(&o.system.major, func(major int) []bridge.Mapping { return given(o.settings.Tap, major) })
}

type loader interface{ Load() int32 }

func atGeneration(known loader, lines func(major int) []bridge.Mapping) []bridge.Mapping {
	switch major := known.Load(); {
	case major >= 4:
		return lines(4)
	case major > 0:
		return lines(3)
	}
	three, four := lines(3), lines(4)
	for i := range three {
		three[i] = either(three[i], four[i])
	}
	return three
}

// either is a line for both generations.
func either(three, four bridge.Mapping) bridge.Mapping {
	if three == four {
		return three
	}
	m := three
	m.Note = "from RabbitMQ 4 on " + said(four)
	if three.Note != "" {
		m.Note = three.Note + "; " + m.Note
	}
	if three.Carriage != four.Carriage {
		m.Carriage = bridge.CarriedPartly
	}
	return m
}

func said(m bridge.Mapping) string {
	switch {
	case m.Carriage == bridge.CarriedInHop && m.Note != "":
		return "in a crossfade- header: " + m.Note
	case m.Carriage == bridge.CarriedInHop:
		return "in a crossfade- header"
	}
	return m.Note
}

// alike is what all targets of RabbitMQ have in common, in the order of the fields.
var alike = [...]bridge.Mapping{
	{Field: bridge.FieldBody, Parks: bridge.ReasonOversized, Limit: "above the broker's max_message_size"},
	{Field: bridge.FieldNullBody, Carriage: bridge.CarriedInHop, Note: "AMQP has none; it is seen as empty"},
	{Field: bridge.FieldEmptyBody},
	{Field: bridge.FieldKey, Carriage: bridge.CarriedInHop},
	{Field: bridge.FieldNativeKey, Carriage: bridge.CarriedInHop},
	{Field: bridge.FieldID, Carriage: bridge.CarriedPartly, Note: "as message-id up to 255 octets where the message has no other"},
	{Field: bridge.FieldAddress},
	{Field: bridge.FieldForeignAddress, Carriage: bridge.CarriedInHop},
	{Field: bridge.FieldTime, Carriage: bridge.CarriedPartly, Note: "whole seconds that a timestamp property says"},
	{Field: bridge.FieldExpiration, Note: "what remains of it, in milliseconds"},
	{Field: bridge.FieldTTL, Carriage: bridge.CarriedPartly, Note: "milliseconds of 32 bits; what remains of it where it was counted"},
	{Field: bridge.FieldPriority},
	{Field: bridge.FieldContentType},
	{Field: bridge.FieldCorrelation},
	{Field: bridge.FieldReplyTo, Carriage: bridge.CarriedPartly, Note: "not amq.rabbitmq.reply-to, nor more than 255 octets"},
	{Field: bridge.FieldProperties, Carriage: bridge.CarriedPartly, Note: "not another user's user-id, nor a delivery mode that the target sets or refuses"},
	{Field: bridge.FieldZero},
	{Field: bridge.FieldHeaderText, Parks: bridge.ReasonOversized, Limit: "all headers above one frame, 128 KiB"},
	{Field: bridge.FieldHeaderBytes},
	{Field: bridge.FieldHeaderInteger},
	{Field: bridge.FieldHeaderUint64, Carriage: bridge.CarriedInHop, Note: "queues and streams make it signed"},
	{Field: bridge.FieldHeaderFloat, Carriage: bridge.CarriedPartly, Note: "not NaN and infinite, which the broker cannot read"},
	{Field: bridge.FieldHeaderDecimal},
	{Field: bridge.FieldHeaderTimestamp},
	{Field: bridge.FieldHeaderTable},
	{Field: bridge.FieldHeaderNull},
	{Field: bridge.FieldHeaderOrder},
	{Field: bridge.FieldHeaderRepeats},
	{Field: bridge.FieldHeaderBinary},
	{Field: bridge.FieldHeaderName},
	{Field: bridge.FieldHeaderControl, Carriage: bridge.CarriedPartly, Note: "not by which RabbitMQ acts: CC, BCC, x-death, x-delay, …"},
}

// carried is how a target of a kind carries each field.
func carried(kind string, major int) []bridge.Mapping {
	lines := append([]bridge.Mapping(nil), alike[:]...)
	at := func(f bridge.Field) *bridge.Mapping { return &lines[f] }
	stream, exchange := kind == typeStream, kind == toExchange
	if stream || major >= 4 {
		at(bridge.FieldHeaderOrder).Carriage = bridge.CarriedInHop
		at(bridge.FieldHeaderRepeats).Carriage = bridge.CarriedInHop
		at(bridge.FieldHeaderRepeats).Note = "but the first of each name"
	}
	if exchange {
		*at(bridge.FieldAddress) = bridge.Mapping{Field: bridge.FieldAddress, Parks: bridge.ReasonName, Limit: "a routing key above 255 octets; one without a binding is unroutable"}
		at(bridge.FieldHeaderTable).Note = "a stream that is bound there drops it"
		if major < 4 {
			at(bridge.FieldHeaderOrder).Note = "a stream that is bound there sorts them by name"
		}
		at(bridge.FieldHeaderControl).Note += "; a stream that is bound there may drop x- headers"
	}
	if kind == typeQuorum && major >= 4 {
		at(bridge.FieldPriority).Note = "a quorum queue delivers higher ones first"
	}
	if stream || exchange {
		at(bridge.FieldHeaderTimestamp).Carriage = bridge.CarriedPartly
		at(bridge.FieldHeaderTimestamp).Note = "not more than milliseconds of 64 bits can say"
		at(bridge.FieldHeaderDecimal).Carriage = bridge.CarriedInHop
		at(bridge.FieldHeaderDecimal).Note = "a stream would end the connection"
	}
	if stream {
		at(bridge.FieldExpiration).Note += "; streams keep what has expired"
		at(bridge.FieldHeaderTable).Carriage = bridge.CarriedInHop
		at(bridge.FieldHeaderTable).Note = "streams drop it"
		at(bridge.FieldHeaderControl).Note = "none that begins with x-, nor CC and BCC"
		if major >= 4 {
			at(bridge.FieldHeaderBytes).Carriage = bridge.CarriedInHop
			at(bridge.FieldHeaderBytes).Note = "streams make text of it"
		}
	}
	return lines
}
