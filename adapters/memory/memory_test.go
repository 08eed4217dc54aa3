package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var relay = bridge.Identity{Bridge: "test", Relay: "relay"}

func message(i int) bridge.Message {
	return bridge.Message{
		Key: fmt.Sprint("key-", i%7), ID: bridge.ID{Value: fmt.Sprint("id-", i)},
		Body: fmt.Appendf(nil, "body-%d", i),
	}
}

func messages(from, to int) (all []bridge.Message) {
	for i := from; i < to; i++ {
		all = append(all, message(i))
	}
	return all
}

func pointers(msgs []bridge.Message) []*bridge.Message {
	all := make([]*bridge.Message, len(msgs))
	for i := range msgs {
		all[i] = &msgs[i]
	}
	return all
}

func openSource(t *testing.T, b *Broker, c SourceConfig) bridge.Source {
	t.Helper()
	o, err := b.Source(relay, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func receive(t *testing.T, s bridge.Source, n int) []bridge.Delivery {
	t.Helper()
	into := make([]bridge.Delivery, n)
	n, err := s.Receive(t.Context(), into)
	if err != nil {
		t.Fatal(err)
	}
	return into[:n]
}

func ids(ds []bridge.Delivery) (all []string) {
	for i := range ds {
		all = append(all, ds[i].ID.Value)
	}
	return all
}

func wantIDs(t *testing.T, got []string, want ...int) {
	t.Helper()
	w := make([]string, 0, len(want))
	for _, i := range want {
		w = append(w, fmt.Sprint("id-", i))
	}
	if fmt.Sprint(got) != fmt.Sprint(w) {
		t.Fatalf("got %v, want %v", got, w)
	}
}

func TestAcknowledgedAreGoneAndGapsStay(t *testing.T) {
	b := NewBroker("c")
	b.Stream("in").Put(messages(0, 5)...)
	s := openSource(t, b, SourceConfig{Stream: "in"})
	ds := receive(t, s, 10)
	wantIDs(t, ids(ds), 0, 1, 2, 3, 4)
	if err := s.Ack(t.Context(), []bridge.Receipt{ds[4].Receipt, ds[0].Receipt, ds[3].Receipt, ds[3].Receipt}); err != nil {
		t.Fatal(err)
	}
	b.Stream("in").Put(message(5))
	next := openSource(t, b, SourceConfig{Stream: "in"})
	got := receive(t, next, 10)
	wantIDs(t, ids(got), 1, 2, 5)
	if !got[0].Redelivered || got[2].Redelivered {
		t.Fatalf("redelivered: %v, %v; want true, false", got[0].Redelivered, got[2].Redelivered)
	}
	if _, err := s.Receive(t.Context(), ds); !errors.Is(err, errTaken) {
		t.Fatalf("the old session's Receive: %v", err)
	}
	if err := s.Ack(t.Context(), []bridge.Receipt{ds[1].Receipt}); err == nil {
		t.Fatal("the old session's Ack gave no error")
	}
	if err := next.Ack(t.Context(), []bridge.Receipt{ds[1].Receipt}); err != nil {
		t.Fatal(err)
	}
	third := openSource(t, b, SourceConfig{Stream: "in"})
	wantIDs(t, ids(receive(t, third, 10)), 1, 2, 5)
	bl, err := third.(bridge.Backlogger).Backlog(t.Context())
	if err != nil || bl.Messages != 3 || bl.Oldest.IsZero() {
		t.Fatalf("backlog %+v, %v; want 3 messages with a time", bl, err)
	}
}

func TestRestartForgetsTheSlack(t *testing.T) {
	b := NewBroker("c")
	b.Stream("in").Put(messages(0, 300)...)
	c := SourceConfig{Stream: "in", Slack: 2}
	s := openSource(t, b, c)
	ds := receive(t, s, 300)
	for i := range 200 {
		if err := s.Ack(t.Context(), []bridge.Receipt{ds[i].Receipt}); err != nil {
			t.Fatal(err)
		}
	}
	b.Restart()
	if _, err := s.Receive(t.Context(), ds); !errors.Is(err, errCut) {
		t.Fatalf("receive after restart: %v", err)
	}
	wantIDs(t, ids(receive(t, openSource(t, b, c), 4)), 198, 199, 200, 201)
}

func TestUnackedHoldsReceiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker("c")
		b.Stream("in").Put(messages(0, 5)...)
		s := openSource(t, b, SourceConfig{Stream: "in", Unacked: 3})
		ds := receive(t, s, 10)
		wantIDs(t, ids(ds), 0, 1, 2)
		got := make(chan []string)
		go func() {
			into := make([]bridge.Delivery, 10)
			n, _ := s.Receive(t.Context(), into)
			got <- ids(into[:n])
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("more than 3 were delivered un-acknowledged")
		default:
		}
		if err := s.Ack(t.Context(), []bridge.Receipt{ds[1].Receipt}); err != nil {
			t.Fatal(err)
		}
		wantIDs(t, <-got, 3)
	})
}

func TestReceiveEndsWithCloseContextAndInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker("c")
		in := b.Stream("in")
		s := openSource(t, b, SourceConfig{Stream: "in"})
		into := make([]bridge.Delivery, 2)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, io.ErrNoProgress)
		defer cancel()
		if _, err := s.Receive(ctx, into); !errors.Is(err, io.ErrNoProgress) {
			t.Fatalf("receive until the deadline: %v", err)
		}
		in.Put(message(0))
		ds := receive(t, s, 2)
		done := make(chan error, 1)
		go func() {
			_, err := s.Receive(t.Context(), into)
			done <- err
		}()
		in.End()
		synctest.Wait()
		if err := s.Ack(t.Context(), []bridge.Receipt{ds[0].Receipt}); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Fatalf("at the end of input: %v", err)
		}
	})
}

func openLane(t *testing.T, b *Broker, c SinkConfig, settled bridge.Settled) (bridge.Sink, bridge.Lane) {
	t.Helper()
	o, err := b.Sink(relay, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Open(t.Context(), 0, settled)
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func TestFencesHoldOffAZombie(t *testing.T) {
	for _, tc := range []struct {
		fence bridge.Fence
		want  string
	}{
		{bridge.FenceNone, "[id-0 id-1 id-9]"},
		{bridge.FenceExpect, "[id-0 id-1]"},
		{bridge.FenceEpoch, "[id-0 id-1]"},
	} {
		t.Run(tc.fence.String(), func(t *testing.T) {
			b := NewBroker("c")
			out := b.Stream("out")
			c := SinkConfig{Stream: "out", Fence: tc.fence, Recall: 10}
			_, zombie := openLane(t, b, c, func(int, []bridge.Placement, error) {})
			if _, err := zombie.Send(t.Context(), pointers(messages(0, 1))); err != nil {
				t.Fatal(err)
			}
			s, l := openLane(t, b, c, func(int, []bridge.Placement, error) {})
			var recalled []string
			if err := s.(bridge.Recaller).Recall(t.Context(), 0, 10, func(p bridge.Placed) bool { recalled = append(recalled, p.ID.Value); return true }); err != nil {
				t.Fatal(err)
			}
			wantIDs(t, recalled, 0)
			if _, err := l.Send(t.Context(), pointers(messages(1, 2))); err != nil {
				t.Fatal(err)
			}
			late, err := zombie.Send(t.Context(), pointers(messages(9, 10)))
			if (tc.fence == bridge.FenceNone) != (err == nil && late == 1) {
				t.Errorf("the zombie's send: %d, %v", late, err)
			}
			var got []string
			for _, m := range out.All() {
				got = append(got, m.ID.Value)
			}
			if fmt.Sprint(got) != tc.want {
				t.Errorf("stored %v, want %s", got, tc.want)
			}
		})
	}
}

func TestLatencyAndWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker("c")
		c := Reliable("out")
		b.Stream("out")
		c.Latency, c.Window = 10*time.Millisecond, 4
		start, settled := time.Now(), 0
		var at []time.Duration
		_, l := openLane(t, b, c, func(n int, ps []bridge.Placement, err error) {
			if err != nil {
				t.Error(err)
			}
			for _, p := range ps {
				if settled++; p.Position != uint64(settled) {
					t.Errorf("placement %+v of message %d", p, settled)
				}
			}
			at = append(at, time.Since(start))
		})
		if n, err := l.Send(t.Context(), pointers(messages(0, 10))); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Errorf("10 messages through a window of 4 left after %v, want 20ms", d)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if fmt.Sprint(at) != "[10ms 20ms 30ms]" || settled != 10 {
			t.Errorf("settled %d at %v", settled, at)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if n, err := l.Send(ctx, pointers(messages(10, 20))); n != 4 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send cut short: %d, %v", n, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if settled != 10 || b.Stream("out").Len() != 14 {
			t.Errorf("settled %d, stored %d; want 10, 14", settled, b.Stream("out").Len())
		}
	})
}

func TestDisconnectReportsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker("c")
		b.Stream("out")
		c := Reliable("out")
		c.Latency = time.Second
		var errs []error
		_, l := openLane(t, b, c, func(n int, _ []bridge.Placement, err error) {
			if n > 0 {
				t.Errorf("settled %d", n)
			}
			errs = append(errs, err)
		})
		if _, err := l.Send(t.Context(), pointers(messages(0, 3))); err != nil {
			t.Fatal(err)
		}
		b.Disconnect()
		synctest.Wait()
		if _, err := l.Send(t.Context(), pointers(messages(0, 3))); !errors.Is(err, errCut) {
			t.Errorf("send after the cut: %v", err)
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if len(errs) != 1 || !errors.Is(errs[0], errCut) {
			t.Errorf("settled reported %v", errs)
		}
	})
}

func TestRejectsSuppressesAndLocates(t *testing.T) {
	for _, survives := range []bridge.Survivors{bridge.SurvivesPrefix, bridge.SurvivesAny} {
		b := NewBroker("c")
		out := b.Stream("out")
		c := Reliable("out")
		c.MaxBody, c.Survives, c.Suppresses = 8, survives, time.Minute
		var placed []bridge.Placement
		s, l := openLane(t, b, c, func(_ int, ps []bridge.Placement, _ error) { placed = append(placed, ps...) })
		msgs := messages(0, 3)
		msgs[1].Body = make([]byte, 9)
		msgs = append(msgs, msgs[0])
		n, err := l.Send(t.Context(), pointers(msgs))
		if survives == bridge.SurvivesPrefix {
			if n != 1 || bridge.ReasonOf(err) != bridge.ReasonOversized {
				t.Fatalf("send: %d, %v", n, err)
			}
			n, err = l.Send(t.Context(), pointers(msgs[2:]))
			placed = append(placed[:1], append([]bridge.Placement{{Refused: io.EOF}}, placed[1:]...)...)
			n += 2
		}
		if n != 4 || err != nil {
			t.Fatalf("send: %d, %v", n, err)
		}
		if len(placed) != 4 || placed[1].Refused == nil || placed[3] != (bridge.Placement{Position: 1, Repeat: true}) {
			t.Errorf("placements %+v", placed)
		}
		if out.Len() != 2 {
			t.Errorf("%d stored, want 2", out.Len())
		}
		pos, found, err := s.(bridge.Locator).Locate(t.Context(), msgs[2].Key, msgs[2].ID)
		if pos != 2 || !found || err != nil {
			t.Errorf("locate: %d, %v, %v", pos, found, err)
		}
	}
}

func TestKeepDropsOnlyWhatEveryTapHasAcknowledged(t *testing.T) {
	b := NewBroker("c")
	in, err := b.Create(StreamConfig{Name: "in", Keep: 1000, Shards: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := openSource(t, b, SourceConfig{Stream: "in"})
	in.Put(messages(0, 5000)...)
	if in.Len() != 5000 {
		t.Fatalf("%d held, want all 5000", in.Len())
	}
	ds := receive(t, s, 5000)
	var receipts []bridge.Receipt
	for i := range ds {
		if i != 3000 {
			receipts = append(receipts, ds[i].Receipt)
		}
	}
	if err := s.Ack(t.Context(), receipts); err != nil {
		t.Fatal(err)
	}
	if n := in.Len(); n < 2000 || n > 2000+2*chunkSize {
		t.Fatalf("%d held, want 2000 and up to two chunks", n)
	}
	again := openSource(t, b, SourceConfig{Stream: "in"})
	got := receive(t, again, 10)
	wantIDs(t, ids(got), 3000)
	if err := again.Ack(t.Context(), []bridge.Receipt{got[0].Receipt}); err != nil {
		t.Fatal(err)
	}
	if n := in.Len(); n < 1000 || n > 1000+2*chunkSize {
		t.Fatalf("%d held, want 1000 and up to two chunks", n)
	}
}

func TestMissingStreamIsFatal(t *testing.T) {
	b := NewBroker("c")
	src, _ := b.Source(relay, SourceConfig{Stream: "none"})
	snk, _ := b.Sink(relay, SinkConfig{Stream: "none"})
	_, err1 := src.Open(t.Context())
	_, err2 := snk.Open(t.Context())
	for _, err := range []error{err1, err2} {
		if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
			t.Errorf("%v: class %v, hint %q", err, bridge.ClassOf(err), bridge.HintOf(err))
		}
	}
	if f := src.Check(t.Context()); len(f) != 1 || f[0].Level != bridge.Fail {
		t.Errorf("check: %+v", f)
	}
}

func BenchmarkThrough(b *testing.B) {
	br := NewBroker("c")
	in, _ := br.Create(StreamConfig{Name: "in", Keep: 1 << 12})
	out, _ := br.Create(StreamConfig{Name: "out", Keep: 1 << 12})
	so, _ := br.Source(relay, SourceConfig{Stream: "in"})
	ko, _ := br.Sink(relay, Reliable("out"))
	src, _ := so.Open(b.Context())
	snk, _ := ko.Open(b.Context())
	settled := 0
	l, _ := snk.Open(b.Context(), 0, func(n int, _ []bridge.Placement, _ error) { settled += n })
	batch := messages(0, 256)
	for i := range batch {
		batch[i].Body = make([]byte, 200)
	}
	into := make([]bridge.Delivery, 256)
	ptrs := make([]*bridge.Message, 256)
	receipts := make([]bridge.Receipt, 256)
	b.ReportAllocs()
	for done := 0; done < b.N; done += 256 {
		in.Put(batch...)
		n, err := src.Receive(b.Context(), into)
		if err != nil || n != 256 {
			b.Fatal(n, err)
		}
		for i := range into {
			ptrs[i], receipts[i] = &into[i].Message, into[i].Receipt
		}
		if _, err := l.Send(b.Context(), ptrs); err != nil {
			b.Fatal(err)
		}
		if err := src.Ack(b.Context(), receipts); err != nil {
			b.Fatal(err)
		}
	}
	if settled < b.N || out.Len() == 0 {
		b.Fatal(settled)
	}
}

// A new tap begins where it is told, and says what it cannot give.
func TestStart(t *testing.T) {
	b := NewBroker("c")
	in := b.Stream("in")
	in.Put(messages(0, 5)...)
	at := in.All()[3].Time
	origin := bridge.Origin{Stream: in.origin, Offset: 2}.String()
	for n, tc := range []struct {
		start string
		want  []int
	}{
		{"", []int{0, 1, 2, 3, 4}}, {"first", []int{0, 1, 2, 3, 4}}, {"now", nil}, {"4", []int{3, 4}}, {"6", nil}, {origin, []int{1, 2, 3, 4}},
		{at.Add(time.Nanosecond).Format(time.RFC3339Nano), nil}, {at.Add(-time.Hour).Format(time.RFC3339Nano), []int{0, 1, 2, 3, 4}},
	} {
		var start bridge.Start
		if err := start.UnmarshalText([]byte(tc.start)); err != nil {
			t.Fatal(err)
		}
		o, err := b.Source(bridge.Identity{Bridge: "b", Relay: fmt.Sprint(n)}, SourceConfig{Stream: "in", Start: start})
		if err != nil {
			t.Fatal(err)
		}
		s, err := o.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, i := range tc.want {
			want = append(want, messages(i, i+1)[0].ID.Value)
		}
		if len(want) > 0 {
			if got := ids(receive(t, s, len(want))); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("start %s: got %v, want %v", tc.start, got, want)
			}
		}
	}
	other := *in.origin
	other.Incarnation = "0"
	for _, start := range []bridge.Start{
		{Kind: bridge.StartOffset, Offset: 7}, {Kind: bridge.StartOffset}, {Kind: bridge.StartOrigin, Offset: 2, Stream: &other}, {Kind: bridge.StartTime, Time: time.Now().Add(time.Hour)},
	} {
		o, err := b.Source(bridge.Identity{Bridge: "b", Relay: "refused"}, SourceConfig{Stream: "in", Start: start})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping {
			t.Errorf("start %v: %v", start, err)
		}
	}
}

// A stream that was made again is another one, and sessions with the one before
// have ended.
func TestRecreatedStream(t *testing.T) {
	b := NewBroker("c")
	b.Stream("out")
	o, err := b.Sink(relay, Reliable("out"))
	if err != nil {
		t.Fatal(err)
	}
	was, err := o.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, l := openLane(t, b, Reliable("out"), func(int, []bridge.Placement, error) {})
	b.Delete("out")
	if _, err := o.Site(t.Context()); bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("without the stream: %v", err)
	}
	b.Stream("out")
	is, err := o.Site(t.Context())
	if err != nil || !is.Same(was) || is.Incarnation == was.Incarnation {
		t.Errorf("the site was %v and is %v, %v", was, is, err)
	}
	if _, err := l.Send(t.Context(), pointers(messages(0, 1))); !errors.Is(err, errCut) {
		t.Errorf("send into the stream that is gone: %v", err)
	}
	l, err = s.Open(t.Context(), 0, func(int, []bridge.Placement, error) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Send(t.Context(), pointers(messages(0, 1))); err != nil || b.Stream("out").Len() != 1 {
		t.Errorf("send into the new stream: %v", err)
	}
}
