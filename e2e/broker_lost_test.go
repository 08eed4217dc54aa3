package e2e

import (
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// brokerLost kills and restarts a broker in turn, under the load of all scenes at
// once: a start of RabbitMQ takes long.
func brokerLost(kind brokers.Kind, scenes ...*scene) {
	for _, s := range scenes {
		s.begin()
	}
	n := sized(3, 10)
	for i := range 2 * n {
		for _, s := range scenes {
			s.due(i, 2*n)
		}
		for _, s := range scenes {
			if i%2 == 0 {
				s.note("kill -9 of " + string(kind))
			} else {
				s.note("restart of " + string(kind))
			}
		}
		server := scenes[0].server(kind)
		if i%2 == 0 {
			scenes[0].do(server.Kill)
			scenes[0].do(server.Start)
		} else {
			scenes[0].do(server.Restart)
		}
	}
	for _, s := range scenes { // or what is read first competes with the load of the others
		s.enough()
	}
	for _, s := range scenes {
		s.finish()
		s.expectNothingWrong()
	}
}

func TestNATSLost(t *testing.T) { onEach(t, natsLost) }

func natsLost(t *testing.T, g generation) {
	target := newScene(t, g, "RabbitMQ → JetStream, the target broker lost", brokers.KindNATS)
	target.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Zipf10k, sized(10_000, 1_000_000), sized(1500, 4000))
	source := newScene(t, g, "JetStream → RabbitMQ, the source broker lost", brokers.KindNATS)
	source.fromJetStream(allTypes...).sizedLoad(ledger.Keys100, sized(10_000, 1_000_000), sized(1500, 4000))
	brokerLost(brokers.KindNATS, target, source)
}

// The stream tap has an exchange of its own: for a moment after a crash RabbitMQ
// does not route to streams, and confirms what other queues of the exchange got.
func TestRabbitMQLost(t *testing.T) { onBoth(t, rabbitLost) }

func rabbitLost(t *testing.T, g generation) {
	source := newScene(t, g, "RabbitMQ → JetStream, the source broker lost", brokers.KindRabbitMQ)
	source.fromRabbitMQ(smallest, quorum, classic).sizedLoad(ledger.Keys100, sized(10_000, 1_000_000), sized(800, 2000))
	log := newScene(t, g, "RabbitMQ stream → JetStream, the source broker lost", brokers.KindRabbitMQ)
	log.fromRabbitMQ(smallest, stream).sizedLoad(ledger.Zipf10k, sized(10_000, 1_000_000), sized(800, 2000))
	target := newScene(t, g, "JetStream → RabbitMQ, the target broker lost", brokers.KindRabbitMQ)
	target.fromJetStream(allTypes...).sizedLoad(ledger.Keys100, sized(10_000, 1_000_000), sized(800, 2000))
	brokerLost(brokers.KindRabbitMQ, source, log, target)
}
