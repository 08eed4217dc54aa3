package drift

import "time"

// An Observation is what a reader of one side says about one message. All hashes are
// the caller's, by the same functions for both sides, with a seed that producers do not
// know where these may be hostile. Of those with 64 bits the lower 60 count.
type Observation struct {
	// Key is the hash of the ordering key.
	Key uint64
	// ID is the hash of the dedup ID, within its key.
	ID uint64
	// Body is the digest of the body; null and empty differ.
	Body uint64
	// Head is the digest of headers and properties.
	Head uint32
	// Place is the digest of where the message is at the candidate; what the incumbent's
	// reader gives is where the mapping would have it. 0 is not judged.
	Place uint32
	// Shard is of the incumbent's, or what else keys have in common that come to a halt
	// together.
	Shard uint16
	// Anonymous says that the ID was derived from the content, so that equal ones are
	// messages of their own and no repeats.
	Anonymous bool
	// Loop says that the message has been where it is before.
	Loop bool
	// At is when the reader had it, on one clock for both sides, since any epoch.
	At time.Duration
	// Expires is when the message ceases to matter, on that clock; 0 is never.
	Expires time.Duration
	// Window is which one the message belongs to, the same on both sides, such as the
	// time of its event divided by ten seconds. For Constant only.
	Window int64
	// Time is the message's own time, on the clock of At; 0 is not known. For Constant
	// only, which keeps no time of messages.
	Time time.Duration
}

// Watermarks say how far readers have come, on the clock of Observation.At. They do not
// fall.
type Watermarks struct {
	// Read is, by side: every message that the side stored before that time has been
	// observed, or is in a gap.
	Read [2]time.Duration
	// Passed: every message that the incumbent stored before that time, and that the
	// candidate will ever store, is stored there and observed. It is what makes the last
	// message of a key missing; 0 where nobody can prove it.
	Passed time.Duration
	// Windows are, by side: all of every window below has been observed, or is in a gap.
	// For Constant only.
	Windows [2]int64
}

// A Finding is one difference, or one thing that was found not to be one.
type Finding struct {
	Kind Kind
	// Key and ID are those of the message.
	Key, ID uint64
	// Incumbent and Candidate are when each side's reader had it; 0 is never.
	Incumbent, Candidate time.Duration
	// Extent is, of what is reordered, how many messages of the key came before it at
	// the candidate since the first that should have come after it (RFC 4737, 4.2.2).
	Extent uint32
	// Found is when it was found.
	Found time.Duration
}

// Counts are what a comparison has come to. Everything that was observed is in one of
// them, or pending.
type Counts struct {
	// Observed messages, by side.
	Observed [2]uint64
	// Matched: both sides have it. Drift of the pair is counted by kind beside it.
	Matched uint64
	// Drift by kind.
	Drift [Kinds]uint64
	// Repeats of an ID that the incumbent itself holds more than once: those that the
	// candidate has too are matched, by side those that only one has.
	Repeats [2]uint64
	// Expired: it ceased to matter before it came.
	Expired uint64
	// Incomparable, by side: its counterpart may be in a gap of the other side, or the
	// reader could not make it out.
	Incomparable [2]uint64
	// Recovered: it had been found missing, and came after all.
	Recovered uint64
	// Unordered: its order was not judged.
	Unordered uint64
	// Before the beginning, by side: not judged, since the other side's reader began
	// behind it.
	Before [2]uint64
}

// Windows are counted by what became of them.
type Windows struct {
	// Same: no difference. Different: with some, all of which were told.
	Same, Different uint64
	// Overflown had more differences than can be told. What they held is incomparable.
	Overflown uint64
	// Gapped lie in a gap of a reader. What they held is incomparable.
	Gapped uint64
	// Open are not judged yet.
	Open int
}

// A Report is the state of a comparison.
type Report struct {
	Counts
	// Pending by side: observed, and neither matched nor found to be anything else.
	Pending [2]uint64
	// Oldest is when the oldest pending message was observed, by side, by the latest
	// sweep; 0 is none. What came before that is judged.
	Oldest [2]time.Duration
	// Swept is when that was. Where Oldest is 0, what came before Swept is judged.
	Swept time.Duration
	// Reached is up to when, at least, the candidate has shown what the incumbent's reader
	// observed, as far as that is known while keys are held.
	Reached time.Duration
	// Stuck is how many keys are stuck at present.
	Stuck int
	// Grace is how long a message that was passed may still come, at present.
	Grace time.Duration
	// Lag is how much later the candidate's reader had matched messages: the median and
	// the 99.9th percentile.
	Lag, LagMost time.Duration
	// Windows of a Constant comparison.
	Windows Windows
	// Octets are what the comparison holds.
	Octets int
	// Unlisted is how many findings were counted only, because nobody took them.
	Unlisted uint64
}
