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
// the connection has ended.
//
// # Targets
//
// Publishings are mandatory and confirmed. A lane has a connection of its own and
// holds an exclusive queue on it: who has the queue is the relay's owner, and
// who loses it has lost the connection. A stream can be read back; queues and
// exchanges cannot, and their traits say so.
//
// # The client library's part
//
// amqp091-go makes the connections: authentication, heartbeats, channels,
// topology, closing. What concerns messages (publish, deliver, return, ack and
// confirm, with their headers) is read and written by this package in between
// the library's frames, see socket. That is why header order and repeats, every
// property's presence, priority 0 and delivery mode 0 survive, which the
// library's types cannot say; and it takes a fraction of the processor time.
//
// # What a message becomes
//
// Properties map one to one, with presence. Headers keep type and octets.
//
//	expiration       stays a property and starts anew at the target; Expires is
//	                 left zero, since AMQP counts from the queue, not from Time
//	timestamp        a property, and Time
//	message-id       a property; a message that has an ID and no message-id gets
//	                 one at the target, and crossfade-added tells it was added
//	delivery-mode    set to persistent for classic queues and exchanges unless
//	                 configured otherwise, and for streams from RabbitMQ 4 on, which
//	                 set it themselves; crossfade-added tells
//	user-id          carried, unless it is the connection's own user
//	CC, BCC, x-death, x-delay and others that act at a broker: carried
//	decimal headers  carried to streams and exchanges: a stream would end the
//	                 connection
//	tables, arrays   carried to streams, which lose them
//	header order and all but the first of repeated headers: carried to streams,
//	                 and to everything from RabbitMQ 4 on, where they are not kept
//	x- headers       carried to streams
//	octets (type x)  carried to streams of RabbitMQ 4, which make text of them
//	unsigned numbers of 64 bits (type L): carried
//	NaN and infinite floats: carried; the broker cannot read them
//
// What a producer's own broker changes before a tap sees it is beyond the bridge:
// RabbitMQ 4 sorts headers and drops repeats, and its streams set delivery-mode.
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
