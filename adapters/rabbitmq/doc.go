// Package rabbitmq speaks AMQP 0-9-1 with RabbitMQ, from 3.10 on.
//
//	producers ──► exchange ──► application's queues       exchange ─► …
//	                 │                                  ▲
//	                 └──► tap ──► queueSource           │ mandatory, confirmed
//	                              streamSource ─► relay ─► lane ──► queue
//	                                   │ position       │         └► stream ─► Recall
//	                                   ▼                └ owner's lock
//	                              offsets stream
//
// # Taps
//
// A tap is a queue of the bridge's own, bound to the application's exchanges,
// durable, and named by bridge, relay and a hash of its arguments: quorum (the
// default), classic or stream. A queue tap has a single active consumer, so a
// second process stands by, and a bound on its size that moves the oldest
// messages into a queue beside it, never one that refuses producers. A stream tap
// is read from a position that is kept in a small stream beside it; a part of it
// that was cut off unread is an error, not a jump. An application's own queue is
// read only if the configuration says that it competes.
//
// Nothing is ever requeued: what is not acknowledged comes back, in order, when
// the connection has ended. A session that holds a message un-acknowledged for
// long, or that is sent more octets than it may keep, ends by itself for that.
//
// # What a tap may change for applications
//
// An exchange of type direct, topic, fanout or headers gives each binding a copy
// of its own. On those that choose among their bindings a tap would take messages
// away, so it is refused; of other types, and where the broker tells the type only
// to users who may configure the exchange, nothing is known, and the configuration
// has to accept it. A message that only the tap matches no longer goes to an
// alternate exchange, and its mandatory producer is not told of it: AMQP lists no
// bindings, so a wildcard is taken as such a risk. An alternate exchange that a
// policy sets cannot be seen. Through bindings between exchanges a tap sees what
// reaches its own exchange, with the exchange and key it was published with.
//
// A policy that matches the tap's name can do harm that no argument prevents:
// where both set a limit (message-ttl, expires, max-length, max-length-bytes,
// max-age, delivery-limit), the smaller one holds. What a tap sets is its
// overflow and where its oldest go; what falls out of the queue beside it goes
// nowhere. Keep policies off names that begin with "crossfade.".
//
// From RabbitMQ 4 on a quorum queue gives messages of higher priority first. A
// classic queue without x-max-priority and a stream do not: a quorum tap is
// refused there unless the configuration accepts it.
//
// # What is the bridge's own
//
// AMQP lists nothing, so the bridge notes each thing, before it makes it, in a
// stream of its own at that broker: one for all relays of a bridge, small, never
// cut off, and not written to by a restart. What is noted and there is listed and
// can be removed; what is not noted is somebody else's, whatever it is called.
// Locks end with their connection and are not noted.
//
// # A tap that changes
//
// Other bindings are bound before those that are gone are unbound. Other arguments
// or another type are another queue. The flow moves to it in one step, so that
// every message is in exactly one of the two (see tapping.change); the old one is
// read to its end, and only when all of it is acknowledged, and it has been empty
// for a while, is it deleted and the new one read. So nothing is lost or repeated
// and each key keeps its order. What fell out of the old tap stays, in its queue,
// until the relay is removed.
//
// # Marks
//
// Whether all that a tap held has been given is told by a mark: a small message that the
// session writes straight into its own tap and passes over when it comes. All that was
// there before is in front of it, so nothing is counted and nothing is a guess. Few are in
// a tap at a time, however long it is not read. They take their place within its bounds,
// and one that falls out of it is found among what fell out. Relays that share a tap pass
// over each other's. Into what is an application's nothing is written: of a stream the end
// is looked for, as the replica beside the connection knows it, and of a queue nothing can
// be told. A tap that another one has replaced has no marks: what comes is not there.
//
// # Targets
//
// Publishings are mandatory and confirmed. A lane has a connection of its own and
// holds an exclusive queue on it: who has the queue is the relay's owner, and
// who loses it has lost the connection. The channel that publishes has an exclusive
// subscription as well, to a queue that nobody writes to: the broker ends the channels
// of a lost connection later than its queues, and until then what such a channel was
// given may still be published. A stream can be read back; queues and exchanges
// cannot, and their traits say so.
//
// # The client library's part
//
// amqp091-go makes the connections: authentication, heartbeats, channels,
// topology, closing. What concerns messages (publish, deliver, return, ack and
// confirm, with their headers) is read and written by this package in between
// the library's frames, see socket. That is why header order and repeats, every
// property's presence and priority 0 survive, which the library's types cannot
// say; and it takes a fraction of the processor time.
//
// # What a message becomes
//
// Properties map one to one, with presence. Headers keep type and octets.
//
//	expiration       a property, and Expires, counted from the delivery, unless a
//	                 stream gave it, which does not count; a sink writes what
//	                 remains of Expires, and carries both as they were
//	timestamp        a property, and Time
//	message-id       a property; a message that has an ID and no message-id gets
//	                 one at the target, and crossfade-added tells it was added
//	delivery-mode    set to persistent for classic queues and exchanges unless
//	                 configured otherwise, and for streams from RabbitMQ 4 on, which
//	                 set it themselves; crossfade-added tells. Any but 1 and 2, which
//	                 only RabbitMQ 4 takes, is carried
//	user-id          carried, unless it is the connection's own user
//	CC, BCC, x-death, x-delay and others that act at a broker: carried
//	decimal headers  carried to streams and exchanges: a stream would end the
//	                 connection
//	tables, arrays   carried to streams, which lose them
//	header order and all but the first of repeated headers: carried to streams,
//	                 and to everything from RabbitMQ 4 on, where they are not kept
//	x- headers       carried to streams
//	octets (type x)  carried to streams of RabbitMQ 4, which make text of them
//	timestamps       that milliseconds of 64 bits cannot say: carried to streams and
//	                 exchanges, since a stream gives another
//	unsigned numbers of 64 bits (type L): carried
//	NaN and infinite floats: carried; the broker cannot read them
//
// What a producer's own broker changes before a tap sees it is beyond the bridge:
// RabbitMQ 4 sorts headers and drops repeats, and its streams set delivery-mode.
// What each target carries how, and what each tap loses, is declared in fidelity.go.
//
// "Carried" is in a crossfade- header, from which any adapter restores it.
//
// A message whose crossfade- headers cannot be read keeps them among its Headers.
// A message whose properties or headers are malformed, or of a type unknown here,
// has them whole, as octets, in a header named crossfade-unreadable, behind those
// that could be read. Every sink of this
// package rejects both as poison. Sinks of other adapters that take such headers
// carry them, so nothing is lost there either.
package rabbitmq
