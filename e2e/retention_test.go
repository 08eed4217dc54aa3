package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Streams that drop what was acknowledged, and refuse new messages when they are
// full: one more reader would hold messages in them until an application's
// producers are refused. They are not tapped; a copy that the stream republishes
// is, and the application does not notice.
func TestRetention(t *testing.T) {
	for _, test := range []struct {
		retention jetstream.RetentionPolicy
		g         generation
	}{
		{jetstream.InterestPolicy, rabbit3},
		{jetstream.WorkQueuePolicy, rabbit4},
	} {
		t.Run(test.retention.String(), func(t *testing.T) {
			t.Parallel()
			retained(t, test.g, test.retention)
		})
	}
}

// A natsApplication has a producer, which waits for each answer, and a worker.
// It forgives nothing.
type natsApplication struct {
	t          *testing.T
	js         jetstream.JetStream
	stream     string
	consumer   jetstream.Consumer
	plan       *ledger.Plan
	sent, seen int
}

// room is how many messages the application's stream takes.
const room = 64

func startNATSApplication(t *testing.T, s *scene, retention jetstream.RetentionPolicy) *natsApplication {
	t.Helper()
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	a := &natsApplication{t: t, js: js, stream: s.name, plan: ledger.NewPlan(s.load)}
	if _, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: a.stream, Subjects: []string{a.stream + ".>"}, Retention: retention,
		Discard: jetstream.DiscardNew, MaxMsgs: room,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = js.DeleteStream(context.Background(), a.stream) })
	a.consumer, err = js.CreateConsumer(t.Context(), a.stream, jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// work produces half of what the stream has room for and consumes it, again and
// again. A message that is refused, or held for somebody else, ends the story.
func (a *natsApplication) work(messages int) measure {
	a.t.Helper()
	var took []time.Duration
	began := time.Now()
	for done := 0; done < messages; {
		share := min(room/2, messages-done)
		for range share {
			a.sent++
			m := a.plan.Msg(a.sent)
			m.Header.Set("Nats-Msg-Id", fmt.Sprint(a.sent)) // as good producers do
			at := time.Now()
			if _, err := a.js.PublishMsg(a.t.Context(), m, jetstream.WithRetryAttempts(0)); err != nil {
				a.t.Fatalf("the application's message %d was refused: %v", a.sent, err)
			}
			took = append(took, time.Since(at))
		}
		a.consume(share)
		done += share
	}
	slices.Sort(took)
	return measure{float64(messages) / time.Since(began).Seconds(), took[len(took)/2], took[len(took)*99/100]}
}

func (a *natsApplication) consume(n int) {
	a.t.Helper()
	for got := 0; got < n; {
		batch, err := a.consumer.Fetch(n-got, jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			a.t.Fatal(err)
		}
		before := got
		for m := range batch.Messages() {
			got++
			a.seen++
			meta, err := m.Metadata()
			if err == nil && (meta.NumDelivered != 1 || m.Headers().Get(ledger.NumberHeader) != fmt.Sprint(a.seen)) {
				err = fmt.Errorf("message %s came as number %d, delivered %d times", m.Headers().Get(ledger.NumberHeader), a.seen, meta.NumDelivered)
			}
			if err == nil {
				err = m.DoubleAck(a.t.Context())
			}
			if err != nil {
				a.t.Fatal(err)
			}
		}
		if got == before {
			a.t.Fatalf("the application's worker got %d of %d messages: %v", a.seen, a.sent, batch.Error())
		}
	}
}

// leftOver is what the stream still holds, of which everything is acknowledged.
func (a *natsApplication) leftOver() uint64 {
	a.t.Helper()
	s, err := a.js.Stream(a.t.Context(), a.stream)
	if err != nil {
		a.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func retained(t *testing.T, g generation, retention jetstream.RetentionPolicy) {
	s := newScene(t, g, fmt.Sprintf("JetStream → RabbitMQ, a stream of retention %s that discards new messages", retention))
	rounds, share := 3, sized(640, 20_000)
	deadFor := time.Duration(sized(1, 120)) * time.Second
	s.load = ledger.Load{Seed: s.rng.Uint64() % 1000, Messages: rounds * 4 * share, Keys: ledger.Keys100, Carries: ledger.CarriesText, Prefix: s.name + "."}
	app := startNATSApplication(t, s, retention)
	to := s.name + "-to"
	s.addQueue(to, quorum, nil)
	s.relays = []*relay{{name: "tap", from: fmt.Sprintf("{system: jet, stream: %s}", app.stream), to: fmt.Sprintf("{system: rabbit, queue: %s, type: quorum}", to)}}
	s.refusesTo(t, app)

	// The operator's part, as the refusal says it.
	copied := s.name + "-COPY"
	if _, err := app.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: copied, Subjects: []string{"copy-of." + s.name + ".>"}, MaxMsgs: int64(s.load.Messages)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.js.DeleteStream(context.Background(), copied) })
	s.relays[0].from = fmt.Sprintf("{system: jet, stream: %s}", copied)
	measures := map[string][]measure{}
	phase := func(name string) {
		t.Helper()
		measures[name] = append(measures[name], app.work(share))
		await(t, patience, "the application's stream empty", func() bool { return app.leftOver() == 0 })
	}
	copiedMessages := 0
	for range rounds {
		app.republish(t, "")
		phase("absent")
		app.republish(t, "copy-of.")
		s.runBridge()
		phase("running")
		s.bridge.kill()
		s.note("kill -9 of the bridge")
		phase("dead")
		<-time.After(deadFor) // the death itself
		copiedMessages += 2 * share
	}
	s.runBridge()
	s.t.Cleanup(s.sweep)
	s.awaitTarget(to, copiedMessages)
	app.limit(t, copied, 10)
	s.bridge.kill()
	phase("copy at its bound")
	s.relays = nil // the application keeps the books
	var lines []string
	absent := medianOf(measures["absent"])
	for _, name := range []string{"absent", "running", "dead", "copy at its bound"} {
		m := medianOf(measures[name])
		lines = append(lines, fmt.Sprintf("bridge %-17s %6.0f msg/s (%.2f), answer median %s (%.2f), p99 %s", name, m.rate, m.rate/absent.rate,
			m.median.Round(10*time.Microsecond), float64(m.median)/float64(absent.median), m.p99.Round(10*time.Microsecond)))
	}
	s.notes = append(append(s.notes, fmt.Sprintf("%d messages through the application, none refused, held or repeated; all %d that were republished arrived", app.seen, copiedMessages)), lines...)
	s.print()
}

// refusesTo wants check and run to refuse the stream itself, and to leave nothing.
func (s *scene) refusesTo(t *testing.T, app *natsApplication) {
	t.Helper()
	s.write()
	for _, verb := range []string{"check", "run"} {
		out, code := command(t, s.binary, nil, verb, "-c", s.config, "--http-listen", "off")
		if code != failed || !strings.Contains(out, app.stream) || !strings.Contains(out, "retention") || !strings.Contains(out, "republish") {
			t.Errorf("%s ends with exit code %d, want %d with the stream, why, and what to do:\n%s", verb, code, failed, out)
		}
	}
	stream, err := app.js.Stream(t.Context(), app.stream)
	if err != nil {
		t.Fatal(err)
	}
	names := stream.ConsumerNames(t.Context())
	for name := range names.Name() {
		if name != "worker" {
			t.Errorf("the refused run left a consumer %s", name)
		}
	}
}

// republish makes the application's stream republish under a prefix, or not.
func (a *natsApplication) republish(t *testing.T, prefix string) {
	t.Helper()
	s, err := a.js.Stream(t.Context(), a.stream)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	if c.RePublish = nil; prefix != "" {
		c.RePublish = &jetstream.RePublish{Source: ">", Destination: prefix + ">"}
	}
	if _, err := a.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// limit bounds the copy, which drops what is old.
func (a *natsApplication) limit(t *testing.T, stream string, messages int64) {
	t.Helper()
	s, err := a.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxMsgs = messages
	if _, err := a.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// awaitTarget reads so many different messages of the plan from the queue, each
// key's first occurrences in order.
func (s *scene) awaitTarget(queue string, want int) {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	if err := ch.Qos(500, 0, false); err != nil {
		s.t.Fatal(err)
	}
	deliveries, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	plan, seen, newest := ledger.NewPlan(s.load), map[int]bool{}, map[string]int{}
	for len(seen) < want {
		select {
		case d := <-deliveries:
			var n int
			if _, err := fmt.Sscan(fmt.Sprint(d.Headers[ledger.NumberHeader]), &n); err != nil || n < 1 || n > plan.Messages {
				s.t.Fatalf("a message with no number: %v", d.Headers)
			}
			if key := plan.Name(n); !seen[n] && n < newest[key] {
				s.t.Errorf("%s: %d came after %d", key, n, newest[key])
			} else {
				newest[key] = max(n, newest[key])
			}
			if string(d.Body) != string(plan.Body(n)) {
				s.t.Errorf("message %d has another body", n)
			}
			seen[n] = true
		case <-time.After(patience):
			s.t.Fatalf("%d of %d messages came", len(seen), want)
		}
	}
}
