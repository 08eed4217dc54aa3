package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// full says that the stories have the sizes that the promises name.
var full = os.Getenv("FULL") != ""

// sized is small, or large with FULL=1.
func sized(small, large int) int {
	if full {
		return large
	}
	return small
}

// seed is what all randomness of a run follows from.
var seed = func() uint64 {
	if s, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		return s
	}
	return rand.Uint64N(1_000_000)
}()

// builds holds the binaries of this run, and is removed at its end.
var builds string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(sized(4, 2))); err != nil { // they wait more than they work, at reduced size
		panic(err)
	}
	dir, err := os.MkdirTemp("", "crossfade-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds = dir
	began := time.Now()
	fmt.Printf("SEED=%d\n", seed)
	code := m.Run()
	fmt.Printf("stories took %s; SEED=%d\n", time.Since(began).Round(time.Second), seed)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// shipped is the command as it ships; planted is the one that can make mistakes.
var (
	shipped = sync.OnceValues(func() (string, error) { return build("crossfade") })
	planted = sync.OnceValues(func() (string, error) { return build("crossfade-planted", "-tags", "planted") })
)

func build(name string, flags ...string) (string, error) {
	repo, err := brokers.Repository()
	if err != nil {
		return "", err
	}
	path := filepath.Join(builds, name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "./cmd/crossfade")...)
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// The servers that stories disturb: one of each kind for all of them, since a
// story leaves them running.
var ownServers = map[brokers.Kind]func() (*brokers.Server, error){
	brokers.KindRabbitMQ:  sync.OnceValues(func() (*brokers.Server, error) { return brokers.StartForProcess(brokers.KindRabbitMQ) }),
	brokers.KindRabbitMQ4: sync.OnceValues(func() (*brokers.Server, error) { return brokers.StartForProcess(brokers.KindRabbitMQ4) }),
	brokers.KindNATS:      sync.OnceValues(func() (*brokers.Server, error) { return brokers.StartForProcess(brokers.KindNATS) }),
	brokers.KindKafka:     sync.OnceValues(func() (*brokers.Server, error) { return brokers.StartForProcess(brokers.KindKafka) }),
}

func ownServer(t testing.TB, kind brokers.Kind) *brokers.Server {
	t.Helper()
	s, err := ownServers[kind]()
	if err != nil {
		brokers.Missing(t, err)
	}
	return s
}

// await waits for a condition and fails the story with what is wrong if it does
// not come true in time.
func await(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", within, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
