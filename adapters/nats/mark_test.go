package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

func markOf(t *testing.T, s *source) func() bool {
	t.Helper()
	given, err := s.Mark(t.Context())
	if err != nil {
		t.Fatalf("mark: %v", err)
	}
	return given
}

// awaits receives, where nothing comes, until a mark is given.
func awaits(t *testing.T, s *source, given func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Receive(ctx, make([]bridge.Delivery, 4))
		done <- err
	}()
	began := time.Now()
	for !given() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the mark is not given")
		}
		time.Sleep(time.Millisecond)
	}
	if d := time.Since(began); d > pullBeat {
		t.Errorf("the mark was given after %v", d)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
}

// A mark is given behind what the tap does not get, and not before Receive is called.
func TestMarkPassesWhatIsNotForTheTap(t *testing.T) {
	removeLast := func(t *testing.T, stream jetstream.Stream) {
		if err := stream.DeleteMsg(t.Context(), 33); err != nil {
			t.Fatal(err)
		}
	}
	purge := func(t *testing.T, stream jetstream.Stream) {
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		filter []string
		then   func(*testing.T, jetstream.Stream)
		want   int
	}{
		"one filter":                       {filter: []string{"a.x"}, want: 2},
		"two filters":                      {filter: []string{"a.x", "a.y"}, want: 3},
		"a filter that nothing matches":    {filter: []string{"a.z.>"}},
		"all, and the newest is removed":   {then: removeLast, want: 32},
		"all, and everything is removed":   {then: purge},
		"two, and everything is removed":   {filter: []string{"a.x", "a.y"}, then: purge},
		"one, and the newest was the last": {filter: []string{"a.other"}, then: removeLast, want: 29},
	} {
		t.Run(name, func(t *testing.T) {
			o, js, _ := tapOf(t, SourceConfig{Subjects: c.filter}, jetstream.StreamConfig{})
			publish(t, js, "a.x", 1, 2)
			publish(t, js, "a.y", 3)
			publish(t, js, "a.other", upTo(30)...)
			if c.then != nil {
				stream, err := js.Stream(t.Context(), "A")
				if err != nil {
					t.Fatal(err)
				}
				c.then(t, stream)
			}
			s := openSource(t, o)
			given := markOf(t, s)
			if given() {
				t.Error("the mark is given before Receive was called")
			}
			take(t, s, c.want)
			if c.want > 0 && given() {
				t.Error("the mark is given while what came last is in hand")
			}
			awaits(t, s, given)
			if !markOf(t, s)() {
				t.Error("a mark of nothing new is not given at once")
			}
			publish(t, js, "a.other", 31)
			publish(t, js, "a.x", 4)
			if next := markOf(t, s); next() {
				t.Error("a mark of what nobody has received is given")
			}
		})
	}
}

// What an earlier session has settled above its floor counts as given.
func TestMarkCountsWhatWasSettledEarly(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(9)...)
	s := openSource(t, o)
	got := take(t, s, 9)
	ackAll(t, s, append(slices.Clone(got[:2]), got[4:]...)...)
	s.Close()
	s = openSource(t, o)
	given := markOf(t, s)
	if b := bodiesOf(take(t, s, 2)); b != "3 4" {
		t.Fatalf("got %s", b)
	}
	awaits(t, s, given)
	s.Close()
	if _, err := s.Mark(t.Context()); !errors.Is(err, bridge.ErrClosed) {
		t.Errorf("mark of a closed session: %v", err)
	}
}

// However soon a source looks behind a message that was confirmed, it takes nothing for
// searched that it has not received: the server's own count of what is pending is late.
func TestLookPassesNothing(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	for i := range 20 { // of applications, which the server tells first
		if _, err := js.CreateConsumer(t.Context(), "A", jetstream.ConsumerConfig{Durable: fmt.Sprint("d", i), AckPolicy: jetstream.AckNonePolicy}); err != nil {
			t.Fatal(err)
		}
	}
	s := openSource(t, o)
	for n := range uint64(250) {
		publish(t, js, "a.x", int(n))
		markOf(t, s) // so that it probes
		if err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.floor.seq > n || s.reader.searched > n {
			t.Fatalf("the checkpoint is at %d and the stream is searched to %d, but only %d messages were received", s.floor.seq, s.reader.searched, n)
		}
		ackAll(t, s, take(t, s, 1)...)
	}
}

// A heartbeat counts once all was taken that it counts, and one of a consumer that has
// lost its memory does not.
func TestHeartbeats(t *testing.T) {
	r := &reader{seen: 3, searched: 7}
	for _, c := range []struct {
		consumer, stream string
		want             uint64
	}{{"4", "9", 7}, {"0", "8", 7}, {"", "", 7}, {"3", "x", 7}, {"3", "8", 8}, {"3", "5", 8}} {
		if r.beat(nats.Header{"Nats-Last-Consumer": {c.consumer}, "Nats-Last-Stream": {c.stream}}); r.searched != c.want {
			t.Errorf("%q delivered, %q searched: %d, want %d", c.consumer, c.stream, r.searched, c.want)
		}
	}
}

// A stream that was made again has other messages under the same sequences.
func TestMarkOfRecreatedStream(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(9)...)
	s := openSource(t, o)
	take(t, s, 9)
	if err := js.DeleteStream(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mark(t.Context()); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without a stream: %v", err)
	}
	makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	publish(t, js, "a.x", upTo(3)...)
	if _, err := s.Mark(t.Context()); err == nil || !strings.Contains(err.Error(), "made again") {
		t.Errorf("with another: %v", err)
	}
}

// A lateContext ends as soon as it was asked once.
type lateContext struct {
	context.Context
	asked bool
}

// Err is as context.Context says.
func (c *lateContext) Err() error {
	if c.asked {
		return context.Canceled
	}
	c.asked = true
	return nil
}

// Done is as context.Context says.
func (c *lateContext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// What was taken is given, also when ctx ends while the source looks for gaps: the
// session goes on, and it would not come again.
func TestContextEndsBehindHoles(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{Subjects: []string{"a.x"}}, jetstream.StreamConfig{})
	publish(t, js, "a.other", upTo(3)...)
	publish(t, js, "a.x", 1)
	s := openSource(t, o)
	given := markOf(t, s)
	for began := time.Now(); len(s.reader.arrived) == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("nothing has arrived")
		}
	}
	into := make([]bridge.Delivery, 4)
	if n, err := s.Receive(&lateContext{Context: t.Context()}, into); n != 1 || err != nil {
		t.Errorf("receive: %d, %v", n, err)
	}
	if given() {
		t.Error("the mark is given while the message is in hand")
	}
	awaits(t, s, given)
}

// A reader of what a stream held ends where the last of it is removed under its hands.
func TestReadingEndsWhereTheLastIsRemoved(t *testing.T) {
	_, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(6)...)
	c, err := srv.system(t).connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.openReader(t.Context(), readerConfig{stream: "A", filters: []string{"a.x"}, maxPending: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.forget()
	stream, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); len(r.arrived) < 2; time.Sleep(time.Millisecond) { // it has asked for so many
		if time.Since(began) > 10*time.Second {
			t.Fatal("nothing has arrived")
		}
	}
	for seq := uint64(3); seq <= 6; seq++ {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	n := 0
	if err := r.until(ctx, 6, func(*nats.Msg, position) error { n++; return nil }); n != 2 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
}
