package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// asCommand holds the flags of a process that is to be the command and no test.
const asCommand = "CROSSFADE_TEST_CONSUMER"

func TestMain(m *testing.M) {
	if flags := os.Getenv(asCommand); flags != "" {
		os.Args = append(os.Args[:1], strings.Fields(flags)...)
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The command is killed again and again. Nothing is lost and nothing is out of
// order; what is there twice has the same ID and is the same.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds for each system")
	}
	for name, places := range map[string]func(*testing.T) *place{
		"nats": inNATS, "kafka": inKafka,
		"rabbitmq":  func(t *testing.T) *place { return inRabbitMQ(t, brokers.KindRabbitMQ) },
		"rabbitmq4": func(t *testing.T) *place { return inRabbitMQ(t, brokers.KindRabbitMQ4) },
	} {
		t.Run(name, func(t *testing.T) {
			p := places(t)
			all := load(11, 400)
			flags := p.flags(filepath.Join(t.TempDir(), "state.json"))
			if err := consumerOf(t, flags).listen(t); err != nil {
				t.Fatal(err)
			}
			p.putTwice(t, all)
			p.killed(t, flags, applied(minutes, all))
		})
	}
}

// killed kills the command some times, lets it come to an end, and looks at the
// results.
func (p *place) killed(t *testing.T, flags string, want []message) {
	t.Helper()
	complete := func() bool { return len(first(t, p.results.list())) == len(want) }
	kills := 0
	for ; kills < 8 && !complete(); kills++ {
		c := command(t, flags)
		<-time.After(time.Duration(20+rand.IntN(100)) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	c := command(t, flags)
	for deadline := time.Now().Add(60 * time.Second); !complete() && time.Now().Before(deadline); {
		<-time.After(20 * time.Millisecond)
	}
	<-time.After(time.Second) // for what must not come, and for the start
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil || !strings.HasPrefix(c.Stdout.(*strings.Builder).String(), "consumer: ") {
		t.Errorf("%v: %s", err, c.Stdout)
	}
	got := p.results.list()
	if f := first(t, got); !reflect.DeepEqual(ofEach(f), ofEach(want)) {
		t.Errorf("%d results, want %d: got\n%q\nwant\n%q", len(f), len(want), f, want)
	}
	t.Logf("killed %d times: %d results, %d of them again; %s", kills, len(got), len(got)-len(want), c.Stdout)
}

// command starts the command, which says on Stdout all that it has to say.
func command(t *testing.T, flags string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), asCommand+"="+flags)
	c.Stdout = &strings.Builder{}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}
