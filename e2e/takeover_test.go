package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Two processes have one configuration. The one that works is lost in each of
// three ways, under load; the other takes over, and the first finds out that its
// time is over as soon as it can know.
func TestTakeover(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		load := func(s *scene) *scene {
			return s.sizedLoad(ledger.Keys100, sized(10_000, 1_000_000), sized(600, 5000))
		}
		t.Run("RabbitMQ to JetStream", func(t *testing.T) {
			t.Parallel()
			s := newScene(t, g, "RabbitMQ → JetStream, a second process takes over")
			takeover(load(s.fromRabbitMQ(smallest, allTypes...)))
		})
		t.Run("JetStream to RabbitMQ", func(t *testing.T) {
			t.Parallel()
			s := newScene(t, g, "JetStream → RabbitMQ, a second process takes over")
			takeover(load(s.fromJetStream(allTypes...)))
		})
	})
}

// A stand is where one of the two processes runs: a configuration that differs
// from the other's by its way to the brokers.
type stand struct {
	config, listen string
	rabbit, nats   *proxy
	process        *process
}

// longest is more than every time-out of a scene's configuration: heartbeats of
// 2s, of which the broker waits for two, and 5s for an answer.
const longest = 8 * time.Second

// The ways in which the one that works is lost. Each gives what makes it come
// back.
var losses = []struct {
	name string
	lose func(*scene, *stand) (back func())
}{
	{"kill -9 of the holder", func(s *scene, holder *stand) func() {
		holder.process.kill()
		return func() { s.enter(holder) }
	}},
	{"SIGSTOP of the holder for longer than every time-out", func(s *scene, holder *stand) func() {
		holder.process.signal(s.t, syscall.SIGSTOP)
		since := time.Now()
		return func() {
			<-time.After(longest - time.Since(since)) // the stop itself
			holder.process.signal(s.t, syscall.SIGCONT)
		}
	}},
	{"half-open connections of the holder", func(s *scene, holder *stand) func() {
		holder.rabbit.setStalled(true)
		holder.nats.setStalled(true)
		return func() {
			holder.rabbit.setStalled(false)
			holder.nats.setStalled(false)
		}
	}},
}

func takeover(s *scene) {
	other, holder := s.newStand(), s.newStand()
	s.begin() // at the stand that was made last
	holder.process = s.bridge
	s.awaitBridge(patience, "moving", moving)
	s.enter(other)
	n := sized(3, 7) * len(losses)
	took := make([][]time.Duration, len(losses))
	for i := range n {
		s.bridge = holder.process
		s.due(i, n)
		s.awaitStandby(other)
		kind := i % len(losses)
		s.note(losses[kind].name)
		placed := s.placedBy(other)
		lost := time.Now()
		back := losses[kind].lose(s, holder)
		s.bridge = other.process
		s.awaitBridge(patience, "moving in place of the holder", func(r *relayStatus) bool {
			return connected(r) && r.Counts.Placed > placed[r.Name]
		})
		took[kind] = append(took[kind], time.Since(lost))
		back()
		holder, other = other, holder
		s.awaitStandby(other)
	}
	for i, l := range losses {
		slices.Sort(took[i])
		s.notes = append(s.notes, fmt.Sprintf("taken over after %s: median %s, at most %s", l.name,
			took[i][len(took[i])/2].Round(10*time.Millisecond), took[i][len(took[i])-1].Round(10*time.Millisecond)))
	}
	other.process.kill()
	s.bridge = holder.process
	s.finish()
	s.expectNothingWrong()
}

// newStand writes a configuration that leads through proxies of its own.
func (s *scene) newStand() *stand {
	s.t.Helper()
	port, err := brokers.FreePort()
	if err != nil {
		s.t.Fatal(err)
	}
	d := &stand{config: filepath.Join(s.dir, fmt.Sprintf("stand-%d.yaml", port)), listen: brokers.Address(port)}
	d.rabbit, s.rabbitVia = newProxy(s.t, s.rabbit)
	d.nats, s.natsVia = newProxy(s.t, s.nats)
	s.config, s.listen = d.config, d.listen
	s.write()
	return d
}

// enter starts a process at the stand.
func (s *scene) enter(d *stand) {
	s.t.Helper()
	d.process = startBridge(s.t, s.binary, d.config, d.listen, filepath.Join(s.dir, "crossfade.log"), s.env...)
}

// awaitStandby waits until a process has found out that it has to wait for its
// place.
func (s *scene) awaitStandby(d *stand) {
	s.t.Helper()
	await(s.t, patience, "the other process standing by", func() bool {
		if d.process.ended() {
			s.t.Fatalf("the process that stands by ended by itself\n%s", d.process.logTail(20))
		}
		return d.process.everyRelay(standsBy)
	})
}

// placedBy is what each relay of a process has placed so far.
func (s *scene) placedBy(d *stand) map[string]uint64 {
	s.t.Helper()
	placed := map[string]uint64{}
	st, err := d.process.status()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range st.Relays {
		placed[r.Name] = r.Counts.Placed
	}
	return placed
}
