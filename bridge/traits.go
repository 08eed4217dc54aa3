package bridge

import "time"

// SourceTraits are what a source promises, declared as data per adapter and
// tap. The conformance suite reads them to know what to expect, validation to
// refuse what cannot hold, and the documents print them.
type SourceTraits struct {
	// Ordered: deliveries of a shard come in its stored order.
	Ordered bool
	// Durable: what is not acknowledged survives the death of the bridge.
	// Without it the tap is at-most-once and I1 and I6 are waived, aloud.
	Durable bool
	// Replayable: Origin is a stored position, so IDs may be derived from it.
	Replayable bool
	// OwnPositions: what Origin counts in is a log that this tap alone has, so that
	// another tap of the same place has other positions for the same messages.
	OwnPositions bool
	// Competing: the source takes messages away from an application's readers.
	Competing bool
	// SourceTime: messages carry a time of their own.
	SourceTime bool
	// Unacked bounds how many deliveries may be un-acknowledged; 0 is no bound.
	Unacked int
	// Slack is how many acknowledged messages may be delivered again after the
	// death of the *system*, because it acknowledges before it syncs.
	Slack int
	// Sharded: several shards, each with a position of its own. Sources are Resumers, and
	// have no Slack: it would be as far back at the target as the shards lie apart.
	Sharded bool
	// Lease is how long a delivery may stay un-acknowledged; 0 is for ever.
	Lease time.Duration
	// Journals: the system can hold journals, so messages are parked there.
	Journals bool
	// Notes are what an operator should know, one sentence each.
	Notes []string
}

// SinkTraits are what a sink promises, declared as data per adapter and target.
type SinkTraits struct {
	// Durable: settled means stored. Without it the target is at-most-once.
	Durable bool
	// Fence says how earlier sessions are kept from reaching the target.
	Fence Fence
	// Survives says what of a failed pipeline may be found at the target.
	Survives Survivors
	// Recall is how many of the newest placed messages can be read back; 0 is
	// none, and then I6 is waived, aloud: after a crash what is within the debt
	// may be there twice, with the same ID.
	Recall int
	// Suppresses: the target itself drops repeats of an ID for that long.
	Suppresses time.Duration
	// MaxBody is the largest body in octets; 0 is not known before Open.
	MaxBody int
	// Lanes is the useful number of lanes; 1 where one session carries all.
	Lanes int
	// Routed: sinks are Routers, which dictate the lane of each message. Their fence is
	// then not FenceExpect: a key that goes by another lane for a while leaves the former
	// one as a session that was stopped expects it, and what that one wakes with gets in.
	Routed bool
	// Notes are what an operator should know, one sentence each.
	Notes []string
}

// A Fence says how a session keeps earlier ones from reaching the target.
type Fence uint8

// The kinds of fence.
const (
	FenceNone   Fence = iota
	FenceLock         // an owner's lock: the loser of the lock cannot publish
	FenceExpect       // compare-and-set: each message names what must precede it
	FenceEpoch        // the system refuses older epochs
)

// String is the fence's name in documents and status.
func (f Fence) String() string {
	return [...]string{"none", "owner lock", "expected position", "epoch"}[f&3]
}

// Survivors says which messages of a pipeline that failed may be stored.
type Survivors uint8

// What may survive a failed pipeline.
const (
	// SurvivesPrefix: a prefix in the order sent, so that one key may have many
	// messages in flight.
	SurvivesPrefix Survivors = iota
	// SurvivesAny: any subset, so that one key has at most one in flight. // I2
	SurvivesAny
)

// String is the name in documents and status.
func (s Survivors) String() string {
	if s == SurvivesAny {
		return "any subset"
	}
	return "a prefix"
}
