// Package drift says in what a candidate's stream differs from the incumbent's: message
// by message, key by key, in order. It is pure: time is an argument, and there is no
// goroutine and no I/O. Whoever reads the streams makes an Observation of each message
// and says with Watermarks how far it has come; the verdicts are Findings and Counts.
//
// # What differs
//
// Let I and C be what the readers of the two sides saw of a key, in order, and n(m) the
// place of m in I.
//
//	missing       in I; C has gone past it, by a later message of the key or by a proof
//	              that all has come, and the grace is over. Jepsen (kafka workload):
//	              lost-write; total-queue: lost.
//	extra         in C, and the incumbent's reader is past the time at which it was seen
//	              there, so it never was in I. total-queue: unexpected.
//	duplicate     stored in C once more than in I. Jepsen (kafka): duplicate.
//	reordered     in C behind one that I has behind it: n(m) is below one more than the
//	              highest place that C has had. RFC 4737, section 3: Type-P-Reordered;
//	              the extent is that of section 4.2.2. Loss is not reordering.
//	corrupted     the same ID with another body. Vitess VDiff: mismatched row; Jepsen,
//	              inside one system: inconsistent-offsets.
//	header_lossy  the same body with other headers or properties; the two messages say
//	              which: dropped, renamed, narrowed, collapsed, truncated. Diffy: missing
//	              field, extra field, type difference.
//	misrouted     on another partition, subject or queue than the mapping says. We know
//	              of no counterpart.
//	late          in both, in C later than in I by more than the objective. RFC 7679:
//	              one-way delay.
//	stuck_key     the oldest of a key waits for long, while others of its shard that came
//	              after it are through. Head-of-line blocking; Jepsen (kafka): unseen, of
//	              one key.
//	loop          the message says that it has been where it is before. Replicator's
//	              provenance headers; x-received-from of RabbitMQ's federation.
//
// What is none of these is in one of the following states.
//
//	matched       in both; what is wrong with the pair is counted beside it.
//	pending       seen on one side, and no proof yet. Jepsen (kafka): unseen; AWS DMS:
//	              pending records. The last message of a key stays so until somebody can
//	              prove that all has come.
//	repeat        an ID that the incumbent itself holds more than once. The candidate may
//	              have the others or not.
//	expired       it ceased to matter before it came.
//	recovered     it was found missing, and came after all. total-queue: recovered.
//	incomparable  its counterpart may be where a reader saw nothing: absence of evidence
//	              is no drift, and no match. AWS DMS: suspended records.
//	unordered     matched, and its place was not judged.
//	before        of the candidate, in front of the first message of its key that both
//	              readers have, when the incumbent's began. While keys are held (Hold) it
//	              is whatever of the candidate's first messages is rather that than drift.
//
// A gap is a range that a side's reader has not seen. Redelivery, the same stored
// position coming again to a reader, is for the reader to leave out.
//
// # Two modes
//
// Exact holds what waits: memory grows with the lag, and every verdict is as above.
// Constant holds a sketch for each window, whatever the lag, and two IDs for each key.
// It finds loss, repetition and altered content of any pattern exactly, as long as a
// window has no more differences than its sketch can tell, and says so when it has.
//
//	fault                                    Exact    Constant
//	loss, with a later message of the key    caught   caught, when the window is over
//	loss of a key's last message             caught with a proof (Watermarks.Passed); pending without | when the window is over
//	loss and duplicate in one place          caught   caught
//	duplicate within Options.Remember IDs    caught   caught
//	a duplicate that comes after more        named extra, or too late for its window: incomparable
//	two neighbours change places             caught   caught
//	one message moves back by many           caught   caught, as one; without the extent
//	one message moves forward by many        caught, as all that it passed | as the one
//	many moves that overlap                  caught   sometimes; the rest is unordered
//	bits, truncation, headers, place         caught   caught
//	equal contents without ID, lost          caught, though not which one | likewise
//	equal contents without ID, changed places not, nothing tells them apart
//	delay                                    caught   caught where messages have times and the incumbent's reader is on time
//	a key that is stuck                      caught   caught
//	a message that never reached the incumbent's stored stream   not: I is what is stored
//	a fault on both sides that is the same   not
//	two bodies with one digest               not: 1 in 2^60
package drift
