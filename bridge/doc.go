// Package bridge is the vocabulary of Crossfade: what a message is, what a
// queue system has to promise, and how a failure is said. Everything else in
// the repository speaks in these words. It imports the standard library only.
//
//	incumbent                    relay                        candidate
//	┌────────┐ Receive ┌──────────────────────────┐ Send  ┌───────────┐
//	│  tap   │────────►│ identify · suppress      │──────►│ lane 0..n │
//	│        │◄────────│ lanes · settle · park    │◄──────│  (fenced) │
//	└────────┘   Ack   └──────────────────────────┘settled└───────────┘
//	     ▲                      │ Park                         │ Recall
//	     └──── journal ◄────────┘              what landed ────┘
//
// # Words
//
//   - incumbent, candidate: the queue in use today; a queue that may replace it.
//   - key: what must stay in order, in general the metric's name. The empty key
//     is one key of its own per source shard.
//   - dedup ID: the identity a message keeps on every system; see ID.
//   - origin: the coordinate of a message at its source; see Origin.
//   - address: where the producer sent it; see Address.
//   - shard: what the incumbent itself keeps in order (queue, partition, stream).
//   - debt: what the source may deliver again: in flight, plus confirmed but not
//     yet durably acknowledged.
//   - tap: the bridge's own subscription at the incumbent, never an application's.
//   - relay: one tap feeding one candidate; the unit of failure, lag and scaling.
//   - lane: the slice of a relay that owns some keys and keeps their order.
//   - settled: placed, suppressed, parked, expired or looped; see Invariants.
//   - placed: durably confirmed by the candidate.
//   - suppressed: not sent, because the same identity is already placed.
//   - looped: not sent, because it comes from the target itself: by its origin, or by
//     the relays that carried it.
//   - parked: set aside with a reason at the incumbent, because it can never be
//     delivered as it is; counted, listed, replayable.
//   - held: a key whose later messages are parked behind a parked one, in order.
//   - holding: something that the bridge made at a system; see Holding.
//   - topology: what there is at a system, whoever made it; see Topology.
//   - plan: what a candidate needs, so that it serves the applications as the
//     incumbent does, beside what is there.
//   - site: what a relay reads or writes, by names that last; see Site.
//   - given back: received, but returned to the incumbent by the end of the
//     session that received it.
//   - drift: any way in which the candidate's stream differs from the incumbent's.
//
// # Invariants
//
// Cited in code where they are enforced, as in "// I1".
//
//   - I1 No early ack. A message is acknowledged at the incumbent only after it
//     and every earlier message of its shard are settled. An ID counts as placed
//     at confirmation, never at receipt.
//   - I2 Order. For every key, the first occurrences of dedup IDs at the
//     candidate are in the incumbent's order, whatever fails. After a failed or
//     unknown publish nothing later of that key is sent first.
//   - I3 Fidelity. Body bytes, address, key, ID, timestamp, properties and
//     headers survive each hop. What a system cannot carry natively travels in
//     "crossfade-" headers; what cannot be carried at all is reported before the
//     first message moves, and parked if it turns up. A null body is not an
//     empty body; absent is not zero.
//   - I4 Identity. A repeat carries the same scope and ID. The producer's own ID
//     travels unchanged. A content-derived ID suppresses nothing unless asked to.
//   - I5 Conservation. received = placed + suppressed + parked + expired +
//     looped + given back + in flight, at every moment, in one snapshot.
//   - I6 Crash-only. kill -9 at any instant, then start: no loss, and no
//     duplicates on any candidate that can be read back and fenced.
//   - I7 Isolation. A slow or dead candidate never slows the incumbent or another
//     candidate; the tap changes nothing that applications see.
//   - I8 Proof. A publish acknowledgement is not proof: verdicts on drift come
//     from independent readers, and absence of evidence is never a match.
//
// # How each system carries each field
//
// "n" is natively, "h" in a crossfade- header, "n/h" natively where it survives, "+p"
// that some of it is parked. Adapters declare it (see Carrier); OPERATING.md has the
// conditions, and what taps lose (see Giver).
//
//	field                        RabbitMQ queue     RabbitMQ stream    RabbitMQ exchange  Kafka              NATS
//	body                         n+p                n+p                n+p                n+p                n+p
//	null body                    h                  h                  h                  n                  h
//	empty body                   n                  n                  n                  n                  n
//	key                          h                  h                  h                  n                  h
//	native key that differs      h                  h                  h                  n                  h
//	ID                           n/h                n/h                n/h                h                  n/h
//	address                      n                  n                  n+p                n+p                n+p
//	foreign address              h                  h                  h                  h                  h
//	time                         n/h                n/h                n/h                n/h                h
//	expiration                   n                  n                  n                  h                  h
//	time to live                 n/h                n/h                n/h                h                  h
//	priority                     n                  n                  n                  h                  h
//	content type and encoding    n                  n                  n                  h                  h
//	correlation ID               n                  n                  n                  h                  h
//	reply-to                     n/h                n/h                n/h                h                  h
//	other properties             n/h                n/h                n/h                h                  h
//	property that is zero        n                  n                  n                  h                  h
//	header: text                 n+p                n+p                n+p                n                  n+p
//	header: octets               n                  n/h                n                  n                  h
//	header: integer and bool     n                  n                  n                  h                  h
//	header: unsigned 64 bits     h                  h                  h                  h                  h
//	header: float                n/h                n/h                n/h                h                  h
//	header: decimal              n                  h                  h                  h                  h
//	header: timestamp            n                  n/h                n/h                h                  h
//	header: table and array      n                  h                  n                  h                  h
//	header: null                 n                  n                  n                  n                  h
//	header order                 n/h                h                  n/h                n                  h
//	header repeats               n/h                h                  n/h                n                  n
//	header: odd text             n                  n                  n                  n                  h
//	header name not UTF-8        n                  n                  n                  h                  h
//	control header               n/h                n/h                n/h                n/h                n/h
//
// A Kafka tombstone is Body == nil. A repeated null header is two Header values
// of TypeNull with the same name. A NATS header with two values is two Header
// values with the same name, in order. An AMQP decimal is TypeDecimal with its
// five wire octets. An absent AMQP priority is no Property; priority 0 is a
// Property with Num 0.
package bridge
