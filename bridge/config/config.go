package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

// A Config is a whole configuration, checked.
type Config struct {
	// Name is the bridge's durable identity: taps, locks and journals at the
	// brokers are named by it.
	Name    string    `yaml:"name"`
	HTTP    HTTP      `yaml:"http"`
	Log     Log       `yaml:"log"`
	Systems []*System `yaml:"systems"`
	Relays  []*Relay  `yaml:"relays"`
	// Comparisons run beside the relays, and by themselves.
	Comparisons []*Comparison `yaml:"comparisons"`

	loader *loader
}

// HTTP is the console's listener.
type HTTP struct {
	// Listen is host:port, port 0 for any free one, or "off".
	Listen string `yaml:"listen"`
}

// Log is how the process logs.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is auto (text on a terminal, else JSON), text or json.
	Format string `yaml:"format"`
}

// A System is one queue system.
type System struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"`
	// Settings are the adapter's own.
	Settings Block `yaml:",inline"`
	// System is what the adapter made of them.
	System bridge.System `yaml:"-"`
}

// A Relay is one tap feeding one candidate.
type Relay struct {
	Name string       `yaml:"name"`
	From Endpoint     `yaml:"from"`
	To   Endpoint     `yaml:"to"`
	Key  identify.Key `yaml:"key"`
	ID   identify.ID  `yaml:"id"`
	// Park is what becomes of a message that can never be delivered: "hold-key"
	// sets it aside at the incumbent, and later messages of its key behind it;
	// "skip" goes on with them; "stop" stops the relay.
	Park string `yaml:"park"`
	// ParkFile is where messages are set aside when the incumbent keeps no
	// journals. A relative path is relative to the folder of the file.
	ParkFile string `yaml:"park_file"`
	// Order is "key" (default), or "none" for a source that has no order to keep.
	Order string `yaml:"order"`
	// ReverseOf names the relay whose way back this one is: what came by the one is
	// not sent by the other.
	ReverseOf string `yaml:"reverse_of"`
	Limits    Limits `yaml:"limits"`

	// Identity, Source and Sink are what the blocks were made into.
	Identity bridge.Identity     `yaml:"-"`
	Source   bridge.SourceOpener `yaml:"-"`
	Sink     bridge.SinkOpener   `yaml:"-"`
	// Place is file:line of the relay.
	Place string `yaml:"-"`
}

func (r *Relay) setDefaults() { r.Park, r.Order = ParkHold, OrderKey }

// Holds says that messages wait behind a parked one of their key.
func (r *Relay) Holds() bool { return r.Park == ParkHold && r.Order == OrderKey }

// Relay gives the relay of that name; nil if there is none.
func (c *Config) Relay(name string) *Relay {
	for _, r := range c.Relays {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// System gives the system of that name; nil if there is none.
func (c *Config) System(name string) *System {
	for _, s := range c.Systems {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// An Endpoint is one side of a relay.
type Endpoint struct {
	// System is the name of one of the systems.
	System string `yaml:"system"`
	// Settings are the adapter's own.
	Settings Block `yaml:",inline"`
}

// Limits bound a relay. Zero values mean the relay's defaults.
type Limits struct {
	Debt       int           `yaml:"debt"`
	Bytes      Size          `yaml:"bytes"`
	Window     int           `yaml:"window"`
	Batch      int           `yaml:"batch"`
	Parked     int           `yaml:"parked"`
	Drain      time.Duration `yaml:"drain"`
	Backoff    time.Duration `yaml:"backoff"`
	BackoffMax time.Duration `yaml:"backoff_max"`
}

// What becomes of messages that can never be delivered.
const (
	ParkHold = "hold-key"
	ParkSkip = "skip"
	ParkStop = "stop"
)

// What stays in order.
const (
	OrderKey  = "key"
	OrderNone = "none"
)

// A Size is a number of octets: "1048576" or "1MiB".
type Size int64

var sizeUnits = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// UnmarshalText reads a number with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.factor {
			break
		}
		*s = Size(n * u.factor)
		return nil
	}
	return fmt.Errorf("want a number of octets, such as 1048576 or 1MiB")
}
