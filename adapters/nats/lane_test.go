package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A proxy stands between the adapter and the server, and can stop forwarding.
type proxy struct {
	net.Listener
	mu      sync.Mutex
	stalled chan struct{} // nil if it forwards; closed to go on
	conns   []net.Conn
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l}
	t.Cleanup(func() {
		l.Close()
		p.flow()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			c.Close()
		}
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.copy(in, out)
			go p.copy(out, in)
		}
	}()
	return p
}

func (p *proxy) copy(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			wait := p.stalled
			p.mu.Unlock()
			if wait != nil {
				<-wait
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = make(chan struct{})
}

func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

func targetOf(t *testing.T, c SinkConfig, stream jetstream.StreamConfig) (bridge.SinkOpener, jetstream.JetStream, *testServer) {
	t.Helper()
	s := startServer(t, func(o *server.Options) { o.MaxPayload = 256 << 10 })
	_, js := s.client(t)
	stream.Name = "B"
	if stream.Subjects == nil {
		stream.Subjects = []string{"b.>"}
	}
	makeStream(t, js, stream)
	c.Stream = "B"
	if c.Subject == "" {
		c.Subject = "b.{address}"
	}
	return s.system(t).to(t, c), js, s
}

func plain(change func(*bridge.Message)) *bridge.Message {
	m := &bridge.Message{Key: "k", ID: bridge.ID{Value: "i"}, Address: bridge.Address{Name: "k"}, Body: []byte("b")}
	change(m)
	return m
}

// What cannot be stored is refused before it is sent, with its reason, and the
// lane goes on.
func TestSendRejects(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{Subject: "b.{address}"}, jetstream.StreamConfig{MaxMsgSize: 200 << 10, Subjects: []string{"b.*", "b.sub.*"}})
	l := openLane(t, o)
	for i, c := range []struct {
		m      *bridge.Message
		reason bridge.Reason
		words  string
	}{
		{plain(func(m *bridge.Message) { m.Body = make([]byte, 257<<10) }), bridge.ReasonOversized, "max_payload"},
		{plain(func(m *bridge.Message) { m.Body = make([]byte, 256<<10-50) }), bridge.ReasonOversized, "max_payload"},
		{plain(func(m *bridge.Message) { m.Body = make([]byte, 200<<10) }), bridge.ReasonOversized, "max_msg_size"},
		{plain(func(m *bridge.Message) {
			m.Headers = []bridge.Header{{Name: "h", Value: bytes.Repeat([]byte("v"), 1<<16)}}
		}), bridge.ReasonOversized, "headers of"},
		{plain(func(m *bridge.Message) { m.Address.Name = strings.Repeat("é", 700) }), bridge.ReasonName, "max_control_line"},
		{plain(func(m *bridge.Message) { m.Address.Name = "a.b.c" }), bridge.ReasonUnroutable, "not among the stream's subjects"},
	} {
		msgs := []*bridge.Message{numbered(2*i, 2*i+1, true)[0], c.m, numbered(2*i+1, 2*i+2, true)[0]}
		n, err := l.Send(t.Context(), msgs)
		if n != 1 || bridge.ClassOf(err) != bridge.Rejected || bridge.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.words) {
			t.Fatalf("case %d: %d, %v", i, n, err)
		}
		if n, err = l.Send(t.Context(), msgs[2:]); n != 1 || err != nil {
			t.Fatalf("case %d, the lane did not go on: %d, %v", i, n, err)
		}
		if places, err := l.await(t, 2*i+2); err != nil || places[2*i+1].Position != uint64(2*i+2) {
			t.Fatalf("case %d: %+v, %v", i, places, err)
		}
	}
	if got := bodies(t, js, "B"); got != "0 1 2 3 4 5 6 7 8 9 10 11" {
		t.Errorf("stream: %s", got)
	}
}

// What an operator mends while the lane is open counts with the next message.
func TestSettingsMended(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{Subject: "b.{address}"}, jetstream.StreamConfig{MaxMsgSize: 10_000, Subjects: []string{"b.*"}})
	l := openLane(t, o)
	large := plain(func(m *bridge.Message) { m.Body = make([]byte, 20_000) })
	deep := plain(func(m *bridge.Message) { m.ID.Value, m.Address.Name = "j", "a.b" })
	for _, m := range []*bridge.Message{large, deep} {
		if n, err := l.Send(t.Context(), []*bridge.Message{m}); n != 0 || bridge.ClassOf(err) != bridge.Rejected {
			t.Fatalf("before: %d, %v", n, err)
		}
	}
	c := streamInfo(t, js, "B").Config
	c.MaxMsgSize, c.Subjects = 30_000, []string{"b.*", "b.*.*"}
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	l.deliver(t, []*bridge.Message{large, deep})
}

// What fits exactly is taken.
func TestSendLargest(t *testing.T) {
	o, _, _ := targetOf(t, SinkConfig{}, jetstream.StreamConfig{})
	l := openLane(t, o)
	e := newEncoder(testIdentity, testTemplate(t, "b.{address}"))
	m := plain(func(m *bridge.Message) {})
	if _, err := e.encode(m, &chain{session: strings.Repeat("s", 22)}); err != nil {
		t.Fatal(err)
	}
	room := 256<<10 - e.headerSize()
	m.Body = make([]byte, room+1)
	if n, err := l.Send(t.Context(), []*bridge.Message{m}); n != 0 || bridge.ReasonOf(err) != bridge.ReasonOversized {
		t.Fatalf("one more: %d, %v", n, err)
	}
	m.Body = m.Body[:room]
	l.deliver(t, []*bridge.Message{m})
}

// A limit that the stream got after Open is the stream's to say: it is about the
// first message that was not settled.
func TestLateRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		before jetstream.StreamConfig
		change func(*jetstream.StreamConfig)
		class  bridge.Class
		words  string
	}{
		{"max_msg_size", jetstream.StreamConfig{}, func(s *jetstream.StreamConfig) { s.MaxMsgSize = 1000 }, bridge.Rejected, "maximum"},
		{"discard new", jetstream.StreamConfig{Discard: jetstream.DiscardNew}, func(s *jetstream.StreamConfig) { s.MaxMsgs = 3 }, bridge.Transient, "candidate refuses: stream B is full"},
		{"sealed", jetstream.StreamConfig{}, func(s *jetstream.StreamConfig) { s.Sealed = true }, bridge.Stopping, "sealed"},
		{"subjects", jetstream.StreamConfig{}, func(s *jetstream.StreamConfig) { s.Subjects = []string{"c.>"} }, bridge.Transient, "no stream takes the subject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, js, _ := targetOf(t, SinkConfig{}, c.before)
			l := openLane(t, o)
			l.deliver(t, numbered(1, 4, true))
			s, err := js.Stream(t.Context(), "B")
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			c.change(&cfg)
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			big := numbered(4, 9, true)
			big[0].Body = make([]byte, 2000)
			l.try(t, big)
			places, err := l.await(t, 9)
			if len(places) != 3 || bridge.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("settled %d, %v", len(places), err)
			}
			if n, err := l.Send(t.Context(), big[:1]); n != 0 || err == nil || bridge.ClassOf(err) == bridge.Rejected {
				t.Errorf("the lane has ended, but Send gave %d, %v", n, err)
			}
		})
	}
}

func TestDeletedStream(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{}, jetstream.StreamConfig{})
	l := openLane(t, o)
	l.deliver(t, numbered(1, 3, true))
	if err := js.DeleteStream(t.Context(), "B"); err != nil {
		t.Fatal(err)
	}
	l.try(t, numbered(3, 5, true))
	if places, err := l.await(t, 4); len(places) != 2 || !errors.Is(err, errNoStream) || bridge.ClassOf(err) != bridge.Transient {
		t.Fatalf("settled %d, %v", len(places), err)
	}
	_, err := o.Open(t.Context())
	fatal(t, err, "nats stream add B --subjects 'b.>'")
}

// A target that says nothing ends the lane after ack_timeout, a full window holds
// Send up until then, and Close waits for nothing.
func TestSilentTarget(t *testing.T) {
	_, _, s := targetOf(t, SinkConfig{}, jetstream.StreamConfig{})
	p := startProxy(t, s.Addr().String())
	sys := s.system(t, func(c *SystemConfig) { c.URL = "nats://" + p.Addr().String() })
	l := openLane(t, sys.to(t, SinkConfig{Stream: "B", Subject: "b.{address}", Window: 8, AckTimeout: 400 * time.Millisecond}))
	l.deliver(t, numbered(1, 4, true))
	p.stall()
	began := time.Now()
	n, err := l.Send(t.Context(), numbered(4, 40, true))
	if n != 8 || bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "no answer") {
		t.Fatalf("send: %d, %v", n, err)
	}
	if d := time.Since(began); d < 300*time.Millisecond || d > 5*time.Second {
		t.Errorf("the lane ended after %v", d)
	}
	if places, err := l.await(t, 4); len(places) != 3 || err == nil {
		t.Errorf("settled %d, %v", len(places), err)
	}
	began = time.Now()
	l.end()
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("Close took %v", d)
	}
}

// With megabytes on their way to a server that does not read, Close still waits
// for nothing, on either side.
func TestCloseOfStalledConnection(t *testing.T) {
	s := startServer(t, nil)
	_, js := s.client(t)
	makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
	p := startProxy(t, s.Addr().String())
	sys := s.system(t, func(c *SystemConfig) { c.URL = "nats://" + p.Addr().String() })
	l := openLane(t, sys.to(t, SinkConfig{Stream: "B", Subject: "b.{address}"}))
	src := openSource(t, sys.from(t, SourceConfig{Stream: "B"}))
	p.stall()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	big := plain(func(m *bridge.Message) { m.Body = make([]byte, 500<<10) })
	sent := make(chan error, 1)
	go func() {
		for {
			if _, err := l.Send(ctx, []*bridge.Message{big}); err != nil {
				sent <- err
				return
			}
		}
	}()
	<-ctx.Done()
	began := time.Now()
	l.end()
	src.Close()
	if err := <-sent; err == nil {
		t.Error("send went on")
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("Close took %v", d)
	}
}

func TestUnfitTargets(t *testing.T) {
	srv := startServer(t, nil)
	_, js := srv.client(t)
	sys := srv.system(t)
	for i, c := range []struct {
		stream jetstream.StreamConfig
		to     SinkConfig
		words  []string
	}{
		{jetstream.StreamConfig{Subjects: []string{"x.>"}}, SinkConfig{Subject: "y.{address}"}, []string{"none of its subjects (x.>)", `"y.>"`}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}}, SinkConfig{Subject: "x"}, []string{"none of its subjects", `"x"`}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}, Retention: jetstream.WorkQueuePolicy}, SinkConfig{Subject: "x.{address}"}, []string{"work queue", "consumed: true"}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}, NoAck: true}, SinkConfig{Subject: "x.{address}"}, []string{"no_ack"}},
		{jetstream.StreamConfig{Mirror: &jetstream.StreamSource{Name: "S"}}, SinkConfig{Subject: "x.{address}"}, []string{"mirrors another stream"}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}, Sources: []*jetstream.StreamSource{{Name: "S"}}}, SinkConfig{Subject: "x.{address}"}, []string{"other streams", "shared: true"}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}, MaxMsgsPerSubject: 1}, SinkConfig{Subject: "x.{address}"}, []string{"keeps the newest 1 of a subject (max_msgs_per_subject)", "older value", "max_msgs_per_subject to -1"}},
		{jetstream.StreamConfig{Subjects: []string{"x.>"}, MaxMsgsPerSubject: 100, Retention: jetstream.WorkQueuePolicy}, SinkConfig{Subject: "x.{address}", Shared: true, Consumed: true}, []string{"keeps the newest 100 of a subject"}},
	} {
		name := fmt.Sprint("T", i)
		c.stream.Name, c.to.Stream = name, name
		makeStream(t, js, c.stream)
		_, err := sys.to(t, c.to).Open(t.Context())
		fatal(t, err, c.words...)
		found := false
		for _, f := range sys.to(t, c.to).(bridge.Checker).Check(t.Context()) {
			found = found || f.Level == bridge.Fail && strings.Contains(f.Text, c.words[0]) && f.Hint != ""
		}
		if !found {
			t.Errorf("case %d: check does not say so", i)
		}
		if err := js.DeleteStream(t.Context(), name); err != nil { // its subjects are the next one's
			t.Fatal(err)
		}
	}
}

// A work queue can be written to with the word for it; it cannot be read back.
func TestConsumedTarget(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{Consumed: true}, jetstream.StreamConfig{Retention: jetstream.WorkQueuePolicy})
	if tr := o.Traits(); tr.Recall != 0 || tr.Fence != bridge.FenceNone || tr.Survives != bridge.SurvivesAny {
		t.Errorf("traits %+v", tr)
	}
	l := openLane(t, o)
	l.deliver(t, numbered(1, 4, true))
	if got := l.recall(t, 10); len(got) != 0 {
		t.Errorf("recalled %v", got)
	}
	l.end()
	// What cannot be recalled is sent again after a crash, and one session settles all of it.
	l = openLane(t, o)
	l.deliver(t, numbered(1, 9, true))
	places, err := l.await(t, 8)
	for i, p := range places {
		if p.Repeat != (i < 3) || p.Position != uint64(i+1) {
			t.Errorf("placement %d is %+v", i, p)
		}
	}
	if err != nil {
		t.Errorf("the lane ended: %v", err)
	}
	if got := bodies(t, js, "B"); got != "1 2 3 4 5 6 7 8" {
		t.Errorf("stream: %s", got)
	}
}

// A lane refuses nothing and loses nothing when its window is far smaller than
// what it is given, and places rise by one.
func TestSmallWindow(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{Window: 3}, jetstream.StreamConfig{})
	l := openLane(t, o)
	l.deliver(t, numbered(0, 500, true))
	places, err := l.await(t, 500)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		if p.Position != uint64(i+1) || p.Repeat {
			t.Fatalf("placement %d is %+v", i, p)
		}
	}
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
	}
	if got := bodies(t, js, "B"); got != strings.Join(want, " ") {
		t.Errorf("stream: %s", got)
	}
}

// Recall finds the newest of this relay below those of others, oldest first,
// also where the stream has holes, and reads no more than it was asked for.
func TestRecallAmongOthers(t *testing.T) {
	o, js, _ := targetOf(t, SinkConfig{}, jetstream.StreamConfig{})
	for round := range 4 {
		l := openLane(t, o)
		l.deliver(t, numbered(10*round, 10*round+10, round != 2))
		l.end()
		for range 1500 { // others: more than one run of the search
			if _, err := js.PublishAsync("b.other", []byte("other")); err != nil {
				t.Fatal(err)
			}
		}
		<-js.PublishAsyncComplete()
	}
	s, err := js.Stream(t.Context(), "B")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 5); err != nil { // body 4
		t.Fatal(err)
	}
	l := openLane(t, o)
	all := l.recall(t, 1000)
	if len(all) != 39 || all[0] != "id-0" || all[4] != "id-5" || all[20] != "" || all[38] != "id-39" {
		t.Errorf("recalled %d: %v", len(all), all)
	}
	for _, n := range []int{1, 10, 11, 38} {
		if got := l.recall(t, n); len(got) != n || fmt.Sprint(got) != fmt.Sprint(all[39-n:]) {
			t.Errorf("the newest %d: %v", n, got)
		}
	}
}
