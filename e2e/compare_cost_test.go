package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A relay is at half of the load that it can take, and its work is compared on the same
// machine now and then: it keeps its rate. How long its messages are on their way is
// compared with what they take while nothing is, in each round anew, and gates nothing.
func TestComparisonBesideARelay(t *testing.T) {
	rate := 500
	if full {
		rate = mostOfOne(t) / 2
	} else {
		t.Parallel()
	}
	s := newScene(t, generations[0], "RabbitMQ → Kafka, compared now and then")
	s.route(quorum, kafka)
	seen := &lags{}
	s.relays[0].book.Seen = seen.add
	c := &candidates{scene: s, lags: []*lags{seen}}
	rounds, window := sized(2, 5), time.Duration(sized(2, 20))*time.Second
	s.sizedLoad(ledger.Keys100, 1, rate)
	s.load.Messages = rate * (60 + rounds*int(4*window/time.Second))
	s.begin()
	stop := c.watchAll()
	alone, beside := [][]figures{}, [][]figures{}
	for range rounds {
		alone = append(alone, c.measure(window))
		end := s.startComparison()
		beside = append(beside, c.measure(window))
		if out := end(); !strings.Contains(out, "\"verdict\": \"match\"") {
			t.Errorf("the comparison says:\n%s", out)
		}
	}
	s.least = s.book().Produced()
	stop()
	s.finish()
	without, with := median(alone, 0), median(beside, 0)
	s.notes = append(s.notes, fmt.Sprintf("at %d/s: %.0f/s and p99 %.1f ms alone, %.0f/s and p99 %.1f ms while it is compared: %.2f times", rate, without.rate, without.p99, with.rate, with.p99, with.p99/without.p99))
	if with.rate < 0.9*without.rate {
		t.Errorf("beside a comparison %.0f messages/s arrive, and %.0f without", with.rate, without.rate)
	}
	s.expectNothingWrong()
}

// watchAll reads every candidate until stop.
func (c *candidates) watchAll() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.relays[0].reader.Read(ctx, c.relays[0].book); err != nil && ctx.Err() == nil {
			c.t.Errorf("read: %v", err)
		}
	}()
	c.t.Cleanup(func() { cancel(); <-done })
	return func() { cancel(); <-done }
}

// mostOfOne measures how many messages a second the relay takes to its candidate.
func mostOfOne(t *testing.T) int {
	s := newScene(t, generations[0], "RabbitMQ → Kafka, as fast as it goes")
	s.route(quorum, kafka)
	const count = 200_000
	s.sizedLoad(ledger.Keys100, count, 0)
	s.load.Messages = count
	s.begin()
	began := time.Now()
	s.finish()
	most := int(count / time.Since(began).Seconds())
	s.notes = append(s.notes, fmt.Sprintf("as fast as it goes: %d messages/s", most))
	s.expectNothingWrong()
	return most
}

// startComparison runs "crossfade compare" of the first relay's work, and waits until it
// has begun; end interrupts it and gives what it says.
func (s *scene) startComparison() (end func() string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.relays[0]
	path := filepath.Join(s.dir, "compare.yaml")
	text = append(text, fmt.Sprintf("comparisons:\n  - {name: beside, relay: %s, candidate: %s}\n", r.name, r.tap)...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(s.binary, "compare", "-c", path, "--json", "--quiet")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })
	return func() string {
		s.t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Fatal(err)
		}
		select {
		case <-exited:
		case <-time.After(time.Minute):
			s.t.Fatal("the comparison does not end")
		}
		return out.String() + errs.String()
	}
}
