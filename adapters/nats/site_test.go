package nats

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

func siteOf(t *testing.T, opener any) bridge.Site {
	t.Helper()
	s, err := opener.(bridge.Sited).Site(t.Context())
	if err != nil {
		t.Fatalf("site: %v", err)
	}
	return s
}

func TestSites(t *testing.T) {
	srv := startServer(t, nil)
	_, js := srv.client(t)
	stream := makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	sys := srv.system(t)
	created := stream.CachedInfo().Created.UTC().Format(time.RFC3339Nano)
	for want, opener := range map[string]any{
		"nats standalone: stream A":                        sys.from(t, SourceConfig{Stream: "A"}),
		"nats standalone: stream A (made " + created + ")": sys.to(t, SinkConfig{Stream: "A", Subject: "a.{address}"}),
		"nats standalone: subject x.>, subject y":          sys.from(t, SourceConfig{Core: true, Subjects: []string{"y", "x.>"}}),
		"nats standalone: subject b.>":                     sys.to(t, SinkConfig{Core: true, Subject: "b.{address}"}),
	} {
		if got := siteOf(t, opener).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	eventually(t, "only the test's own client is connected", func() bool { return srv.NumClients() == 1 })
	for _, opener := range []any{sys.from(t, SourceConfig{Stream: "NONE"}), sys.to(t, SinkConfig{Stream: "NONE", Subject: "a.{address}"})} {
		_, err := opener.(bridge.Sited).Site(t.Context())
		fatal(t, err, "NONE")
	}
}

// The domain and the account belong to the site, and the server's restart or
// another way to it change nothing. A user who may not ask about itself is not
// told the account; that is no error.
func TestSiteNamesDomainAndAccount(t *testing.T) {
	srv := startServer(t, func(o *server.Options) {
		o.JetStreamDomain = "hub"
		account := server.NewAccount("ORDERS")
		o.Accounts = []*server.Account{account}
		o.Users = []*server.User{
			{Username: "u", Password: "p", Account: account},
			{Username: "shy", Password: "p", Account: account, Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$SYS.>"}}}},
		}
	})
	if err := enableJetStream(srv, "ORDERS"); err != nil {
		t.Fatal(err)
	}
	sys := srv.system(t, func(c *SystemConfig) { c.User, c.Password = "u", "p" })
	conn, err := sys.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	makeStream(t, conn.js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	const want = "nats standalone domain hub account ORDERS"
	if got := siteOf(t, sys.from(t, SourceConfig{Stream: "A"})).System; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	named := srv.system(t, func(c *SystemConfig) { c.User, c.Password, c.Domain = "u", "p", "hub" })
	if got := siteOf(t, named.to(t, SinkConfig{Stream: "A", Subject: "a.{address}"})).System; got != want {
		t.Errorf("through the domain: %q, want %q", got, want)
	}
	shy := srv.system(t, func(c *SystemConfig) { c.User, c.Password = "shy", "p" })
	began := time.Now()
	if got := siteOf(t, shy.from(t, SourceConfig{Stream: "A"})).System; got != strings.TrimSuffix(want, " account ORDERS") {
		t.Errorf("a user who may not ask: %q", got)
	}
	if d := time.Since(began); d > askTimeout/2 {
		t.Errorf("a refused question took %v", d)
	}
}

// enableJetStream gives an account JetStream, which configuration files do by
// "jetstream: enabled" in it.
func enableJetStream(s *testServer, account string) error {
	a, err := s.LookupAccount(account)
	if err != nil {
		return err
	}
	return a.EnableJetStream(nil, nil)
}

// A target that is deleted and made again while a lane is open ends the lane, and
// the next one is refused unless that is accepted.
func TestRecreatedTarget(t *testing.T) {
	for _, shared := range []bool{false, true} {
		srv := startServer(t, nil)
		_, js := srv.client(t)
		config := jetstream.StreamConfig{Name: "T", Subjects: []string{"t.>"}}
		makeStream(t, js, config)
		c := SinkConfig{Stream: "T", Subject: "t.{address}", Shared: shared}
		o := srv.system(t).to(t, c)
		c.Accept = bridge.Accepts{acceptRecreated}
		accepting := srv.system(t).to(t, c)
		if o.(*SinkOpener).AcceptsRecreated() || !accepting.(*SinkOpener).AcceptsRecreated() {
			t.Error("the openers do not say what they accept")
		}
		was := siteOf(t, o)
		lost, s := make(chan error, 1), openSink(t, o)
		confirmed := make(chan int, 100)
		settled := func(n int, _ []bridge.Placement, err error) {
			if err != nil {
				lost <- err
			}
			confirmed <- n
		}
		l, err := s.Open(t.Context(), 0, settled)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := l.Send(t.Context(), numberedMessages(0, 5)); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 5; n += <-confirmed {
		}
		other := openSink(t, accepting)
		if err := js.DeleteStream(t.Context(), "T"); err != nil {
			t.Fatal(err)
		}
		makeStream(t, js, config)
		if is := siteOf(t, o); is.Incarnation == was.Incarnation || !is.Same(was) {
			t.Errorf("the site was %v and is %v", was, is)
		}
		if _, err := l.Send(t.Context(), numberedMessages(5, 6)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-lost:
			t.Logf("shared %v: %v", shared, err)
		case <-time.After(10 * time.Second):
			t.Fatal("the lane goes on in another stream")
		}
		_, err = s.Open(t.Context(), 0, settled)
		fatal(t, err, was.Incarnation, "accept: [recreated]")
		again, err := other.Open(t.Context(), 0, func(int, []bridge.Placement, error) {})
		if err != nil {
			t.Fatalf("accepted: %v", err)
		}
		again.Close()
	}
}

// With the word accepted, a tap reads a stream that was made again from its first
// message.
func TestRecreatedSourceIsAccepted(t *testing.T) {
	o, js, _ := tapOf(t, SourceConfig{Start: bridge.Start{Kind: bridge.StartNow}, Accept: bridge.Accepts{acceptRecreated}}, jetstream.StreamConfig{})
	s := openSource(t, o)
	publish(t, js, "a.x", 1, 2, 3)
	ackAll(t, s, take(t, s, 3)...)
	s.Close()
	if err := js.DeleteStream(context.Background(), "A"); err != nil {
		t.Fatal(err)
	}
	makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	publish(t, js, "a.x", 4, 5)
	f := o.(bridge.Checker).Check(t.Context())
	if last := f[len(f)-1]; last.Level != bridge.Warn || !strings.Contains(last.Text, "first message of this one") {
		t.Errorf("check: %v %s", last.Level, last.Text)
	}
	if got := bodiesOf(take(t, openSource(t, o), 2)); got != "4 5" {
		t.Errorf("got %s", got)
	}
}

func openSink(t *testing.T, o bridge.SinkOpener) bridge.Sink {
	t.Helper()
	s, err := o.Open(t.Context())
	if err != nil {
		t.Fatalf("open the sink: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// numberedMessages have the bodies and IDs first..last-1.
func numberedMessages(first, last int) []*bridge.Message {
	var all []*bridge.Message
	for i := first; i < last; i++ {
		all = append(all, &bridge.Message{Address: bridge.Address{Name: "x"}, Body: fmt.Append(nil, i), ID: bridge.ID{Value: fmt.Sprint(i)}})
	}
	return all
}

// eventually waits for what something else brings about.
func eventually(t helperT, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
