package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A flow publishes numbers on one channel until it is stopped, about five hundred a
// second, so that a reader keeps up.
type flow struct {
	sent atomic.Int64
	stop context.CancelFunc
	done chan error
}

func (n *node) flow(t *testing.T, exchange string) *flow {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &flow{stop: cancel, done: make(chan error, 1)}
	conn, err := amqp.Dial(n.url)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer conn.Close()
		pace := time.NewTicker(16 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			c, err := ch.PublishWithDeferredConfirmWithContext(context.Background(), exchange, "k", true, false,
				amqp.Publishing{DeliveryMode: amqp.Persistent, Body: fmt.Appendf(nil, "%d", f.sent.Load())})
			if err == nil && f.sent.Add(1)%8 == 0 {
				c.Wait()
				<-pace.C
			}
			if err != nil {
				f.done <- err
				return
			}
		}
		f.done <- nil
	}()
	t.Cleanup(cancel)
	return f
}

// end stops the flow and says how many it has published.
func (f *flow) end(t *testing.T) int64 {
	t.Helper()
	f.stop()
	if err := <-f.done; err != nil {
		t.Fatal(err)
	}
	return f.sent.Load()
}

// A follower reads a relay's source as a relay does: it opens it again when a
// session ends, and what it has acknowledged must be the numbers in a row.
type follower struct {
	t    *testing.T
	next int64
	open func() *sourceOpener
	taps []string // the queues that were read
}

// read goes on until settled has been true once: while a session is opened, the flow
// goes on.
func (f *follower) read(settled func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	over := settled()
	for !over {
		if time.Now().After(deadline) {
			f.t.Fatalf("stuck at %d, having read %v", f.next, f.taps)
		}
		s, err := f.open().Open(f.t.Context())
		if err != nil {
			if bridge.ClassOf(err) == bridge.Stopping {
				f.t.Fatal(err)
			}
			continue
		}
		over = f.session(s, settled, deadline)
		if err := s.Close(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// session reads until settled is true, which it says, or the session ends.
func (f *follower) session(s bridge.Source, settled func() bool, deadline time.Time) bool {
	f.t.Helper()
	into := make([]bridge.Delivery, 64)
	for time.Now().Before(deadline) {
		if settled() {
			return true
		}
		ctx, cancel := context.WithTimeout(f.t.Context(), 100*time.Millisecond)
		n, err := s.Receive(ctx, into)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		if err != nil {
			f.t.Logf("at %d: %v", f.next, err)
			return false
		}
		name := into[0].Origin.Stream.Name
		if len(f.taps) == 0 || f.taps[len(f.taps)-1] != name {
			f.taps = append(f.taps, name)
		}
		for i := range n {
			if got := string(into[i].Body); got != fmt.Sprint(f.next) {
				f.t.Fatalf("%s came from %s, want %d", got, name, f.next)
			}
			f.next++
		}
		if err := s.Ack(f.t.Context(), receipts(into[:n])); err != nil {
			f.t.Logf("at %d: %v", f.next, err)
			return false
		}
	}
	return false
}

// A tap whose arguments or type change under load loses nothing, repeats nothing
// and keeps the order, and leaves nothing of the old tap behind.
func TestChangingATapUnderLoad(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	id := bridge.Identity{Bridge: unique(t), Relay: "r"}
	x := n.exchange(t, unique(t), "topic")
	bindings := "accept: [stream-headers, priorities]\nbindings: [{exchange: " + x + ", routing_key: '#'}]\n"
	blocks := []string{
		"tap: quorum\nmax_bytes: 100000000\n" + bindings,
		"tap: classic\n" + bindings,
		"tap: stream\n" + bindings,
		"tap: quorum\nmax_bytes: 100000000\n" + bindings, // back to the first name
	}
	var opener *sourceOpener
	use := func(block string) {
		opener = n.source(t, s, id, block)
	}
	f := &follower{t: t, open: func() *sourceOpener { return opener }}
	use(blocks[0])
	_ = openSource(t, opener).Close()
	n.deleteLater(t, recordName(id.Bridge))
	load := n.flow(t, x)
	for i, block := range blocks {
		use(block)
		wanted := opener.tap
		f.read(func() bool { return len(f.taps) > i && f.taps[i] == wanted && f.next+500 > load.sent.Load() })
	}
	total := load.end(t)
	f.read(func() bool { return f.next == total })
	t.Logf("%d messages through %v", total, f.taps)
	if len(f.taps) != len(blocks) || f.taps[0] != f.taps[3] {
		t.Errorf("read were %v", f.taps)
	}
	if got := held(t, s, id.Bridge)["r"]; len(got) != 2 {
		t.Errorf("left are %v, want a tap and the queue beside it", got)
	}
	if err := s.Remove(t.Context(), id.Bridge, "r"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), id.Bridge, ""); err != nil {
		t.Fatal(err)
	}
}

// A crash after any connection that a change makes, and a configuration that
// changes again or back at that moment, loses nothing, repeats nothing that was
// acknowledged and keeps the order.
func TestChangingATapIsResumed(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	const crashes = 7 // that many connections a change makes, or one less
	var ends atomic.Int64
	t.Run("crash", func(t *testing.T) {
		for crash := range crashes {
			t.Run(fmt.Sprint(crash), func(t *testing.T) {
				t.Parallel()
				if n.crashInAChange(t, crash) {
					ends.Add(1)
				}
			})
		}
	})
	if got := ends.Load(); got > 1 {
		t.Errorf("%d of %d changes came to their end: too few are cut", got, crashes)
	}
}

// crashInAChange cuts everything when the connection of that number is made
// during a change, and goes on with one of three configurations.
func (n *node) crashInAChange(t *testing.T, crash int) (ended bool) {
	t.Helper()
	s := n.open(t)
	id := bridge.Identity{Bridge: unique(t), Relay: "r"}
	n.deleteLater(t, recordName(id.Bridge))
	x := n.exchange(t, unique(t), "topic")
	block := func(limit int) string {
		return fmt.Sprintf("tap: classic\nmax_bytes: %d\nbindings: [{exchange: %s, routing_key: '#'}]", limit, x)
	}
	_ = openSource(t, n.source(t, s, id, block(100_000_001))).Close()
	load := n.flow(t, x)

	doomed := n.open(t)
	var made []*session
	doomed.connected = func(c *session) {
		if made = append(made, c); len(made) == crash+2 {
			for _, m := range made {
				_ = m.sock.Close()
			}
		}
	}
	source, err := n.source(t, doomed, id, block(100_000_002)).Open(t.Context())
	if err == nil {
		_ = source.Close()
		ended = true
	}
	o := n.source(t, s, id, block(100_000_001+crash%3))
	f := &follower{t: t, open: func() *sourceOpener { return o }}
	f.read(func() bool {
		return len(f.taps) > 0 && f.taps[len(f.taps)-1] == o.tap && f.next+500 > load.sent.Load()
	})
	total := load.end(t)
	f.read(func() bool { return f.next == total })
	f.read(func() bool { return len(held(t, s, id.Bridge)["r"]) == 2 })
	if err := s.Remove(t.Context(), id.Bridge, "r"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), id.Bridge, ""); err != nil {
		t.Fatal(err)
	}
	return ended
}

// A binding that is gone from the configuration is taken off, after the new ones
// have been put on.
func TestChangingBindings(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	id := n.identity(t)
	x := n.exchange(t, unique(t), "topic")
	h := n.exchange(t, unique(t), "headers")
	read := func(bindings string, want ...string) {
		t.Helper()
		src := openSource(t, n.source(t, s, id, "tap: classic\nbindings: ["+bindings+"]"))
		defer src.Close()
		for _, p := range []struct {
			exchange string
			publishing
		}{
			{x, publishing{"a", amqp.Publishing{Body: []byte("a")}}},
			{x, publishing{"b", amqp.Publishing{Body: []byte("b")}}},
			{h, publishing{"", amqp.Publishing{Body: []byte("five"), Headers: amqp.Table{"n": int64(5)}}}},
			{h, publishing{"", amqp.Publishing{Body: []byte("true"), Headers: amqp.Table{"n": true}}}},
			{x, publishing{"end", amqp.Publishing{Body: []byte("end")}}},
		} {
			ch := n.channel(t)
			if err := ch.PublishWithContext(t.Context(), p.exchange, p.key, false, false, p.Publishing); err != nil {
				t.Fatal(err)
			}
			if err := ch.Close(); err != nil { // in order
				t.Fatal(err)
			}
		}
		ds := receive(t, src, len(want))
		for i := range ds {
			if string(ds[i].Body) != want[i] {
				t.Fatalf("%s: number %d is %s, want %s", bindings, i, ds[i].Body, want[i])
			}
		}
		if err := src.Ack(t.Context(), receipts(ds)); err != nil {
			t.Fatal(err)
		}
	}
	end := "{exchange: " + x + ", routing_key: end}"
	read("{exchange: "+x+", routing_key: a}, {exchange: "+h+", arguments: {x-match: all, n: 5}}, "+end, "a", "five", "end")
	read("{exchange: "+x+", routing_key: b}, {exchange: "+h+", arguments: {x-match: all, n: true}}, "+end, "b", "true", "end")
	read("{exchange: "+x+", routing_key: a}, {exchange: "+x+", routing_key: b}, "+end, "a", "b", "end")
	read(end, "end")
}

// While a tap is read to its end, the backlog counts what waits in the one that
// took its place as well.
func TestTheBacklogOfTwoTaps(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kinds := range [][2]string{{typeClassic, typeQuorum}, {typeQuorum, typeStream}, {typeStream, typeClassic}} {
		id := n.identity(t)
		x := n.exchange(t, unique(t), "topic")
		block := "accept: [stream-headers, priorities]\nbindings: [{exchange: " + x + ", routing_key: '#'}]\ntap: "
		first := n.source(t, s, id, block+kinds[0])
		_ = openSource(t, first).Close()
		n.publish(t, x, bodies(0, 10, 0)...)
		src := openSource(t, n.source(t, s, id, block+kinds[1]))
		n.publish(t, x, bodies(10, 5, 0)...)
		eventually(t, fmt.Sprintf("%v have 15 messages", kinds), func() bool {
			b, err := src.(bridge.Backlogger).Backlog(t.Context())
			return err == nil && b.Messages == 15
		})
		if got := receive(t, src, 10)[9]; got.Origin.Stream.Name != first.tap {
			t.Errorf("%v: read is %s", kinds, got.Origin.Stream.Name)
		}
		_ = src.Close()
	}
}
