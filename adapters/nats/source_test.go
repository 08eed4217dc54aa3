package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

func openSource(t *testing.T, o bridge.SourceOpener) *source {
	t.Helper()
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatalf("open the source: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*source)
}

// take receives n messages.
func take(t *testing.T, s bridge.Source, n int) []bridge.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all []bridge.Delivery
	for len(all) < n {
		into := make([]bridge.Delivery, n-len(all))
		got, err := s.Receive(ctx, into)
		if err != nil {
			t.Fatalf("receive: %v after %d of %d", err, len(all), n)
		}
		all = append(all, into[:got]...)
	}
	return all
}

func ackAll(t *testing.T, s bridge.Source, ds ...bridge.Delivery) {
	t.Helper()
	if err := s.Ack(t.Context(), receipts(ds)); err != nil {
		t.Fatalf("ack: %v", err)
	}
}

func receipts(ds []bridge.Delivery) []bridge.Receipt {
	rs := make([]bridge.Receipt, len(ds))
	for i := range ds {
		rs[i] = ds[i].Receipt
	}
	return rs
}

func publish(t *testing.T, js jetstream.JetStream, subject string, bodies ...int) {
	t.Helper()
	for _, b := range bodies {
		if _, err := js.Publish(t.Context(), subject, fmt.Append(nil, b)); err != nil {
			t.Fatal(err)
		}
	}
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

func bodiesOf(ds []bridge.Delivery) string {
	var b []string
	for i := range ds {
		b = append(b, string(ds[i].Body))
	}
	return strings.Join(b, " ")
}

// marks are the records of the relay's checkpoint that are still held.
func marks(t *testing.T, js jetstream.JetStream) []mark {
	t.Helper()
	s, err := js.Stream(t.Context(), checkpointStream(testIdentity.Bridge))
	if err != nil {
		t.Fatal(err)
	}
	var all []mark
	state := s.CachedInfo().State
	for seq := max(1, state.FirstSeq); seq <= state.LastSeq; seq++ {
		raw, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		var m mark
		if err == nil {
			err = json.Unmarshal(raw.Data, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func fatal(t *testing.T, err error, words ...string) {
	t.Helper()
	if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Fatalf("%v: want a Fatal with a hint, hint %q", err, bridge.HintOf(err))
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+" "+bridge.HintOf(err), w) {
			t.Errorf("%q, hint %q: want %q in it", err, bridge.HintOf(err), w)
		}
	}
}

// openFails wants Open to be refused for good.
func openFails(t *testing.T, o bridge.SourceOpener, words ...string) {
	t.Helper()
	s, err := o.Open(t.Context())
	if err == nil {
		s.Close()
		t.Fatal("the source was opened")
	}
	fatal(t, err, words...)
}

func tapOf(t *testing.T, c SourceConfig, stream jetstream.StreamConfig) (bridge.SourceOpener, jetstream.JetStream, *testServer) {
	t.Helper()
	s := startServer(t, nil)
	_, js := s.client(t)
	stream.Name, stream.Subjects = "A", []string{"a.>"}
	makeStream(t, js, stream)
	c.Stream = "A"
	return s.system(t).from(t, c), js, s
}

// A session whose successor has begun can neither acknowledge nor hold, and the
// checkpoint stays where the successor has put it.
func TestZombieCannotAcknowledge(t *testing.T) {
	_, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(10)...)
	open := func() *source { // each in a process of its own, all of which say the same name
		sys := srv.system(t)
		sys.process = "one"
		return openSource(t, sys.from(t, SourceConfig{Stream: "A"}))
	}
	zombie := open()
	held := take(t, zombie, 10)
	ackAll(t, zombie, held[:2]...)
	if err := zombie.Hold(t.Context()); err != nil {
		t.Fatalf("hold: %v", err)
	}
	successor := open()
	if err := zombie.Hold(t.Context()); !errors.Is(err, errTaken) {
		t.Errorf("the zombie's hold: %v", err)
	}
	if err := zombie.Ack(t.Context(), receipts(held[2:])); !errors.Is(err, errTaken) {
		t.Errorf("the zombie's ack: %v", err)
	}
	got := take(t, successor, 8)
	if b := bodiesOf(got); b != "3 4 5 6 7 8 9 10" {
		t.Errorf("the successor got %s", b)
	}
	ackAll(t, successor, got[:3]...)
	if err := successor.Hold(t.Context()); err != nil {
		t.Errorf("the successor's hold: %v", err)
	}
	ms := marks(t, js)
	if m := ms[len(ms)-1]; m.Floor != 5 || m.Stream != "A" || m.Time.IsZero() {
		t.Errorf("the checkpoint is %+v", m)
	}
	if !slices.IsSortedFunc(ms, func(a, b mark) int { return int(a.Floor) - int(b.Floor) }) {
		t.Errorf("the checkpoint went backwards: %+v", ms)
	}
}

// While a process has the tap, another stands by; when it dies the other goes on
// at once.
func TestSecondProcessStandsBy(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(4)...)
	first := openSource(t, o)
	ackAll(t, first, take(t, first, 2)...)
	second := srv.system(t).from(t, SourceConfig{Stream: "A"})
	if s, err := second.Open(t.Context()); err == nil {
		s.Close()
		t.Fatal("the second process got the tap")
	} else if bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "standing by") {
		t.Fatalf("the second process: %v", err)
	}
	if err := first.Hold(t.Context()); err != nil {
		t.Fatalf("hold: %v", err)
	}
	o.(*SourceOpener).system.kill()
	began := time.Now()
	s := openSource(t, second)
	if got := bodiesOf(take(t, s, 2)); got != "3 4" {
		t.Errorf("got %s", got)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took over after %v", d)
	}
}

// Acknowledgements in any order move the checkpoint only over what is
// acknowledged without a gap, never backwards, and an orderly end loses none.
func TestAcknowledgementsInAnyOrder(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{Subjects: []string{"a.x", "a.y"}}, jetstream.StreamConfig{})
	next, missing := 1, map[int]bool{} // the model: what has to come
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(0, 20).Draw(rt, "more") {
			publish(t, js, rapid.SampledFrom([]string{"a.x", "a.y", "a.not"}).Draw(rt, "subject"), next)
			if m, err := lastOf(t, js); err != nil {
				rt.Fatal(err)
			} else if m != "a.not" {
				missing[next] = true
			}
			next++
		}
		s := openSource(t, o)
		defer s.Close()
		var got []bridge.Delivery
		if n := rapid.IntRange(0, len(missing)).Draw(rt, "receive"); n > 0 {
			got = take(t, s, n)
		}
		want := make([]int, 0, len(missing))
		for b := range missing {
			want = append(want, b)
		}
		slices.Sort(want)
		for i, d := range got {
			if string(d.Body) != fmt.Sprint(want[i]) {
				rt.Fatalf("got %s, want %v", bodiesOf(got), want)
			}
		}
		for _, i := range rapid.Permutation(indexes(len(got))).Draw(rt, "order") {
			if rapid.Bool().Draw(rt, "ack") {
				ackAll(t, s, got[i])
				delete(missing, want[i])
			}
		}
		ms := marks(t, js)
		if !slices.IsSortedFunc(ms, func(a, b mark) int { return int(a.Floor) - int(b.Floor) }) {
			rt.Fatalf("the checkpoint went backwards: %+v", ms)
		}
		for b := range missing {
			if uint64(b) <= ms[len(ms)-1].Floor { // bodies are sequences
				rt.Fatalf("the checkpoint is at %d, but %d is not acknowledged", ms[len(ms)-1].Floor, b)
			}
		}
	})
}

func lastOf(t *testing.T, js jetstream.JetStream) (string, error) {
	s, err := js.Stream(t.Context(), "A")
	if err != nil {
		return "", err
	}
	m, err := s.GetMsg(t.Context(), s.CachedInfo().State.LastSeq)
	if err != nil {
		return "", err
	}
	return m.Subject, nil
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// A stream that was deleted and made again is another one.
func TestRecreatedStreamIsFatal(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(3)...)
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 3)...)
	s.Close()
	created := s.info.Created
	if err := js.DeleteStream(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	again := makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	publish(t, js, "a.x", upTo(9)...)
	openFails(t, o, created.UTC().Format(time.RFC3339Nano), again.CachedInfo().Created.UTC().Format(time.RFC3339Nano), "purge")
}

func TestOtherStreamIsFatal(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	openSource(t, o).Close()
	makeStream(t, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}})
	openFails(t, srv.system(t).from(t, SourceConfig{Stream: "OTHER"}), "checkpoint is of stream A", "another name")
}

// What limits removed before it was read is a gap, at Open and under way; the
// hint's command makes the relay start afresh.
func TestGapIsFatal(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{MaxMsgs: 5})
	publish(t, js, "a.x", upTo(3)...)
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 2)...)
	s.Close()
	publish(t, js, "a.x", 4, 5, 6, 7)
	if got := bodiesOf(take(t, openSource(t, o), 5)); got != "3 4 5 6 7" {
		t.Fatalf("got %s: nothing was missing yet", got)
	}
	publish(t, js, "a.x", 8, 9)
	openFails(t, o, "from 3 to 4", "nats stream purge")
	own, err := js.Stream(t.Context(), checkpointStream(testIdentity.Bridge))
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Purge(t.Context(), jetstream.WithPurgeSubject(checkpointSubject(testIdentity))); err != nil {
		t.Fatal(err)
	}
	if got := bodiesOf(take(t, openSource(t, o), 5)); got != "5 6 7 8 9" {
		t.Errorf("got %s", got)
	}
}

func TestGapUnderWayIsFatal(t *testing.T) {
	for _, filter := range [][]string{nil, {"a.x", "a.y"}} {
		o, js, _ := tapOf(t, SourceConfig{MaxPending: 4, Subjects: filter}, jetstream.StreamConfig{MaxMsgs: 50})
		publish(t, js, "a.x", upTo(5)...)
		s := openSource(t, o)
		take(t, s, 1)
		publish(t, js, "a.x", upTo(200)...) // while nobody receives, and the server has room for a few only
		var err error
		for err == nil {
			_, err = s.Receive(t.Context(), make([]bridge.Delivery, 1))
		}
		fatal(t, err, "were removed before the relay read them")
		s.Close()
	}
}

// Holes by deletes are no gaps.
func TestDeletesAreNoGap(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(9)...)
	stream, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{3, 4, 7} {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	s := openSource(t, o)
	got := take(t, s, 6)
	if b := bodiesOf(got); b != "1 2 5 6 8 9" {
		t.Errorf("got %s", b)
	}
	ackAll(t, s, got[:2]...)
	s.Close()
	if b := bodiesOf(take(t, openSource(t, o), 4)); b != "5 6 8 9" {
		t.Errorf("then got %s", b)
	}
}

// A tap of few subjects does not stay behind on a stream of many: what does not
// concern it may go.
func TestIdleTapAdvances(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{Subjects: []string{"a.x"}}, jetstream.StreamConfig{MaxMsgs: 10})
	publish(t, js, "a.x", 1)
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 1)...)
	publish(t, js, "a.other", upTo(30)...)
	idle, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Receive(idle, make([]bridge.Delivery, 1))
		done <- err
	}()
	deadline := time.Now().Add(20 * time.Second)
	for ms := marks(t, js); ms[len(ms)-1].Floor != 31; ms = marks(t, js) {
		if time.Now().After(deadline) {
			t.Fatalf("the checkpoint is %+v", ms[len(ms)-1])
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
	publish(t, js, "a.other", upTo(9)...)
	publish(t, js, "a.x", 2)
	if b := bodiesOf(take(t, s, 1)); b != "2" {
		t.Errorf("got %s", b)
	}
}

// A server that lost what it had confirmed gives its sequences out again; the
// relay must not take them for those that it has copied.
func TestLostTailIsFatal(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(3)...)
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 3)...)
	forge := func(change func(*mark)) {
		m := mark{Stream: "A", Created: s.info.Created, Floor: 3, Time: time.Unix(0, s.floor.time)}
		change(&m)
		if err := s.point.commit(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	forge(func(m *mark) { m.Floor = 8 })
	s.Close()
	openFails(t, o, "ends at 3", "copied up to 8")
	s2, err := o.(*SourceOpener).system.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	s.point.conn = s2
	forge(func(m *mark) { m.Time = m.Time.Add(time.Second) })
	openFails(t, o, "message 3 is of")
	forge(func(*mark) {})
	openSource(t, o)
}

func TestRetentionsAreRefused(t *testing.T) {
	for _, r := range []jetstream.RetentionPolicy{jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{Retention: r})
		openFails(t, o, retention(r), "mirror")
		if s, err := js.Stream(t.Context(), checkpointStream(testIdentity.Bridge)); err == nil {
			t.Errorf("a refused tap has made %v", s.CachedInfo().Config.Name)
		}
	}
}

// Only a slow relay is held up, not the server, and memory stays bounded: of a
// large backlog no more is on its way than max_pending and max_bytes let in.
func TestPendingIsBounded(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{MaxPending: 64, MaxBytes: 1 << 20}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(1000)...)
	s := openSource(t, o)
	take(t, s, 1)
	deadline := time.Now().Add(300 * time.Millisecond)
	most := 0
	for time.Now().Before(deadline) {
		most = max(most, len(s.reader.arrived))
		time.Sleep(time.Millisecond)
	}
	if most == 0 || most > 64+8 { // with what the server says about the requests
		t.Errorf("%d messages wait in the process, want 1 to 64", most)
	}
	b, err := s.Backlog(t.Context())
	if err != nil || b.Messages != 1000 {
		t.Errorf("backlog %+v, %v", b, err)
	}
	if got := take(t, s, 999); string(got[998].Body) != "1000" {
		t.Errorf("the last is %s", got[998].Body)
	}
}

// Large messages come through a small byte budget.
func TestLargeMessages(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{MaxPending: 64, MaxBytes: 1}, jetstream.StreamConfig{})
	big := make([]byte, 1<<20-100)
	for i := range 7 {
		body := big
		if i%2 == 1 {
			body = big[:10]
		}
		if _, err := js.Publish(t.Context(), "a.x", body); err != nil {
			t.Fatal(err)
		}
	}
	s := openSource(t, o)
	got := take(t, s, 7)
	if len(got[0].Body) != len(big) || len(got[5].Body) != 10 || len(got[6].Body) != len(big) {
		t.Errorf("bodies of %d, %d, %d", len(got[0].Body), len(got[5].Body), len(got[6].Body))
	}
}

// However often it is acknowledged, the incumbent stores few records for it.
func TestCheckpointIsPaced(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(60)...)
	s := openSource(t, o)
	got := take(t, s, 60)
	before := streamInfo(t, js, checkpointStream(testIdentity.Bridge)).State.LastSeq
	began := time.Now()
	for i := range got {
		ackAll(t, s, got[i])
	}
	took := time.Since(began)
	wrote := streamInfo(t, js, checkpointStream(testIdentity.Bridge)).State.LastSeq - before
	if most := uint64(took/ackEvery) + 2; wrote > most {
		t.Errorf("%d records in %v, want at most %d", wrote, took, most)
	}
	if ms := marks(t, js); ms[len(ms)-1].Floor != 60 {
		t.Errorf("the checkpoint is at %d", ms[len(ms)-1].Floor)
	}
}

// A server that owes a word and says none is noticed, though the source wakes up
// from time to time to look at the stream.
func TestSilenceEndsSession(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	s := openSource(t, o)
	if err := s.reader.sub.Unsubscribe(); err != nil { // what the server says is lost on the way from now on
		t.Fatal(err)
	}
	publish(t, js, "a.x", upTo(10)...)
	s.reader.heard = time.Now().Add(idleLook + time.Second - silence) // the source looks once before the silence has lasted
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if n, err := s.Receive(ctx, make([]bridge.Delivery, 10)); err == nil || !strings.Contains(err.Error(), "not said a word") {
		t.Errorf("receive: %d, %v", n, err)
	}
}

// Where holes are the rule a tap of all subjects asks for the stream once for
// what has come together, not at each hole.
func TestHolesAskSeldom(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", upTo(3000)...)
	stream, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(2); seq < 3000; seq += 2 {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	s := openSource(t, o)
	before, err := srv.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for got := 0; got < 1501; batches++ {
		n, err := s.Receive(t.Context(), make([]bridge.Delivery, 256))
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	after, err := srv.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Beside the asking, there are requests for more: far fewer than batches.
	if asked := after.InMsgs - before.InMsgs; asked > int64(2*batches+8) || asked > 150 {
		t.Errorf("%d requests for %d batches", asked, batches)
	}
}

// A tap of some subjects never passes a gap either, however soon after its latest
// question the limits overtake it and let it catch up again.
func TestShortGapOfFilteredTap(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{MaxPending: 4, Subjects: []string{"a.x"}}, jetstream.StreamConfig{MaxMsgs: 50})
	put := func(from, to int) {
		for i := from; i <= to; i++ {
			publish(t, js, "a.not", 0)
			publish(t, js, "a.x", i)
		}
	}
	put(1, 10)
	s := openSource(t, o)
	take(t, s, 2) // behind holes, so it has asked
	put(11, 100)  // 76 and on are kept
	for next := 3; ; next++ {
		into := make([]bridge.Delivery, 1)
		_, err := s.Receive(t.Context(), into)
		if err != nil {
			fatal(t, err, "were removed before the relay read them")
			return
		}
		if got := string(into[0].Body); got != fmt.Sprint(next) {
			t.Fatalf("%s was given behind %d", got, next-1)
		}
	}
}
