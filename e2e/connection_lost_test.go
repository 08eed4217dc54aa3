package e2e

import (
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Connections are cut in the middle of what they carry, at either side and at
// both at once, while the brokers go on.
func TestConnectionsLost(t *testing.T) { onBoth(t, bothConnectionsLost) }

func bothConnectionsLost(t *testing.T, g generation) {
	t.Run("RabbitMQ to JetStream", func(t *testing.T) {
		s := newScene(t, g, "RabbitMQ → JetStream, connections cut")
		connectionsLost(s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(5000, 0)))
	})
	t.Run("JetStream to RabbitMQ", func(t *testing.T) {
		s := newScene(t, g, "JetStream → RabbitMQ, connections cut")
		connectionsLost(s.fromJetStream(allTypes...).sizedLoad(ledger.Zipf10k, sized(15_000, 1_000_000), sized(5000, 0)))
	})
}

func connectionsLost(s *scene) {
	s.viaProxies().begin()
	for i := range 3 * kills() {
		s.due(i, 3*kills())
		switch i % 3 {
		case 0:
			s.note("connections to RabbitMQ cut")
			s.rabbitProxy.cut()
		case 1:
			s.note("connections to NATS cut")
			s.natsProxy.cut()
		case 2:
			s.note("all connections cut")
			s.rabbitProxy.cut()
			s.natsProxy.cut()
		}
	}
	s.finish()
	s.expectNothingWrong()
}

// The target does not answer, the source's session ends meanwhile, and then the
// target's. What the source delivers again had been sent, but was never
// confirmed: it must not pass for placed.
func TestSourceLostWhileTheTargetIsSilent(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "RabbitMQ → JetStream, the source lost while the target is silent")
		s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Keys100, sized(15_000, 1_000_000), sized(5000, 0))
		sourceLostWhileTheTargetIsSilent(s)
		s.expectNothingWrong()
	})
}

func sourceLostWhileTheTargetIsSilent(s *scene) {
	s.viaProxies().begin()
	for i := range kills() {
		s.due(i, kills())
		s.note("source lost while the target is silent")
		s.natsProxy.setStalled(true)
		s.awaitBridge(patience, "messages in flight", func(r *relayStatus) bool { return r.Counts.InFlight > 100 })
		s.rabbitProxy.cut()
		s.awaitBridge(patience, "given back", func(r *relayStatus) bool { return r.Counts.GivenBack > 0 })
		s.natsProxy.cut()
		s.natsProxy.setStalled(false)
	}
	s.finish()
}

// The target does not answer, and then the bridge is killed: whatever it had taken
// from the source and not placed has to come again.
func TestBridgeKilledWhileTheTargetIsSilent(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "RabbitMQ → JetStream, the bridge killed while the target is silent")
		s.fromRabbitMQ(smallest, allTypes...).sizedLoad(ledger.Zipf10k, sized(15_000, 1_000_000), sized(5000, 0))
		bridgeKilledWhileTheTargetIsSilent(s)
		s.expectNothingWrong()
	})
}

func bridgeKilledWhileTheTargetIsSilent(s *scene) {
	s.viaProxies().begin()
	for i := range kills() {
		s.due(i, kills())
		s.natsProxy.setStalled(true)
		s.awaitBridge(patience, "messages in flight", func(r *relayStatus) bool { return r.Counts.InFlight > 100 })
		s.killBridge()
		s.natsProxy.cut()
		s.natsProxy.setStalled(false)
	}
	s.finish()
}
