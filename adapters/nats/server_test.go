package nats

import (
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// helperT is what both *testing.T and a conformance check can do.
type helperT interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// A testServer is a nats-server in this process, with JetStream on disk.
type testServer struct {
	*server.Server
	opts server.Options
}

func startServer(t *testing.T, change func(*server.Options)) *testServer {
	t.Helper()
	s := &testServer{opts: server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	}}
	if change != nil {
		change(&s.opts)
	}
	s.start(t)
	s.opts.Port = s.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *testServer) start(t helperT) {
	t.Helper()
	opts := s.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		t.Fatalf("nats-server: %v", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatalf("nats-server does not answer")
	}
	s.Server = srv
}

func (s *testServer) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

func (s *testServer) restart(t helperT) {
	t.Helper()
	s.stop()
	s.start(t)
}

// client is a plain client, as applications have it.
func (s *testServer) client(t helperT, opts ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), append(opts, nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("jetstream: %v", err)
	}
	return nc, js
}

// system is one process of the bridge.
func (s *testServer) system(t helperT, settings ...any) *system {
	t.Helper()
	c := SystemConfig{URL: s.ClientURL()}
	for _, x := range settings {
		x.(func(*SystemConfig))(&c)
	}
	sys, err := Adapter().System("test", decoded(c))
	if err != nil {
		t.Fatalf("system: %v", err)
	}
	return sys.(*system)
}

// kill cuts every connection of the process.
func (s *system) kill() {
	s.mu.Lock()
	var all []*connection
	for c := range s.alive {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
	for _, c := range all {
		<-c.lost
	}
}

// decoded is a bridge.Decode that gives v.
func decoded(v any) bridge.Decode {
	return func(into any) error {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(v))
		return nil
	}
}

var testIdentity = bridge.Identity{Bridge: "plant a", Relay: "copy/1"}

func (s *system) from(t helperT, c SourceConfig) bridge.SourceOpener {
	t.Helper()
	o, err := s.Source(testIdentity, decoded(c))
	if err != nil {
		t.Fatalf("source: %v", err)
	}
	return o
}

func (s *system) to(t helperT, c SinkConfig) bridge.SinkOpener {
	t.Helper()
	o, err := s.Sink(testIdentity, decoded(c))
	if err != nil {
		t.Fatalf("sink: %v", err)
	}
	return o
}

// makeStream asks again where the server says that it could not create the
// store: having deleted an account's last stream it removes the folder of all
// of them in the background, at times under the hands of the next one (2.15.2).
func makeStream(t helperT, js jetstream.JetStream, c jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	s, err := js.CreateStream(context.Background(), c)
	for give := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(give); {
		if e := apiError(err); e == nil || e.ErrorCode != 10049 {
			break
		}
		s, err = js.CreateStream(context.Background(), c)
	}
	if err != nil {
		t.Fatalf("create stream %s: %v", c.Name, err)
	}
	return s
}

// stored reads a stream message by message, with no code of the adapter's
// reading side but the parsers of IDs.
func stored(ctx context.Context, js jetstream.JetStream, stream string) ([]bridge.Message, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	state := s.CachedInfo().State
	var all []bridge.Message
	for seq := max(1, state.FirstSeq); seq <= state.LastSeq; seq++ {
		raw, err := s.GetMsg(ctx, seq)
		if err != nil {
			if strings.Contains(err.Error(), "not found") {
				continue
			}
			return nil, err
		}
		m, err := plainMessage(raw.Subject, raw.Header, raw.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func plainMessage(subject string, h nats.Header, body []byte) (m bridge.Message, err error) {
	m.Body, m.Address.Name = body, subject
	if v := h.Get("crossfade-id"); v != "" {
		m.ID, m.Key, err = bridge.ParseID(v)
	} else if v := h.Get("Nats-Msg-Id"); v != "" {
		m.ID, m.Key, err = bridge.ParseNativeID(v)
	}
	return m, err
}
