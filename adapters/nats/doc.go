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
// Streams with work queue or interest retention are refused: a second reader
// would change them. While another process of the same relay lives, it has the
// tap and the next one stands by; it is asked over core NATS and the answer that
// there is none comes at once.
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
//	Origin      cluster, stream, creation time, 0, sequence
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
// is missing.
package nats
