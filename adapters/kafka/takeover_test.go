package kafka

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossfade-mq/crossfade/bridge"
)

// tapOf gives an opener of a topic "a" of two partitions, with ten messages.
func tapOf(t *testing.T, opts ...kfake.Opt) (*testCluster, bridge.SourceOpener) {
	t.Helper()
	c := startCluster(t, opts...)
	c.topic(t, "a", 2)
	put(t, c.client(t), "a", 2, 0, 10)
	return c, c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
}

// While a process lives, the next one stands by, and says for whom; the first one is not
// disturbed.
func TestStandsBy(t *testing.T) {
	c, o := tapOf(t)
	first := openSource(t, o)
	held := take(t, first, 10)
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Observe: true, Count: -1})
	began := time.Now()
	_, err := c.system(t).from(t, SourceConfig{Topics: []string{"a"}}).Open(t.Context())
	if err == nil || bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "standing by") || !strings.Contains(err.Error(), thisProcess("").Words) {
		t.Fatalf("beside a process that lives, after %v: %v", time.Since(began), err)
	}
	if h.Hits() != 0 {
		t.Errorf("it joined the group %d times", h.Hits())
	}
	ackAll(t, first, held...)
	if err := first.Hold(t.Context()); err != nil {
		t.Error(err)
	}
}

// The tap of a process that died, or says nothing any more, is free after the session
// time-out. It finds that out when it wakes.
func TestTakeover(t *testing.T) {
	for _, dies := range []bool{true, false} {
		c, _ := tapOf(t)
		sys := c.system(t)
		first := openSource(t, sys.from(t, SourceConfig{Topics: []string{"a"}}))
		held := take(t, first, 10)
		ackAll(t, first, held[:4]...)
		if dies {
			sys.kill()
		} else { // as a stopped process does: it lets the group wait
			id, _, _ := first.member.current()
			if err := newMember(first.asks, groupOf(testIdentity), nil).expel(t.Context(), []string{id}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		second := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
		t.Logf("dies %v: taken over after %v", dies, time.Since(began))
		if got := bodiesOf(take(t, second, 6)); got != bodiesOf(held[4:]) {
			t.Errorf("dies %v: got %s, want %s", dies, got, bodiesOf(held[4:]))
		}
		if err := first.Hold(t.Context()); err == nil {
			t.Errorf("dies %v: the first one says that it holds the tap", dies)
		} else if !dies && !errors.Is(err, errLost) {
			t.Errorf("the first one's hold: %v", err)
		}
		if err := first.Ack(t.Context(), receipts(held[4:])); err == nil {
			t.Errorf("dies %v: the first one acknowledged", dies)
		}
		if err := second.Hold(t.Context()); err != nil {
			t.Errorf("dies %v: the second does not hold the tap: %v", dies, err)
		}
	}
}

// A session of the same process that could not leave the group is taken out at once, and
// so is a process that is known to be dead.
func TestKnownDeadAreNotWaitedFor(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	c.session = 20 * time.Second
	sys := c.system(t)
	sys.dead = true
	for _, next := range []*system{c.system(t), nil} {
		sys := c.system(t)
		s := openSource(t, sys.from(t, SourceConfig{Topics: []string{"a"}}))
		if next != nil { // a process of this machine that is gone
			s.member.self.PID, s.member.self.Began = 1<<22+1, "1"
			if err := s.member.join(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !s.member.self.dead() {
				t.Skip("this system does not tell")
			}
		} else {
			next = sys
		}
		s.stop()
		s.running.Wait() // it beats no more
		began := time.Now()
		again := openSource(t, next.from(t, SourceConfig{Topics: []string{"a"}}))
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		again.Close()
	}
}

// A rebalance that somebody else brings about is joined, and the session goes on.
func TestRebalanceIsJoined(t *testing.T) {
	c, o := tapOf(t)
	s := openSource(t, o)
	got := take(t, s, 10)
	_, before, _ := s.member.current()
	for round := range 3 {
		// Another member comes, without looking, and goes again.
		other := newMember(newCluster(c.system(t)), groupOf(testIdentity), assignment{"a": {0, 1}})
		if err := other.join(t.Context()); !errors.Is(err, errNoTap) {
			t.Fatalf("round %d: the other one: %v", round, err)
		}
		ackAll(t, s, got[round])
		other.leave(t.Context())
		other.coordinator.cluster.close()
		if err := s.Hold(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	put(t, c.client(t), "a", 2, 10, 20)
	ackAll(t, s, append(got, take(t, s, 10)...)...)
	if _, now, _ := s.member.current(); now <= before {
		t.Errorf("generation %d, then %d", before, now)
	}
	s.Close()
	put(t, c.client(t), "a", 2, 20, 21)
	if got := bodiesOf(take(t, openSource(t, o), 1)); got != "20" {
		t.Errorf("then %s", got)
	}
}

// Processes that start together: one gets the tap, and each message comes once to it.
func TestProcessesThatStartTogether(t *testing.T) {
	c, _ := tapOf(t)
	var wg sync.WaitGroup
	sessions := make([]bridge.Source, 5)
	for i := range sessions {
		o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			s, err := o.Open(ctx)
			if err == nil {
				sessions[i] = s
			} else if bridge.ClassOf(err) != bridge.Transient {
				t.Errorf("open: %v", err)
			}
		})
	}
	wg.Wait()
	holders := 0
	for _, s := range sessions {
		if s == nil {
			continue
		}
		if s.(bridge.Holder).Hold(t.Context()) == nil {
			holders++
		}
		defer s.Close()
	}
	if holders != 1 {
		t.Errorf("%d sessions hold the tap", holders)
	}
}

// What the coordinator cannot do yet, or any more, is waited for or looked for elsewhere.
func TestCoordinatorIsNotThereYet(t *testing.T) {
	c, o := tapOf(t, kfake.NumBrokers(3))
	c.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: 3},
		kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup}, Err: kerr.CoordinatorLoadInProgress, Count: 2},
		kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch, kmsg.OffsetCommit, kmsg.Heartbeat}, Err: kerr.NotCoordinator, Count: 6},
	)
	s := openSource(t, o)
	got := take(t, s, 10)
	ackAll(t, s, got[:5]...)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress})
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.RebalanceInProgress})
	ackAll(t, s, got[5:]...)
	if h.Hits() == 0 {
		t.Error("no heartbeat was faulted")
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID})
	_, err := s.Receive(t.Context(), make([]bridge.Delivery, 1))
	if !errors.Is(err, errLost) || bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("kicked out of the group: %v", err)
	}
}
