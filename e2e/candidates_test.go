package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// One incumbent feeds three candidates of different kinds. One of them is stopped, and
// then stalled: it takes connections and answers nothing. The others go on as fast as
// without it, the incumbent's queues stay within their bound, and the one that was away
// catches up with nothing lost. What the others' messages take is compared with what
// they take while the relay to that candidate is paused, in each round anew, and gates
// nothing.
func TestCandidates(t *testing.T) {
	for i, g := range generations {
		if !full && i > 0 {
			break
		}
		t.Run(g.name, func(t *testing.T) {
			rate := 500
			if full {
				rate = mostOfThree(t, g) / 2
			} else {
				t.Parallel()
			}
			threeCandidates(t, g, rate, sized(3, 5)).print()
		})
	}
}

// candidateBound is what the incumbent's queue for a candidate may hold.
const candidateBound = 400_000

func newCandidates(t *testing.T, g generation) *candidates {
	s := newScene(t, g, "RabbitMQ → Kafka, JetStream and a second RabbitMQ", brokers.KindNATS)
	s.viaProxies()
	other := generations[0]
	if g == other {
		other = generations[1]
	}
	s.second = brokers.Shared(t, other.kind)
	c := &candidates{scene: s}
	in := s.intake(quorum)
	in.block = strings.Replace(in.block, "bindings:", fmt.Sprintf("max_length: %d, bindings:", candidateBound), 1)
	for _, to := range []string{kafka, jetStream, stream} {
		name := s.name + "-" + to
		var out outlet
		if to == stream {
			out = s.toSecond(name)
		} else {
			out = s.outlet(to, name, smallest, in.at)
		}
		s.addRelay("to-"+strings.ToLower(to), in, out)
		lags := &lags{}
		s.relays[len(s.relays)-1].book.Seen = lags.add
		c.lags = append(c.lags, lags)
	}
	return c
}

// toSecond places into a stream of the second RabbitMQ.
func (s *scene) toSecond(name string) outlet {
	s.t.Helper()
	first := s.rabbit
	s.rabbit = s.second
	out := s.toQueue(name, stream)
	s.rabbit = first
	out.block = strings.Replace(out.block, "system: rabbit", "system: second", 1)
	return out
}

// candidates is a scene whose second relay's candidate is lost now and then.
type candidates struct {
	*scene
	lags []*lags // by relay
}

// mostOfThree measures how many messages a second reach all three candidates.
func mostOfThree(t *testing.T, g generation) int {
	c := newCandidates(t, g)
	const count = 100_000
	c.sizedLoad(ledger.Keys100, count, 0)
	c.load.Messages = count
	c.begin()
	began := time.Now()
	c.finish()
	most := int(count / time.Since(began).Seconds())
	c.notes = append(c.notes, fmt.Sprintf("as fast as it goes: %d messages/s to each of the three", most))
	c.expectNothingWrong()
	return most
}

func threeCandidates(t *testing.T, g generation, rate, rounds int) *candidates {
	c := newCandidates(t, g)
	s := c.scene
	window := time.Duration(sized(2, 15)) * time.Second
	s.sizedLoad(ledger.Keys100, 1, rate)
	s.load.Messages = rate * (120 + rounds*int((5*window)/time.Second)*3)
	s.begin()
	stop := c.watch()
	lost, srv := s.relays[1].name, s.server(brokers.KindNATS)
	table := map[string][][]figures{}
	for range rounds {
		s.operator("pause", lost)
		table["paused"] = append(table["paused"], c.measure(window))
		s.operator("resume", lost)
		c.caughtUp()

		s.note("JetStream stopped")
		s.do(srv.Stop)
		c.awaitLost(lost)
		table["stopped"] = append(table["stopped"], c.measure(window))
		s.do(srv.Start)
		c.caughtUp()

		s.note("JetStream stalled")
		s.natsProxy.setStalled(true)
		c.awaitLost(lost)
		table["stalled"] = append(table["stalled"], c.measure(window))
		s.natsProxy.setStalled(false)
		c.caughtUp()
	}
	s.least = s.book().Produced()
	stop()
	s.finish()
	for i, r := range s.relays {
		if r.name == lost {
			continue
		}
		without := median(table["paused"], i)
		for _, phase := range []string{"stopped", "stalled"} {
			with := median(table[phase], i)
			s.notes = append(s.notes, fmt.Sprintf("%s at %d/s: %.0f/s and p99 %.1f ms while %s is paused, %.0f/s and p99 %.1f ms while its candidate is %s: %.2f times",
				r.name, rate, without.rate, without.p99, lost, with.rate, with.p99, phase, with.p99/without.p99))
		}
	}
	for i, r := range s.relays {
		if report := r.report; !report.Clean() {
			t.Errorf("%s: %s", s.relays[i].name, report.String())
		}
	}
	return c
}

// operator does something to a relay on the command line.
func (s *scene) operator(verb, relay string) {
	s.t.Helper()
	if out, code := command(s.t, s.binary, nil, verb, "-c", s.config, relay); code != 0 {
		s.t.Fatalf("crossfade %s %s: exit code %d\n%s", verb, relay, code, out)
	}
}

// watch reads all candidates but the one that is lost, until stop.
func (c *candidates) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i, r := range c.relays {
		if i == 1 {
			continue
		}
		wg.Go(func() {
			if err := r.reader.Read(ctx, r.book); err != nil && ctx.Err() == nil {
				c.t.Errorf("read %s: %v", r.name, err)
			}
		})
	}
	c.t.Cleanup(func() { cancel(); wg.Wait() })
	return func() { cancel(); wg.Wait() }
}

// awaitLost waits until a relay says that its candidate is away.
func (c *candidates) awaitLost(relay string) {
	c.t.Helper()
	c.awaitBridge(patience, relay+" waiting for its candidate", func(r *relayStatus) bool {
		return r.Name != relay || r.State == "waiting" && strings.Contains(r.Why, "candidate")
	})
}

// caughtUp waits until every relay has placed what the incumbent has.
func (c *candidates) caughtUp() {
	c.t.Helper()
	c.stillProducing()
	c.awaitBridge(patience, "caught up", func(r *relayStatus) bool {
		return connected(r) && int(r.Counts.Placed+r.Counts.Suppressed) >= c.book().Produced()-2000
	})
}

// figures are what reached one candidate in a window of time.
type figures struct {
	rate float64 // messages a second
	p99  float64 // milliseconds that a message was on its way
}

// measure gives the figures of each relay over a while, and looks whether the
// incumbent's queues are within their bound.
func (c *candidates) measure(window time.Duration) []figures {
	c.t.Helper()
	for _, l := range c.lags {
		l.take()
	}
	began := time.Now()
	<-time.After(window) // what is measured
	c.stillProducing()
	took := time.Since(began).Seconds()
	all := make([]figures, len(c.lags))
	for i, l := range c.lags {
		if ds := l.take(); len(ds) > 0 {
			all[i] = figures{float64(len(ds)) / took, float64(ds[len(ds)*99/100].Microseconds()) / 1000}
		}
	}
	for name, n := range c.ownLengths() {
		if n > candidateBound || strings.HasSuffix(name, ".dropped") && n > 0 {
			c.t.Errorf("queue %s of the incumbent holds %d messages", name, n)
		}
	}
	return all
}

// median gives the median of a relay's figures.
func median(rounds [][]figures, relay int) figures {
	var rates, p99s []float64
	for _, all := range rounds {
		rates, p99s = append(rates, all[relay].rate), append(p99s, all[relay].p99)
	}
	slices.Sort(rates)
	slices.Sort(p99s)
	return figures{rates[len(rates)/2], p99s[len(p99s)/2]}
}

// lags are how long messages were on their way.
type lags struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *lags) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// take gives what was added since it was asked last.
func (l *lags) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}
