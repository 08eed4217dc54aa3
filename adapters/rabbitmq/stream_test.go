package rabbitmq

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

func bodies(from, n, size int) []publishing {
	ps := make([]publishing, n)
	for i := range ps {
		body := fmt.Appendf(nil, "%08d", from+i)
		ps[i] = publishing{"k", amqp.Publishing{Body: append(body, bytes.Repeat([]byte("x"), size)...)}}
	}
	return ps
}

// streamTap is an exchange with the block of a stream tap on it.
func streamTap(t *testing.T, n *node, more string) (exchange string, o *sourceOpener) {
	t.Helper()
	exchange = n.exchange(t, unique(t), "fanout")
	return exchange, n.source(t, n.open(t), n.identity(t), "tap: stream\naccept: [stream-headers]\nbindings: [{exchange: "+exchange+"}]\n"+more)
}

func openSource(t *testing.T, o *sourceOpener) bridge.Source {
	t.Helper()
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A stream that was cut off before it was read is an error that names the gap,
// and segments alone are none.
func TestAGapStopsTheRelay(t *testing.T) {
	n := sharedNode(t)
	x, o := streamTap(t, n, "max_bytes: 400000\nsegment_bytes: 100000")
	s := openSource(t, o)
	for i := range 3 { // over several segments, while it is read
		n.publish(t, x, bodies(i*100, 100, 1000)...)
		ds := receive(t, s, 100)
		if err := s.Ack(t.Context(), receipts(ds)); err != nil {
			t.Fatal(err)
		}
	}
	last := s.(*streamSource).pos.next
	_ = s.Close()
	for i := range 20 {
		n.publish(t, x, bodies(1000+i*100, 100, 1000)...)
	}
	s = openSource(t, o)
	_, err := s.Receive(t.Context(), make([]bridge.Delivery, 1))
	if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" || !strings.Contains(err.Error(), fmt.Sprint(last)) {
		t.Fatalf("after the stream was cut off: %v", err)
	}
}

// Position and tap belong together: one without the other is not taken for a
// new beginning.
func TestAHalfDeletedTapStopsTheRelay(t *testing.T) {
	n := sharedNode(t)
	for _, gone := range []string{"tap", "offsets"} {
		x, o := streamTap(t, n, "")
		s := openSource(t, o)
		n.publish(t, x, bodies(0, 10, 10)...)
		if err := s.Ack(t.Context(), receipts(receive(t, s, 10))); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		name := o.tap
		if gone == "offsets" {
			name = tapName(o.id, &o.settings, "offsets")
		}
		if _, err := n.channel(t).QueueDelete(name, false, false, false); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
			t.Fatalf("without %s: %v", gone, err)
		}
		if gone == "tap" { // made again by somebody
			n.queue(t, name, typeStream)
			if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
				t.Fatalf("with another tap: %v", err)
			}
		}
	}
}

// A stream whose end never rests is read on nevertheless: who looks for its end finds
// one.
func TestABusyStreamOpens(t *testing.T) {
	n := sharedNode(t)
	x, o := streamTap(t, n, "")
	s := openSource(t, o)
	n.publish(t, x, bodies(0, 10, 10)...)
	if err := s.Ack(t.Context(), receipts(receive(t, s, 10))); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for range 4 { // chunks come faster than a look at them takes
		ch := n.channel(t)
		busy.Go(func() {
			for ctx.Err() == nil {
				for range 20 {
					if err := ch.PublishWithContext(t.Context(), x, "k", false, false, amqp.Publishing{Body: []byte("more")}); err != nil {
						t.Errorf("publish: %v", err)
						return
					}
				}
				time.Sleep(2 * time.Millisecond) // the pace of the load
			}
		})
	}
	began := time.Now()
	s = openSource(t, o)
	if took := time.Since(began); took > 5*tailMost {
		t.Errorf("a session was open after %v", took)
	}
	t.Logf("open after %v", time.Since(began))
	began = time.Now()
	if b, err := s.(bridge.Backlogger).Backlog(t.Context()); err != nil || time.Since(began) > tailMost {
		t.Errorf("backlog %+v after %v: %v", b, time.Since(began), err)
	} else {
		t.Logf("backlog %+v after %v", b, time.Since(began))
	}
}

// A crash between the steps of making a tap leaves something to go on from.
func TestMakingATapIsResumed(t *testing.T) {
	n := sharedNode(t)
	x, o := streamTap(t, n, "")
	keeper, err := o.system.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.openOffsets(t.Context(), keeper, tapName(o.id, &o.settings, "offsets"), o.tap, "")
	if err != nil || p.created {
		t.Fatalf("created %v: %v", p.created, err)
	}
	keeper.close()
	s := openSource(t, o)
	n.publish(t, x, bodies(0, 5, 0)...)
	ds := receive(t, s, 5)
	if got := ds[0].Origin; got.Stream.Incarnation != p.incarnation || got.Offset != 0 || !got.Stream.Replayable {
		t.Fatalf("origin %v, want incarnation %s", got, p.incarnation)
	}
	for _, name := range []string{ds[0].Origin.Stream.Cluster, ds[0].Origin.Stream.Name} {
		if name == "" || strings.Contains(name, "test:") {
			t.Fatalf("origin %v", ds[0].Origin)
		}
	}
}

// An application's stream is read beside its other readers, from its first
// message or from the next, and on from there.
func TestAnExistingStream(t *testing.T) {
	n := sharedNode(t)
	stream := n.queue(t, unique(t), typeStream)
	n.publish(t, "", toQueue(stream, bodies(0, 20, 0))...)
	for start, want := range map[string]string{"first": "00000000", "now": "00000020"} {
		o := n.source(t, n.open(t), n.identity(t), "stream: "+stream+"\nstart: "+start)
		n.deleteLater(t, tapName(o.id, &o.settings, "offsets"))
		s := openSource(t, o)
		if start == "now" {
			n.publish(t, "", toQueue(stream, bodies(20, 5, 0))...)
		}
		ds := receive(t, s, 5)
		if string(ds[0].Body) != want {
			t.Fatalf("%s begins with %s", start, ds[0].Body)
		}
		if err := s.Ack(t.Context(), receipts(ds[:3])); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		if again := receive(t, openSource(t, o), 1)[0]; again.Origin.Offset != ds[3].Origin.Offset || string(again.Body) != string(ds[3].Body) {
			t.Fatalf("%s goes on with %s at %d, want %s", start, again.Body, again.Origin.Offset, ds[3].Body)
		}
	}
}

func toQueue(queue string, ps []publishing) []publishing {
	for i := range ps {
		ps[i].key = queue
	}
	return ps
}

// Recall finds what this relay placed behind and between the messages of others.
func TestRecallAmongStrangers(t *testing.T) {
	n := sharedNode(t)
	stream := n.queue(t, unique(t), typeStream)
	o := n.sink(t, n.open(t), n.identity(t), "stream: "+stream)
	var log settleLog
	lane := openLane(t, o, &log)
	ms := numbered(40)
	for i := range 4 {
		if _, err := lane.Send(t.Context(), pointers(ms[i*10:i*10+10])); err != nil {
			t.Fatal(err)
		}
		log.await(t, i*10+10)
		n.publish(t, "", toQueue(stream, bodies(0, 300, 0))...)
	}
	sink, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []bridge.Placed
	begin := time.Now()
	if err := sink.(bridge.Recaller).Recall(t.Context(), 0, 25, func(p bridge.Placed) bool { got = append(got, p); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 25 {
		t.Fatalf("%d of 25 after %v", len(got), time.Since(begin))
	}
	for i, p := range got {
		if want := ms[39-i]; p.ID != want.ID || p.Key != want.Key {
			t.Fatalf("number %d is %v, want %v", i, p, want.ID)
		}
	}
}

// The position is the newest record, however many attempts to open the tap have left
// their marks behind it.
func TestThePositionIsFoundBehindMarks(t *testing.T) {
	n := sharedNode(t)
	x, o := streamTap(t, n, "")
	s := openSource(t, o)
	n.publish(t, x, bodies(0, 50, 0)...)
	for _, d := range receive(t, s, 50)[:30] {
		if err := s.Ack(t.Context(), []bridge.Receipt{d.Receipt}); err != nil {
			t.Fatal(err)
		}
	}
	for _, marks := range []int{0, enough / 2, enough, 3 * enough} {
		for range marks {
			if err := s.(*streamSource).offsets.log.publish(t.Context(), kindMark, token(), "", nil); err != nil {
				t.Fatal(err)
			}
		}
		_ = s.Close()
		s = openSource(t, o)
		if got := receive(t, s, 1)[0].Origin.Offset; got != 30 {
			t.Fatalf("behind %d marks the tap begins at %d, want 30", marks, got)
		}
	}
}

// The offsets stream stays small however often it is written.
func TestOffsetsStreamIsBounded(t *testing.T) {
	n := sharedNode(t)
	x, o := streamTap(t, n, "")
	s := openSource(t, o)
	const count = 600
	n.publish(t, x, bodies(0, count, 0)...)
	for _, d := range receive(t, s, count) { // acknowledged from behind: long records
		if d.Origin.Offset%2 == 1 {
			if err := s.Ack(t.Context(), []bridge.Receipt{d.Receipt}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = s.Close()
	s = openSource(t, o)
	for i, d := range receive(t, s, count/2) {
		if d.Origin.Offset%2 == 1 {
			t.Fatalf("number %d has offset %d, which was acknowledged", i, d.Origin.Offset)
		}
	}
}
