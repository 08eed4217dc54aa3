package rabbitmq

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

func pipe(t *testing.T, patience time.Duration) (*socket, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	s := newSocket(near, patience)
	s.start()
	t.Cleanup(func() {
		_ = s.Close()
		_ = far.Close()
		<-s.finished
	})
	return s, far
}

func methodFrame(channel uint16, class, method byte, more int) []byte {
	b, from := beginFrame(nil, frameMethod, channel)
	b = append(b, 0, class, 0, method)
	return endFrame(append(b, make([]byte, more)...), from)
}

// Frames that are pushed go out between the library's, never within one.
func TestFramesStayWhole(t *testing.T) {
	s, far := pipe(t, time.Second)
	library := methodFrame(3, classChannel, channelOpen, 50)
	own := appendAck(nil, 1, 9, false)
	mustWrite := func(b []byte) {
		t.Helper()
		if n, err := s.Write(b); n != len(b) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(b), err)
		}
	}
	mustWrite([]byte("AMQP\x00\x00\x09\x01"))
	mustWrite(library[:20])
	if _, err := s.push(own); err != nil {
		t.Fatal(err)
	}
	mustWrite(library[20:])
	want := append(append([]byte("AMQP\x00\x00\x09\x01"), own...), library...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v\n got %q\nwant %q", err, got, want)
	}
	if s.opened.Load() != 3 {
		t.Fatalf("channel %d was opened", s.opened.Load())
	}
}

// The library reads its own frames, also in small pieces; those about messages
// go to the port, in the broker's order.
func TestFramesAreParted(t *testing.T) {
	s, far := pipe(t, time.Second)
	var k collector
	s.in.attach(1, &k)
	mine := delivered(nil, 1, 1, "key", []byte("body"), 2)
	library := methodFrame(1, classChannel, 11, 5)
	elsewhere := delivered(nil, 2, 1, "key", []byte("body"), 2)
	go func() { _, _ = far.Write(append(append(append([]byte(nil), mine...), library...), elsewhere...)) }()
	want := append(append([]byte(nil), library...), elsewhere...)
	got := make([]byte, 0, len(want))
	for len(got) < len(want) {
		var p [3]byte
		n, err := s.Read(p[:])
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, p[:n]...); len(k.got) != 1 {
			t.Fatal("the message came behind what followed it")
		}
	}
	if !bytes.Equal(got, want) || string(k.got[0].body) != "body" {
		t.Fatalf("got %q", got)
	}
}

// A network that takes nothing is an error after a while, unless the broker has
// said why.
func TestStalledWrites(t *testing.T) {
	s, _ := pipe(t, 30*time.Millisecond)
	if _, err := s.push(appendAck(nil, 1, 1, false)); err != nil {
		t.Fatal(err)
	}
	<-s.finished
	if !errors.Is(s.cause(), os.ErrDeadlineExceeded) {
		t.Fatalf("ended by %v", s.cause())
	}
	if _, err := s.push(nil); err == nil {
		t.Fatal("a push after the end")
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Fatal("a write after the end")
	}

	s, far := pipe(t, 10*time.Millisecond)
	reason := "low on memory"
	s.blocked.Store(&reason)
	frames := appendAck(nil, 1, 1, false)
	if _, err := s.push(frames); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.finished:
		t.Fatalf("ended by %v while the broker blocks", s.cause())
	case <-time.After(100 * time.Millisecond):
	}
	got := make([]byte, len(frames))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, frames) {
		t.Fatalf("after the block: %q, %v", got, err)
	}
}

// Over TLS a write that has timed out fails for ever after, so none does while the
// broker blocks publishers, and what waits goes out whole afterwards.
func TestStalledWritesOverTLS(t *testing.T) {
	for _, blocks := range []bool{true, false} {
		near, far := net.Pipe()
		server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
		client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
		shaken := make(chan error, 1)
		go func() { shaken <- server.Handshake() }()
		if err := errors.Join(client.Handshake(), <-shaken); err != nil {
			t.Fatal(err)
		}
		s := newSocket(client, 10*time.Millisecond)
		s.start()
		if reason := "low on memory"; blocks {
			s.blocked.Store(&reason)
		}
		frames := bytes.Repeat(appendAck(nil, 1, 1, false), 10_000)
		if _, err := s.push(frames); err != nil {
			t.Fatal(err)
		}
		if blocks {
			select {
			case <-s.finished:
				t.Fatalf("ended by %v while the broker blocks", s.cause())
			case <-time.After(100 * time.Millisecond):
			}
			got := make([]byte, len(frames))
			if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, frames) {
				t.Fatalf("after the block: %v", err)
			}
			if _, err := s.push(frames); err != nil { // stalls again, until Close
				t.Fatal(err)
			}
			_ = s.Close()
		}
		select {
		case <-s.finished:
		case <-time.After(10 * time.Second):
			t.Fatal("a stalled write goes on")
		}
		if !blocks && !errors.Is(s.cause(), os.ErrDeadlineExceeded) {
			t.Fatalf("ended by %v", s.cause())
		}
		_ = far.Close()
	}
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// What is full says so, and has room again when the network has taken it, or
// when there is no use in waiting.
func TestAFullSocketSaysSo(t *testing.T) {
	s, far := pipe(t, time.Minute)
	big := make([]byte, outLimit+1)
	var full <-chan struct{}
	for full == nil {
		var err error
		if full, err = s.push(big); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, far) }()
	select {
	case <-full:
	case <-time.After(10 * time.Second):
		t.Fatal("still full")
	}

	s, _ = pipe(t, time.Minute)
	for full = nil; full == nil; {
		full, _ = s.push(big)
	}
	_ = s.Close()
	select {
	case <-full:
	case <-time.After(10 * time.Second):
		t.Fatal("a closed socket keeps its callers waiting")
	}
}
