package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A watched lane keeps what was settled.
type watchedLane struct {
	bridge.Lane
	sink bridge.Sink

	mu     sync.Mutex
	places []bridge.Placement
	err    error
	change chan struct{}
}

func openLane(t *testing.T, o bridge.SinkOpener) *watchedLane {
	t.Helper()
	w := &watchedLane{change: make(chan struct{}, 1)}
	var err error
	if w.sink, err = o.Open(t.Context()); err != nil {
		t.Fatalf("open the sink: %v", err)
	}
	if w.Lane, err = w.sink.Open(t.Context(), 0, w.settled); err != nil {
		t.Fatalf("open the lane: %v", err)
	}
	t.Cleanup(w.end)
	return w
}

func (w *watchedLane) end() {
	w.Close()
	w.sink.Close()
}

func (w *watchedLane) settled(n int, places []bridge.Placement, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		w.places = append(w.places, places[i])
	}
	if err != nil {
		w.err = err
	}
	select {
	case w.change <- struct{}{}:
	default:
	}
}

// await waits until n are settled or the lane has ended.
func (w *watchedLane) await(t *testing.T, n int) ([]bridge.Placement, error) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		places, err := w.places, w.err
		w.mu.Unlock()
		if len(places) >= n || err != nil {
			return places, err
		}
		select {
		case <-w.change:
		case <-deadline:
			t.Fatalf("settled %d, want %d", len(places), n)
		}
	}
}

func (w *watchedLane) deliver(t *testing.T, msgs []*bridge.Message) {
	t.Helper()
	w.mu.Lock()
	before := len(w.places)
	w.mu.Unlock()
	if n, err := w.Send(t.Context(), msgs); err != nil || n != len(msgs) {
		t.Fatalf("send: %d, %v", n, err)
	}
	if _, err := w.await(t, before+len(msgs)); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

// try sends what is going to be refused; the refusal may be faster than the rest.
func (w *watchedLane) try(t *testing.T, msgs []*bridge.Message) {
	t.Helper()
	if n, err := w.Send(t.Context(), msgs); n == 0 && err != nil {
		t.Fatalf("send: %v", err)
	}
}

// recall gives what the lane reads back, oldest first.
func (w *watchedLane) recall(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	err := w.sink.(bridge.Recaller).Recall(t.Context(), 0, n, func(p bridge.Placed) bool { ids = append(ids, p.ID.Value); return true })
	if err != nil {
		t.Fatalf("recall: %v", err)
	}
	slices.Reverse(ids)
	return ids
}

// windows are the duplicates windows at which the fence has to hold.
var windows = map[string]time.Duration{"smallest": 100 * time.Millisecond, "default": 0}

func eachWindow(t *testing.T, f func(t *testing.T, js jetstream.JetStream, o func() bridge.SinkOpener, nc *nats.Conn)) {
	for name, window := range windows {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, nil)
			nc, js := s.client(t)
			makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}, Duplicates: window})
			f(t, js, func() bridge.SinkOpener {
				return s.system(t).to(t, SinkConfig{Stream: "B", Subject: "b.{address}"})
			}, nc)
		})
	}
}

func numbered(from, to int, withID bool) []*bridge.Message {
	var msgs []*bridge.Message
	for i := from; i < to; i++ {
		m := &bridge.Message{Key: "k", Address: bridge.Address{Name: "k"}, Body: fmt.Append(nil, i)}
		if withID {
			m.ID.Value = fmt.Sprint("id-", i)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

func bodies(t *testing.T, js jetstream.JetStream, stream string) string {
	t.Helper()
	all, err := stored(t.Context(), js, stream)
	if err != nil {
		t.Fatal(err)
	}
	var b []string
	for _, m := range all {
		b = append(b, string(m.Body))
	}
	return strings.Join(b, " ")
}

// What a predecessor sends after its successor has sent is refused, with and
// without IDs, at any duplicates window.
func TestFenceRefusesZombie(t *testing.T) {
	eachWindow(t, func(t *testing.T, js jetstream.JetStream, open func() bridge.SinkOpener, _ *nats.Conn) {
		for _, withID := range []bool{true, false} {
			before := bodies(t, js, "B")
			zombie := openLane(t, open())
			zombie.deliver(t, numbered(1, 4, withID))
			successor := openLane(t, open())
			successor.deliver(t, numbered(4, 6, withID))
			zombie.try(t, numbered(90, 95, withID))
			places, err := zombie.await(t, 8)
			if len(places) != 3 || err == nil || bridge.ClassOf(err) != bridge.Transient {
				t.Fatalf("the zombie settled %d and ended with %v", len(places), err)
			}
			successor.deliver(t, numbered(6, 8, withID))
			if got, want := bodies(t, js, "B"), strings.TrimSpace(before+" 1 2 3 4 5 6 7"); got != want {
				t.Fatalf("stream: %s, want %s", got, want)
			}
			zombie.end()
			successor.end()
			if !withID {
				continue
			}
			// The same IDs again would be dropped within the default window.
			if err := purge(t, js, "B"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func purge(t *testing.T, js jetstream.JetStream, stream string) error {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		return err
	}
	return s.Purge(t.Context())
}

// A message of the predecessor that lands between the successor's Open and its
// first Send makes the server refuse all that the successor sends.
func TestFenceTellsSuccessor(t *testing.T) {
	eachWindow(t, func(t *testing.T, js jetstream.JetStream, open func() bridge.SinkOpener, _ *nats.Conn) {
		zombie := openLane(t, open())
		zombie.deliver(t, numbered(1, 3, true))
		successor := openLane(t, open())
		zombie.deliver(t, numbered(3, 4, true))
		if got := fmt.Sprint(successor.recall(t, 10)); got != "[id-1 id-2]" {
			t.Fatalf("recalled %s: what lands behind Open is not to be seen", got)
		}
		successor.try(t, numbered(3, 8, true))
		if places, err := successor.await(t, 1); len(places) != 0 || err == nil {
			t.Fatalf("the successor settled %d, %v", len(places), err)
		}
		successor.end()
		// The zombie's is the very message that the successor's fourth follows, at
		// the very place, so what is behind it may be stored; the successor does
		// not know, and has to look.
		next := openLane(t, open())
		left := 8
		for i, id := range next.recall(t, 10) {
			if want := fmt.Sprint("id-", i+1); id != want {
				t.Fatalf("recalled %s at %d, want %s", id, i, want)
			}
			left = i + 2
		}
		next.deliver(t, numbered(left, 8, true))
		if got := bodies(t, js, "B"); got != "1 2 3 4 5 6 7" {
			t.Fatalf("stream: %s", got)
		}
	})
}

// If one in the middle never arrives, nothing behind it is stored, not even when
// it is sent again later by the session that lost it.
func TestFenceWithheldMiddle(t *testing.T) {
	eachWindow(t, func(t *testing.T, js jetstream.JetStream, open func() bridge.SinkOpener, nc *nats.Conn) {
		template, err := bridge.ParseTemplate("b.{address}")
		if err != nil {
			t.Fatal(err)
		}
		e := newEncoder(testIdentity, template)
		c := &chain{session: "test"}
		for i, m := range numbered(1, 11, true) {
			out, err := e.encode(m, c)
			if err != nil {
				t.Fatal(err)
			}
			c.extend(e)
			if i == 4 {
				continue
			}
			answer, err := nc.RequestMsg(out, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			ack, err := parsePubAck(answer.Data, "B")
			switch {
			case err != nil:
				t.Fatal(err)
			case i < 4 && (ack.Error != nil || ack.Seq != uint64(i+1)):
				t.Fatalf("message %d: %s", i+1, answer.Data)
			case i > 4 && (ack.Error == nil || ack.Error.ErrCode != codeWrongLast):
				t.Fatalf("message %d behind the missing one: %s", i+1, answer.Data)
			}
		}
		l := openLane(t, open())
		if got := fmt.Sprint(l.recall(t, 100)); got != "[id-1 id-2 id-3 id-4]" {
			t.Fatalf("recalled %s", got)
		}
		l.deliver(t, numbered(5, 11, true))
		if got := bodies(t, js, "B"); got != "1 2 3 4 5 6 7 8 9 10" {
			t.Fatalf("stream: %s", got)
		}
	})
}

// A repeat that the stream drops is settled as one, and the lane ends, since all
// behind it is refused.
func TestRepeatEndsLane(t *testing.T) {
	s := startServer(t, nil)
	_, js := s.client(t)
	makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
	o := s.system(t).to(t, SinkConfig{Stream: "B", Subject: "b.{address}"})
	l := openLane(t, o)
	l.deliver(t, numbered(3, 4, true))
	l.end()
	l = openLane(t, o)
	l.try(t, numbered(1, 9, true))
	places, err := l.await(t, 8)
	if len(places) != 3 || !places[2].Repeat || places[2].Position != 1 || places[1].Repeat || !errors.Is(err, errRepeat) {
		t.Fatalf("settled %+v, ended with %v", places, err)
	}
	if n, err := l.Send(t.Context(), numbered(9, 10, true)); n != 0 || !errors.Is(err, errRepeat) {
		t.Fatalf("send behind the end: %d, %v", n, err)
	}
	l.end()
	l = openLane(t, o)
	l.deliver(t, numbered(4, 9, true))
	if got := bodies(t, js, "B"); got != "3 1 2 4 5 6 7 8" {
		t.Fatalf("stream: %s", got)
	}
}

// On a shared stream a repeat is no reason to end, and others may write between.
func TestSharedStream(t *testing.T) {
	s := startServer(t, nil)
	nc, js := s.client(t)
	makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
	o := s.system(t).to(t, SinkConfig{Stream: "B", Subject: "b.{address}", Shared: true})
	if tr := o.Traits(); tr.Fence != bridge.FenceNone || tr.Survives != bridge.SurvivesAny {
		t.Fatalf("traits %+v", tr)
	}
	l := openLane(t, o)
	l.deliver(t, numbered(1, 3, true))
	for range 5000 {
		if err := nc.Publish("b.other", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(context.Background(), "b.other", []byte("x")); err != nil {
		t.Fatal(err)
	}
	l.deliver(t, numbered(2, 4, true))
	if places, _ := l.await(t, 4); !places[2].Repeat || places[3].Repeat {
		t.Fatalf("settled %+v", places)
	}
	l.end()
	l = openLane(t, o)
	if got := fmt.Sprint(l.recall(t, 3), l.recall(t, 2)); got != "[id-1 id-2 id-3] [id-2 id-3]" {
		t.Fatalf("recalled %s", got)
	}
}
