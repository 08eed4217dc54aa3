package e2e

import (
	"fmt"
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// rabbitMQ stands for the ends that RabbitMQ has.
const rabbitMQ = "RabbitMQ"

// Any of the three systems stands on either side of a route, itself included: the
// same story for all nine, with kill -9 of the bridge, and SIGSTOP for longer than
// a group, a connection or a lock outlives its owner. At reduced size a route is
// played with one of the loads, and on one of the generations of RabbitMQ.
func TestNineRoutes(t *testing.T) {
	systems := []string{rabbitMQ, kafka, jetStream}
	loads := []ledger.Keys{ledger.Zipf10k, ledger.Keys100}
	route := 0
	for _, from := range systems {
		for _, to := range systems {
			for i, keys := range loads {
				for j, g := range generations {
					withRabbit := from == rabbitMQ || to == rabbitMQ
					if !full && (i != route%2 || j != route/2%2) || !withRabbit && j > 0 && full {
						continue
					}
					name := fmt.Sprintf("%s to %s/%s", from, to, keys)
					if withRabbit {
						name += "/" + g.name
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						oneOfNine(t, g, from, to, keys)
					})
				}
			}
			route++
		}
	}
}

func oneOfNine(t *testing.T, g generation, from, to string, keys ledger.Keys) {
	s := newScene(t, g, fmt.Sprintf("%s → %s, %s", from, to, keys))
	for _, ends := range endsOf(from, to, keys) {
		s.route(ends[0], ends[1])
	}
	s.sizedLoad(keys, sized(6000, 300_000), sized(400, 4000)).begin()
	kills, stops := sized(3, 10), sized(1, 2)
	n := kills + stops
	for i := range n {
		s.due(i, n)
		if (i+1)*stops/n > i*stops/n {
			s.stopBridge()
		} else {
			s.killBridge()
		}
	}
	s.finish()
	s.expectNothingWrong()
}

// endsOf are the pairs of ends that a route is played with. What a stream that is
// bound to the exchange cannot carry is left out of a load, so that one of the two
// has none.
func endsOf(from, to string, keys ledger.Keys) (pairs [][2]string) {
	froms, tos := []string{from}, []string{to}
	if from == rabbitMQ {
		froms = []string{quorum, classic}
		if keys == ledger.Keys100 {
			froms = []string{quorum, stream}
		}
	}
	if to == rabbitMQ {
		tos = allTypes
	}
	for i := range max(len(froms), len(tos)) {
		pairs = append(pairs, [2]string{froms[i%len(froms)], tos[i%len(tos)]})
	}
	return pairs
}
