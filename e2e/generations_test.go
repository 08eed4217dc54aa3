package e2e

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A generation is one of the RabbitMQs that every story with one is played on.
type generation struct {
	name string
	kind brokers.Kind
}

// The generations. What a story prints is the version that the broker tells.
var (
	rabbit3     = generation{"RabbitMQ 3.10", brokers.KindRabbitMQ}
	rabbit4     = generation{"RabbitMQ 4.0", brokers.KindRabbitMQ4}
	generations = []generation{rabbit3, rabbit4}
)

// onEach plays a story on one generation after the other: one that disturbs the
// NATS server that stories share, or that measures time.
func onEach(t *testing.T, play func(*testing.T, generation)) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) { play(t, g) })
	}
}

// onBoth plays a story on all generations side by side.
func onBoth(t *testing.T, play func(*testing.T, generation)) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			play(t, g)
		})
	}
}

// has says whether variant i of a story is played on the generation: at reduced
// size they take turns.
func (g generation) has(i int) bool { return full || generations[i%len(generations)] == g }

// versionOf is what the broker says of itself.
func versionOf(t testing.TB, url string) string {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	v, _ := conn.Properties["version"].(string)
	if v == "" {
		t.Fatalf("the broker says no version: %v", conn.Properties)
	}
	return v
}

// losses are what the broker itself does to messages of a stream before any tap
// sees them.
func (s *scene) losses(tap string) []ledger.Loss {
	if tap == stream && strings.HasPrefix(s.version, "4.") {
		return []ledger.Loss{ledger.OctetsBecomeText}
	}
	return nil
}

// newRand gives a story's own randomness, whatever else is played beside it.
func newRand(t testing.TB, title string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Name() + "\n" + title))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
