package bridge

import (
	"context"
	"time"
)

// A Source is one session of a tap: it delivers what the incumbent holds for
// this relay and takes acknowledgements. An adapter does not retry, count or
// log; it returns errors, and the relay decides.
//
// After Close, or the death of its process, the next opener gets the
// un-acknowledged first, in order, within seconds, before anything newer.
type Source interface {
	// Receive fills into with 1..len(into) deliveries and says how many. It
	// blocks until there is one, ctx ends (its cause is returned), the source is
	// closed (ErrClosed) or finite input is exhausted (io.EOF, not wrapped: a
	// wrapped one is a connection that broke). It returns
	// deliveries or an error, never both and never neither. Deliveries of one
	// key come in the order of their shard; repeats are allowed, overtaking is
	// not. Any error but that of ctx ends the session: every receipt of it is
	// void. One caller at a time. What the slices of a delivered message hold
	// belongs to the caller and is not touched again by the source.
	Receive(ctx context.Context, into []Delivery) (int, error)

	// Ack acknowledges any subset in any order: what is acknowledged is not
	// delivered again to this subscription, up to the Debt in the traits, and
	// nothing un-acknowledged is ever lost because something later was
	// acknowledged. Repeats are harmless. The receipts are the caller's again on
	// return. An error ends the session. Safe beside Receive; one caller at a
	// time.
	Ack(ctx context.Context, receipts []Receipt) error

	// Close ends the session and unblocks Receive. It is idempotent and returns
	// within seconds even when the system does not answer.
	Close() error
}

// A Holder can prove that its session still holds the tap. Sources of which two
// processes can have sessions, one after the other, have it.
//
// The relay asks after every fence and recall and before it sends. If the answer
// is nil, no later session of the tap had begun by then, so nobody else can have
// placed what this session has in hand; and once a later one has begun, its fence
// holds this one off. A process that was stopped for long and wakes beside its
// successor is found out here. // I6
type Holder interface {
	// Hold asks the system, with an answer from it and not from memory. An error
	// ends the session. Safe beside all other methods.
	Hold(ctx context.Context) error
}

// A Settler is a source whose Ack returns before the system has read what it was told.
type Settler interface {
	// Settled returns once the system has read what was acknowledged before the call, with
	// an answer from it. It does not wait for what becomes of that. An error says that the
	// system did not answer. Safe beside all other methods; one caller at a time.
	Settled(ctx context.Context) error
}

// A Resumer knows where each of its shards goes on. Sources of several shards, each
// with a position of its own, have it, and their traits say Sharded.
//
// What the candidate placed last is read back only so far, and where one shard comes
// later than the others, these go on meanwhile: after a few deaths in a row what the
// late one gives again would be further back than that. So it comes first. // I6
type Resumer interface {
	// Resumes calls each, for every shard that holds something for the relay, with the
	// origin of the first message that is not acknowledged, by what the session knew
	// when it began. In doubt a shard holds something.
	Resumes(each func(Origin))
	// First makes Receive give what shards hold up to these origins, themselves
	// included, before anything else. One of each shard is named. What a shard does not
	// hold any more is not waited for. It is called once at most, and before Receive.
	First(upTo []Origin)
}

// A Backlogger knows how much waits at the source, and when nothing of it does any
// more. Sources may have it.
type Backlogger interface {
	// Backlog asks the system. Safe beside all other methods.
	Backlog(ctx context.Context) (Backlog, error)
	// Mark notes what the system has stored for the tap: all that was confirmed to
	// its producer before the call. given says whether all of that was given, by this
	// session's Receive or an earlier session that had it acknowledged, and Receive was
	// called again since: whoever handles what one call gave before the next has then
	// handled it all. It stays true, becomes so only while Receive is called, and is
	// safe for concurrent use; once the session has ended it tells nothing new. What is
	// removed meanwhile may keep it from becoming true: a newer mark tells. Where the
	// source has no way to know, the error is errors.ErrUnsupported. Any other error
	// says that the system did not answer. Safe beside all other methods, Mark included.
	Mark(ctx context.Context) (given func() bool, err error)
}

// A Backlog is what waits at a source for this relay, delivered or not, until
// it is acknowledged.
type Backlog struct {
	// Messages is how many; Bound says that it may be fewer.
	Messages int64
	Bound    bool
	// Oldest is the source's time of the oldest; zero where it is not known.
	Oldest time.Time
	// Bytes is their size where the source knows it, else -1.
	Bytes int64
}

// A Journal is a small durable append-only log that the bridge owns, kept at
// the incumbent. Parked messages and checkpoints live in journals.
type Journal interface {
	// Append returns nil once the record is durable. Records of any size up to
	// MaxRecord are taken. One caller at a time.
	Append(ctx context.Context, record []byte) error
	// Replay calls each with every record from the first, in order, and stops
	// at the first error. It returns after the last record that was durable
	// when it was called.
	Replay(ctx context.Context, each func(record []byte) error) error
	// MaxRecord is the largest record in octets.
	MaxRecord() int
	// Close releases the journal; what was appended stays.
	Close() error
}
