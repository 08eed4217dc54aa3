package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// mark makes a mark that has to be made.
func mark(t *testing.T, s bridge.Source) (given func() bool) {
	t.Helper()
	given, err := s.(bridge.Backlogger).Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return given
}

// comesTrue calls Receive, which has nothing to give, until a mark is given.
func comesTrue(t *testing.T, s bridge.Source, what string, given func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		n, err := s.Receive(ctx, make([]bridge.Delivery, 4))
		if n > 0 {
			err = fmt.Errorf("%d messages came", n)
		}
		done <- err
	}()
	eventually(t, what, given)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("%s: Receive: %v", what, err)
	}
}

// soon gives what comes within a moment, if anything does.
func soon(t *testing.T, s bridge.Source) []bridge.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	into := make([]bridge.Delivery, 4)
	n, err := s.Receive(ctx, into)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return into[:n]
}

// ownTap is a tap of a kind on an exchange of its own.
func ownTap(t *testing.T, n *node, s *system, kind, more string) (exchange string, o *sourceOpener) {
	t.Helper()
	exchange = n.exchange(t, unique(t), "topic")
	return exchange, n.source(t, s, n.identity(t), "tap: "+kind+"\naccept: [stream-headers, priorities]\nbindings: [{exchange: "+exchange+", routing_key: '#'}]\n"+more)
}

var tapKinds = []string{typeClassic, typeQuorum, typeStream}

// What a producer writes comes through, whatever type it has and wherever its routing key
// points; in an application's queue or stream, even what came straight there.
func TestWhatLooksLikeAMarkIsDelivered(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	looks := func(key string) publishing {
		return publishing{key, amqp.Publishing{Type: kindTapMark, MessageId: token(), CorrelationId: "1", Body: []byte("real")}}
	}
	delivers := func(src bridge.Source, what string) {
		t.Helper()
		d := receive(t, src, 1)[0]
		if kind, _ := d.Property(bridge.KindMessageType); string(d.Body) != "real" || kind.Text != kindTapMark {
			t.Errorf("%s: %q came, of type %q", what, d.Body, kind.Text)
		}
	}
	for _, kind := range tapKinds {
		x, o := ownTap(t, n, s, kind, "")
		src := openSource(t, o)
		n.publish(t, x, looks(o.tap))
		delivers(src, kind+" tap")
	}
	for _, kind := range tapKinds {
		q := n.queue(t, unique(t), kind)
		n.publish(t, "", looks(q))
		block := "competes: true\nqueue: " + q
		if kind == typeStream {
			block = "start: first\nstream: " + q
		}
		delivers(openSource(t, n.source(t, s, n.identity(t), block)), kind)
	}
}

// Marks of a session that has ended are given to nobody, and nothing is left of them
// where they were.
func TestMarksOfOtherSessions(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range tapKinds {
		x, o := ownTap(t, n, s, kind, "")
		src := openSource(t, o)
		n.publish(t, x, bodies(0, 1, 0)...)
		before := mark(t, src)
		n.publish(t, x, bodies(1, 1, 0)...)
		_ = src.Close()
		src = openSource(t, o)
		ds := receive(t, src, 2)
		if string(ds[0].Body) != "00000000" || string(ds[1].Body) != "00000001" || before() {
			t.Fatalf("%s: %s and %s came, the mark of another session is given: %v", kind, ds[0].Body, ds[1].Body, before())
		}
		comesTrue(t, src, kind+": a mark behind them is given", mark(t, src))
		if err := src.Ack(t.Context(), receipts(ds)); err != nil {
			t.Fatal(err)
		}
		eventually(t, kind+": nothing waits", func() bool {
			b, err := src.(bridge.Backlogger).Backlog(t.Context())
			return err == nil && b.Messages == 0
		})
		_ = src.Close()
		if kind == typeStream {
			continue
		}
		for _, q := range []string{o.tap, o.dropped} {
			if found, err := n.channel(t).QueueDeclarePassive(q, true, false, false, false, nil); err != nil || found.Messages > 0 {
				t.Errorf("%s has %d messages: %v", q, found.Messages, err)
			}
		}
	}
}

// Marks among messages that are acknowledged in another order change nothing of what
// comes again.
func TestMarksBetweenMessages(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range tapKinds {
		x, o := ownTap(t, n, s, kind, "prefetch: 64")
		src := openSource(t, o)
		var ds []bridge.Delivery
		var given []func() bool
		for i := range 20 {
			n.publish(t, x, bodies(i, 1, 0)...)
			ds = append(ds, receive(t, src, 1)...)
			given = append(given, mark(t, src))
		}
		comesTrue(t, src, kind+": the last is given", given[19])
		for i := range given {
			if !given[i]() {
				t.Errorf("%s: mark %d is not given, and the last is", kind, i)
			}
		}
		b, err := src.(bridge.Backlogger).Backlog(t.Context())
		if err != nil || b.Messages != 20 && kind != typeStream || b.Messages < 20 {
			t.Errorf("%s: of 20 messages %+v wait: %v", kind, b, err)
		}
		for i := 1; i < 20; i += 2 { // ahead of the others
			if err := src.Ack(t.Context(), receipts(ds[i:i+1])); err != nil {
				t.Fatal(err)
			}
		}
		_ = src.Close()
		src = openSource(t, o)
		for i, d := range receive(t, src, 10) {
			if want := fmt.Sprintf("%08d", 2*i); string(d.Body) != want {
				t.Errorf("%s: %s comes again, want %s", kind, d.Body, want)
			}
		}
		comesTrue(t, src, kind+": behind what comes again a mark is given", mark(t, src))
	}
}

// A tap that nobody reads does not fill with marks, and all are given in the end.
func TestMarksDoNotFillATap(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range tapKinds {
		x, o := ownTap(t, n, s, kind, "")
		src := openSource(t, o)
		n.publish(t, x, bodies(0, 1, 0)...)
		var given []func() bool
		for range 50 {
			given = append(given, mark(t, src))
		}
		n.publish(t, x, bodies(1, 1, 0)...)
		last := mark(t, src)
		m := marksOf(src)
		m.mu.Lock()
		if m.sent > 3 {
			t.Errorf("%s: of 51 marks %d were written", kind, m.sent)
		}
		m.mu.Unlock()
		receive(t, src, 2)
		if last() {
			t.Errorf("%s: the last mark is given, and Receive was not called since", kind)
		}
		comesTrue(t, src, kind+": the last of many is given", last)
		if !given[0]() || !given[49]() {
			t.Errorf("%s: the first is given: %v, the fiftieth: %v", kind, given[0](), given[49]())
		}
	}
}

func marksOf(s bridge.Source) *marks {
	if q, ok := s.(*queueSource); ok {
		return q.marks
	}
	return s.(*streamSource).marks
}

// What fell out of a tap took marks with it; those that come later tell.
func TestAMarkThatIsLost(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	x, o := ownTap(t, n, n.open(t), typeClassic, "max_length: 5\nprefetch: 1")
	src := openSource(t, o)
	n.publish(t, x, bodies(0, 3, 0)...)
	lost := mark(t, src)
	n.publish(t, x, bodies(3, 40, 0)...)
	ds := receive(t, src, 1)
	later := mark(t, src)
	for !later() {
		if err := src.Ack(t.Context(), receipts(ds)); err != nil {
			t.Fatal(err)
		}
		if ds = soon(t, src); len(ds) == 0 && !later() {
			later = mark(t, src)
		}
	}
	if !lost() {
		t.Error("a newer mark is given, and one before it is not")
	}
}
