package nats

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The streams whose messages go away when they were read, as applications have
// them, and the ways in which a copy of them might be had. What the application
// sees beside each copy is compared with what it sees without one: by its own
// clients, on a real server.

// An application has a stream of ten messages at most and one worker.
type application struct {
	t      *testing.T
	srv    *testServer
	js     jetstream.JetStream
	config jetstream.StreamConfig
	sent   int
	seen   []string // what it has seen, step by step
}

func startApplication(t *testing.T, retention jetstream.RetentionPolicy, discard jetstream.DiscardPolicy) *application {
	a := &application{t: t, srv: startServer(t, nil), config: jetstream.StreamConfig{
		Name: "APP", Subjects: []string{"app.>"}, Retention: retention, Discard: discard, MaxMsgs: 10,
	}}
	_, a.js = a.srv.client(t)
	makeStream(t, a.js, a.config)
	if _, err := a.js.CreateConsumer(t.Context(), "APP", jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *application) see(format string, args ...any) {
	a.seen = append(a.seen, fmt.Sprintf(format, args...))
}

// state is what the stream says of itself.
func (a *application) state() string {
	a.t.Helper()
	s, err := a.js.Stream(a.t.Context(), "APP")
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := a.js.Consumer(a.t.Context(), "APP", "worker")
	if err != nil {
		a.t.Fatal(err)
	}
	i, state := c.CachedInfo(), s.CachedInfo().State
	return fmt.Sprintf("%d messages from %d to %d; worker: %d unacknowledged, floor %d, %d redelivered",
		state.Msgs, state.FirstSeq, state.LastSeq, i.NumAckPending, i.AckFloor.Stream, i.NumRedelivered)
}

// produce publishes n messages and sees what is refused.
func (a *application) produce(n int) {
	a.t.Helper()
	refused := 0
	for range n {
		a.sent++
		if _, err := a.js.Publish(a.t.Context(), "app.x", fmt.Append(nil, a.sent), jetstream.WithMsgID(fmt.Sprint(a.sent)), jetstream.WithRetryAttempts(0)); err != nil {
			refused++
		}
	}
	a.see("produced %d, refused %d: %s", n, refused, a.state())
}

// work takes what is there and acknowledges it, and sees what came and what the
// stream keeps of it.
func (a *application) work() {
	a.t.Helper()
	c, err := a.js.Consumer(a.t.Context(), "APP", "worker")
	if err != nil {
		a.t.Fatal(err)
	}
	s, err := a.js.Stream(a.t.Context(), "APP")
	if err != nil {
		a.t.Fatal(err)
	}
	last, floor := s.CachedInfo().State.LastSeq, c.CachedInfo().Delivered.Stream
	var got []string
	for floor < last {
		m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			a.t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			a.t.Fatal(err)
		}
		if err := m.DoubleAck(a.t.Context()); err != nil {
			a.t.Fatal(err)
		}
		floor = meta.Sequence.Stream
		got = append(got, string(m.Data()))
	}
	a.see("worked off %s: %s", strings.Join(got, " "), a.state())
}

// live is the life of the application: with and without something pending when
// the copy is made, over its loss and over a restart.
func (a *application) live(c copying) {
	a.produce(4)
	if c.make != nil {
		c.make(a)
	}
	a.produce(4)
	a.work()
	for range 3 {
		a.produce(10)
		a.work()
	}
	a.produce(12) // two more than the stream takes
	a.work()
	a.srv.restart(a.t)
	eventually(a.t, "the stream is back", func() bool {
		_, err := a.js.Stream(a.t.Context(), "APP")
		return err == nil
	})
	a.produce(10)
	a.work()
	if c.end != nil {
		c.end(a)
	}
	for range 2 {
		a.produce(10)
		a.work()
	}
}

// A copying is a way to have a copy: how it is made, and how it ends.
type copying struct {
	name      string
	make, end func(*application)
}

func (a *application) copyStream(c jetstream.StreamConfig) {
	c.Name, c.Storage = "COPY", jetstream.FileStorage
	makeStream(a.t, a.js, c)
}

func deleteCopy(a *application) {
	if err := a.js.DeleteStream(a.t.Context(), "COPY"); err != nil {
		a.t.Fatal(err)
	}
}

// caughtUp waits until the copy holds so much as was stored.
func (a *application) copied(n uint64) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("the copy holds %d", n), func() bool {
		s, err := a.js.Stream(a.t.Context(), "COPY")
		return err == nil && s.CachedInfo().State.Msgs == n
	})
}

func mirrorOf(c jetstream.StreamConfig) func(*application) {
	return func(a *application) {
		c.Mirror = &jetstream.StreamSource{Name: "APP"}
		a.copyStream(c)
		a.copied(4) // what was pending comes too
	}
}

func sourceOf(c jetstream.StreamConfig) func(*application) {
	return func(a *application) {
		c.Sources = []*jetstream.StreamSource{{Name: "APP"}}
		a.copyStream(c)
		a.copied(4)
	}
}

func republishTo(c jetstream.StreamConfig) func(*application) {
	return func(a *application) {
		c.Subjects = []string{"copy.>"}
		a.copyStream(c)
		cfg := a.config
		cfg.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		if _, err := a.js.UpdateStream(a.t.Context(), cfg); err != nil {
			a.t.Fatal(err)
		}
	}
}

// seenWith is what the application sees beside that copy.
func seenWith(t *testing.T, retention jetstream.RetentionPolicy, discard jetstream.DiscardPolicy, c copying) []string {
	a := startApplication(t, retention, discard)
	a.live(c)
	return a.seen
}

var (
	withoutCopy = copying{name: "none"}
	consumed    = []jetstream.RetentionPolicy{jetstream.WorkQueuePolicy, jetstream.InterestPolicy}
	discards    = []jetstream.DiscardPolicy{jetstream.DiscardOld, jetstream.DiscardNew}
)

// A mirror, and a stream that sources, has a consumer of its own that acknowledges
// about once a second and not before: until then the application's stream keeps
// what the application has done with. A stream that discards new messages refuses
// producers meanwhile, one that discards old ones drops others than before. And a
// work queue keeps what a copy had not acknowledged when it was deleted, for ever.
// So neither is offered.
func TestMirrorsDisturbTheApplication(t *testing.T) {
	for _, r := range consumed {
		for _, d := range discards {
			t.Run(retention(r)+", "+d.String(), func(t *testing.T) {
				t.Parallel()
				alone := seenWith(t, r, d, withoutCopy)
				for _, c := range []copying{
					{"mirror", mirrorOf(jetstream.StreamConfig{}), deleteCopy},
					{"mirror at its bound", mirrorOf(jetstream.StreamConfig{MaxMsgs: 4}), deleteCopy},
					{"source", sourceOf(jetstream.StreamConfig{}), deleteCopy},
				} {
					beside := seenWith(t, r, d, c)
					if slices.Equal(alone, beside) {
						t.Errorf("%s changes nothing: it could be offered", c.name)
					}
					differ := 0
					for i := range beside {
						if alone[i] != beside[i] {
							differ++
						}
					}
					t.Logf("%s: %d of %d steps differ, first:\n alone  %s\n beside %s", c.name, differ, len(alone), firstOther(alone, beside), firstOther(beside, alone))
				}
			})
		}
	}
}

func firstOther(of, than []string) string {
	for i := range of {
		if of[i] != than[i] {
			return of[i]
		}
	}
	return ""
}

// What a deleted mirror had not acknowledged stays in a work queue, which refuses
// its producers from then on.
func TestDeletedMirrorBlocksWorkQueue(t *testing.T) {
	var seen []string
	for range 5 { // it may have acknowledged just now
		a := startApplication(t, jetstream.WorkQueuePolicy, jetstream.DiscardNew)
		a.produce(4)
		mirrorOf(jetstream.StreamConfig{})(a)
		a.produce(6)
		a.copied(10)
		a.work()
		deleteCopy(a)
		a.seen = nil
		for range 3 {
			a.produce(1)
			a.work()
		}
		if slices.ContainsFunc(a.seen, func(s string) bool { return strings.HasPrefix(s, "produced 1, refused 1") }) {
			return
		}
		seen = a.seen
	}
	t.Errorf("the work queue goes on: %q", seen)
}

// What a stream republishes goes out beside it. Whether or not somebody takes it,
// the application sees what it sees without.
func TestRepublishingChangesNothing(t *testing.T) {
	for _, r := range consumed {
		for _, d := range discards {
			t.Run(retention(r)+", "+d.String(), func(t *testing.T) {
				t.Parallel()
				alone := seenWith(t, r, d, withoutCopy)
				for _, c := range []copying{
					{"republish", republishTo(jetstream.StreamConfig{}), deleteCopy},
					{"republish, the copy is full", republishTo(jetstream.StreamConfig{MaxMsgs: 2, Discard: jetstream.DiscardNew}), deleteCopy},
					{"republish, the copy drops", republishTo(jetstream.StreamConfig{MaxMsgs: 2}), deleteCopy},
				} {
					if beside := seenWith(t, r, d, c); !slices.Equal(alone, beside) {
						t.Errorf("%s:\n alone  %s\n beside %s", c.name, firstOther(alone, beside), firstOther(beside, alone))
					}
				}
			})
		}
	}
}

// A tap of a stream with limits retention is a consumer that acknowledges nothing:
// the stream holds, drops and refuses what it did without, and the application's
// consumer stands where it stood.
func TestTapChangesNothing(t *testing.T) {
	for _, d := range discards {
		alone := seenWith(t, jetstream.LimitsPolicy, d, withoutCopy)
		for _, reads := range []bool{true, false} { // or lies dead while the server keeps its consumer
			beside := seenWith(t, jetstream.LimitsPolicy, d, copying{make: func(a *application) {
				s := openSource(a.t, a.srv.system(a.t).from(a.t, SourceConfig{Stream: "APP"}))
				if reads {
					ackAll(a.t, s, take(a.t, s, 4)...)
				}
			}})
			if !slices.Equal(alone, beside) {
				t.Errorf("discard %v, reads %v:\n alone  %s\n beside %s", d, reads, firstOther(alone, beside), firstOther(beside, alone))
			}
		}
	}
}

// The refusal's hint is a recipe: followed, the copy has what came since, with
// IDs, and can be tapped.
func TestRefusalOfConsumedStreams(t *testing.T) {
	for _, r := range consumed {
		a := startApplication(t, r, jetstream.DiscardNew)
		a.produce(3) // has been before, and is not copied
		a.work()
		sys := a.srv.system(t)
		o := sys.from(t, SourceConfig{Stream: "APP"})
		openFails(t, o, "its retention is "+retention(r), "acknowledged", "nats stream add APP-COPY", "--subjects 'copy-of.APP.>'", "--republish-source '>' --republish-destination 'copy-of.APP.>'")
		if f := o.(bridge.Checker).Check(t.Context()); f[len(f)-1].Level != bridge.Fail || !strings.Contains(f[len(f)-1].Hint, "republish") {
			t.Errorf("check: %+v", f)
		}
		makeStream(t, a.js, jetstream.StreamConfig{Name: "APP-COPY", Subjects: []string{"copy-of.APP.>"}, MaxBytes: 1 << 30})
		cfg := a.config
		cfg.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy-of.APP.>"}
		if _, err := a.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		a.produce(2)
		// What the copy's stream does with a message that says what it must follow.
		m := &nats.Msg{Subject: "app.x", Data: []byte("expects"), Header: nats.Header{"Nats-Expected-Last-Sequence": {"5"}}}
		if _, err := a.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		a.sent = 5
		a.produce(1)
		a.work()
		got := take(t, openSource(t, sys.from(t, SourceConfig{Stream: "APP-COPY"})), 3)
		if bodiesOf(got) != "4 5 6" || got[0].Address.Name != "copy-of.APP.app.x" {
			t.Errorf("the copy has %s, of %q", bodiesOf(got), got[0].Address.Name)
		}
		if h, ok := got[2].Header("Nats-Msg-Id"); !ok || string(h.Value) != "6" {
			t.Errorf("without its ID: %v", got[2].Headers)
		}
		if h, ok := got[2].Header("Nats-Sequence"); !ok || string(h.Value) != "7" {
			t.Errorf("the copy took message 6, which it was known to lose; the hint may say less: %v", got[2].Headers)
		}
	}
}
