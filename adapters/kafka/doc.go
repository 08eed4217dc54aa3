// Package kafka connects the bridge with Apache Kafka: topics, as source and as
// sink.
//
//	incumbent                                            candidate
//	┌ topics ────────┐ Fetch, every leader  ┌───────┐ Produce, idempotent   ┌ topics ──────┐
//	│ partition 0..n │─────────────────────►│ relay │──────────────────────►│ partition 0..m│
//	└────────────────┘                      │       │◄──────────────────────│              │
//	┌ group ─────────────────────────┐      │       │ Fetch: markers, what  └──────────────┘
//	│ crossfade.BRIDGE.RELAY offsets │◄─────│ Ack   │ landed                 ┌ transaction ─┐
//	└────────────────────────────────┘      │       │───────────────────────►│ epochs       │
//	┌ crossfade.BRIDGE.RELAY.parked ─┐      │       │ fence: begin, abort    └──────────────┘
//	│ journals                       │◄─────│ Park  │
//	└────────────────────────────────┘      └───────┘
//
// # What is kafka-go's, and what is ours
//
// kafka-go's package protocol has the typed requests and package sasl the
// mechanisms. Connections, group membership, record batches and the frames of
// Produce, Fetch, Metadata, OffsetForLeaderEpoch, Heartbeat and LeaveGroup are our own: its Reader
// takes null for empty, gives records of aborted transactions and passes silently
// over what retention removed; its Writer doubles a batch on a retry and goes on
// behind one that failed; its Transport caches the layout of the cluster; its
// decoder forgets where a compacted batch ends. A connection is an epoch: what
// breaks it ends it.
//
// # Source
//
// The tap is a consumer group of the relay's own, so no application's offsets move and
// no application's group is rebalanced. In it all partitions go to one process.
// Another one looks who is in the group before it joins, and stands by while somebody
// is: a second member would have the group agree on a generation anew. Who has died is
// given up after session_timeout; at once, if it was on the same machine and is known to
// be gone. A rebalance that somebody else brings about is joined, and the session goes
// on with what it has.
//
// Offsets are committed under the group's generation, at the low watermark of each
// partition, at most 200 times a second, and never backwards; with them go the topic's
// ID, the leader epoch and, after an orderly end, what was settled above the watermark.
// Hold is a commit that the coordinator takes. All positions are written when a session
// begins, before anything is read.
//
// A fetch asks every leader for all of its partitions at once, by the topics' IDs where
// brokers have them (3.1), and read-committed unless uncommitted is set. Batches are
// checked (CRC-32C), records of aborted transactions and control batches left out, and
// the next fetch begins behind the batch's last offset, so compacted tails are passed.
// What waits in this process is bounded by max_bytes, as it came over the wire. A
// leader that moves, and a connection that breaks, cost its partitions a moment and the
// others nothing; after request_timeout without one the session ends and says so.
//
// A position below the log's start is a gap, one above its end, or whose leader epoch the
// cluster does not know, is a loss of the cluster's, and a topic with another ID was made
// again. All stop the relay with what is missing; accept: [gaps] goes on at the first
// record that is held, where the offsets of the origins show it, and [recreated] at the
// first one of the new topic. Offsets that are gone from the group stop it too. An
// operator who has them set by kafka-consumer-groups is obeyed.
//
// Partitions that were added, and topics that match the pattern by now, are noticed
// within five seconds and begin a new session, and are read from their first record,
// whatever start says. An origin as start is a record of one partition; the others begin
// at their first one.
//
// # Sink
//
// Lanes follow partitions, so one without a leader keeps only its own lane waiting. A
// partition is chosen by Java's default partitioner over the metric's key, which is
// the record's key unless the settings say otherwise; without a key by the number
// that the message had.
//
// Every partition has a transactional ID of its own, which does not depend on how
// many lanes there are. To open a lane is to ask for its next epoch, begin a
// transaction and abort it, and to read until the marker of that abort is there: from
// then on brokers refuse batches of an earlier epoch, in whatever process or
// buffer they were held up (KIP-98, KIP-360). What is sent then are plain
// idempotent batches, one at a time for each partition, the next one filling
// meanwhile; so nothing has to be committed, and read-committed consumers wait for
// nobody. A batch is sent again as it was, with its sequence, when its outcome is
// not known. What survives a failed pipeline is a prefix of each partition.
//
// Recall reads each partition backwards from its end and takes what has this
// relay's crossfade-relay header. What compaction took away is not there, and sent
// again it would stand behind newer messages of its key: a topic that is compacted
// within an hour (min.compaction.lag.ms) is refused, unless accept: [compacted] is
// written.
//
// A message that a leader refuses ends its lane with everything in front of it
// settled; one that is larger than the topic takes is refused before it is sent, where
// the topic's settings may be seen. A lane looks every few seconds whether partitions
// were added to its topics, whereupon the relay routes anew, or one was deleted and
// made again.
//
// # Mapping
//
//	Address     topic and partition; another one in crossfade-address
//	Key         the record's key, else crossfade-id; KindKey where the record's differs
//	ID          crossfade-id
//	Body        value; null is null
//	Headers     octets, null and text natively, in order, with repeats; which of them
//	            are text in crossfade-types; other types in crossfade-headers
//	Properties  crossfade-property
//	Time        the record's, in milliseconds, where the topic keeps the producer's;
//	            finer, or on other topics, crossfade-time; "none" where there is none
//	Origin      cluster ID, topic, topic ID, partition, offset
//
// Topics are made by template. Octets other than ASCII letters, digits and '-' are
// written _XX, an empty token "_": '.' and '_' are one to Kafka's metrics, so only
// dots that separate tokens stay.
//
// A message whose crossfade- headers cannot be read keeps them among its Headers, and
// every sink rejects it as poison.
//
// # What it leaves
//
// A topic crossfade.holdings.BRIDGE notes what is made before it is made: the relay's
// group and its journals, which are topics crossfade.BRIDGE.RELAY.PURPOSE of one
// partition that keep everything. By these notes, and not by names, they are listed and
// removed, the group first, which brokers refuse while a process is in it. The notes
// hold too which lives of topics a relay reads, as a cluster forgets a group's offsets
// of a topic that is deleted. Transactional IDs cannot be deleted; brokers forget them
// after transactional.id.expiration.ms, a week.
//
// # Limits
//
// A relay that is away for longer than offsets.retention.minutes, a week, has lost its
// offsets and stops. A journal's record whose answer is lost may be there twice. On
// brokers without topic IDs (before 2.8) a topic that is made again is told only where it
// is shorter than what was read. A join costs group.initial.rebalance.delay.ms, three
// seconds by default, whenever the group was empty.
//
// # What it needs to be allowed
//
// Source: Read and Describe on the topics, Read, Describe and Delete on groups
// crossfade.*, Create, Describe, Read, Write and Delete on topics crossfade.*. Sink: Write, Read, Describe and
// DescribeConfigs on the topics, Create with create:, Write and Describe on
// transactional IDs crossfade.*, IdempotentWrite where brokers are older than 3.0.
package kafka
