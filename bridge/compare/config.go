package compare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Stream is how one side is read: by a subscription of the comparison's own, that
// takes nothing away from anybody.
type Stream struct {
	// Open opens a session, and makes the subscription if it is not there.
	Open   func(context.Context) (bridge.Source, error)
	Traits bridge.SourceTraits
	// Identify fills in key and ID as a relay does; nil leaves them as the source set
	// them. One caller at a time.
	Identify func(*bridge.Delivery)
}

// Config is everything that a comparison needs. Name and Streams are required.
type Config struct {
	Name string
	// Streams are the incumbent's and the candidate's.
	Streams [2]Stream
	// Drift are the options of the comparison itself.
	Drift drift.Options
	// Windows, if not nil, compares by windows of the messages' own time, with sketches of
	// constant size: memory does not grow with how far the candidate is behind.
	Windows *Windows
	// Content says that IDs that were made of positions are not the same on both sides:
	// messages without a producer's ID are then told by their content.
	Content bool
	// Ignore names parts of messages that are not compared.
	Ignore Ignore
	// Place is where the mapping would have a message, by the incumbent's side, and where
	// it is, by the candidate's; 0 is not judged. nil judges none.
	Place [2]func(*bridge.Delivery) uint32
	// Loops are the identities of relays that lead from the incumbent to the candidate:
	// what one of them carried and is found at the incumbent came round.
	Loops []string
	// Whole says that both streams are read from where they are to be the same on, as in a
	// comparison of what is stored: nothing of the candidate's is from before then.
	Whole bool
	// Passed, if not nil, proves up to which time everything that the incumbent had
	// stored is stored at the candidate, as far as it will ever be; zero is not known.
	Passed func() time.Time
	// End is when a bounded comparison ends; zero is never. What both sides had stored
	// by then is judged first.
	End time.Time
	// Settle is how long after its end a bounded comparison waits for what is still
	// pending: never less than twice the 99.9th percentile of the lag. What is not there by
	// then is missing. Default twice the grace.
	Settle time.Duration
	Limits Limits
	Log    *slog.Logger
	// Found, if not nil, is given what was found, with the evidence. It is called by one
	// goroutine at a time and must not block for long.
	Found func(*Evidence)
}

// Windows are those of a comparison in constant memory. Zero values mean the defaults.
type Windows struct {
	// Every is how long a window is. Default 10 s.
	Every time.Duration
	// Lateness is how much later than its own time the incumbent may have stored a message.
	// Default 5 s.
	Lateness time.Duration
	// Behind is how far the candidate may be behind before what it has not is missing, where
	// nothing proves it earlier. Default 10 min.
	Behind time.Duration
}

func (w *Windows) setDefaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&w.Every, 10 * time.Second}, {&w.Lateness, 5 * time.Second}, {&w.Behind, 10 * time.Minute}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
}

// Limits bound a comparison. Zero values mean the defaults.
type Limits struct {
	// Pending is how many messages of a side may wait for their counterparts, at some 50
	// octets each; then that side is not read on. As many may be held at its source until
	// they are judged, at some 70 octets each; then the oldest are let go. Default 4,000,000.
	Pending int
	// Hold is how long a message that is not judged is kept at its source: after a
	// restart of the comparison it is not seen again, and its counterpart, if it comes, is
	// not judged. Default 10 min.
	Hold time.Duration
	// Flight is how many octets of the newest messages of each side are kept as evidence.
	// Default 64 MiB.
	Flight int
	// Evidence is how many findings of a kind have evidence, at once; ten seconds later one
	// more, and of a key a third of that in an hour. Default 10.
	Evidence int
	// Backoff and BackoffMax are between attempts to open a stream. Defaults 50 ms, 2 s.
	Backoff, BackoffMax time.Duration
}

func (c *Config) setDefaults() error {
	switch {
	case c.Name == "":
		return errors.New("compare: a comparison needs a name")
	case c.Streams[0].Open == nil || c.Streams[1].Open == nil:
		return errors.New("compare: a comparison needs two streams")
	}
	for side := range c.Streams {
		if err := Comparable(&c.Streams[side].Traits); err != nil {
			return fmt.Errorf("%s: %w", drift.Side(side), err)
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits.setDefaults()
	if c.Windows != nil {
		c.Windows.setDefaults()
	}
	return c.Ignore.Validate()
}

func (l *Limits) setDefaults() {
	for _, n := range []struct {
		v *int
		d int
	}{{&l.Pending, 4_000_000}, {&l.Flight, 64 << 20}, {&l.Evidence, 10}} {
		if *n.v == 0 {
			*n.v = n.d
		}
	}
	for _, n := range []struct {
		v *time.Duration
		d time.Duration
	}{{&l.Hold, 10 * time.Minute}, {&l.Backoff, 50 * time.Millisecond}, {&l.BackoffMax, 2 * time.Second}} {
		if *n.v == 0 {
			*n.v = n.d
		}
	}
}

// Comparable says whether a stream that promises this can be compared: an error says why
// not, and what to do.
func Comparable(t *bridge.SourceTraits) error {
	switch {
	case t.Competing:
		return bridge.Fatal(errors.New("a comparison would take messages away from the application that reads there"),
			"Read it by a tap with bindings of its own, or a stream.")
	case !t.Durable:
		return bridge.Fatal(errors.New("what is not read at once is gone there, and nobody can tell: a comparison could not tell loss from not looking"),
			"Capture it in a stream, and compare that.")
	case !t.Ordered:
		return bridge.Fatal(errors.New("it promises no order, so none can be compared"), "Compare a stream that does.")
	}
	return nil
}
