package rabbitmq

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Kind is the word for this adapter in a configuration.
const Kind = "rabbitmq"

// Adapter is the line of the adapter table.
func Adapter() bridge.Adapter {
	return bridge.Adapter{Kind: Kind, System: func(name string, settings bridge.Decode) (bridge.System, error) {
		return newSystem(name, settings)
	}}
}

// A system is one configured broker or cluster.
type system struct {
	name     string
	settings systemSettings
	uri      amqp.URI
	address  string
	tls      *tls.Config // nil without TLS

	management *url.URL // nil without the management API

	sharedMu sync.Mutex
	shared   map[string]sharedUse // by bridge and name; guarded by sharedMu

	major     atomic.Int32   // of the broker's version, once one was connected to
	connected func(*session) // if not nil, is told of every connection
}

var (
	_ bridge.System      = (*system)(nil)
	_ bridge.Surveyor    = (*system)(nil)
	_ bridge.Provisioner = (*system)(nil)
	_ bridge.Tapping     = (*sourceOpener)(nil)
	_ bridge.Targeting   = (*sinkOpener)(nil)
)

// Source validates a from block.
func (s *system) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	c := sourceSettings{}
	if err := settings(&c); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	o := newSourceOpener(s, id, c)
	if c.Shared != "" {
		if err := s.agree(o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Sink validates a to block.
func (s *system) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	c := sinkSettings{}
	if err := settings(&c); err != nil {
		return nil, err
	}
	t, err := newTarget(c)
	if err == nil {
		err = c.Accept.Validate(sinkAccepts)
	}
	if err != nil {
		return nil, err
	}
	return &sinkOpener{system: s, id: id, target: t, accept: c.Accept, limit: newSizeLimit(s.settings.MaxMessage)}, nil
}

// A target is where a sink publishes to.
type target struct {
	kind       string // typeQuorum, typeClassic, typeStream or "exchange"
	exchange   string // empty for a queue or stream
	queue      string // of a queue or stream
	key        *bridge.Template
	persistent bool
	window     int
}

const toExchange = "exchange"

func newTarget(c sinkSettings) (target, error) {
	t := target{persistent: c.Persistent == nil || *c.Persistent, window: c.Window}
	if t.window == 0 {
		t.window = defaultWindow
	}
	if t.window < 1 || t.window > 1<<16 {
		return t, fmt.Errorf("window is %d; want 1 to 65536", t.window)
	}
	named := 0
	for _, name := range []string{c.Exchange, c.Queue, c.Stream} {
		if len(name) > 255 {
			return t, errors.New("names have at most 255 octets")
		}
		if name != "" {
			named++
		}
	}
	if named != 1 {
		return t, errors.New("name one of exchange, queue and stream")
	}
	if c.Exchange == "" && c.RoutingKey != "" {
		return t, errors.New("routing_key is for an exchange; a queue or stream is reached by its name")
	}
	if c.Queue == "" && c.Type != "" {
		return t, errors.New("type is for a queue")
	}
	switch {
	case c.Stream != "":
		t.kind, t.queue = typeStream, c.Stream
	case c.Queue != "":
		t.kind, t.queue = c.Type, c.Queue
		if c.Type == "" {
			t.kind = typeQuorum
		}
		if t.kind == typeStream {
			return t, fmt.Errorf("write stream: %s", c.Queue)
		}
		if t.kind != typeQuorum && t.kind != typeClassic {
			return t, fmt.Errorf("type: %q is not one of quorum, classic", c.Type)
		}
	default:
		t.kind, t.exchange = toExchange, c.Exchange
		key := c.RoutingKey
		if key == "" {
			key = "{address}"
		}
		var err error
		if t.key, err = bridge.ParseTemplate(key); err != nil {
			return t, fmt.Errorf("routing_key: %w", err)
		}
	}
	return t, nil
}

// survives says what of a failed pipeline may be stored. Only the default
// exchange in front of one quorum queue or stream keeps a prefix: elsewhere a
// binding may be missing for a moment, and a classic queue that crashes can
// lose one in the middle. // I2
func (t *target) survives() bridge.Survivors {
	if t.kind == typeQuorum || t.kind == typeStream {
		return bridge.SurvivesPrefix
	}
	return bridge.SurvivesAny
}

// describe names the target in a few words.
func (t *target) describe() string {
	switch t.kind {
	case toExchange:
		return "exchange " + t.exchange + ", routing key " + t.key.String()
	case typeStream:
		return "stream " + t.queue
	}
	return t.kind + " queue " + t.queue
}
