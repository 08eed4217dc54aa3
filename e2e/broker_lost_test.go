package e2e

import (
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// brokerLost restarts and kills a broker in turn, under load.
func brokerLost(s *scene, kind brokers.Kind) {
	n := sized(3, 10)
	for i := range 2 * n {
		s.due(i, 2*n)
		if i%2 == 0 {
			s.killServer(kind)
		} else {
			s.restartServer(kind)
		}
	}
	s.finish(patience)
	s.expectNothingWrong()
}

func TestTargetBrokerLost(t *testing.T) {
	t.Run("JetStream", func(t *testing.T) {
		s := newScene(t, "RabbitMQ → JetStream, the target broker lost", brokers.KindNATS)
		s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Zipf10k, sized(20_000, 1_000_000), sized(3000, 0)).begin()
		brokerLost(s, brokers.KindNATS)
	})
	t.Run("RabbitMQ", func(t *testing.T) {
		s := newScene(t, "JetStream → RabbitMQ, the target broker lost", brokers.KindRabbitMQ)
		s.fromJetStream(allTypes...).sizedLoad(ledger.Keys100, sized(20_000, 1_000_000), sized(1000, 10_000)).begin()
		brokerLost(s, brokers.KindRabbitMQ)
	})
}

func TestSourceBrokerLost(t *testing.T) {
	t.Run("RabbitMQ", func(t *testing.T) {
		s := newScene(t, "RabbitMQ → JetStream, the source broker lost", brokers.KindRabbitMQ)
		s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(20_000, 1_000_000), sized(3000, 0)).begin()
		brokerLost(s, brokers.KindRabbitMQ)
	})
	t.Run("JetStream", func(t *testing.T) {
		s := newScene(t, "JetStream → RabbitMQ, the source broker lost", brokers.KindNATS)
		s.fromJetStream(allTypes...).sizedLoad(ledger.Zipf10k, sized(20_000, 1_000_000), sized(3000, 0)).begin()
		brokerLost(s, brokers.KindNATS)
	})
}
