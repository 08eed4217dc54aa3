package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A connection is one epoch: the client's own reconnecting is off, so whatever
// is gone is gone for good, and the relay opens another. Safe for concurrent
// use.
type connection struct {
	*nats.Conn
	js     jetstream.JetStream
	api    string // the prefix of JetStream's API subjects, with the dot
	system *system

	lost   chan struct{} // closed when the connection has ended
	broken chan struct{} // closed when fault is set

	mu    sync.Mutex
	raw   net.Conn
	dial  error // of the latest server tried
	fault error // what the server said in passing that ends the session
}

// connect dials one of the system's servers.
func (s *system) connect(ctx context.Context, name string) (*connection, error) {
	c := &connection{system: s, lost: make(chan struct{}), broken: make(chan struct{}), api: "$JS.API."}
	opts, err := s.options(name)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		nats.SetCustomDialer(c.dialer(ctx)),
		nats.ClosedHandler(func(*nats.Conn) { close(c.lost) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.heard(err) }),
	)
	stop := context.AfterFunc(ctx, c.cut)
	c.Conn, err = nats.Connect(strings.Join(s.config.URLs, ","), opts...)
	stop()
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, nats.ErrNoServers) && c.dial != nil {
			err = c.dial
		}
		return nil, s.refused(err)
	}
	s.opened(c)
	if s.config.Domain != "" {
		c.api = "$JS." + s.config.Domain + ".API."
		c.js, err = jetstream.NewWithDomain(c.Conn, s.config.Domain)
	} else {
		c.js, err = jetstream.New(c.Conn)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %s: jetstream: %w", Kind, s.name, err)
	}
	return c, nil
}

func (s *system) options(name string) ([]nats.Option, error) {
	c := &s.config
	opts := []nats.Option{
		nats.Name(name), nats.NoReconnect(), nats.Timeout(c.ConnectTimeout),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(defaultAckTimeout), nats.SkipSubjectValidation(),
	}
	switch {
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, string(c.Password)))
	case c.Token != "":
		opts = append(opts, nats.Token(string(c.Token)))
	case c.Creds != "":
		opts = append(opts, nats.UserCredentials(c.Creds))
	case c.NKey != "":
		o, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, bridge.Fatal(fmt.Errorf("%s: %s: nkey %s: %w", Kind, s.name, c.NKey, err), "Give the path of a file with the user's seed.")
		}
		opts = append(opts, o)
	}
	if c.TLS != nil {
		t, err := c.TLS.load()
		if err != nil {
			return nil, bridge.Fatal(fmt.Errorf("%s: %s: tls: %w", Kind, s.name, err), "Give the paths of PEM files that this user may read.")
		}
		opts = append(opts, nats.Secure(t))
	}
	return opts, nil
}

func (t *TLSConfig) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// refused says why there is no connection.
func (s *system) refused(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	wrapped := fmt.Errorf("%s: %s: connect to %s: %w", Kind, s.name, s.where(), err)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrUserButNoSigCB), errors.Is(err, nats.ErrNkeysNotSupported):
		return bridge.Fatal(wrapped, "Check user and password (or token, creds, nkey) of system "+s.name+".")
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return bridge.Fatal(wrapped, "Check the paths of creds, nkey and tls of system "+s.name+".")
	case errors.As(err, &unknown), errors.As(err, &host):
		return bridge.Fatal(wrapped, "Name the server's authority in tls.ca of system "+s.name+", and the server as its certificate names it.")
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return bridge.Fatal(wrapped, "Server and configuration disagree on tls; see the tls block of system "+s.name+".")
	}
	return wrapped
}

// where is the addresses without secrets.
func (s *system) where() string {
	all := make([]string, len(s.config.URLs))
	for i, u := range s.config.URLs {
		all[i] = redacted(u)
	}
	return strings.Join(all, ", ")
}

// redacted is an address without what its user part may hold.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		if i := strings.LastIndexByte(address, '@'); i >= 0 {
			return "***" + address[i:]
		}
		return address
	}
	u.User = nil
	return strings.Replace(u.String(), "//", "//***@", 1)
}

// heard takes what the server says without being asked. It refuses a publish or
// a subscription in no other way, so that ends the session.
func (c *connection) heard(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return // what else there is shows in sequences, time-outs and the connection
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		c.fault = bridge.Fatal(fmt.Errorf("%s: %s: %w", Kind, c.system.name, err), "Grant the bridge's user what is refused; check lists all that it needs.")
		close(c.broken)
	}
}

// cause says why the connection is of no use any more.
func (c *connection) cause() error {
	c.mu.Lock()
	fault := c.fault
	c.mu.Unlock()
	if fault != nil {
		return fault
	}
	if err := c.LastError(); err != nil {
		return fmt.Errorf("%s: %s: connection lost: %w", Kind, c.system.name, err)
	}
	return fmt.Errorf("%s: %s: connection lost", Kind, c.system.name)
}

// failed wraps an error of a call and prefers what explains it.
func (c *connection) failed(ctx context.Context, what string, err error) error {
	select {
	case <-c.broken:
		return c.cause()
	default:
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		err = context.Cause(ctx)
	}
	wrapped := fmt.Errorf("%s: %s: %s: %w", Kind, c.system.name, what, err)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return bridge.Fatal(wrapped, "Enable JetStream for the account of the bridge's user.")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %s: %s: JetStream does not answer: it is disabled, starting, or without a leader: %w", Kind, c.system.name, what, err)
	}
	return wrapped
}

// cut ends the connection without a word, as the death of the process does.
func (c *connection) cut() {
	c.mu.Lock()
	raw := c.raw
	c.mu.Unlock()
	if raw != nil {
		raw.Close()
	}
}

// Close ends the connection. It does not wait for the server: what was not
// written by then is of unknown outcome anyway. Idempotent.
func (c *connection) Close() {
	c.cut()
	c.Conn.Close()
	c.system.closed(c)
}

// A dialFunc is a nats.CustomDialer.
type dialFunc func(network, address string) (net.Conn, error)

// Dial is as nats.CustomDialer says.
func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// dialer keeps the socket, so that closing never waits for a server that does
// not read.
func (c *connection) dialer(ctx context.Context) dialFunc {
	return func(network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{Timeout: c.system.config.ConnectTimeout}).DialContext(ctx, network, address)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw, c.dial = raw, err
		return raw, err
	}
}
