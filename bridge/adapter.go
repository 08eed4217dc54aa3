package bridge

import "context"

// An Adapter is one line of the table that the command hands to the engine.
type Adapter struct {
	// Kind is the word in the configuration's systems: "rabbitmq", "nats", …
	Kind string
	// System validates the settings of one system. It connects to nothing.
	System func(name string, settings Decode) (System, error)
}

// Decode fills a struct with `yaml` tags from one block of the configuration,
// strictly: unknown keys, wrong types and durations without unit are errors with
// their position and a hint. A field of type Secret is redacted when printed.
type Decode func(into any) error

// A Secret is a string that no log, error, status or print-out shows.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// An Identity names a relay for the world: it is what taps, locks, checkpoints
// and journals at the brokers are named by.
type Identity struct {
	Bridge string // the configuration's name
	Relay  string // the relay's name
}

// String is bridge/relay.
func (i Identity) String() string { return i.Bridge + "/" + i.Relay }

// A System is one configured queue system.
type System interface {
	// Source validates the from block of a relay. It connects to nothing.
	Source(id Identity, settings Decode) (SourceOpener, error)
	// Sink validates the to block of a relay. It connects to nothing.
	Sink(id Identity, settings Decode) (SinkOpener, error)
}

// A SourceOpener opens sessions of one tap. Its methods are safe for concurrent
// use. It may also be a Checker, a JournalOpener, a Withholder or an IDDefaulter.
type SourceOpener interface {
	// Traits are what the tap promises as configured.
	Traits() SourceTraits
	// Open begins a session, and creates the tap if it is not there.
	Open(ctx context.Context) (Source, error)
	// Describe names the tap in a few words: "topic exchange telemetry (quorum tap)".
	Describe() string
}

// A SinkOpener opens sessions with one target. Its methods are safe for
// concurrent use. It may also be a Checker.
type SinkOpener interface {
	// Traits are what the target promises as configured.
	Traits() SinkTraits
	// Open connects.
	Open(ctx context.Context) (Sink, error)
	// Describe names the target in a few words: "stream TELEMETRY".
	Describe() string
}

// A JournalOpener keeps journals at the incumbent.
type JournalOpener interface {
	// OpenJournal opens, and creates where it is not there, the journal of that
	// purpose ("parked", …) of this relay.
	OpenJournal(ctx context.Context, purpose string) (Journal, error)
}

// A Withholder is a SourceOpener whose sessions deliver only so much that is not
// acknowledged.
type Withholder interface {
	// Withhold says that acknowledgements come seconds later, as those of a comparison
	// do: unless it is configured how much may be un-acknowledged, it is as much as the
	// system takes. It is called before everything else, Traits included.
	Withhold()
}

// A Checker looks before data moves: connection, permissions, limits, existing
// topology and what the mapping loses. It moves and changes nothing.
type Checker interface {
	Check(ctx context.Context) []Finding
}

// A Finding is one line of a preflight report.
type Finding struct {
	Level Level
	// Subject is what was looked at: "exchange telemetry".
	Subject string
	// Text says what was found; Hint what to do about it.
	Text string
	Hint string
}

// A Level ranks a Finding.
type Level uint8

// The levels of a Finding.
const (
	Pass Level = iota
	Warn
	Fail
)

// String is the word in the report.
func (l Level) String() string { return [...]string{"pass", "warn", "fail", "?"}[l&3] }
