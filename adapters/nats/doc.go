// Package nats connects the bridge with NATS: JetStream streams and core NATS
// subjects, each as source and as sink.
//
//	incumbent                                         candidate
//	┌ stream ───────┐  pull, no acks   ┌───────┐  publish + expected sequence  ┌ stream ┐
//	│ telemetry.>   │─────────────────►│ relay │──────────────────────────────►│        │
//	└───────────────┘                  │       │◄──────────────────────────────│        │
//	┌ CROSSFADE_BRIDGE ─────────────┐  │       │  PubAcks to an own inbox      └────────┘
//	│ crossfade.BRIDGE.checkpoint.* │◄─│ Ack   │
//	└───────────────────────────────┘  │       │
//	┌ CROSSFADE-JOURNAL_BRIDGE ─────┐  │       │
//	│ crossfade.BRIDGE.journal.>    │◄─│ Park  │
//	└───────────────────────────────┘  └───────┘
//
// # JetStream source
//
// The tap is an ephemeral pull consumer without acknowledgements, so it changes
// nothing that applications see. The relay's position is the bridge's own: one
// record in a small stream at the incumbent, written by Ack at the low watermark,
// at most 200 times a second, and confirmed before Ack returns. Each write names
// the record that it follows, so positions never go backwards and a session whose
// successor has begun is refused. A durable consumer with acknowledgements would
// give back what a dead process held only after its AckWait, and behind newer
// messages. What is acknowledged above a gap is kept by an orderly end of a
// session; after a death it comes again.
//
// The consumer's sequence proves that nothing is missing between the server and
// the relay; the stream's first sequence, that its limits removed nothing ahead
// of it. A stream that was deleted and made again is told by its creation time.
//
// A relay that has never run begins at the first message that the stream holds, or
// as start says: now, at a time, a sequence, or an origin of this life of the
// stream. A position that the stream does not hold is refused with what would be
// missing. Where it began is written down before the first message is given.
//
// While another process of the same relay lives, it has the tap and the next one
// stands by; it is asked over core NATS, and the answer that there is none comes at
// once. One that is stopped, or whose connection is half open, does not answer: a
// second later the tap is taken over, and when it wakes it finds its checkpoint
// outdated. Processes that start together may all be told that there is nobody;
// the checkpoint has one newest holder all the same.
//
// # What is tapped, and what it costs
//
// The tap of a stream with limits retention changes neither what the stream holds,
// drops and refuses nor where the application's consumers stand. It is one
// consumer more, which the server keeps for ten minutes after a death; a stream
// with max_consumers is tapped with accept: [consumers] only. It asks for the
// stream's state once for each batch behind a hole, which for a tap of some subjects
// is every batch.
//
// Streams with work queue or interest retention are refused. A reader of its own is
// refused by a work queue and keeps messages in an interest stream. A mirror, or a
// stream that sources, has such a reader too: on nats-server 2.15 it acknowledges
// about once a second, until when the application's stream keeps what the
// application has done with and, if it discards new messages, refuses producers; and
// a work queue keeps for ever what a mirror had not acknowledged when it was
// deleted. What does change nothing is to let the stream republish into another
// one, and to tap that: the refusal says how. The copy has no past, its origins
// are its own, and what its stream refuses is missing from it without a trace:
// messages with Nats-Expected headers, and what comes while it is full or gone.
//
// # What it leaves
//
// All that the bridge makes carries metadata: crossfade-bridge, crossfade-purpose
// and, where it is one relay's, crossfade-relay. By these it is listed and removed,
// never by its name. Relays share the two streams, so a relay's removal purges its
// subjects; the streams go when no relay has anything any more. A relay is not
// removed while a process runs it or may wake up and go on.
//
// # JetStream sink
//
// One lane for a stream that this relay alone writes to. Each message names the
// stream's newest sequence and the dedup header of the message before it; the
// first of a session names the sequence that was read at Open. So one that fails,
// or an earlier session's that comes late, makes the server refuse all behind it:
// what survives is a prefix, whatever the duplicates window is. The sequence alone
// would not do: a late pipeline of an earlier session passes it as soon as the
// stream has grown to where that session thought it was. Messages without an ID
// get a made-up dedup header for the chain's sake. A repeat that the window
// catches is settled and ends the lane, since the sequence does not rise; the
// relay opens the next one. Recall reads headers back, up to the sequence of Open.
//
// A stream that is deleted and made again is told by its creation time, at every
// session of the lane, and by sequences that fall within one. It is refused unless
// accept: [recreated] is written.
//
// A stream with max_msgs_per_subject is refused as a target: what the limit removed
// cannot be recalled, so after a crash an older value would take the place of a
// newer one.
//
// With shared: true others may write into the stream; then nothing is fenced, and
// any subset of a pipeline may survive, so one message of a key is in flight. The
// same holds with consumed: true, for a stream that cannot be read back: after a
// crash what was placed is sent again, and each repeat that the window catches
// would end a fenced lane.
//
// # Core NATS
//
// At most once, as the traits say. A source that cannot keep up ends its session,
// aloud. A sink settles what the server has read, whoever hears it.
//
// # Mapping
//
//	Address     subject; another one in crossfade-address
//	Key, ID     Nats-Msg-Id (the injective text of both), else crossfade-id
//	Body        payload; a null body by crossfade-body
//	Headers     natively where they arrive as they were: text, a valid name, no
//	            blanks around the value, no control characters, valid UTF-8;
//	            their order, if it is not that of names, in crossfade-order.
//	            All else, and what NATS gives a meaning to (Nats-…, Status,
//	            Description), in crossfade-headers
//	Properties  crossfade-property; a core source has reply-to from the reply subject
//	Time        crossfade-time; of messages that no hop wrote, the server's
//	Expires     crossfade-expires; of messages that no hop wrote, what Nats-TTL says
//	            in a stream that allows it, counted from the delivery
//	Origin      cluster, stream, creation time, 0, sequence
//
// A message whose crossfade- headers cannot be read keeps them among its Headers. The
// sinks reject such a message as poison, and one that another adapter could not
// decode, which has a header crossfade-unreadable.
//
// Subjects are made by template. Octets other than ASCII letters, digits and
// -_/:=+@,~!#()[]&;|^ are written %XX, an empty token "%", so different names stay
// different and can be read back. Dots of an address stay dots.
//
// # Limits
//
// Bodies with their headers up to the server's max_payload (1 MiB by default) and
// the stream's max_msg_size, headers up to 64 KiB, subjects up to about 4,000
// octets: what is larger is refused before it is sent. JetStream confirms before
// it syncs to disk, every 2 minutes by default.
//
// # What it needs to be allowed
//
// Publishing to the streams' API subjects ($JS.API.STREAM.INFO, CONSUMER.CREATE,
// CONSUMER.MSG.NEXT, CONSUMER.INFO, CONSUMER.DELETE, STREAM.MSG.GET, and
// STREAM.CREATE for its own), to crossfade.> at the incumbent and to the target's
// subjects; subscribing to _INBOX.> and crossfade.BRIDGE.owner.*. Check says what
// is missing. To list and remove what relays have made: STREAM.LIST, STREAM.INFO.*,
// CONSUMER.LIST.*, STREAM.PURGE.* and STREAM.DELETE.* of its own, CONSUMER.DELETE.>.
// Asking $SYS.REQ.USER.INFO tells the account, which is part of what a relay's name
// stands for; grant it from the start or never.
package nats
