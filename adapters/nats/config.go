package nats

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Kind is the word for this adapter in a configuration.
const Kind = "nats"

// Defaults of the settings.
const (
	defaultConnectTimeout = 5 * time.Second
	defaultAckTimeout     = 10 * time.Second
	defaultMaxPending     = 8192
	defaultMaxBytes       = 32 << 20
	defaultWindow         = 4096
)

// SystemConfig is one block of systems.
type SystemConfig struct {
	// URL is one server; URLs are several of one cluster, tried in turn.
	URL  string   `yaml:"url"`
	URLs []string `yaml:"urls"`
	// User and Password, Token, Creds (the path of a credentials file) or NKey
	// (the path of a seed file): at most one way to say who we are.
	User     string        `yaml:"user"`
	Password bridge.Secret `yaml:"password"`
	Token    bridge.Secret `yaml:"token"`
	Creds    string        `yaml:"creds"`
	NKey     string        `yaml:"nkey"`
	TLS      *TLSConfig    `yaml:"tls"`
	// ConnectTimeout bounds dialling and the handshake with one server.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// Domain is the JetStream domain; empty is that of the server.
	Domain string `yaml:"domain"`
}

// TLSConfig asks for an encrypted connection. All are paths of PEM files.
type TLSConfig struct {
	// CA verifies the server; empty trusts the host's own authorities.
	CA string `yaml:"ca"`
	// Cert and Key are the client's own.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

func (c *SystemConfig) finish(name string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: system %s: %s", Kind, name, fmt.Sprintf(format, args...))
	}
	if c.URL != "" {
		c.URLs = append([]string{c.URL}, c.URLs...)
	}
	if len(c.URLs) == 0 {
		return wrong("url: where is the server? Write url: nats://HOST:4222")
	}
	for _, u := range c.URLs {
		if strings.TrimSpace(u) != u || u == "" || strings.ContainsAny(u, ",") {
			return wrong("url %q: one address each; several go under urls", redacted(u))
		}
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		if p, err := url.Parse(u); err != nil || p.Hostname() == "" {
			return wrong("url %q: is not an address, such as nats://HOST:4222", redacted(u)) // the parser's own words may hold a password
		}
	}
	ways := 0
	for _, is := range []bool{c.User != "", c.Token != "", c.Creds != "", c.NKey != ""} {
		if is {
			ways++
		}
	}
	switch {
	case ways > 1:
		return wrong("user, token, creds and nkey: choose one")
	case c.Password != "" && c.User == "":
		return wrong("password: wants a user")
	case c.TLS != nil && (c.TLS.Cert == "") != (c.TLS.Key == ""):
		return wrong("tls: cert and key go together")
	case c.ConnectTimeout < 0:
		return wrong("connect_timeout: is not negative")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	return nil
}

// SourceConfig is the from block of a relay.
type SourceConfig struct {
	// Stream is the JetStream stream to tap.
	Stream string `yaml:"stream"`
	// Core taps subjects without JetStream: at most once.
	Core bool `yaml:"core"`
	// Subjects filter the stream; empty is all of it. With Core they are what is
	// subscribed to.
	Subjects []string `yaml:"subjects"`
	// Start is where a relay that has no checkpoint yet begins: first (the first
	// message that the stream holds, the default), now, a time, a sequence, or an
	// origin of this stream. With Core it is now.
	Start bridge.Start `yaml:"start"`
	// MaxPending is how many messages, and MaxBytes how many octets of them, may
	// wait in this process between the server and the relay.
	MaxPending int `yaml:"max_pending"`
	MaxBytes   int `yaml:"max_bytes"`
	// Accept lists the risks that are taken: "recreated", "consumers".
	Accept bridge.Accepts `yaml:"accept"`
}

// The words of accept lists.
const (
	acceptRecreated = "recreated" // go on where the stream was deleted and made again
	acceptConsumers = "consumers" // tap a stream that bounds how many consumers it takes
)

// What the words of an accept list take on.
var (
	sourceRisks = map[string]string{
		acceptRecreated: "a stream that was deleted and made again is read from its first message",
		acceptConsumers: "the tap takes one of the consumers that the stream allows",
	}
	sinkRisks = map[string]string{acceptRecreated: "a stream that was deleted and made again is written to, without what it held"}
)

func (c *SourceConfig) finish() error {
	if err := accepted("from", c.Accept, sourceRisks, c.Core); err != nil {
		return err
	}
	switch {
	case c.Core && c.Stream != "":
		return wrongIn("from", "core and stream: choose one; core is a subscription without JetStream")
	case c.Core && len(c.Subjects) == 0:
		return wrongIn("from", "subjects: a core subscription needs at least one")
	case !c.Core && c.Stream == "":
		return wrongIn("from", "stream: which JetStream stream is tapped? For a subscription without JetStream write core: true and subjects")
	case c.Stream != "" && !validAsset(c.Stream):
		return wrongIn("from", "stream %q: is not a stream's name", c.Stream)
	case c.MaxPending < 0, c.MaxBytes < 0:
		return wrongIn("from", "max_pending and max_bytes are not negative")
	}
	if err := c.validStart(); err != nil {
		return err
	}
	for i, s := range c.Subjects {
		if err := validFilter(s); err != nil {
			return wrongIn("from", "subjects: %v", err)
		}
		for _, o := range c.Subjects[:i] {
			if overlap(s, o) {
				return wrongIn("from", "subjects: %q and %q overlap, so a message would come twice", o, s)
			}
		}
	}
	if c.MaxPending == 0 {
		c.MaxPending = defaultMaxPending
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	return nil
}

// SinkConfig is the to block of a relay.
type SinkConfig struct {
	// Stream is the JetStream stream to write to.
	Stream string `yaml:"stream"`
	// Core publishes without JetStream: at most once.
	Core bool `yaml:"core"`
	// Subject is the template of the subjects: "telemetry.{address}".
	Subject string `yaml:"subject"`
	// Window is how many messages may be on their way to the stream.
	Window int `yaml:"window"`
	// Shared says that others write into the stream too. Then nothing keeps
	// earlier sessions of this relay out, and one message of a key is in flight.
	Shared bool `yaml:"shared"`
	// Consumed says that the stream is a work queue, or kept by interest: what was
	// placed goes away when it is read, so it cannot be read back. Then every crash
	// sends repeats, which no chain of sequences goes on behind: as with Shared,
	// nothing keeps earlier sessions out, and one message of a key is in flight.
	Consumed bool `yaml:"consumed"`
	// AckTimeout is how long the stream may take to confirm a message.
	AckTimeout time.Duration `yaml:"ack_timeout"`
	// Accept lists the risks that are taken: "recreated".
	Accept bridge.Accepts `yaml:"accept"`

	template *bridge.Template
}

// fenced says that each message names the one that it follows.
func (c *SinkConfig) fenced() bool { return !c.Shared && !c.Consumed }

func (c *SinkConfig) finish() error {
	if err := accepted("to", c.Accept, sinkRisks, c.Core); err != nil {
		return err
	}
	switch {
	case c.Core && c.Stream != "":
		return wrongIn("to", "core and stream: choose one; core publishes without JetStream")
	case c.Core && (c.Shared || c.Consumed):
		return wrongIn("to", "shared and consumed are about streams; they mean nothing with core")
	case !c.Core && c.Stream == "":
		return wrongIn("to", "stream: which JetStream stream is written to? To publish without JetStream write core: true")
	case c.Stream != "" && !validAsset(c.Stream):
		return wrongIn("to", "stream %q: is not a stream's name", c.Stream)
	case c.Subject == "":
		return wrongIn("to", `subject: wants a template, such as "telemetry.{address}"`)
	case c.Window < 0, c.AckTimeout < 0:
		return wrongIn("to", "window and ack_timeout are not negative")
	}
	var err error
	if c.template, err = bridge.ParseTemplate(c.Subject); err != nil {
		return wrongIn("to", "subject: %v", err)
	}
	if err = validTemplate(c.template); err != nil {
		return wrongIn("to", "subject: %v", err)
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = defaultAckTimeout
	}
	return nil
}

// accepted looks at the words of an accept list. Core NATS has no streams that
// could be made again.
func accepted(block string, words bridge.Accepts, known map[string]string, core bool) error {
	if core && len(words) > 0 {
		return wrongIn(block, "accept: there is nothing to accept with core")
	}
	if err := words.Validate(known); err != nil {
		return wrongIn(block, "%v", err)
	}
	return nil
}

func wrongIn(block, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %s", Kind, block, fmt.Sprintf(format, args...))
}
