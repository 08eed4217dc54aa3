package nats

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// has wants one finding of that level about that subject with these words.
func has(t *testing.T, fs []bridge.Finding, level bridge.Level, subject, words string) {
	t.Helper()
	for _, f := range fs {
		if f.Level == level && strings.Contains(f.Subject, subject) && strings.Contains(f.Text+" "+f.Hint, words) {
			if level != bridge.Pass && f.Hint == "" {
				t.Errorf("%v says not what to do", f)
			}
			return
		}
	}
	t.Errorf("no finding %v %q %q in:", level, subject, words)
	for _, f := range fs {
		t.Logf("%v %s: %s (%s)", f.Level, f.Subject, f.Text, f.Hint)
	}
}

func worst(fs []bridge.Finding) (l bridge.Level) {
	for _, f := range fs {
		l = max(l, f.Level)
	}
	return l
}

func check(t *testing.T, o any) []bridge.Finding {
	t.Helper()
	return o.(bridge.Checker).Check(t.Context())
}

func TestCheckSource(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{MaxAge: time.Hour})
	publish(t, js, "a.x", upTo(5)...)
	fs := check(t, o)
	has(t, fs, bridge.Pass, "connection", "nats-server 2.15")
	has(t, fs, bridge.Pass, "permissions", "may do everything")
	has(t, fs, bridge.Pass, "jetstream", "enabled")
	has(t, fs, bridge.Pass, "stream A", "5 messages from 1 to 5")
	has(t, fs, bridge.Pass, "stream A", "max_age 1h")
	has(t, fs, bridge.Pass, "checkpoint", "none yet; the relay will begin at the first")
	if w := worst(fs); w != bridge.Pass {
		t.Errorf("a good source is %v", w)
	}
	if _, err := js.Stream(t.Context(), checkpointStream(testIdentity.Bridge)); err == nil {
		t.Error("check made the checkpoint's stream")
	}
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 2)...)
	before := len(marks(t, js))
	has(t, check(t, o), bridge.Pass, "checkpoint", "settled up to 2; 3 sequences behind")
	if after := len(marks(t, js)); after != before {
		t.Error("check wrote a checkpoint")
	}
	s.Close()

	sys := srv.system(t)
	has(t, check(t, sys.from(t, SourceConfig{Stream: "NOPE"})), bridge.Fail, "stream NOPE", "no such stream")
	has(t, check(t, sys.from(t, SourceConfig{Stream: "A", Subjects: []string{"a.x", "zzz.>"}})), bridge.Warn, "stream A", `falls under "zzz.>"`)
	makeStream(t, js, jetstream.StreamConfig{Name: "LAST", Subjects: []string{"last.>"}, MaxMsgsPerSubject: 1})
	has(t, check(t, sys.from(t, SourceConfig{Stream: "LAST"})), bridge.Warn, "stream LAST", "max_msgs_per_subject")
	makeStream(t, js, jetstream.StreamConfig{Name: "QUEUE", Subjects: []string{"queue.>"}, Retention: jetstream.WorkQueuePolicy})
	has(t, check(t, sys.from(t, SourceConfig{Stream: "QUEUE"})), bridge.Fail, "stream QUEUE", "work queue")
	if err := js.DeleteStream(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	has(t, check(t, o), bridge.Fail, "checkpoint", "was created at")
}

// Somebody else's stream over the bridge's own subjects is found beforehand.
func TestCheckForeignCheckpoint(t *testing.T) {
	srv := startServer(t, nil)
	_, js := srv.client(t)
	makeStream(t, js, jetstream.StreamConfig{Name: "GREEDY", Subjects: []string{"crossfade.>", "a.>"}})
	o := srv.system(t).from(t, SourceConfig{Stream: "GREEDY"})
	has(t, check(t, o), bridge.Fail, "checkpoint", "stream GREEDY takes this subject")
	openFails(t, o, "CROSSFADE_plant%20a", "overlap")
}

func TestCheckSink(t *testing.T) {
	o, js, srv := targetOf(t, SinkConfig{}, jetstream.StreamConfig{Duplicates: 500 * time.Millisecond})
	fs := check(t, o)
	has(t, fs, bridge.Pass, "stream B", "takes b.>")
	has(t, fs, bridge.Pass, "stream B", "shorter than the 10s")
	has(t, fs, bridge.Warn, "stream B", "sync_interval")
	has(t, fs, bridge.Pass, "size", "up to 262144 octets (max_payload of the server)")
	if w := worst(fs); w != bridge.Warn {
		t.Errorf("a good target is %v", w)
	}
	sys := srv.system(t)
	to := func(c SinkConfig) []bridge.Finding { return check(t, sys.to(t, c)) }
	has(t, to(SinkConfig{Stream: "B", Subject: "b.{address}", Shared: true}), bridge.Warn, "stream B", "it knows repeats for 500ms")
	has(t, to(SinkConfig{Stream: "NOPE", Subject: "b.{address}"}), bridge.Fail, "stream NOPE", "nats stream add NOPE")
	has(t, to(SinkConfig{Stream: "B", Subject: "c.{address}"}), bridge.Fail, "stream B", "none of its subjects")
	has(t, to(SinkConfig{Stream: "B", Subject: "{address}"}), bridge.Warn, "stream B", "not every name")
	makeStream(t, js, jetstream.StreamConfig{Name: "SMALL", Subjects: []string{"s.>"}, MaxMsgs: 100, MaxAge: time.Minute, MaxMsgSize: 1000, Discard: jetstream.DiscardNew})
	fs = to(SinkConfig{Stream: "SMALL", Subject: "s.{address}"})
	has(t, fs, bridge.Warn, "stream SMALL", "keeps 100 messages (max_msgs)")
	has(t, fs, bridge.Warn, "stream SMALL", "max_age")
	has(t, fs, bridge.Pass, "stream SMALL", "discard new")
	has(t, fs, bridge.Pass, "size", "up to 1000 octets (max_msg_size of the stream)")
	makeStream(t, js, jetstream.StreamConfig{Name: "QUEUE", Subjects: []string{"q.>"}, Retention: jetstream.WorkQueuePolicy})
	has(t, to(SinkConfig{Stream: "QUEUE", Subject: "q.{address}", Consumed: true}), bridge.Warn, "stream QUEUE", "cannot be read back")
}

func TestCheckCore(t *testing.T) {
	srv := startServer(t, nil)
	sys := srv.system(t)
	has(t, check(t, sys.from(t, SourceConfig{Core: true, Subjects: []string{"a.>"}})), bridge.Warn, "core NATS", "at most once")
	has(t, check(t, sys.to(t, SinkConfig{Core: true, Subject: "a.{key}"})), bridge.Warn, "core NATS", "at most once")
}

// secured has users that may do different things.
func secured(t *testing.T) *testServer {
	return startServer(t, func(o *server.Options) {
		all := &server.SubjectPermission{Allow: []string{">"}}
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "reader", Password: "r", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>", "$SYS.REQ.USER.INFO", "_INBOX.>"}}, Subscribe: all,
			}},
			{Username: "nearly", Password: "n", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"b.secret"}}, Subscribe: all,
			}},
		}
	})
}

func as(user, password string) any {
	return func(c *SystemConfig) { c.User, c.Password = user, bridge.Secret(password) }
}

func TestPermissions(t *testing.T) {
	srv := secured(t)
	admin := srv.system(t, as("admin", "a"))
	c, err := admin.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, s := range []jetstream.StreamConfig{{Name: "A", Subjects: []string{"a.>"}}, {Name: "B", Subjects: []string{"b.>"}}} {
		makeStream(t, c.js, s)
	}

	_, err = srv.system(t, as("admin", "wrong")).from(t, SourceConfig{Stream: "A"}).Open(t.Context())
	fatal(t, err, "uthorization", "Check user and password")
	has(t, check(t, srv.system(t, as("admin", "wrong")).from(t, SourceConfig{Stream: "A"})), bridge.Fail, "connection", "Check user and password")

	reader := srv.system(t, as("reader", "r"))
	has(t, check(t, reader.from(t, SourceConfig{Stream: "A"})), bridge.Fail, "permissions", "publish to crossfade.plant%20a.checkpoint.copy/1")
	_, err = reader.from(t, SourceConfig{Stream: "A"}).Open(t.Context())
	fatal(t, err, "ermissions")
	to := reader.to(t, SinkConfig{Stream: "B", Subject: "b.{address}"})
	has(t, check(t, to), bridge.Fail, "permissions", "publish to b.>")
	l := openLane(t, to)
	l.try(t, numbered(1, 3, true))
	_, err = l.await(t, 2)
	fatal(t, err, "ermissions")

	nearly := srv.system(t, as("nearly", "n"))
	has(t, check(t, nearly.to(t, SinkConfig{Stream: "B", Subject: "b.{address}"})), bridge.Fail, "permissions", "publish to b.>")
	has(t, check(t, nearly.from(t, SourceConfig{Stream: "A"})), bridge.Pass, "permissions", "may do what the bridge needs")
	has(t, check(t, admin.from(t, SourceConfig{Stream: "A"})), bridge.Pass, "permissions", "")
}

func TestCheckWithoutServerOrJetStream(t *testing.T) {
	srv := startServer(t, func(o *server.Options) { o.JetStream = false })
	has(t, check(t, srv.system(t).from(t, SourceConfig{Stream: "A"})), bridge.Fail, "jetstream", "Enable JetStream")
	_, err := srv.system(t).to(t, SinkConfig{Stream: "B", Subject: "b"}).Open(t.Context())
	if err == nil || bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "JetStream does not answer") {
		t.Errorf("open: %v", err)
	}
	away := srv.system(t)
	srv.stop()
	has(t, check(t, away.from(t, SourceConfig{Stream: "A"})), bridge.Fail, "connection", "refused")
	_, err = away.from(t, SourceConfig{Stream: "A"}).Open(t.Context())
	if bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("open: %v", err)
	}
}
