package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Every story can fail: each of these builds makes one mistake, and the story
// that is about it has to find it.
func TestPlanted(t *testing.T) {
	duplicates := func(r *ledger.Report) int { return r.Duplicated.Count }
	losses := func(r *ledger.Report) int { return r.Lost.Count }
	reorders := func(r *ledger.Report) int { return r.Reordered.Count }
	kinds := map[string]func(*ledger.Report) int{"duplicated": duplicates, "lost": losses, "reordered": reorders}
	for i, mistake := range []struct {
		bug, about, want string
		play             func(*scene)
	}{
		{"recall-off", "RabbitMQ → JetStream, the bridge killed", "duplicated", func(s *scene) {
			s.fromRabbitMQ(smallest, quorum, stream).sizedLoad(ledger.Zipf10k, 15_000, 5000).begin()
			bridgeKilled(s, 8)
		}},
		{"recall-off", "JetStream → RabbitMQ stream, the bridge killed", "duplicated", func(s *scene) {
			s.fromJetStream(stream).sizedLoad(ledger.Keys100, 15_000, 5000).begin()
			bridgeKilled(s, 8)
		}},
		{"fence-off", "RabbitMQ → JetStream, what a killed bridge sent arrives late", "duplicated", func(s *scene) {
			s.fromRabbitMQ(smallest, quorum, stream).sizedLoad(ledger.Keys100, 15_000, 3000)
			lateArrival(s, func() *proxy { return s.natsProxy })
		}},
		{"early-ack", "RabbitMQ → JetStream, the bridge killed while the target is silent", "lost", func(s *scene) {
			s.fromRabbitMQ(smallest, quorum, classic).sizedLoad(ledger.Zipf10k, 15_000, 5000)
			bridgeKilledWhileTheTargetIsSilent(s)
		}},
		{"suppress-in-flight", "RabbitMQ → JetStream, the source lost while the target is silent", "lost", func(s *scene) {
			s.fromRabbitMQ(smallest, quorum, classic).sizedLoad(ledger.Keys100, 15_000, 5000)
			sourceLostWhileTheTargetIsSilent(s)
		}},
		{"many-in-flight", "JetStream → RabbitMQ, a full classic queue", "reordered", func(s *scene) {
			s.sizedLoad(ledger.Keys100, 8000, 2000)
			fullQueue(s)
		}},
		{"recall-off", "Kafka → Kafka, the bridge killed", "duplicated", func(s *scene) {
			s.route(kafka, kafka).sizedLoad(ledger.Keys100, 10_000, 2000).begin()
			bridgeKilled(s, 6)
		}},
		{"fence-off", "JetStream → Kafka, what a killed bridge sent arrives late", "duplicated", func(s *scene) {
			s.route(jetStream, kafka).sizedLoad(ledger.Keys100, 10_000, 2000)
			lateArrival(s, func() *proxy { return s.kafkaProxy })
		}},
		{"early-ack", "Kafka → JetStream, the bridge killed while the target is silent", "lost", func(s *scene) {
			s.route(kafka, jetStream).sizedLoad(ledger.Keys100, 10_000, 2000)
			bridgeKilledWhileTheTargetIsSilent(s)
		}},
		{"commit-backwards", "Kafka → Kafka, the bridge killed, with a small debt", "duplicated", func(s *scene) {
			s.route(kafka, kafka).sizedLoad(ledger.Keys100, 10_000, 2000)
			s.relays[0].more += "\n    limits: {debt: 200}"
			s.begin()
			bridgeKilled(s, 6)
		}},
	} {
		t.Run(mistake.bug+"/"+mistake.about, func(t *testing.T) {
			var disturbed []brokers.Kind
			if strings.Contains(mistake.about, "→ Kafka") {
				disturbed = append(disturbed, brokers.KindKafka) // of the story's own, with a proxy
			}
			s := newScene(t, generations[i%len(generations)], mistake.about, disturbed...) // in turn
			s.plant(mistake.bug)
			mistake.play(s)
			found := 0
			for _, r := range s.relays {
				found += kinds[mistake.want](&r.report)
			}
			verdict := "caught"
			if found == 0 {
				verdict = "MISSED"
				t.Errorf("the story does not see %s: nothing is %s", mistake.bug, mistake.want)
			}
			fmt.Printf("PLANTED %s, %s: %d %s in %q (%s)\n", mistake.bug, verdict, found, mistake.want, s.title, time.Since(s.began).Round(100*time.Millisecond))
			for _, r := range s.relays {
				fmt.Printf("      %-16s %s\n", r.name, r.report.Line())
			}
		})
	}
}
