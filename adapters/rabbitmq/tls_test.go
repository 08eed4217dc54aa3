package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// certificate makes a certificate for 127.0.0.1 that vouches for itself, and
// leaves it with its key in files.
func certificate(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	certPEM, keyPEM := brokers.Certificate(t)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, b := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair, certFile, keyFile
}

// behindTLS puts a TLS end in front of a broker, which asks clients for a
// certificate, and gives its address.
func behindTLS(t *testing.T, broker string, pair tls.Certificate, clients *x509.CertPool) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", broker)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestTLS(t *testing.T) {
	n := sharedNode(t)
	plain := n.open(t)
	pair, cert, key := certificate(t)
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	address := behindTLS(t, plain.address, pair, pool)
	secure, err := newSystem("s", settings("url: amqps://guest:guest@"+address+"\ntls: {ca: "+cert+", cert: "+cert+", key: "+key+"}"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := secure.connect(context.Background(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.passive("none-" + unique(t)); !missing(err) {
		t.Errorf("over TLS: %v", err)
	}
	s.close()
	stranger, err := newSystem("s", settings("url: amqps://guest:guest@"+address))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.connect(context.Background(), "test"); err == nil {
		t.Error("a certificate that nobody vouches for was accepted")
	}
}
