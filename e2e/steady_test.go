package e2e

import (
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Steady flow, with everything that messages can carry.
func TestSteady(t *testing.T) { onBoth(t, steady) }

func steady(t *testing.T, g generation) {
	t.Run("RabbitMQ to JetStream", func(t *testing.T) {
		s := newScene(t, g, "steady flow, RabbitMQ → JetStream, every AMQP field")
		s.fromRabbitMQ(usual, quorum, classic).sizedLoad(ledger.Zipf10k, sized(20_000, 1_000_000), 0).begin()
		s.finish()
		s.expectNothingWrong()
	})
	t.Run("RabbitMQ stream to JetStream", func(t *testing.T) {
		s := newScene(t, g, "steady flow, RabbitMQ stream tap → JetStream")
		s.fromRabbitMQ(usual, stream).sizedLoad(ledger.Keys100, sized(20_000, 1_000_000), 0).begin()
		s.finish()
		s.expectNothingWrong()
	})
	t.Run("JetStream to RabbitMQ", func(t *testing.T) {
		s := newScene(t, g, "steady flow, JetStream → RabbitMQ")
		s.fromJetStream(allTypes...).sizedLoad(ledger.Uniform10k, sized(20_000, 1_000_000), 0).begin()
		s.finish()
		s.expectNothingWrong()
	})
	t.Run("RabbitMQ to Kafka", func(t *testing.T) {
		s := newScene(t, g, "steady flow, RabbitMQ → Kafka, every AMQP field")
		s.route(quorum, kafka).route(classic, kafka).sizedLoad(ledger.Zipf10k, sized(20_000, 1_000_000), 0).begin()
		s.finish()
		s.expectNothingWrong()
	})
	t.Run("Kafka to RabbitMQ", func(t *testing.T) {
		s := newScene(t, g, "steady flow, Kafka → RabbitMQ, with null bodies and null headers")
		s.route(kafka, quorum).route(kafka, classic).route(kafka, stream)
		s.sizedLoad(ledger.Uniform10k, sized(20_000, 1_000_000), 0).begin()
		s.finish()
		s.expectNothingWrong()
	})
}
