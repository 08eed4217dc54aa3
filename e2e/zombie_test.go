package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Sessions that are over for their successors and do not know it. These play side
// by side: a successor has to wait until the brokers give its predecessor up.
func TestZombie(t *testing.T) { onBoth(t, zombies) }

func zombies(t *testing.T, g generation) {
	load := func(s *scene) *scene {
		return s.sizedLoad(ledger.Keys100, sized(10_000, 1_000_000), sized(1000, 5000))
	}
	for i, variant := range []struct {
		name string
		play func(*testing.T)
	}{
		{"RabbitMQ to JetStream", func(t *testing.T) {
			s := newScene(t, g, "RabbitMQ → JetStream, a bridge wakes beside its successor")
			zombie(load(s.fromRabbitMQ(smallest, allTypes...)))
			s.expectNothingWrong()
		}},
		{"JetStream to RabbitMQ", func(t *testing.T) {
			s := newScene(t, g, "JetStream → RabbitMQ, a bridge wakes beside its successor")
			zombie(load(s.fromJetStream(allTypes...)))
			s.expectNothingWrong()
		}},
		{"JetStream to RabbitMQ, late arrival", func(t *testing.T) {
			s := newScene(t, g, "JetStream → RabbitMQ, what a killed bridge sent arrives late")
			load(s.fromJetStream(allTypes...))
			lateArrival(s, func() *proxy { return s.rabbitProxy })
			s.expectNothingWrong()
		}},
		{"RabbitMQ to JetStream, late arrival", func(t *testing.T) {
			s := newScene(t, g, "RabbitMQ → JetStream, what a killed bridge sent arrives behind its successor's")
			load(s.fromRabbitMQ(smallest, allTypes...))
			lateArrival(s, func() *proxy { return s.natsProxy })
			s.expectNothingWrong()
		}},
	} {
		if g.has(i) {
			t.Run(variant.name, func(t *testing.T) {
				t.Parallel()
				variant.play(t)
			})
		}
	}
}

// zombie stops the bridge in the middle of its work for so long that a second one
// takes over, and then lets it go on where it was: what it still had in hand must
// not reach the target any more.
func zombie(s *scene) {
	s.begin()
	n := sized(3, 10)
	for i := range n {
		s.due(i, n)
		s.stopBridge()
	}
	s.finish()
}

// stopBridge is SIGSTOP until a second bridge has taken over, and SIGCONT beside
// that.
func (s *scene) stopBridge() {
	s.t.Helper()
	s.note("zombie")
	old := s.bridge
	old.signal(s.t, syscall.SIGSTOP)
	s.beside()
	s.awaitBridge(patience, "moving in place of the one that was stopped", moving)
	old.signal(s.t, syscall.SIGCONT)
	// The old one has found out once it waits for its place.
	await(s.t, patience, "the old one standing by", func() bool { return old.everyRelay(standsBy) })
	old.kill()
}

// lateArrival kills the bridge while what it sent is held up in the network, and
// lets that arrive when its successor is at work.
func lateArrival(s *scene, target func() *proxy) {
	s.viaProxies().begin()
	for i := range kills() {
		s.due(i, kills())
		s.note("late arrival")
		target().hold()
		s.awaitBridge(patience, "messages on their way", func(r *relayStatus) bool { return r.Counts.InFlight > 100 })
		s.bridge.kill()
		s.start()
		s.awaitBridge(patience, "moving in place of the one that was killed", moving)
		<-time.After(3 * smallest) // past the duplicates window, which would hide what arrives
		target().release()
	}
	s.finish()
}

// beside starts a second bridge of the same configuration.
func (s *scene) beside() {
	s.t.Helper()
	port, err := brokers.FreePort()
	if err != nil {
		s.t.Fatal(err)
	}
	s.listen = brokers.Address(port)
	s.bridge = startBridge(s.t, s.binary, s.config, s.listen, filepath.Join(s.dir, "crossfade.log"), s.env...)
}
