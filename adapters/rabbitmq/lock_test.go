package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// What a session has handed over when its connection breaks may still be on its way
// at the broker, held up by its channel or by the leader of the stream. The session
// after it begins when that can no longer come, and recalls all that has come.
func TestNothingOfTheSessionBeforeComesLater(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it stops processes within brokers of its own")
	}
	const leader = `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"target">>)), All = [maps:get(leader_pid, amqqueue:get_type_state(Q))], `
	const channels = `All = rabbit_channel:list(), `
	for _, kind := range []brokers.Kind{brokers.KindRabbitMQ, brokers.KindRabbitMQ4} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := ownBroker(t, kind)
			n := newNode(t, srv.URL())
			for name, placed := range map[string]int{"slow leader": 20, "slow leader of an empty stream": 0} {
				t.Run(name, func(t *testing.T) {
					l := newLateness(t, srv, n, placed)
					resume := l.suspend(leader)
					l.send(leader)
					_ = l.lane.Close()
					l.lane = openLane(t, l.to, &l.log)
					time.AfterFunc(2*time.Second, resume)
					if got := l.recall(); got != len(l.ms) {
						t.Errorf("recalled %d of %d messages", got, len(l.ms))
					}
				})
			}
			t.Run("empty stream", func(t *testing.T) {
				l := newLateness(t, srv, n, 0)
				if got := l.recall(); got != 0 {
					t.Errorf("recalled %d of an empty stream", got)
				}
			})
			t.Run("empty stream of an application", func(t *testing.T) {
				o := n.source(t, n.open(t, "setup_timeout: 5s"), n.identity(t), "stream: "+n.queue(t, "empty", typeStream)+"\nstart: first")
				openSource(t, o)
			})
			t.Run("slow channel", func(t *testing.T) {
				l := newLateness(t, srv, n, 20)
				resume := l.suspend(channels)
				l.send(channels)
				l.lane.(*lane).session.sock.fail(errors.New("the network is gone"))
				_ = l.lane.Close()
				sink, err := l.to.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				next, err := sink.Open(t.Context(), 0, l.log.settled)
				if err == nil {
					_ = next.Close()
					err = errors.New("it has begun")
				}
				if bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "has not ended yet") {
					t.Errorf("the next session, with the channel of the one before still there: %v", err)
				}
				resume()
				l.lane = openLane(t, l.to, &l.log)
				got := l.recall()
				if later := l.recall(); later != got {
					t.Errorf("recalled %d messages, and %d came later", got, later-got)
				}
			})
		})
	}
}

// ownBroker is a broker that no other test uses.
func ownBroker(t *testing.T, kind brokers.Kind) *brokers.Server {
	t.Helper()
	srv, err := brokers.New(kind, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Remove() })
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return srv
}

// A lateness is a session that has placed some messages and sends more, which wait at
// the broker.
type lateness struct {
	t    *testing.T
	srv  *brokers.Server
	to   *sinkOpener
	lane bridge.Lane
	log  settleLog
	ms   []bridge.Message
	sent int
}

func newLateness(t *testing.T, srv *brokers.Server, n *node, placed int) *lateness {
	t.Helper()
	l := &lateness{t: t, srv: srv, ms: numbered(placed + 200), sent: placed}
	l.to = n.sink(t, n.open(t, "setup_timeout: 5s"), n.identity(t), "stream: "+n.queue(t, "target", typeStream))
	l.lane = openLane(t, l.to, &l.log)
	if _, err := l.lane.Send(t.Context(), pointers(l.ms[:placed])); err != nil {
		t.Fatal(err)
	}
	l.log.await(t, placed)
	return l
}

func (l *lateness) eval(what string) string {
	out, err := l.srv.Ctl(context.WithoutCancel(l.t.Context()), "eval", what)
	if err != nil {
		l.t.Errorf("eval %s: %v", what, err)
	}
	return strings.TrimSpace(out)
}

// suspend stops processes of the broker, which find names All, until resume.
func (l *lateness) suspend(find string) (resume func()) {
	l.t.Helper()
	name := fmt.Sprintf("suspender_%d", time.Now().UnixNano())
	l.eval(find + `F = self(), spawn(fun() -> register(` + name + `, self()), [erlang:suspend_process(P) || P <- All], F ! done, receive resume -> ok end end), receive done -> ok end.`)
	resume = sync.OnceFunc(func() { l.eval(name + ` ! resume.`) })
	l.t.Cleanup(resume)
	return resume
}

// send sends the rest, and waits until it waits for what find names All.
func (l *lateness) send(find string) {
	l.t.Helper()
	if _, err := l.lane.Send(l.t.Context(), pointers(l.ms[l.sent:])); err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, "the messages wait", func() bool {
		n, _ := strconv.Atoi(l.eval(find + `lists:max([N || P <- All, {message_queue_len, N} <- [process_info(P, message_queue_len)]]).`))
		return n >= len(l.ms)-l.sent
	})
}

// recall counts what the target's stream has of the relay.
func (l *lateness) recall() (n int) {
	l.t.Helper()
	sink, err := l.to.Open(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	if err := sink.(bridge.Recaller).Recall(l.t.Context(), 0, 1000, func(bridge.Placed) bool { n++; return true }); err != nil {
		l.t.Fatal(err)
	}
	return n
}
