package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An exchange with an alternate exchange: one more binding that matches keeps
// from the alternate what nobody else wanted. check names it, run refuses it, and
// a word in the configuration accepts it.
func TestAlternateExchange(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "RabbitMQ → JetStream, an exchange with an alternate exchange")
		alternate := s.name + "-alternate"
		s.addExchange(alternate, "fanout", nil)
		s.addExchange(s.name, "topic", amqp.Table{"alternate-exchange": alternate})
		s.addQueue(s.name+"-app", quorum, nil)
		s.bind(s.name+"-app", "wanted.#", s.name, nil)
		s.addQueue(s.name+"-unrouted", classic, nil)
		s.bind(s.name+"-unrouted", "", alternate, nil)
		publish := func(round string) {
			t.Helper()
			ch := channel(t, s.rabbit)
			defer ch.Close()
			if err := ch.Confirm(false); err != nil {
				t.Fatal(err)
			}
			for range 50 {
				for _, key := range []string{"wanted.x", "unwanted.x"} {
					c, err := ch.PublishWithDeferredConfirm(s.name, key, false, false, amqp.Publishing{Body: []byte(round), DeliveryMode: amqp.Persistent})
					if err != nil || !c.Wait() {
						t.Fatalf("%s: publish %s: %v", round, key, err)
					}
				}
			}
		}
		expect := func(when string, wanted, unrouted int) {
			t.Helper()
			ch := channel(t, s.rabbit)
			defer ch.Close()
			var there [2]int
			for deadline := time.Now().Add(10 * time.Second); there != [2]int{wanted, unrouted}; <-time.After(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: %d messages in the application's queue and behind the alternate exchange, want %d and %d", when, there, wanted, unrouted)
				}
				there = [2]int{ready(t, ch, s.name+"-app"), ready(t, ch, s.name+"-unrouted")}
			}
		}
		publish("absent")
		expect("without a bridge", 50, 50)

		binding := func(key string) string { return fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, key) }
		const word = "alternate-exchange"
		r := s.relayOf(quorum, binding("#"))
		s.refusesUnlessAccepted("exchange "+s.name+" has an alternate exchange", word)
		publish("refused")
		expect("after the refusal", 100, 100)

		// The application's own binding changes nothing at all, accepted or not.
		r.from = s.tapOf(quorum, binding("wanted.#"), word)
		s.runBridge()
		s.t.Cleanup(s.sweep)
		publish("same binding")
		expect("with a tap of the application's own binding", 150, 150)
		s.awaitBridge(patience, "everything wanted placed", func(r *relayStatus) bool { return r.Counts.Placed == 50 })
		s.sweep()

		r.from = s.tapOf(quorum, binding("#"), word)
		s.runBridge()
		publish("everything")
		expect("with a tap of everything, which was accepted", 200, 150)
		s.awaitBridge(patience, "everything placed", func(r *relayStatus) bool { return r.Counts.Placed == 100 })
		s.relays = nil // the application keeps the books
		s.notes = append(s.notes, "refused unless the configuration says accept: ["+word+"]; then what only the tap wants no longer reaches the alternate exchange")
		s.print()
	})
}

// A mandatory producer is told of messages that nobody wants. A tap that wants
// them silences that; check says so.
func TestMandatoryProducer(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "RabbitMQ → JetStream, a producer whose messages are mandatory")
		s.addExchange(s.name, "topic", nil)
		s.addQueue(s.name+"-app", quorum, nil)
		s.bind(s.name+"-app", "wanted.#", s.name, nil)
		if !s.isReturned("unwanted.x") || s.isReturned("wanted.x") {
			t.Fatal("without a bridge the broker returns what nobody wants, and nothing else")
		}
		r := s.relayOf(quorum, fmt.Sprintf("{exchange: %s, routing_key: %q}", s.name, "wanted.#"))
		s.write()
		if out, _ := command(t, s.binary, nil, "check", "-c", s.config); !strings.Contains(out, "mandatory") {
			t.Errorf("check does not say what a tap does to mandatory producers:\n%s", out)
		}
		s.runBridge()
		s.t.Cleanup(s.sweep)
		if !s.isReturned("unwanted.x") || s.isReturned("wanted.x") {
			t.Error("a tap of the application's own binding changes what is returned")
		}
		s.sweep()
		r.from = strings.Replace(r.from, "wanted.#", "#", 1)
		s.runBridge()
		if s.isReturned("unwanted.x") || s.isReturned("wanted.x") {
			t.Error("what a tap takes is returned")
		}
		s.relays = nil // there is no book to report
		s.notes = append(s.notes, "a tap of the application's own binding changes nothing; one of everything takes what would have been returned, as check says")
		s.print()
	})
}

// isReturned publishes a mandatory message and says whether it comes back.
func (s *scene) isReturned(key string) bool {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	defer ch.Close()
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	if err := ch.Confirm(false); err != nil {
		s.t.Fatal(err)
	}
	c, err := ch.PublishWithDeferredConfirm(s.name, key, true, false, amqp.Publishing{Body: []byte("x"), DeliveryMode: amqp.Persistent})
	if err != nil || !c.Wait() {
		s.t.Fatalf("publish %s: %v", key, err)
	}
	return len(returns) > 0 // a return comes in front of its confirmation
}

// ready is how many messages wait in a queue.
func ready(t testing.TB, ch *amqp.Channel, queue string) int {
	t.Helper()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// refusesUnlessAccepted wants check and run to say what is refused, and the word
// that would accept it.
func (s *scene) refusesUnlessAccepted(says, word string) {
	s.t.Helper()
	s.write()
	for _, verb := range []string{"check", "run"} {
		out, code := command(s.t, s.binary, nil, verb, "-c", s.config, "--http-listen", "off")
		line := strings.Join(strings.Fields(out), " ") // check sets it in columns
		if code != failed || !strings.Contains(line, says) || !strings.Contains(line, "accept: ["+word+"]") {
			s.t.Fatalf("%s ends with exit code %d, want %d with %q and accept: [%s]:\n%s", verb, code, failed, says, word, out)
		}
	}
}
