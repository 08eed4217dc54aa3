package kafka

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

func inFile(t *testing.T, pem []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A real Kafka that asks for TLS with a client's certificate and for SASL lets a relay
// read and write by each mechanism, and whoever cannot come in is told what to change.
func TestSecuredKafka(t *testing.T) {
	t.Parallel()
	serverCert, serverKey := brokers.Certificate(t)
	clientCert, clientKey := brokers.Certificate(t)
	strangerCert, strangerKey := brokers.Certificate(t)
	server := brokers.PrivateSecuredKafka(t, brokers.KafkaSecurity{Cert: string(serverCert), Key: string(serverKey), Clients: string(clientCert), Users: map[string]string{"alice": "wonder1and"}})
	inner := &testCluster{server: server, addrs: []string{strings.TrimPrefix(server.URL(), "kafka://")}, session: 6 * time.Second, request: 15 * time.Second}
	secured := &testCluster{server: server, addrs: []string{server.Secured()}, session: 6 * time.Second, request: 15 * time.Second}
	inner.topic(t, "a", 2)
	inner.topic(t, "b", 2)
	cl := inner.client(t)

	ca, cert, key := inFile(t, serverCert), inFile(t, clientCert), inFile(t, clientKey)
	with := func(mechanism, password string, change func(*TLSConfig)) *system {
		return secured.system(t, func(c *SystemConfig) {
			c.TLS = &TLSConfig{CA: ca, Cert: cert, Key: key}
			if change != nil {
				change(c.TLS)
			}
			c.SASL = &SASLConfig{Mechanism: mechanism, User: "alice", Password: bridge.Secret(password)}
		})
	}
	for i, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			sys := with(mechanism, "wonder1and", nil)
			s := openSource(t, sys.from(t, SourceConfig{Topics: []string{"a"}}))
			put(t, cl, "a", 2, 100*i, 100*i+100)
			ds := take(t, s, 100)
			inOrder(t, ds, 2, 100*i, 100*i+100)
			lane := openSession(t, openerOf(t, sys, SinkConfig{Topic: "b"}), 0)
			msgs := make([]*bridge.Message, len(ds))
			for j := range ds {
				msgs[j] = &ds[j].Message
			}
			lane.deliver(t, msgs)
			lane.end()
			ackAll(t, s, ds...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, c := range map[string]struct {
		sys  *system
		says string
	}{
		"a wrong scram password":      {with("scram-sha-512", "wonderland", nil), "password"},
		"a wrong plain password":      {with("plain", "wonderland", nil), "password"},
		"a server nobody vouches for": {with("plain", "wonder1and", func(c *TLSConfig) { c.CA = inFile(t, strangerCert) }), "certificate"},
		"a client nobody vouches for": {with("plain", "wonder1and", func(c *TLSConfig) { c.Cert, c.Key = inFile(t, strangerCert), inFile(t, strangerKey) }), "tls.cert"},
		"no client certificate":       {with("plain", "wonder1and", func(c *TLSConfig) { c.Cert, c.Key = "", "" }), "tls.cert"},
		"no TLS":                      {secured.system(t, func(c *SystemConfig) { c.SASL = &SASLConfig{Mechanism: "plain", User: "alice", Password: "wonder1and"} }), "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := c.sys.from(t, SourceConfig{Topics: []string{"a"}}).Open(t.Context())
			if err == nil {
				_ = s.Close()
				t.Fatal("it was let in")
			}
			text := err.Error() + " " + bridge.HintOf(err)
			t.Logf("%v: %s", bridge.ClassOf(err), text)
			if !strings.Contains(strings.ToLower(text), c.says) {
				t.Errorf("nothing is said of %q", c.says)
			}
		})
	}
}
