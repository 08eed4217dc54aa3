package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// boundMessages is what a tap of the story may hold.
const boundMessages = 500

// An application is observed by its own clients while a bridge is absent, running,
// dead, and dead with its tap at the bound: it must not find out. What the tap
// costs its producer is printed beside the bridge-absent phase, and gates
// nothing. With FULL=1 the generations are played one after the other, so that
// what is measured is one bridge's doing.
func TestUnnoticed(t *testing.T) {
	play := onBoth
	if full {
		play = onEach
	}
	play(t, func(t *testing.T, g generation) {
		for _, tap := range allTypes {
			t.Run(tap, func(t *testing.T) { unnoticed(t, g, tap) })
		}
	})
}

func unnoticed(t *testing.T, g generation, tap string) {
	s := newScene(t, g, "an application of RabbitMQ with a "+tap+" tap beside its queues")
	s.fromRabbitMQ(usual, tap)
	rounds, share := sized(3, 5), sized(1500, 20_000)
	deadFor := func(round int) time.Duration { // long once, and short where only the figures count
		if round > 0 || !full {
			return time.Second
		}
		return 2 * time.Minute
	}
	s.load.Seed, s.load.Keys = s.rng.Uint64()%1000, ledger.Keys100
	s.load.Messages = 100
	for round := range rounds {
		s.load.Messages += 5*share + 100*(1+int(deadFor(round)/time.Second)) + overBound(tap)
	}
	var queues []string
	for _, kind := range []string{classic, quorum} {
		q := s.name + "-app-" + kind
		s.addQueue(q, kind, nil)
		s.bind(q, "#", s.name, nil)
		queues = append(queues, q)
	}
	app := startApplication(t, s.rabbit, s.load, queues...)
	measures := map[string][]measure{}
	phase := func(name string) {
		t.Helper()
		measures[name] = append(measures[name], app.produce(share))
		app.unharmed(name)
	}
	app.produce(100) // what is slow once
	for round := range rounds {
		phase("absent")
		s.runBridge()
		phase("running")
		s.bridge.kill()
		s.note("kill -9 of the bridge")
		died := time.Now()
		phase("dead")
		app.trickle(t.Context(), deadFor(round)-time.Since(died))
		app.unharmed("dead")
		s.sweep()

		phase("absent")
		s.relays[0].from = strings.Replace(s.relays[0].from, "bindings:", bound(tap)+", bindings:", 1)
		s.runBridge()
		s.bridge.kill()
		s.note("kill -9 of the bridge")
		app.produce(overBound(tap))
		s.expectAtBound(tap)
		phase("at its bound")
		s.expectAtBound(tap)
		s.sweep()
		s.relays[0].from = strings.Replace(s.relays[0].from, bound(tap)+", ", "", 1)
	}
	s.printPhases(measures, app)
}

// bound is the setting that makes a tap small, and overBound how many messages of
// the plan are more than it holds.
func bound(tap string) string {
	if tap == stream {
		return "max_bytes: 131072, segment_bytes: 65536"
	}
	return fmt.Sprintf("max_length: %d", boundMessages)
}

func overBound(tap string) int {
	if tap == stream {
		return 2000 // 200 octets and more each
	}
	return boundMessages + 100
}

// runBridge starts the bridge of the configuration as it is now.
func (s *scene) runBridge() {
	s.t.Helper()
	s.write()
	s.start()
	s.awaitBridge(patience, "connected to both sides", connected)
}

// bind binds a queue of an application.
func (s *scene) bind(queue, key, exchange string, args amqp.Table) {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	defer ch.Close()
	if err := ch.QueueBind(queue, key, exchange, false, args); err != nil {
		s.t.Fatal(err)
	}
}

// expectAtBound wants a tap to hold what it may, and no more.
func (s *scene) expectAtBound(tap string) {
	s.t.Helper()
	if tap == stream {
		s.expectTruncated()
		return
	}
	await(s.t, patience, "the tap at its bound, and something beside it", func() bool {
		lengths := s.ownLengths()
		var full, dropped bool
		for name, n := range lengths {
			if strings.HasSuffix(name, ".dropped") {
				dropped = dropped || n > 0
			} else {
				full = full || n == boundMessages
			}
		}
		return full && dropped
	})
}

// ownLengths are the queues that the bridge made, with what is ready in them.
func (s *scene) ownLengths() map[string]int {
	s.t.Helper()
	out, _ := command(s.t, s.binary, nil, "check", "-c", s.config)
	conn, err := amqp.Dial(s.rabbit)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	lengths := map[string]int{}
	for _, name := range ownNames.FindAllString(out, -1) {
		for _, suffix := range []string{"", ".dropped"} {
			ch, err := conn.Channel() // a queue that is not there costs the channel
			if err != nil {
				s.t.Fatal(err)
			}
			if q, err := ch.QueueDeclarePassive(name+suffix, true, false, false, false, nil); err == nil {
				lengths[name+suffix] = q.Messages
				_ = ch.Close()
			}
		}
	}
	return lengths
}

// expectTruncated wants the first message that the stream tap still has to be a
// later one than the first that was put there.
func (s *scene) expectTruncated() {
	s.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(s.ownLengths())) {
		ch := channel(s.t, s.rabbit)
		if err := ch.Qos(1, 0, false); err != nil {
			s.t.Fatal(err)
		}
		deliveries, err := ch.Consume(name, "", false, false, false, false, amqp.Table{"x-stream-offset": "first"})
		if err != nil {
			continue // no stream
		}
		select {
		case d := <-deliveries:
			if offset, _ := d.Headers["x-stream-offset"].(int64); offset > 0 {
				return
			}
		case <-time.After(5 * time.Second):
		}
		_ = ch.Close()
	}
	s.t.Error("the stream tap is not at its bound: its first message is still there")
}

// printPhases says what each phase cost the producer, beside those without a
// bridge.
func (s *scene) printPhases(measures map[string][]measure, app *application) {
	var b strings.Builder
	fmt.Fprintf(&b, "STORY ok: %s: %d messages through %d queues unharmed, %d × kill -9 of the bridge (%s)\n", s.title, app.sent, len(app.consumers), s.faultCount(), time.Since(s.began).Round(100*time.Millisecond))
	absent := medianOf(measures["absent"])
	for _, name := range []string{"absent", "running", "dead", "at its bound"} {
		m := medianOf(measures[name])
		fmt.Fprintf(&b, "      bridge %-13s %6.0f msg/s (%.2f), confirm median %s (%.2f), p99 %s\n", name, m.rate, m.rate/absent.rate,
			m.median.Round(10*time.Microsecond), float64(m.median)/float64(absent.median), m.p99.Round(10*time.Microsecond))
	}
	fmt.Print(b.String())
}
