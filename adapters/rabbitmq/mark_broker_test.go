package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// An application's queue cannot be marked.
func TestACompetingQueueHasNoMarks(t *testing.T) {
	n := sharedNode(t)
	q := n.queue(t, unique(t), typeClassic)
	src := openSource(t, n.source(t, n.open(t), n.identity(t), "competes: true\nqueue: "+q))
	if _, err := src.(bridge.Backlogger).Mark(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("mark of an application's queue: %v", err)
	}
}

// While a tap is read to its end, what is stored for the relay is in the one behind it:
// no mark is given, and none is written. The old one, with marks in it, is gone in the end.
func TestNoMarksOfATapThatIsReplaced(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kinds := range [][2]string{{typeClassic, typeQuorum}, {typeQuorum, typeStream}, {typeStream, typeClassic}} {
		id := n.identity(t)
		x := n.exchange(t, unique(t), "topic")
		block := "accept: [stream-headers, priorities]\nbindings: [{exchange: " + x + ", routing_key: '#'}]\ntap: "
		first := n.source(t, s, id, block+kinds[0])
		src := openSource(t, first)
		n.publish(t, x, bodies(0, 3, 0)...)
		mark(t, src)
		_ = src.Close()
		o := n.source(t, s, id, block+kinds[1])
		src = openSource(t, o)
		n.publish(t, x, bodies(3, 1, 0)...)
		given := mark(t, src)
		ds := receive(t, src, 3)
		if err := src.Ack(t.Context(), receipts(ds)); err != nil {
			t.Fatal(err)
		}
		_, err := src.Receive(t.Context(), make([]bridge.Delivery, 1))
		if err == nil || !strings.Contains(err.Error(), "read to its end") {
			t.Fatalf("%v: behind the old tap's messages: %v", kinds, err)
		}
		if given() || marksOf(src).sent > 0 {
			t.Errorf("%v: the mark of a replaced tap is given: %v; written were %d", kinds, given(), marksOf(src).sent)
		}
		_ = src.Close()
		if _, err := n.channel(t).QueueDeclarePassive(first.tap, true, false, false, false, nil); !missing(err) {
			t.Errorf("%v: the old tap: %v", kinds, err)
		}
		src = openSource(t, o)
		given = mark(t, src)
		receive(t, src, 1)
		comesTrue(t, src, "the mark of the new tap is given", given)
	}
}

// Where the broker gives higher priorities first a mark is given behind all of them.
func TestMarksBehindPriorities(t *testing.T) {
	t.Parallel()
	n := newNode(t, brokers.Shared(t, brokers.KindRabbitMQ4))
	s := n.open(t)
	x, o := ownTap(t, n, s, typeQuorum, "prefetch: 4")
	src := openSource(t, o)
	for round, priorities := range [][]uint8{{9, 0}, {0, 9}, {9, 9}, {0, 0}, {4, 5}} {
		var ps []publishing
		for i := range 60 {
			priority := priorities[0]
			if i >= 40 {
				priority = priorities[1]
			}
			ps = append(ps, publishing{"k", amqp.Publishing{Body: fmt.Appendf(nil, "%d/%d", round, i), Priority: priority}})
		}
		n.publish(t, x, ps...)
		given := mark(t, src)
		n.publish(t, x, ps[:20]...)
		came := map[string]bool{}
		for i := 0; i < 80; {
			into := make([]bridge.Delivery, 3)
			k, err := src.Receive(t.Context(), into)
			if err != nil {
				t.Fatal(err)
			}
			if given() && len(came) < 60 {
				t.Fatalf("priorities %v: the mark of 60 messages is given with %d received", priorities, len(came))
			}
			for _, d := range into[:k] {
				came[string(d.Body)] = true
			}
			if err := src.Ack(t.Context(), receipts(into[:k])); err != nil {
				t.Fatal(err)
			}
			i += k
		}
		comesTrue(t, src, fmt.Sprintf("priorities %v: the mark is given", priorities), given)
	}
}

// A broker that takes no messages for a while gives and takes everything else: a mark
// fails, and nothing waits for it. When it takes them again, so does the session.
func TestMarksWhileTheBrokerBlocksPublishers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a broker of its own")
	}
	server := brokers.PrivateRabbitMQ(t)
	n := newNode(t, server.URL())
	s := n.open(t, "confirm_timeout: 1s")
	ctl := func(args ...string) {
		t.Helper()
		if _, err := server.Ctl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	x, o := ownTap(t, n, s, typeClassic, "")
	src := openSource(t, o)
	comesTrue(t, src, "a mark is given", mark(t, src))
	n.publish(t, x, bodies(0, 10, 0)...)
	ds := receive(t, src, 10)
	ctl("set_vm_memory_high_watermark", "0")
	fails := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := src.(bridge.Backlogger).Mark(ctx)
		return err
	}
	eventually(t, "marks fail for a reason", func() bool {
		soon(t, src)
		err := fails()
		return err != nil && strings.Contains(err.Error(), "blocks publishers") && bridge.ClassOf(err) == bridge.Transient
	})
	w := marksOf(src).writer
	began := time.Now()
	if err := fails(); err == nil || time.Since(began) > time.Second || marksOf(src).writer != w {
		t.Errorf("another one: %v after %v", err, time.Since(began))
	}
	if err := src.Ack(t.Context(), receipts(ds)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was acknowledged is gone", func() bool {
		b, err := src.(bridge.Backlogger).Backlog(t.Context())
		return err == nil && b.Messages == 0
	})
	ctl("set_vm_memory_high_watermark", "0.6")
	var given func() bool
	eventually(t, "marks are made again", func() (ok bool) {
		var err error
		given, err = src.(bridge.Backlogger).Mark(t.Context())
		return err == nil
	})
	comesTrue(t, src, "the mark is given", given)
}

// A user who may not write to the default exchange any more is told so.
func TestMarksWithoutPermission(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a broker of its own")
	}
	server := brokers.PrivateRabbitMQ(t)
	n := newNode(t, server.URL())
	_, o := ownTap(t, n, n.open(t), typeClassic, "")
	src := openSource(t, o)
	if _, err := server.Ctl(t.Context(), "set_permissions", "guest", ".*", "^nothing$", ".*"); err != nil {
		t.Fatal(err)
	}
	_, err := src.(bridge.Backlogger).Mark(t.Context())
	if bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), "permissions") || !strings.Contains(err.Error(), "amq.default") {
		t.Errorf("without permission: %v, %s", err, bridge.HintOf(err))
	}
	if _, err := server.Ctl(t.Context(), "set_permissions", "guest", ".*", ".*", ".*"); err != nil {
		t.Fatal(err)
	}
	comesTrue(t, src, "with permission again", mark(t, src))
}
