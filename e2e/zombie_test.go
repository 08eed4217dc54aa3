package e2e

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// The bridge is stopped in the middle of its work for so long that a second one
// takes over, and then goes on where it was: what it still had in hand must not
// reach the target any more.
func TestZombie(t *testing.T) {
	t.Run("RabbitMQ to JetStream", func(t *testing.T) {
		s := newScene(t, "RabbitMQ → JetStream, a bridge wakes beside its successor")
		zombie(s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(1000, 5000)))
		s.expectNothingWrong()
	})
	t.Run("JetStream to RabbitMQ", func(t *testing.T) {
		s := newScene(t, "JetStream → RabbitMQ, a bridge wakes beside its successor")
		zombie(s.fromJetStream(allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(1000, 5000)))
		s.expectNothingWrong()
	})
}

func zombie(s *scene) {
	s.begin()
	for i := range sized(3, 10) {
		s.due(i, sized(3, 10))
		s.note("zombie")
		old := s.bridge
		old.signal(s.t, syscall.SIGSTOP)
		s.beside()
		s.awaitBridge(patience, "moving in place of the one that was stopped", moving)
		old.signal(s.t, syscall.SIGCONT)
		// The old one has noticed once it says that it waits for its place.
		await(s.t, patience, "the old one stands by", func() bool {
			return old.everyRelay(func(r *relayStatus) bool { return r.State == "waiting" || r.State == "starting" })
		})
		old.kill()
	}
	s.finish(patience)
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
