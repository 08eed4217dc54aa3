package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sharing is an exchange with relays of one bridge that share a stream tap of it.
type sharing struct {
	t        *testing.T
	n        *node
	s        *system
	bridge   string
	exchange string
	sent     int
}

func newSharing(t *testing.T, n *node) *sharing {
	t.Helper()
	h := &sharing{t: t, n: n, s: n.open(t), bridge: unique(t), exchange: n.exchange(t, unique(t), "topic")}
	n.deleteLater(t, recordName(h.bridge))
	return h
}

func (h *sharing) relay(name, more string) *sourceOpener {
	h.t.Helper()
	return h.n.source(h.t, h.s, bridge.Identity{Bridge: h.bridge, Relay: name},
		"tap: stream\nshared_tap: all\naccept: [stream-headers]\nbindings: [{exchange: "+h.exchange+", routing_key: '#'}]\n"+more)
}

// publish publishes the next numbers.
func (h *sharing) publish(count int) {
	h.t.Helper()
	h.n.publish(h.t, h.exchange, bodies(h.sent, count, 0)...)
	h.sent += count
}

// reads takes what there is from number from on, and acknowledges it.
func (h *sharing) reads(o *sourceOpener, from, count int) bridge.Origin {
	h.t.Helper()
	src := openSource(h.t, o)
	defer src.Close()
	return h.takes(src, from, count)
}

func (h *sharing) takes(src bridge.Source, from, count int) bridge.Origin {
	h.t.Helper()
	ds := receive(h.t, src, count)
	for i := range ds {
		if want := fmt.Sprintf("%08d", from+i); string(ds[i].Body) != want {
			h.t.Fatalf("number %d is %s, want %s", i, ds[i].Body, want)
		}
	}
	if err := src.Ack(h.t.Context(), receipts(ds)); err != nil {
		h.t.Fatal(err)
	}
	return ds[0].Origin
}

// refused makes sure that a relay cannot be opened for good, and says so.
func (h *sharing) refused(o *sourceOpener, says string) {
	h.t.Helper()
	src, err := o.Open(h.t.Context())
	if err == nil {
		_ = src.Close()
	}
	if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
		h.t.Fatalf("want an error with %q: %v", says, err)
	}
}

// Relays that share a tap each read all of it at their own pace, with the same
// origins; the broker stores it once. One that comes later begins where it says, and
// the tap goes with the last of them.
func TestASharedTap(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	first := h.relay("first", "")
	src := openSource(t, first)
	second := h.relay("second", "")
	beside := openSource(t, second)
	h.publish(10)
	if a, b := h.takes(src, 0, 10), h.takes(beside, 0, 10); a.String() != b.String() {
		t.Errorf("one message has two origins: %s and %s", a, b)
	}
	_ = beside.Close()
	h.publish(10)
	h.takes(src, 10, 10) // while the second one is away
	h.reads(second, 10, 10)
	_ = src.Close()

	h.reads(h.relay("third", "start: first"), 0, 20)
	late := openSource(t, h.relay("late", ""))
	h.publish(5)
	h.takes(late, 20, 5)
	_ = late.Close()
	h.reads(h.relay("exact", "start: 7"), 7, 18)

	names := held(t, h.s, h.bridge)
	if got := names[""]; len(got) != 2 || !strings.Contains(got[0], first.tap) {
		t.Errorf("all relays have %v in common, want the tap and the record", got)
	}
	for _, relay := range []string{"first", "second", "third", "late", "exact"} {
		if len(names[relay]) != 1 {
			t.Errorf("%s has %v, want its position alone", relay, names[relay])
		}
		if _, err := n.channel(t).QueueDeclarePassive(first.tap, true, false, false, false, nil); err != nil {
			t.Fatalf("%s is still there, and the tap is gone: %v", relay, err)
		}
		if err := h.s.Remove(t.Context(), h.bridge, relay); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(t, h.s, h.bridge); len(got) != 1 || len(got[""]) != 1 {
		t.Errorf("without relays there is %v, want the record alone", got)
	}
	if err := h.s.Remove(t.Context(), h.bridge, ""); err != nil {
		t.Fatal(err)
	}
}

// A removal that has ended half way is gone on with, and a relay that is started
// instead begins anew.
func TestTheLastOfASharedTapIsRemovedHalfWay(t *testing.T) {
	n := sharedNode(t)
	h := newSharing(t, n)
	only := h.relay("only", "")
	_ = openSource(t, only).Close()
	h.publish(3)
	h.reads(only, 0, 3)
	if got := held(t, h.s, h.bridge)["only"]; len(got) != 2 {
		t.Errorf("the only relay has %v, want tap and position", got)
	}
	offsets := tapName(only.id, &only.settings, "offsets")
	tell := []note{
		{Do: noteRetire, Relay: only.owner(), Name: only.tap, Kind: kindStream},
		{Do: noteRetire, Relay: "only", Name: offsets, Kind: kindStream},
	}
	if err := h.s.note(t.Context(), h.bridge, tell...); err != nil {
		t.Fatal(err)
	}
	if _, err := n.channel(t).QueueDelete(only.tap, false, false, false); err != nil {
		t.Fatal(err)
	}
	src := openSource(t, only)
	h.publish(3)
	h.takes(src, 3, 3)
	_ = src.Close()
	for range 2 {
		if err := h.s.Remove(t.Context(), h.bridge, "only"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.s.Remove(t.Context(), h.bridge, ""); err != nil {
		t.Fatal(err)
	}
}

// The arguments of a shared tap change under load, while one of its relays is away:
// each reads the old one to its end before the new one, and the last deletes it.
func TestChangingASharedTapUnderLoad(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	use := func(relay string, bytes int) func() *sourceOpener {
		o := h.relay(relay, fmt.Sprintf("max_bytes: %d\n", bytes))
		return func() *sourceOpener { return o }
	}
	const before, after = 100_000_001, 100_000_002
	a, b := &follower{t: t, open: use("a", before)}, &follower{t: t, open: use("b", before)}
	_, _ = openSource(t, a.open()).Close(), openSource(t, b.open()).Close()
	load := n.flow(t, h.exchange)
	soon := func(f *follower) func() bool { return func() bool { return f.next > 200 } }
	a.read(soon(a))
	b.read(soon(b))

	h.s = n.open(t) // a process with other settings
	a.open = use("a", after)
	wanted := a.open().tap
	a.read(func() bool { return a.taps[len(a.taps)-1] == wanted && a.next+500 > load.sent.Load() })
	if _, err := n.channel(t).QueueDeclarePassive(b.taps[0], true, false, false, false, nil); err != nil {
		t.Fatalf("the old tap is gone, and b has not read it: %v", err)
	}
	newcomer := &follower{t: t, open: use("c", after)}
	_ = openSource(t, newcomer.open()).Close()

	b.open = use("b", after)
	b.read(func() bool { return b.taps[len(b.taps)-1] == wanted && b.next+500 > load.sent.Load() })
	total := load.end(t)
	for _, f := range []*follower{a, b} {
		f.read(func() bool { return f.next == total })
		if len(f.taps) != 2 {
			t.Errorf("read were %v", f.taps)
		}
	}
	if _, err := n.channel(t).QueueDeclarePassive(b.taps[0], true, false, false, false, nil); !missing(err) {
		t.Errorf("the old tap: %v", err)
	}
	for _, relay := range []string{"c", "a", "b", ""} {
		if err := h.s.Remove(t.Context(), h.bridge, relay); err != nil {
			t.Fatal(err)
		}
	}
}

// What relays of a shared tap cannot agree on, what was deleted, and a change from a
// tap of one's own stop a relay with a word, and not in silence.
func TestWhatASharedTapRefuses(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	a, b := h.relay("a", ""), h.relay("b", "")
	_, _ = openSource(t, a).Close(), openSource(t, b).Close()
	h.publish(5)
	h.reads(a, 0, 5)
	h.reads(b, 0, 5)

	block := "tap: stream\nshared_tap: all\naccept: [stream-headers]\nmax_bytes: 123456789\nbindings: [{exchange: " + h.exchange + "}]"
	if _, err := h.s.Source(bridge.Identity{Bridge: h.bridge, Relay: "other"}, settings(block)); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("two relays that differ: %v", err)
	}
	for name, bad := range map[string]string{
		"shared_tap is for": "tap: quorum\nshared_tap: all\nbindings: [{exchange: x}]",
		"at most 100":       "tap: stream\naccept: [stream-headers]\nshared_tap: " + strings.Repeat("x", 101) + "\nbindings: [{exchange: x}]",
	} {
		if _, err := n.open(t).Source(bridge.Identity{Bridge: h.bridge, Relay: "bad"}, settings(bad)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q: %v", name, err)
		}
	}

	alone := "tap: stream\naccept: [stream-headers]\nbindings: [{exchange: " + h.exchange + "}]"
	h.refused(n.source(t, n.open(t), a.id, alone), "a tap of its own")
	single := n.source(t, h.s, bridge.Identity{Bridge: h.bridge, Relay: "single"}, alone)
	_ = openSource(t, single).Close()
	h.refused(h.relay("single", ""), "the shared tap all")

	ch := n.channel(t)
	if _, err := ch.QueueDelete(tapName(b.id, &b.settings, "offsets"), false, false, false); err != nil {
		t.Fatal(err)
	}
	h.refused(b, "nobody knows what it has read")
	if _, err := ch.QueueDelete(a.tap, false, false, false); err != nil {
		t.Fatal(err)
	}
	h.refused(a, "was deleted")
	if _, err := ch.QueueDeclare(a.tap, true, false, false, false, amqp.Table{"x-queue-type": typeStream}); err != nil {
		t.Fatal(err)
	}
	h.refused(a, "ends before offset")
}

// A first start that is cut off anywhere leaves nothing out: whatever came into the
// tap since it was bound is read by the next start.
func TestTheFirstStartOfASharedTapIsCutOff(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	const cuts = 8 // that many connections a first start makes, or one less
	bound := 0
	for cut := range cuts {
		h := newSharing(t, n)
		doomed := n.open(t)
		var made []*session
		doomed.connected = func(c *session) {
			if made = append(made, c); len(made) == cut+2 {
				for _, m := range made {
					_ = m.sock.Close()
				}
			}
		}
		healthy := h.s
		h.s = doomed
		if src, err := h.relay("first", "").Open(t.Context()); err == nil {
			_ = src.Close()
		}
		h.s = healthy
		h.publish(5)
		first := h.relay("first", "")
		stored := 0
		if _, err := n.channel(t).QueueDeclarePassive(first.tap, true, false, false, false, nil); err == nil {
			stored = h.stored(first.tap)
		}
		if stored > 0 {
			bound++
		}
		src := openSource(t, first)
		h.publish(1)
		h.takes(src, 5-stored, stored+1)
		_ = src.Close()
	}
	if bound == 0 || bound == cuts {
		t.Errorf("%d of %d starts were cut off behind the binding; want some, and not all", bound, cuts)
	}
}

// stored is how many messages a stream holds, of few.
func (h *sharing) stored(stream string) (count int) {
	h.t.Helper()
	err := h.s.setUp(h.t.Context(), "count", func(ctx context.Context, n *session) error {
		defer n.close()
		last, empty, err := n.tail(ctx, stream, n.broker.emptyPatience())
		if err == nil && !empty {
			count = int(last) + 1
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return count
}

// The last reader of a tap that was changed is removed, or dies while it deletes the
// tap: the next start of any other relay deletes it, and the tap can be changed again.
func TestAnOldSharedTapWithoutReaders(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	h := newSharing(t, n)
	block := func(bytes int) string { return fmt.Sprintf("max_bytes: %d\n", bytes) }
	a, b := h.relay("a", block(100_000_001)), h.relay("b", block(100_000_001))
	_, _ = openSource(t, a).Close(), openSource(t, b).Close()
	h.publish(3)
	h.s = n.open(t)
	f := &follower{t: t, open: func() *sourceOpener { return h.relay("a", block(100_000_002)) }}
	old := a.tap
	h.reads(a, 0, 3)
	wanted := f.open().tap
	for {
		src := openSource(t, f.open())
		if src.(*streamSource).reader.stream == wanted {
			_ = src.Close()
			break
		}
		_, _ = src.Receive(t.Context(), make([]bridge.Delivery, 1)) // until it has been read to its end
		_ = src.Close()
	}
	if err := h.s.Remove(t.Context(), h.bridge, "b"); err != nil {
		t.Fatal(err)
	}
	_ = openSource(t, f.open()).Close()
	if _, err := n.channel(t).QueueDeclarePassive(old, true, false, false, false, nil); !missing(err) {
		t.Errorf("nobody reads the old tap, and it is there: %v", err)
	}
	h.s = n.open(t)
	next := h.relay("a", block(100_000_003))
	h.publish(3)
	for taken := 0; taken < 3; {
		src := openSource(t, next)
		ds := make([]bridge.Delivery, 3)
		if k, err := src.Receive(t.Context(), ds); err == nil {
			taken += k
			if err := src.Ack(t.Context(), receipts(ds[:k])); err != nil {
				t.Fatal(err)
			}
		}
		_ = src.Close()
	}
	if got := held(t, h.s, h.bridge)["a"]; !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, next.tap) }) {
		t.Errorf("the tap was not changed again: %v", got)
	}
}
