package adapters_test

import (
	"strconv"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// A message that its producer gave a minute has what is left of that minute in the
// queue that it comes to by way of another system, and not a minute anew.
func TestRemainingTimeCrossesSystems(t *testing.T) {
	const minute = 60_000
	for _, by := range []end{{name: "Kafka", make: kafkaTopic("original")}, {name: "JetStream", make: natsStream}, {name: "RabbitMQ stream", make: rabbit(brokers.KindRabbitMQ, "stream")}} {
		t.Run(by.name, func(t *testing.T) {
			from, to := rabbit(brokers.KindRabbitMQ, "quorum")(t), rabbit(brokers.KindRabbitMQ, "classic")(t)
			produced := time.Now()
			withRabbit(t, from.url, func(ch *amqp.Channel) error {
				return ch.PublishWithContext(t.Context(), "", from.queue, true, false, amqp.Publishing{Body: []byte("b"), Expiration: strconv.Itoa(minute)})
			})
			source, err := from.source.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			first := from.read(t, source, 1)
			m := only(t, first)
			if end := m.Expires.Sub(produced); end < minute*time.Millisecond || end > minute*time.Millisecond+20*time.Second {
				t.Fatalf("it expires %v after it was produced", end)
			}
			between := by.make(t).through(t, first)
			if got := only(t, between); !got.Expires.Equal(m.Expires) {
				t.Errorf("it expires at %v, by way of %s at %v", m.Expires, by.name, got.Expires)
			}
			sent := time.Now()
			to.write(t, between)
			withRabbit(t, to.url, func(ch *amqp.Channel) error {
				d, ok, err := ch.Get(to.queue, true)
				left, bad := strconv.Atoi(d.Expiration)
				if most := m.Expires.Sub(sent).Milliseconds() + 1; !ok || bad != nil || left >= minute || int64(left) > most || int64(left) < most-20_000 {
					t.Errorf("%v: the target has given it %q ms, and %d are left", ok, d.Expiration, most)
				}
				return err
			})
		})
	}
}

func only(t *testing.T, ms map[uint64]*bridge.Message) *bridge.Message {
	t.Helper()
	for _, m := range ms {
		return m
	}
	t.Fatal("no message")
	return nil
}
