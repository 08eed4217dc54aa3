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
	in := newScene(t, "RabbitMQ → JetStream, a bridge wakes beside its successor")
	in.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(1000, 5000))
	out := newScene(t, "JetStream → RabbitMQ, a bridge wakes beside its successor")
	out.fromJetStream(allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(1000, 5000))
	zombie(in, out)
	for _, s := range []*scene{in, out} {
		s.finish()
		s.expectNothingWrong()
	}
}

// zombie plays in all scenes at once: a successor has to wait until the brokers
// give its predecessor up.
func zombie(scenes ...*scene) {
	for _, s := range scenes {
		s.begin()
	}
	n := sized(3, 10)
	for i := range n {
		old := make([]*process, len(scenes))
		for j, s := range scenes {
			s.due(i, n)
			s.note("zombie")
			old[j] = s.bridge
			old[j].signal(s.t, syscall.SIGSTOP)
			s.beside()
		}
		for j, s := range scenes {
			s.awaitBridge(patience, "moving in place of the one that was stopped", moving)
			old[j].signal(s.t, syscall.SIGCONT)
		}
		for j, s := range scenes {
			// The old one has found out once it waits for its place.
			await(s.t, patience, "the old one standing by", func() bool {
				return old[j].everyRelay(func(r *relayStatus) bool { return r.State == "waiting" || r.State == "starting" })
			})
			old[j].kill()
		}
	}
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
