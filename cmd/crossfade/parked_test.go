package main

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge/console"
)

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// An operator's day with a message that the candidate refuses: the bridge says
// that a key is held, the lists show why, a retry in vain leaves it there, and once
// the cause is mended everything arrives in order. Then the bridge is removed, and
// the brokers are as they were.
func TestAnOperatorsDay(t *testing.T) {
	url := incumbent(t)
	js := jetStream(t, url)
	target := jetstream.StreamConfig{Name: "T", Subjects: []string{"t.>"}, MaxMsgSize: 900}
	if _, err := js.CreateStream(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	publish := func(subject, body string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	publish("s.bad", strings.Repeat("x", 1000))
	publish("s.bad", "second")
	before := streams(t, js)
	path := file(t, `name: day
http: {listen: "127.0.0.1:0"}
systems: [{name: n, kind: nats, url: "`+url+`"}]
relays: [{name: r, from: {system: n, stream: S}, to: {system: n, stream: T, subject: "t.{subject}"}}]
`)
	p := start(t, "run", "-c", path)
	address := p.until("console")["address"].(string)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	await(ctx, t, address, "held", func(r *console.Relay) bool {
		return r.ParkedNow == 2 && r.HeldKeys == 1 && r.Counts.Placed == 5 && strings.Contains(r.Why, "1 key held (crossfade parked list r)")
	})
	at := []string{"-c", path, "--http-listen", address}
	say := func(want string, args ...string) string {
		t.Helper()
		code, out, errs := command(t, append(args, at...)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q: exit %d, %s%s; want %q", args, code, out, errs, want)
		}
		return out
	}
	out := say("2 parked, 1 keys held", "parked", "list", "r")
	if !strings.Contains(out, "oversized") || !strings.Contains(out, "holds its key") || !strings.Contains(out, "waits") {
		t.Errorf("list: %s", out)
	}
	var first parkedJSON
	if err := json.Unmarshal([]byte(strings.SplitN(say("", "parked", "list", "r", "--json"), "\n", 2)[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Reason != "oversized" || first.Octets != 1000 || !first.Hold {
		t.Errorf("first: %+v", first)
	}
	say("1000 octets", "parked", "show", "r", first.Ref[:6])
	if body := say("xxx", "parked", "show", "r", first.Ref, "--body"); len(body) != 1000 {
		t.Errorf("body of %d octets", len(body))
	}
	say("would be discarded", "parked", "discard", "r", first.Ref)
	say("and 1 more of their keys; the bridge at "+address+" looks at it now", "parked", "retry", "r", first.Ref)
	await(ctx, t, address, "refused again", func(r *console.Relay) bool { return r.ParkedNow == 2 && r.Counts.Parked == 4 })
	target.MaxMsgSize = -1
	if _, err := js.UpdateStream(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	publish("s.bad", "third")
	await(ctx, t, address, "third parked", func(r *console.Relay) bool { return r.ParkedNow == 3 })
	say("3 messages", "parked", "retry", "r", "--key", "s.bad")
	await(ctx, t, address, "all placed", func(r *console.Relay) bool { return r.ParkedNow == 0 && r.HeldKeys == 0 })
	publish("s.bad", "fourth")
	await(ctx, t, address, "live again", func(r *console.Relay) bool {
		return r.State == "idle" && r.Lag.Messages == 0 && r.ParkedNow == 0 && r.Backlog.Known
	})
	bodies := subjectBodies(t, js, "t.s.bad", 4)
	if len(bodies[0]) != 1000 || strings.Join(bodies[1:], " ") != "second third fourth" {
		t.Errorf("arrived: %.20q", bodies)
	}
	if code, out, errs := command(t, append([]string{"remove", "r", "--confirm"}, at...)...); code != 1 || !strings.Contains(errs, "runs") {
		t.Errorf("removed while it runs: exit %d, %s%s", code, out, errs)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != 0 {
		t.Fatalf("exit %d\n%s", code, p.log.String())
	}
	say("Nothing was deleted", "remove", "r")
	say("Deleted these", "remove", "r", "--confirm")
	say("nothing at the brokers", "remove", "r")
	if after := streams(t, js); after != before {
		t.Errorf("streams before: %s, after: %s", before, after)
	}
}

func streams(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var names []string
	l := js.StreamNames(t.Context())
	for n := range l.Name() {
		names = append(names, n)
	}
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// subjectBodies reads the first n messages of a subject.
func subjectBodies(t *testing.T, js jetstream.JetStream, subject string, n int) (bodies []string) {
	t.Helper()
	c, err := js.OrderedConsumer(t.Context(), "T", jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	for len(bodies) < n {
		m, err := c.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			t.Fatalf("%d of %d: %v", len(bodies), n, err)
		}
		bodies = append(bodies, string(m.Data()))
	}
	return bodies
}
