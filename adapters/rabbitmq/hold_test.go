package rabbitmq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A mute lies before a broker and swallows some of its answers; heartbeats and
// all else go through.
type mute struct {
	url     string
	method  uint32       // class and method that are swallowed
	passing atomic.Int64 // how many go through before
}

func (n *node) mute(t *testing.T, class, method uint16, passing int64) *mute {
	t.Helper()
	u, err := url.Parse(n.url)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := &mute{method: uint32(class)<<16 | uint32(method)}
	m.passing.Store(passing)
	upstream := u.Host
	u.Host = l.Addr().String()
	m.url = u.String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { m.pass(near, far); _ = near.Close() }()
		}
	}()
	return m
}

func (m *mute) pass(to io.Writer, from io.Reader) {
	for {
		frame := make([]byte, 7)
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame[3:])+1)...)
		if _, err := io.ReadFull(from, frame[7:]); err != nil {
			return
		}
		if frame[0] == frameMethod && binary.BigEndian.Uint32(frame[7:]) == m.method && m.passing.Add(-1) < 0 {
			continue
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}

// endsInTime fails the test if f does not come back soon with an error.
func endsInTime(t *testing.T, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if !errors.Is(err, errSetupTimeout) || bridge.ClassOf(err) == bridge.Stopping {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal(what + " hangs")
	}
}

// A broker that goes on with heartbeats and leaves a question unanswered, as it
// does when a queue has lost its leader, ends Hold and Recall after a while.
func TestUnansweredQuestionsEnd(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	t.Run("hold", func(t *testing.T) {
		m := n.mute(t, 50, 11, 1<<40) // queue.declare-ok
		s := (&node{url: m.url}).open(t, "setup_timeout: 4s")
		x := n.exchange(t, unique(t), "topic")
		src := openSource(t, n.source(t, s, n.identity(t), "tap: classic\nbindings: [{exchange: "+x+"}]"))
		defer src.Close()
		hold := src.(bridge.Holder).Hold
		if err := hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.passing.Store(0)
		endsInTime(t, "hold", func() error { return hold(t.Context()) })
	})
	t.Run("recall", func(t *testing.T) {
		m := n.mute(t, 60, 21, 1) // basic.consume-ok: the one that finds the end goes through
		s := (&node{url: m.url}).open(t, "setup_timeout: 4s")
		stream := n.queue(t, unique(t), typeStream)
		n.publish(t, "", publishing{key: stream})
		sink, err := n.sink(t, s, n.identity(t), "stream: "+stream).Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		endsInTime(t, "recall", func() error {
			return sink.(bridge.Recaller).Recall(t.Context(), 0, 10, func(bridge.Placed) bool { return true })
		})
		if m.passing.Load() >= 0 {
			t.Fatal("no answer was swallowed")
		}
	})
}

// Recall finds the relay's own behind many of other writers.
func TestRecallLooksBehindStrangers(t *testing.T) {
	n := sharedNode(t)
	stream := n.queue(t, unique(t), typeStream)
	o := n.sink(t, n.open(t), n.identity(t), "stream: "+stream)
	var l settleLog
	lane := openLane(t, o, &l)
	ms := make([]bridge.Message, 50)
	for i := range ms {
		ms[i] = bridge.Message{Key: "k", ID: bridge.ID{Value: fmt.Sprint(i)}, Body: []byte("x")}
	}
	if _, err := lane.Send(t.Context(), pointers(ms)); err != nil {
		t.Fatal(err)
	}
	l.await(t, len(ms))
	strangers := bodies(0, 9000, 1)
	for i := range strangers {
		strangers[i].key = stream
	}
	n.publish(t, "", strangers...)
	sink, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	for _, count := range []int{10, 100} {
		var found []string
		if err := sink.(bridge.Recaller).Recall(t.Context(), 0, count, func(p bridge.Placed) bool { found = append(found, p.ID.Value); return true }); err != nil {
			t.Fatal(err)
		}
		if len(found) != min(count, len(ms)) || found[0] != "49" {
			t.Fatalf("of the newest %d: %v", count, found)
		}
	}
}

// A broker that is too slow to say what an exchange is may say it the next time: the
// tap is neither made nor refused for good.
func TestASlowBrokerIsNotRefused(t *testing.T) {
	n := sharedNode(t)
	m := n.mute(t, 20, 40, 0) // channel.close: how it answers a declaration that differs
	s := (&node{url: m.url}).open(t, "setup_timeout: 1s")
	x := n.exchange(t, unique(t), "topic")
	o := n.source(t, s, n.identity(t), "tap: classic\nbindings: [{exchange: "+x+"}]")
	endsInTime(t, "open", func() error {
		src, err := o.Open(t.Context())
		if err == nil {
			err = src.Close()
		}
		return err
	})
}
