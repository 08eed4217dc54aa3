package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/crossfade-mq/crossfade/bridge"
)

// bootstrap connects with the first of the configured brokers that answers.
func (s *system) bootstrap(ctx context.Context) (*conn, error) {
	var errs []error
	for _, b := range s.config.Brokers {
		c, err := s.dial(ctx, b)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dial connects with one broker: TLS, versions, SASL. address is HOST:PORT.
func (s *system) dial(ctx context.Context, address string) (*conn, error) {
	within, cancel := context.WithTimeout(ctx, s.config.ConnectTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(within, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s: %s: connect to %s: %w", Kind, s.name, address, err)
	}
	if s.config.TLS != nil {
		if raw, err = s.secure(within, raw, address); err != nil {
			return nil, err
		}
	}
	c := newConn(s, address, raw)
	if err = c.hello(within); err == nil && s.config.SASL != nil {
		err = c.authenticate(within, s.config.SASL)
	}
	if err != nil {
		c.close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	if !s.opened(c) {
		c.close()
		return nil, bridge.ErrClosed
	}
	return c, nil
}

// secure makes the connection a TLS one; raw is closed if that fails.
func (s *system) secure(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	conf, err := s.config.TLS.load()
	if err != nil {
		_ = raw.Close()
		return nil, bridge.Fatal(fmt.Errorf("%s: %s: tls: %w", Kind, s.name, err), "Give the paths of PEM files that this user may read.")
	}
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(address)
	}
	t := tls.Client(raw, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		wrapped := fmt.Errorf("%s: %s: connect to %s: tls: %w", Kind, s.name, address, err)
		var unknown x509.UnknownAuthorityError
		var host x509.HostnameError
		var record tls.RecordHeaderError
		switch {
		case errors.As(err, &unknown), errors.As(err, &host):
			return nil, bridge.Fatal(wrapped, "Name the brokers' authority in tls.ca of system "+s.name+", and in tls.server_name what their certificates name.")
		case errors.As(err, &record):
			return nil, bridge.Fatal(wrapped, "That listener does not speak TLS: give another port, or leave out the tls block of system "+s.name+".")
		case isAlert(err):
			return nil, s.unvouched(wrapped)
		}
		return nil, wrapped
	}
	return t, nil
}

// isAlert says that the broker ended a TLS connection with a word of its own.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// unvouched is the error of a client whose certificate a broker does not take.
func (s *system) unvouched(err error) error {
	return bridge.Fatal(err, "The broker refuses this client's certificate, or wants one: name one that it trusts in tls.cert and tls.key of system "+s.name+".")
}

func (t *TLSConfig) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
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

// hello asks which versions the broker has. Both of their ends count: a broker that
// has dropped old versions is found out here and not by a hang.
func (c *conn) hello(ctx context.Context) error {
	c.versions = map[protocol.ApiKey]versions{protocol.ApiVersions: {0, 0}}
	m, err := c.ask(ctx, &apiversions.Request{})
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it hung up; does this listener want TLS?", err)
		}
		if c.system.config.TLS != nil && isAlert(err) { // TLS 1.3 tells behind the handshake
			return c.system.unvouched(err)
		}
		return err
	}
	res := m.(*apiversions.Response)
	if res.ErrorCode != 0 {
		return c.failed("ApiVersions", kafkago.Error(res.ErrorCode))
	}
	for _, k := range res.ApiKeys {
		c.versions[protocol.ApiKey(k.ApiKey)] = versions{k.MinVersion, k.MaxVersion}
	}
	return nil
}

// mechanism gives kafka-go's mechanism of the settings.
func (s *SASLConfig) mechanism() (sasl.Mechanism, error) {
	if s.User == "" || s.Password == "" {
		return nil, errors.New("wants user and password")
	}
	switch strings.ToLower(s.Mechanism) {
	case "plain":
		return plain.Mechanism{Username: s.User, Password: string(s.Password)}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, s.User, string(s.Password))
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, s.User, string(s.Password))
	}
	return nil, fmt.Errorf("mechanism: %q is not one of plain, scram-sha-256, scram-sha-512", bridge.Printable(s.Mechanism, 40))
}

// authenticate says who we are: KIP-43, KIP-152.
func (c *conn) authenticate(ctx context.Context, s *SASLConfig) error {
	mechanism, err := s.mechanism()
	if err != nil {
		return err
	}
	m, err := c.ask(ctx, &saslhandshake.Request{Mechanism: mechanism.Name()})
	if err != nil {
		return err
	}
	if res := m.(*saslhandshake.Response); res.ErrorCode != 0 {
		return bridge.Fatal(c.failed("SASL "+mechanism.Name(), kafkago.Error(res.ErrorCode)),
			"The broker takes "+strings.Join(res.Mechanisms, ", ")+": set sasl.mechanism of system "+c.system.name+".")
	}
	host, port, _ := net.SplitHostPort(c.broker)
	n, _ := strconv.Atoi(port)
	session, out, err := mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: n}))
	for done := false; err == nil && !done; {
		var m protocol.Message
		if m, err = c.ask(ctx, &saslauthenticate.Request{AuthBytes: out}); err != nil {
			if errors.Is(err, io.EOF) { // some brokers say no by hanging up
				break
			}
			return err
		}
		res := m.(*saslauthenticate.Response)
		if res.ErrorCode != 0 {
			err = fmt.Errorf("%w: %s", kafkago.Error(res.ErrorCode), bridge.Printable(res.ErrorMessage, 200))
			break
		}
		done, out, err = session.Next(ctx, res.AuthBytes)
	}
	if err != nil {
		return bridge.Fatal(c.failed("SASL "+mechanism.Name(), err), "Check user and password in the sasl block of system "+c.system.name+".")
	}
	return nil
}

// pause waits, and says whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
