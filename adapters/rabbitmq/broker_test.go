package rabbitmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// TestMain finds goroutines that are left. A broker that was started for this
// process is waited for until it ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/crossfade-mq/crossfade/e2e/brokers.(*Server).Start.func1"))
}

// settings is a Decode of a block of YAML, as strict as the configuration's.
func settings(block string) bridge.Decode {
	return func(into any) error {
		d := yaml.NewDecoder(bytes.NewReader([]byte(block)))
		d.KnownFields(true)
		return d.Decode(into)
	}
}

// A node is the broker of the tests with the client library's own connection,
// which is independent of the adapter.
type node struct {
	url  string
	conn *amqp.Connection
}

func newNode(t testing.TB, url string) *node {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &node{url: url, conn: conn}
}

// sharedNode is the broker that tests share.
func sharedNode(t testing.TB) *node {
	t.Helper()
	return newNode(t, brokers.RabbitMQ(t))
}

// open makes a system of the adapter for this broker.
func (n *node) open(t testing.TB, more ...string) *system {
	t.Helper()
	s, err := newSystem("test", settings("url: "+n.url+"\n"+strings.Join(more, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (n *node) channel(t testing.TB) *amqp.Channel {
	t.Helper()
	ch, err := n.conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

// queue declares a queue that goes with the test.
func (n *node) queue(t testing.TB, name, kind string) string {
	t.Helper()
	if _, err := n.channel(t).QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
		t.Fatal(err)
	}
	n.deleteLater(t, name)
	return name
}

// deleteLater deletes queues when the test ends.
func (n *node) deleteLater(t testing.TB, names ...string) {
	t.Cleanup(func() {
		conn, err := amqp.Dial(n.url)
		if err != nil {
			t.Errorf("delete %v: %v", names, err)
			return
		}
		defer conn.Close()
		for _, name := range names {
			ch, err := conn.Channel()
			if err != nil {
				t.Errorf("delete %s: %v", name, err)
				return
			}
			_, _ = ch.QueueDelete(name, false, false, false) // 404 is as good
		}
	})
}

// exchange declares an exchange that goes with the test.
func (n *node) exchange(t testing.TB, name, kind string) string {
	t.Helper()
	if err := n.channel(t).ExchangeDeclare(name, kind, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if conn, err := amqp.Dial(n.url); err == nil {
			defer conn.Close()
			if ch, err := conn.Channel(); err == nil {
				_ = ch.ExchangeDelete(name, false, false)
			}
		}
	})
	return name
}

// publish sends with the client library and waits for the confirms.
func (n *node) publish(t testing.TB, exchange string, msgs ...publishing) {
	t.Helper()
	if err := n.put(t.Context(), exchange, msgs...); err != nil {
		t.Fatal(err)
	}
}

type publishing struct {
	key string
	amqp.Publishing
}

func (n *node) put(ctx context.Context, exchange string, msgs ...publishing) error {
	conn, err := amqp.Dial(n.url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	var last *amqp.DeferredConfirmation
	for _, m := range msgs {
		if m.DeliveryMode == 0 {
			m.DeliveryMode = amqp.Persistent
		}
		if last, err = ch.PublishWithDeferredConfirmWithContext(ctx, exchange, m.key, true, false, m.Publishing); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	// A confirm may overtake earlier ones, so wait for all by closing in order.
	if ok, err := last.WaitContext(ctx); err != nil || !ok {
		return fmt.Errorf("publish: not confirmed: %w", errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

var serial struct {
	sync.Mutex
	n int
}

// unique makes a name for this run and test.
func unique(t interface{ Name() string }) string {
	serial.Lock()
	defer serial.Unlock()
	serial.n++
	name := strings.NewReplacer("/", "-", " ", "-", "#", "").Replace(t.Name())
	name = name[max(0, len(name)-80):]
	return fmt.Sprintf("%s-%d-%d", name, time.Now().UnixNano()%1e9, serial.n)
}

// identity is a relay of the test's own whose things at the broker go with it.
func (n *node) identity(t testing.TB) bridge.Identity {
	return bridge.Identity{Bridge: "test", Relay: unique(t)}
}

// source makes an opener and deletes with the test what it makes.
func (n *node) source(t testing.TB, s *system, id bridge.Identity, block string) *sourceOpener {
	t.Helper()
	o, err := s.Source(id, settings(block))
	if err != nil {
		t.Fatal(err)
	}
	so := o.(*sourceOpener)
	if so.settings.Tap != tapQueue {
		n.deleteLater(t, so.tap, so.dropped, tapName(id, &so.settings, "offsets"))
	}
	return so
}

func (n *node) sink(t testing.TB, s *system, id bridge.Identity, block string) *sinkOpener {
	t.Helper()
	o, err := s.Sink(id, settings(block))
	if err != nil {
		t.Fatal(err)
	}
	return o.(*sinkOpener)
}

// receive collects n deliveries.
func receive(t testing.TB, s bridge.Source, n int) []bridge.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []bridge.Delivery
	for len(all) < n {
		into := make([]bridge.Delivery, min(64, n-len(all)))
		k, err := s.Receive(ctx, into)
		if err != nil {
			t.Fatalf("after %d of %d deliveries: %v", len(all), n, err)
		}
		all = append(all, into[:k]...)
	}
	return all
}

func receipts(ds []bridge.Delivery) []bridge.Receipt {
	rs := make([]bridge.Receipt, len(ds))
	for i := range ds {
		rs[i] = ds[i].Receipt
	}
	return rs
}

// A log is a Settled that keeps what it was told.
type settleLog struct {
	mu      sync.Mutex
	n       int
	refused map[int]error
	err     error
	ends    int
}

func (l *settleLog) settled(n int, placements []bridge.Placement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range placements {
		if placements[i].Refused != nil {
			if l.refused == nil {
				l.refused = map[int]error{}
			}
			l.refused[l.n+i] = placements[i].Refused
		}
	}
	l.n += n
	if err != nil {
		l.err = err
		l.ends++
	}
}

func (l *settleLog) state() (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n, l.err
}

// await waits until n are settled.
func (l *settleLog) await(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d settled", n), func() bool {
		got, err := l.state()
		if err != nil {
			t.Fatalf("lane ended after %d of %d: %v", got, n, err)
		}
		return got >= n
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// openLane opens sink and lane 0.
func openLane(t testing.TB, o *sinkOpener, l *settleLog) bridge.Lane {
	t.Helper()
	sink, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lane, err := sink.Open(t.Context(), 0, l.settled)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lane.Close() })
	return lane
}

func pointers(ms []bridge.Message) []*bridge.Message {
	ps := make([]*bridge.Message, len(ms))
	for i := range ms {
		ps[i] = &ms[i]
	}
	return ps
}
