package rabbitmq

import (
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A queue tap that was deleted took messages with it: it is not made anew, not by
// the process that had it and not by the next, until somebody has said so.
func TestADeletedQueueTapStopsTheRelay(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range []string{typeClassic, typeQuorum} {
		id := n.identity(t)
		x := n.exchange(t, unique(t), "topic")
		block := "tap: " + kind + "\naccept: [stream-headers, priorities]\nbindings: [{exchange: " + x + ", routing_key: '#'}]"
		remove := func(name string) {
			t.Helper()
			if _, err := n.channel(t).QueueDelete(name, false, false, false); err != nil {
				t.Fatal(err)
			}
		}
		stops := func(o *sourceOpener, what string) {
			t.Helper()
			if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
				t.Fatalf("%s tap, %s: %v", kind, what, err)
			}
		}
		o := n.source(t, s, id, block)
		_ = openSource(t, o).Close()
		remove(o.dropped)
		_ = openSource(t, o).Close() // the queue beside it is made again
		n.publish(t, x, bodies(0, 10, 10)...)
		remove(o.tap)
		stops(o, "deleted under this process")
		stops(n.source(t, s, id, block), "deleted before this process")
		remove(o.dropped)
		stops(o, "deleted with the queue beside it")
		_ = openSource(t, n.source(t, s, id, block)).Close()
	}
}

// A receipt names the same shard in every session, and one of an earlier session
// acknowledges nothing.
func TestReceiptsOfAnotherSession(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	for _, kind := range []string{typeClassic, typeStream} {
		x := n.exchange(t, unique(t), "topic")
		o := n.source(t, s, n.identity(t), "tap: "+kind+"\naccept: [stream-headers, priorities]\nbindings: [{exchange: "+x+", routing_key: '#'}]")
		first := openSource(t, o)
		n.publish(t, x, bodies(0, 10, 10)...)
		old := receipts(receive(t, first, 10))
		_ = first.Close()
		second := openSource(t, o)
		now := receipts(receive(t, second, 10))
		for i := range now {
			if old[i].Shard != 0 || now[i].Shard != 0 {
				t.Fatalf("%s: receipts %v and %v", kind, old[i], now[i])
			}
		}
		if err := second.Ack(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		_ = second.Close()
		third := openSource(t, o)
		if err := third.Ack(t.Context(), receipts(receive(t, third, 10))); err != nil {
			t.Fatal(err)
		}
		_ = third.Close()
		n.publish(t, x, bodies(10, 1, 10)...)
		last := openSource(t, o)
		if got := receive(t, last, 1)[0]; !strings.HasPrefix(string(got.Body), "00000010") {
			t.Fatalf("%s: %q came after all were acknowledged", kind, got.Body)
		}
		_ = last.Close()
	}
}
