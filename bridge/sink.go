package bridge

import "context"

// A Sink is a connection to a candidate, from which lanes are opened.
type Sink interface {
	// Open begins a session of one lane (0 ≤ lane < the number of lanes in use).
	// It first fences: once it has returned, nothing that an earlier session of
	// this lane sent, in any process, can become visible behind the back of this
	// one; where the traits have no fence it does not. Settled is called as Lane
	// says. An earlier session of the same lane in this process must have been
	// closed.
	Open(ctx context.Context, lane int, settled Settled) (Lane, error)

	// Close releases everything. Idempotent; nothing to flush. Lanes are closed
	// before.
	Close() error
}

// A Lane is an ordered session with the candidate. A third party that has only
// a blocking "publish these, say how many are durable" uses BatchSink.
type Lane interface {
	// Send hands messages to the wire in order, and blocks only while the lane's
	// window is full. n of them were handed over; n == len(msgs) exactly when the
	// error is nil. If the error is a Reject, it is about msgs[n], which was not
	// and will not be sent, and the lane goes on: the caller continues behind it.
	// Any other error, that of ctx included, ends the lane. The lane may use the
	// messages until they are settled or the lane is closed. One caller at a
	// time.
	Send(ctx context.Context, msgs []*Message) (n int, err error)

	// Close ends the session. When it has returned, settled is not called any
	// more; what was not settled is of unknown outcome. Idempotent. It does not
	// wait for the system.
	Close() error
}

// Settled reports that the next n messages of the lane, in the order in which
// they were sent, are durable in the order given; placements has n entries or
// is nil. It is valid only during the call. An error comes once, last, and ends
// the lane: what is not reported by then is of unknown outcome. If that error
// is a Reject, it is about the first message not reported. Calls of one lane do
// not overlap. Settled does not block; it may be called from within Send.
type Settled func(n int, placements []Placement, err error)

// A Placement is what the candidate said about one message.
type Placement struct {
	// Position is where the candidate stored it, where it says so; else 0.
	Position uint64
	// Repeat says that the candidate already had it and stored it no second time.
	Repeat bool
	// Refused, if not nil, is a Reject: the candidate will never take this
	// message, did not store it, and all others are unaffected. Only lanes whose
	// traits say SurvivesAny report it, since there nothing later of the key is
	// on its way.
	Refused error
}

// A Recaller reads back what was placed. Sinks may have it; the traits say how
// much it can recall.
type Recaller interface {
	// Recall calls each with the newest messages that this relay placed through the
	// lane, the newest first, up to n of them or until each wants no more. Where a lane
	// writes to several logs, as to partitions, it does so for one log after another.
	// It is called after Open and before the first Send of that lane, and sees all that
	// any earlier session placed.
	Recall(ctx context.Context, lane int, n int, each func(Placed) (more bool)) error
}

// A Placed message is one that was read back from the candidate.
type Placed struct {
	ID  ID
	Key string
	// Position is where it is in its log.
	Position uint64
	// Log tells the logs of a lane apart; 0 where there is one.
	Log int32
	// Origin is the message's, as it was carried; zero where it cannot be read.
	Origin Origin
}

// A Router dictates the lane of a message. Sinks have it where the target's own
// partitioning decides what is kept in order, and their traits say Routed.
//
// A relay opens one sink for its routes alone, before it receives anything, and
// keeps it for the session; nothing is sent before every lane has fenced and read
// back, because what this session sends through one lane an earlier one may have
// placed through another. Where a lane finds that a message belongs to another
// lane by now, as when partitions were added, it ends with ErrRerouted.
type Router interface {
	// Route gives the lane, 0 ≤ lane < lanes, by what the sink knew when it was
	// opened: messages that the target keeps in order with each other get the same,
	// as do those of one key and address. It is pure and does no I/O. Safe for
	// concurrent use.
	Route(m *Message, lanes int) int
}

// A Looper knows its target when a message comes from there. Sinks have it whose
// target can be the origin of messages.
type Looper interface {
	// Loops says that the message's origin is the stream that the sink writes to, by
	// what it knew when it was opened: in doubt it is not, since what loops is not
	// sent. It is pure and does no I/O. Safe for concurrent use.
	Loops(m *Message) bool
}

// A Locator finds a dedup ID at the candidate. Sinks may have it.
type Locator interface {
	// Locate gives the position of the newest message with that ID.
	Locate(ctx context.Context, key string, id ID) (position uint64, found bool, err error)
}
