package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Kind is the word for this adapter in a configuration.
const Kind = "memory"

// A StreamConfig says how a stream is kept.
type StreamConfig struct {
	// Name of the stream.
	Name string `yaml:"name"`
	// Shards is over how many shards Put spreads keys; 0 is 1.
	Shards int `yaml:"shards"`
	// Partitions is by how many partitions a Routed sink goes; 0 is 1. Repartition
	// changes it.
	Partitions int `yaml:"partitions"`
	// Keep bounds the stream: of the messages that every tap has acknowledged,
	// about Keep of the newest are held. 0 holds all. Recall and Locate see what
	// is held, so a target keeps no less than its sinks promise to recall, times
	// their lanes.
	Keep int `yaml:"keep"`
	// Borrows makes the stream hold the very slices that sinks are given, instead of
	// copies: for those who never change them again, as relays do not.
	Borrows bool `yaml:"-"`
}

// A SourceConfig says what a source reads and what it promises.
type SourceConfig struct {
	// Stream is what is read.
	Stream string `yaml:"stream"`
	// Start is where a new tap begins: first (the first held message, the
	// default), now, a time, a position, or an origin of this stream.
	Start bridge.Start `yaml:"start"`
	// Unacked bounds how many deliveries of a session may be un-acknowledged;
	// Receive then waits. 0 is no bound.
	Unacked int `yaml:"unacked"`
	// Slack is how many of the latest acknowledgements Broker.Restart forgets.
	Slack int `yaml:"slack"`
	// Turn makes the stream's shards come in turns, as partitions do that are fetched
	// one by one: up to so many messages of one before those of the next, and each
	// session begins with another. 0 keeps the stored order over all.
	Turn int `yaml:"turn"`
}

// A SinkConfig says what a sink writes to and what it promises.
type SinkConfig struct {
	// Stream is written to.
	Stream string
	// Fence is FenceNone, FenceExpect or FenceEpoch.
	Fence bridge.Fence
	// Survives goes into the traits. With SurvivesAny an oversized message is
	// answered as a Placement's Refused, with SurvivesPrefix by Send.
	Survives bridge.Survivors
	// Recall is how many messages can be read back; 0 is none.
	Recall int
	// Suppresses makes the stream drop repeats of an ID for that long.
	Suppresses time.Duration
	// MaxBody is the largest body in octets; 0 is no limit.
	MaxBody int
	// Lanes is the useful number of lanes; 0 is 8.
	Lanes int
	// Window is how many messages of a lane may be unanswered; 0 is 4096.
	Window int
	// Latency is the time between a Send and its answer; 0 answers within Send.
	Latency time.Duration
	// Routed makes the stream's partitions dictate the lane of a message: partition p
	// is that of lane p modulo Lanes.
	Routed bool
	// Recreated accepts a stream that was deleted and made again.
	Recreated bool
}

// Reliable is a sink with everything that the contract knows: fenced, read back
// in full, a prefix surviving.
func Reliable(stream string) SinkConfig {
	return SinkConfig{Stream: stream, Fence: bridge.FenceExpect, Recall: 1 << 16}
}

func (c SinkConfig) withDefaults() SinkConfig {
	if c.Lanes == 0 {
		c.Lanes = 8
	}
	if c.Window == 0 {
		c.Window = 4096
	}
	return c
}

func (c SinkConfig) validate() error {
	switch {
	case c.Stream == "":
		return fmt.Errorf("%s: sink: no stream is named", Kind)
	case c.Fence == bridge.FenceLock || c.Fence > bridge.FenceEpoch:
		return fmt.Errorf("%s: sink: fence %q is not one of none, expected position, epoch", Kind, c.Fence)
	case c.Recall < 0, c.MaxBody < 0, c.Lanes < 0, c.Window < 0, c.Latency < 0, c.Suppresses < 0:
		return fmt.Errorf("%s: sink: numbers and durations are not negative", Kind)
	}
	return nil
}

// Adapter is the line of the adapter table. A system whose name is that of one
// of the brokers uses it; any other system gets a Broker of its own.
func Adapter(brokers ...*Broker) bridge.Adapter {
	var mu sync.Mutex
	named := make(map[string]*Broker, len(brokers))
	for _, b := range brokers {
		named[b.cluster] = b
	}
	return bridge.Adapter{Kind: Kind, System: func(name string, settings bridge.Decode) (bridge.System, error) {
		var s struct {
			Streams []StreamConfig `yaml:"streams"`
		}
		if err := settings(&s); err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		b := named[name]
		if b == nil {
			b = NewBroker(name)
			named[name] = b
		}
		for _, c := range s.Streams {
			if _, err := b.Create(c); err != nil {
				return nil, err
			}
		}
		return system{b}, nil
	}}
}

type system struct{ broker *Broker }

// Holdings is as bridge.Keeper says.
func (s system) Holdings(ctx context.Context, of string) ([]bridge.Holding, error) {
	return s.broker.Holdings(ctx, of)
}

// Remove is as bridge.Keeper says.
func (s system) Remove(ctx context.Context, of, relay string) error {
	return s.broker.Remove(ctx, of, relay)
}

func (s system) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	var c SourceConfig
	if err := settings(&c); err != nil {
		return nil, err
	}
	return s.broker.Source(id, c)
}

func (s system) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	t := sinkSettings{Fence: "expect", Survives: "prefix", Recall: 1 << 16}
	if err := settings(&t); err != nil {
		return nil, err
	}
	c, err := t.config()
	if err != nil {
		return nil, err
	}
	return s.broker.Sink(id, c)
}

// sinkSettings is a SinkConfig in the words of the configuration.
type sinkSettings struct {
	Stream     string         `yaml:"stream"`
	Fence      string         `yaml:"fence"`
	Survives   string         `yaml:"survives"`
	Recall     int            `yaml:"recall"`
	Suppresses time.Duration  `yaml:"suppresses"`
	MaxBody    int            `yaml:"max_body"`
	Lanes      int            `yaml:"lanes"`
	Window     int            `yaml:"window"`
	Latency    time.Duration  `yaml:"latency"`
	Routed     bool           `yaml:"routed"`
	Accept     bridge.Accepts `yaml:"accept"`
}

// risks are the words of a sink's accept list.
var risks = map[string]string{"recreated": "a stream that was deleted and made again is written to, without what it held"}

func (t sinkSettings) config() (SinkConfig, error) {
	c := SinkConfig{
		Stream: t.Stream, Recall: t.Recall, Suppresses: t.Suppresses, MaxBody: t.MaxBody,
		Lanes: t.Lanes, Window: t.Window, Latency: t.Latency, Routed: t.Routed, Recreated: t.Accept.Has("recreated"),
	}
	if err := t.Accept.Validate(risks); err != nil {
		return c, fmt.Errorf("%s: sink: %w", Kind, err)
	}
	switch t.Fence {
	case "none":
		c.Fence = bridge.FenceNone
	case "expect":
		c.Fence = bridge.FenceExpect
	case "epoch":
		c.Fence = bridge.FenceEpoch
	default:
		return c, fmt.Errorf("%s: sink: fence %q is not one of none, expect, epoch", Kind, t.Fence)
	}
	switch t.Survives {
	case "prefix":
		c.Survives = bridge.SurvivesPrefix
	case "any":
		c.Survives = bridge.SurvivesAny
	default:
		return c, fmt.Errorf("%s: sink: survives %q is not one of prefix, any", Kind, t.Survives)
	}
	return c, nil
}

// Source validates a source's settings. It opens nothing.
func (b *Broker) Source(id bridge.Identity, c SourceConfig) (*SourceOpener, error) {
	switch {
	case c.Stream == "":
		return nil, fmt.Errorf("%s: source: no stream is named", Kind)
	case c.Unacked < 0, c.Slack < 0, c.Turn < 0:
		return nil, fmt.Errorf("%s: source %s: unacked, slack and turn are not negative", Kind, c.Stream)
	case c.Turn > 0 && c.Slack > 0:
		return nil, fmt.Errorf("%s: source %s: slack and turn do not go together; leave one of them out", Kind, c.Stream)
	}
	return &SourceOpener{broker: b, identity: id, id: id.String(), config: c}, nil
}

// Sink validates a sink's settings. It opens nothing.
func (b *Broker) Sink(id bridge.Identity, c SinkConfig) (*SinkOpener, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &SinkOpener{broker: b, id: id.String(), config: c}, nil
}

// checkStream is the preflight that source and sink share.
func (b *Broker) checkStream(ctx context.Context, name string) []bridge.Finding {
	f := bridge.Finding{Subject: "stream " + name}
	if s, err := b.lookup(ctx, name); err != nil {
		f.Level, f.Text, f.Hint = bridge.Fail, err.Error(), bridge.HintOf(err)
	} else {
		f.Text = fmt.Sprintf("there, with %d messages", s.Len())
	}
	return []bridge.Finding{f}
}

var (
	_ bridge.System        = system{}
	_ bridge.Keeper        = system{}
	_ bridge.Keeper        = (*Broker)(nil)
	_ bridge.Sited         = (*SourceOpener)(nil)
	_ bridge.Sited         = (*SinkOpener)(nil)
	_ bridge.Named         = (*SourceOpener)(nil)
	_ bridge.Named         = (*SinkOpener)(nil)
	_ bridge.Looper        = (*sink)(nil)
	_ bridge.SourceOpener  = (*SourceOpener)(nil)
	_ bridge.SinkOpener    = (*SinkOpener)(nil)
	_ bridge.JournalOpener = (*SourceOpener)(nil)
	_ bridge.Checker       = (*SourceOpener)(nil)
	_ bridge.Checker       = (*SinkOpener)(nil)
	_ bridge.Source        = (*source)(nil)
	_ bridge.Backlogger    = (*source)(nil)
	_ bridge.Holder        = (*source)(nil)
	_ bridge.Resumer       = (*source)(nil)
	_ bridge.Sink          = (*sink)(nil)
	_ bridge.Recaller      = (*sink)(nil)
	_ bridge.Router        = routedSink{}
	_ bridge.Locator       = (*sink)(nil)
	_ bridge.Lane          = (*lane)(nil)
	_ bridge.Journal       = (*journal)(nil)
)
