package rabbitmq

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// systemSettings are the settings of one broker or cluster.
type systemSettings struct {
	// URL is amqp://user@host:port/vhost, or amqps:// for TLS.
	URL string `yaml:"url"`
	// Password takes the place of the URL's.
	Password bridge.Secret `yaml:"password"`
	// Heartbeat is how long the broker may be silent; 10 s by default.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// ConnectTimeout bounds connecting; 10 s by default.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// WriteTimeout bounds how long the broker may take nothing from the network
	// without having said that it blocks publishers; 30 s by default.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// SetupTimeout bounds opening a tap or a lane, connecting included; 30 s by
	// default. A queue whose leader is lost answers nothing at all.
	SetupTimeout time.Duration `yaml:"setup_timeout"`
	// ConfirmTimeout bounds how long the broker may leave a message unconfirmed
	// without having said that it blocks publishers; 30 s by default.
	ConfirmTimeout time.Duration `yaml:"confirm_timeout"`
	// UnackedTimeout is how long a session holds a message un-acknowledged before it
	// gives all back and reads again; 15 min by default. It is to be less than the
	// broker's consumer_timeout, which is 30 min by default.
	UnackedTimeout time.Duration `yaml:"unacked_timeout"`
	// MaxMessage is the broker's max_message_size in octets, if it is not the
	// default of its version (128 MiB before RabbitMQ 4, 16 MiB since).
	MaxMessage int `yaml:"max_message"`
	// Management is the address of the management API, http://host:15672, which
	// plans read; with the user of the URL unless it names one. No relay needs it.
	Management string `yaml:"management"`
	// TLS holds what a TLS connection needs beyond the system's certificates.
	TLS tlsSettings `yaml:"tls"`
}

type tlsSettings struct {
	CA   string `yaml:"ca"`   // file with the certificates to trust
	Cert string `yaml:"cert"` // file with the client's certificate
	Key  string `yaml:"key"`  // file with its key
}

// The words for a tap or a target.
const (
	typeQuorum  = "quorum"
	typeClassic = "classic"
	typeStream  = "stream"
	tapQueue    = "queue"
)

// sourceSettings are a relay's from block.
type sourceSettings struct {
	Tap      string            `yaml:"tap"`
	Bindings []bindingSettings `yaml:"bindings"`
	// Stream is an existing stream to be read beside its other readers, and Start
	// where a new relay begins: now (the default), first, a time, an offset or an
	// origin. Anything else begins now.
	Stream string       `yaml:"stream"`
	Start  bridge.Start `yaml:"start"`
	// Shared names a stream tap that other relays of the bridge read too.
	Shared string `yaml:"shared_tap"`
	// Queue is the existing queue of tap: queue, which Competes has to admit.
	Queue    string `yaml:"queue"`
	Competes bool   `yaml:"competes"`
	// Prefetch bounds what is delivered and not acknowledged; 4096 by default, and
	// 65535 for comparisons.
	Prefetch int `yaml:"prefetch"`
	// usual says that Prefetch is the default.
	usual bool
	// MaxLength and MaxBytes bound the tap. At the bound the oldest messages go
	// to a queue of the bridge's own. MaxBytes is 4 GiB by default.
	MaxLength int64 `yaml:"max_length"`
	MaxBytes  int64 `yaml:"max_bytes"`
	// MaxAge and SegmentBytes are a stream's: limits act when a segment is full.
	MaxAge       time.Duration `yaml:"max_age"`
	SegmentBytes int64         `yaml:"segment_bytes"`
	// Accept takes on risks: see sourceAccepts.
	Accept bridge.Accepts `yaml:"accept"`
}

type bindingSettings struct {
	Exchange   string         `yaml:"exchange"`
	RoutingKey string         `yaml:"routing_key"`
	Arguments  map[string]any `yaml:"arguments"`
}

// sinkSettings are a relay's to block.
type sinkSettings struct {
	Exchange   string `yaml:"exchange"`
	RoutingKey string `yaml:"routing_key"` // a template; {address} by default
	Queue      string `yaml:"queue"`
	Type       string `yaml:"type"` // of Queue: quorum (default) or classic
	Stream     string `yaml:"stream"`
	// Persistent makes every message durable where that is the message's
	// choice; true by default.
	Persistent *bool `yaml:"persistent"`
	// Window bounds the messages on their way; 4096 by default.
	Window int `yaml:"window"`
	// Accept takes on risks: see sinkAccepts.
	Accept bridge.Accepts `yaml:"accept"`
}

const (
	defaultPrefetch = 4096
	mostPrefetch    = 65535
	defaultWindow   = 4096
	defaultMaxBytes = 4 << 30
	defaultSegment  = 64 << 20
	minSegment      = 1 << 16
)

func newSystem(name string, settings bridge.Decode) (*system, error) {
	c := systemSettings{
		Heartbeat: 10 * time.Second, ConnectTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		SetupTimeout: 30 * time.Second, ConfirmTimeout: 30 * time.Second,
		UnackedTimeout: 15 * time.Minute,
	}
	if err := settings(&c); err != nil {
		return nil, err
	}
	if c.URL == "" {
		return nil, errors.New("url is missing; want amqp://user@host:5672/vhost")
	}
	uri, err := amqp.ParseURI(c.URL)
	if err != nil {
		return nil, errors.New("url cannot be read; want amqp://user@host:5672/vhost, with '@', ':', '/' and the like written as %XX")
	}
	if c.Password != "" {
		uri.Password = string(c.Password)
	}
	switch {
	case c.Heartbeat < 2*time.Second || c.Heartbeat > time.Hour:
		return nil, fmt.Errorf("heartbeat is %v; want 2s to 1h", c.Heartbeat)
	case min(c.ConnectTimeout, c.WriteTimeout, c.SetupTimeout, c.ConfirmTimeout) < time.Second:
		return nil, errors.New("connect_timeout, write_timeout, setup_timeout and confirm_timeout are at least 1s")
	case c.UnackedTimeout < 100*time.Millisecond:
		return nil, errors.New("unacked_timeout is at least 100ms")
	case c.MaxMessage < 0:
		return nil, errors.New("max_message is not negative")
	}
	s := &system{name: name, settings: c, uri: uri, address: net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))}
	if s.tls, err = c.TLS.config(uri); err != nil {
		return nil, err
	}
	if s.management, err = parseManagement(c.Management); err != nil {
		return nil, err
	}
	return s, nil
}

// config is nil where the URL does not ask for TLS.
func (t tlsSettings) config(uri amqp.URI) (*tls.Config, error) {
	if uri.Scheme != "amqps" {
		if t != (tlsSettings{}) {
			return nil, errors.New("tls is set, but the url says amqp://; write amqps://")
		}
		return nil, nil
	}
	c := &tls.Config{ServerName: uri.Host, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: no certificate in %s", t.CA)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("tls: cert and key belong together")
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (c *sourceSettings) validate() error {
	if err := c.Accept.Validate(sourceAccepts); err != nil {
		return err
	}
	switch {
	case c.Tap != "":
	case c.Queue != "":
		c.Tap = tapQueue
	case c.Stream != "":
		c.Tap = typeStream
	default:
		c.Tap = typeQuorum
	}
	if err := errors.Join(c.validateStart(), c.validateShared()); err != nil {
		return err
	}
	if c.Stream != "" {
		return c.validateStream()
	}
	switch c.Tap {
	case tapQueue:
		return c.validateQueue()
	case typeQuorum, typeClassic, typeStream:
	default:
		return fmt.Errorf("tap: %q is not one of quorum, classic, stream, queue", c.Tap)
	}
	if c.Queue != "" || c.Competes {
		return errors.New("queue and competes are for tap: queue; a tap of the bridge's own has bindings")
	}
	if len(c.Bindings) == 0 {
		return errors.New("bindings are missing: the exchanges and routing keys that the tap is to see")
	}
	for i, b := range c.Bindings {
		if b.Exchange == "" {
			return fmt.Errorf("bindings: number %d names no exchange; the default exchange cannot be tapped", i+1)
		}
		if len(b.Exchange) > 255 || len(b.RoutingKey) > 255 {
			return fmt.Errorf("bindings: number %d: names have at most 255 octets", i+1)
		}
		if _, err := toTable(b.Arguments); err != nil {
			return fmt.Errorf("bindings: number %d: %w", i+1, err)
		}
	}
	if err := c.validateBounds(); err != nil {
		return err
	}
	if c.Tap == typeStream && !c.Accept.Has(acceptHeaders) {
		return errStreamHeaders
	}
	return nil
}

func (c *sourceSettings) validateQueue() error {
	switch {
	case c.Queue == "":
		return errors.New("tap: queue wants the name of the queue")
	case !c.Competes:
		return fmt.Errorf("queue %q is an application's: reading it takes messages away from its consumers; write competes: true if that is meant, or use bindings", c.Queue)
	case len(c.Bindings) > 0 || c.MaxLength != 0 || c.MaxBytes != 0 || c.MaxAge != 0 || c.SegmentBytes != 0:
		return errors.New("tap: queue takes an existing queue as it is: no bindings and no bounds")
	case len(c.Queue) > 255:
		return errors.New("queue: names have at most 255 octets")
	}
	return c.validatePrefetch()
}

// validateStream checks the reading of an application's stream.
func (c *sourceSettings) validateStream() error {
	switch {
	case c.Tap != typeStream || c.Queue != "" || c.Competes || len(c.Bindings) > 0:
		return errors.New("stream names an existing stream: no other tap, queue or bindings beside it")
	case c.MaxLength != 0 || c.MaxBytes != 0 || c.MaxAge != 0 || c.SegmentBytes != 0:
		return errors.New("stream takes an existing stream as it is: no bounds")
	case len(c.Stream) > 255:
		return errors.New("stream: names have at most 255 octets")
	}
	return c.validatePrefetch()
}

func (c *sourceSettings) validatePrefetch() error {
	if c.Prefetch == 0 {
		c.Prefetch, c.usual = defaultPrefetch, true
	}
	if c.Prefetch < 1 || c.Prefetch > mostPrefetch {
		return fmt.Errorf("prefetch is %d; want 1 to %d", c.Prefetch, mostPrefetch)
	}
	return nil
}

func (c *sourceSettings) validateBounds() error {
	if c.MaxLength < 0 || c.MaxBytes < 0 || c.MaxAge < 0 || c.SegmentBytes < 0 {
		return errors.New("bounds are not negative")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Tap != typeStream {
		if c.MaxAge != 0 || c.SegmentBytes != 0 {
			return errors.New("max_age and segment_bytes are for tap: stream")
		}
		return c.validatePrefetch()
	}
	if c.MaxLength != 0 {
		return errors.New("max_length is for queues; a stream is bound by max_bytes and max_age")
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = max(minSegment, min(defaultSegment, c.MaxBytes/4))
	}
	if c.SegmentBytes < minSegment || c.SegmentBytes > c.MaxBytes {
		return fmt.Errorf("segment_bytes is %d; want %d to max_bytes", c.SegmentBytes, minSegment)
	}
	if c.MaxAge != 0 && c.MaxAge < time.Second {
		return errors.New("max_age is at least 1s")
	}
	return c.validatePrefetch()
}
