package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// envGeneration, set to 4, makes RabbitMQ and PrivateRabbitMQ give that
// generation, so that tests which know nothing of generations run on it too.
const envGeneration = "CROSSFADE_TEST_RABBITMQ"

func generation(t testing.TB) Kind {
	t.Helper()
	switch v := os.Getenv(envGeneration); v {
	case "", "3":
		return KindRabbitMQ
	case "4":
		return KindRabbitMQ4
	default:
		t.Fatalf("%s is %q; want 3 or 4", envGeneration, v)
		return ""
	}
}

// RabbitMQ gives the URL of a RabbitMQ that tests share: use names of your own.
// It fails the test, or skips it outside CI, where there is none.
func RabbitMQ(t testing.TB) string {
	t.Helper()
	return Shared(t, generation(t))
}

// NATS gives the URL of a NATS server with JetStream that tests share: use names
// of your own. It fails the test, or skips it outside CI, where there is none.
func NATS(t testing.TB) string {
	t.Helper()
	return Shared(t, KindNATS)
}

// Kafka gives the kafka:// URL of a Kafka that tests share: use names of your own.
// It fails the test, or skips it outside CI, where there is none.
func Kafka(t testing.TB) string {
	t.Helper()
	return Shared(t, KindKafka)
}

// PrivateRabbitMQ starts a RabbitMQ that ends with the test and that the test
// may stop, restart and kill.
func PrivateRabbitMQ(t testing.TB) *Server {
	t.Helper()
	return Private(t, generation(t))
}

// PrivateNATS starts a NATS server with JetStream that ends with the test and
// that the test may stop, restart and kill.
func PrivateNATS(t testing.TB) *Server {
	t.Helper()
	return Private(t, KindNATS)
}

// PrivateKafka starts a Kafka that ends with the test and that the test may stop,
// restart and kill.
func PrivateKafka(t testing.TB) *Server {
	t.Helper()
	return Private(t, KindKafka)
}

// Private starts a server that ends with the test; a RabbitMQ with the plugins.
func Private(t testing.TB, kind Kind, plugins ...string) *Server {
	t.Helper()
	return private(t, kind, func(s *Server) { s.Plugins = plugins })
}

// PrivateSecuredKafka starts a Kafka that ends with the test and lets clients in as
// the settings say. Its URL is one for the test's own use, without any of it.
func PrivateSecuredKafka(t testing.TB, security KafkaSecurity) *Server {
	t.Helper()
	return private(t, KindKafka, func(s *Server) { s.Security = &security })
}

func private(t testing.TB, kind Kind, change func(*Server)) *Server {
	t.Helper()
	s, err := startLeashed(kind, change)
	if err != nil {
		Missing(t, err)
	}
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Errorf("remove %s: %v", kind, err)
		}
	})
	return s
}

// StartForProcess starts a server that ends with this process, for a TestMain
// or for several tests in a row.
func StartForProcess(kind Kind) (*Server, error) { return startLeashed(kind, nil) }

func startLeashed(kind Kind, change func(*Server)) (*Server, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	s, err := New(kind, root)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(s)
	}
	if err := s.save(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	if err := s.Leash(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	if err := s.Start(context.Background()); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// ofProcess holds the servers that this test process started for all its tests.
var ofProcess = map[Kind]func() (string, error){
	KindRabbitMQ:  sync.OnceValues(func() (string, error) { return sharedURL(KindRabbitMQ) }),
	KindRabbitMQ4: sync.OnceValues(func() (string, error) { return sharedURL(KindRabbitMQ4) }),
	KindNATS:      sync.OnceValues(func() (string, error) { return sharedURL(KindNATS) }),
	KindKafka:     sync.OnceValues(func() (string, error) { return sharedURL(KindKafka) }),
}

// Shared gives the URL of the server of a kind that tests share: use names of
// your own. It fails the test, or skips it outside CI, where there is none.
func Shared(t testing.TB, kind Kind) string {
	t.Helper()
	u, err := ofProcess[kind]()
	if err != nil {
		Missing(t, err)
	}
	return u
}

// sharedURL is the address out of the environment, else the one that make up
// left, else that of a server for this process.
func sharedURL(kind Kind) (string, error) {
	name := envName(kind)
	if u := os.Getenv(name); u != "" {
		if err := Answers(u); err != nil {
			return "", fmt.Errorf("%s is set: %w", name, err)
		}
		return u, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	if u := readEnv(filepath.Join(root, "env"))[name]; u != "" && Answers(u) == nil {
		return u, nil
	}
	return startKept(kind)
}

// startKept starts a server that lives as long as this process and is known by
// its URL alone.
func startKept(kind Kind) (string, error) {
	s, err := startLeashed(kind, nil)
	if err != nil {
		return "", err
	}
	kept.Store(kind, s)
	return s.URL(), nil
}

// kept holds on to the servers that are known by their URL alone: the leash of
// one that nothing refers to is closed by the garbage collector, and the server
// ends in the middle of a test.
var kept sync.Map

// Missing ends a test that cannot have its server. Only one that is not installed
// is a reason to skip, and in CI not even that is.
func Missing(t testing.TB, err error) {
	t.Helper()
	if InCI() || !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIP %s: %v ***\n\n", t.Name(), err)
	t.Skip(err)
}

// InCI says whether a missing broker is a failure.
func InCI() bool { return os.Getenv("CI") == "true" }
