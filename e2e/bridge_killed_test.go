package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// kills is how often something is killed in a story.
func kills() int { return sized(3, 20) }

// The bridge is killed at random moments under load. The duplicates window is
// the smallest and the usual one, so that the target's own memory hides nothing.
func TestBridgeKilled(t *testing.T) { onBoth(t, bridgesKilled) }

func bridgesKilled(t *testing.T, g generation) {
	for i, keys := range []ledger.Keys{ledger.Zipf10k, ledger.Keys100} {
		for j, window := range []time.Duration{smallest, usual} {
			if !g.has(i + j) {
				continue
			}
			t.Run(fmt.Sprintf("RabbitMQ to JetStream/%s/window %s", keys, window), func(t *testing.T) {
				s := newScene(t, g, fmt.Sprintf("RabbitMQ → JetStream, %s, duplicates window %s", keys, window))
				s.fromRabbitMQ(window, allTypes...).sizedLoad(keys, sized(15_000, 1_000_000), sized(5000, 0)).begin()
				bridgeKilled(s, kills())
				s.expectNothingWrong()
			})
		}
		if !g.has(i) {
			continue
		}
		t.Run(fmt.Sprintf("JetStream to RabbitMQ/%s", keys), func(t *testing.T) {
			s := newScene(t, g, fmt.Sprintf("JetStream → RabbitMQ, %s", keys))
			s.fromJetStream(allTypes...).sizedLoad(keys, sized(15_000, 1_000_000), sized(5000, 0)).begin()
			bridgeKilled(s, kills())
			s.expectNothingWrong()
		})
	}
}

func bridgeKilled(s *scene, times int) {
	for i := range times {
		s.due(i, times)
		s.killBridge()
	}
	s.finish()
}
