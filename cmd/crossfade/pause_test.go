package main

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge/console"
)

// A relay is paused while its bridge runs, stays so over kill -9 and a start, and goes
// on with what came meanwhile.
func TestPauseAndResume(t *testing.T) {
	url := incumbent(t)
	js := jetStream(t, url)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "T", Subjects: []string{"t.>"}}); err != nil {
		t.Fatal(err)
	}
	path := file(t, `name: house
http: {listen: "127.0.0.1:0"}
systems: [{name: n, kind: nats, url: "`+url+`"}]
relays: [{name: r, from: {system: n, stream: S}, to: {system: n, stream: T, subject: "t.{subject}"}}]
`)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	say := func(address, want string, args ...string) {
		t.Helper()
		code, out, errs := command(t, append(args, "-c", path, "--http-listen", address)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q: exit %d, %s%s; want %q", args, code, out, errs, want)
		}
	}
	p := start(t, "run", "-c", path)
	address := p.until("console")["address"].(string)
	await(ctx, t, address, "placed", func(r *console.Relay) bool { return r.Counts.Placed == 5 && r.State == "idle" })
	say(address, "relay r was not paused; the bridge at "+address+" looks", "resume", "r")
	say(address, "relay r is paused; the bridge at "+address+" looks at it now", "pause", "r", "--why", "the candidate moves house")
	await(ctx, t, address, "paused", func(r *console.Relay) bool {
		return r.State == "paused" && r.Ready && strings.Contains(r.Why, "the candidate moves house")
	})
	say(address, "relay r is paused, since 20", "pause", "r")
	if code, out, errs := command(t, "status", "--addr", address); code != 0 || !strings.Contains(out, "paused for") && !strings.Contains(out, "paused: by an operator") {
		t.Errorf("status: exit %d, %s%s", code, out, errs)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "s.a", []byte("meanwhile")); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.exit()
	say(address, "no bridge answers at "+address, "pause", "r")
	p = start(t, "run", "-c", path)
	address = p.until("console")["address"].(string)
	p.until("paused")
	await(ctx, t, address, "paused", func(r *console.Relay) bool { return r.State == "paused" && r.Counts.Received == 0 })
	say(address, "relay r goes on; the bridge at "+address+" looks at it now", "resume", "r")
	await(ctx, t, address, "placed", func(r *console.Relay) bool { return r.Counts.Placed == 3 && r.State == "idle" })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit %d\n%s", code, p.log.String())
	}
	if bodies := subjectBodies(t, js, "t.s.a", 8); strings.Join(bodies, " ") != "x x x x x meanwhile meanwhile meanwhile" {
		t.Errorf("arrived: %q", bodies)
	}
	for _, args := range [][]string{{"pause", "nobody"}, {"pause"}, {"resume", "r", "r"}} {
		if code, _, errs := command(t, append(args, "-c", path)...); code != exitUsage {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
}
