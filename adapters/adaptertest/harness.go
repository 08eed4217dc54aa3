package adaptertest

import (
	"context"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// T is what a check and a fixture need of a *testing.T.
type T interface {
	Helper()
	// Name is unique per check; use it in names of queues and streams, with
	// what the system does not like in names replaced.
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	// Fatalf ends the check. It is called from the check's own goroutine only.
	Fatalf(format string, args ...any)
	Failed() bool
	// Cleanup runs f after the check, last first.
	Cleanup(f func())
	// Context ends shortly before the cleanup.
	Context() context.Context
}

// A Harness is how the suite gets at one adapter in one configuration. An
// adapter with several kinds of tap or target has a harness for each.
type Harness struct {
	// Name stands in the matrix: "rabbitmq quorum tap, stream target".
	Name string
	// New makes topology for one check: fresh, empty, under names of its own, and
	// removed by t.Cleanup. The checks run one after the other.
	New func(t T) Fixture
	// Patience is how long anything that is promised "within seconds" may take
	// before a check fails; 0 is 10 s. Waits end as soon as they can.
	Patience time.Duration
	// Background names what else may start goroutines in this process, such as a
	// broker that is embedded in the test: a goroutine whose stack contains one
	// of these strings is not taken for a leak.
	Background []string
}

// A Fixture is the topology of one check: an empty place that the source taps,
// and an empty target that the sink writes to, not connected with each other.
type Fixture struct {
	// Start gives the openers as a process of the bridge has them. Every call
	// gives another process with the same bridge.Identity and settings: it shares
	// no connection and no state with those before, as if it ran on another host.
	// The tap need not exist before its source is first opened; checks open it
	// before they Put. If its Unacked is bounded, then by 64 or more: checks hold
	// as many back.
	Start func(t T) Process
	// Put stores messages at the place that the source taps, in the order given,
	// the way a producer would: with the system's own client and not the
	// adapter's sink. It returns once they are stored. Key, ID.Value and Body
	// have to be so placed that the source, as the openers are configured, finds
	// them again, or Identify does (a routing key or subject or token; message-id
	// or Nats-Msg-Id; crossfade-id; …). It is safe for concurrent use with Read. Keys are of the form "key-3", IDs of the form "id-17", bodies are not
	// empty; there are no headers and no properties. nil if there is no source.
	Put func(ctx context.Context, msgs []bridge.Message) error
	// Identify does what the relay does to find the key and the ID of a message
	// that Put stored. nil if the source finds them itself.
	Identify func(*bridge.Delivery)
	// Read gives everything that the target has taken since the fixture was made,
	// in the order of the target, whoever sent it, and does so again at the next
	// call: where reading takes messages away, the fixture keeps them. It uses
	// the system's own client, not the adapter's source. Key, ID.Value and Body
	// have to be right; bridge.ParseID and ParseNativeID read what a sink wrote.
	// nil if there is no sink.
	Read func(ctx context.Context) ([]bridge.Message, error)
	// Loop gives a process whose source taps what its sink writes, in a place of
	// its own that is empty. The source is opened before the sink sends. Needed
	// if the adapter has both.
	//
	// Where the sink's traits say Routed, everything that goes to this place routes
	// to lane 0, and the targets of all fixtures are partitioned alike, so that some
	// keys of the form "key-3" route to lane 0 and some, if it has several
	// partitions, to lane 1.
	Loop func(t T) Process
	// Repartition adds partitions to the target, so that about half of the keys are
	// kept in another one, and returns once the system says so. nil if the sink is
	// not Routed, or the fixture cannot: then the check that wants it says so.
	Repartition func(ctx context.Context) error
	// Missing gives a process whose source and sink name an exchange, stream or
	// topic that does not exist. Needed unless the traits say that nothing is
	// durable, since such systems may know no topology.
	Missing func(t T) Process
	// Keeper gives the system of the source as a further process has it, which
	// knows what the bridge made there. nil if the adapter makes nothing. Then
	// Identity, which the processes of Start have, and Other, which gives a process
	// of another relay of the same bridge that taps the same place, are not needed.
	Keeper   func(t T) bridge.Keeper
	Identity bridge.Identity
	Other    func(t T) Process
	// Inventory lists all that an operator's tools show at the system, each as a
	// name, a tab, and its settings and state: what the suite's own clients have
	// changed included, but no connections. It does not use the adapter. nil if the
	// fixture cannot: then a change that the adapter does not tell of is not seen.
	Inventory func(ctx context.Context) ([]string, error)
	// Restart stops the system and starts it again with what it has stored; it
	// returns once the system answers. nil if the harness cannot: then the checks
	// that want it say so in the report.
	Restart func(ctx context.Context) error
}

// A Process is a bridge as the system sees it.
type Process struct {
	Source bridge.SourceOpener // nil if the adapter has none
	Sink   bridge.SinkOpener   // nil if the adapter has none
	// Kill is the death of the process without a word: its connections are cut
	// and nothing is closed in order. Sessions of this process are of no use
	// afterwards, but may be closed. Calling it twice is harmless. nil means that
	// to abandon the sessions is as good as death.
	Kill func()
}
