package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A bundle's messages are sent to a scratch stream, in order, and nothing else is left.
func TestReplaySendsMessagesOn(t *testing.T) {
	s := newTwoStreams(t)
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SCRATCH", Subjects: []string{"scratch.>"}}); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		s.publish(t.Context(), "I", 0, n, "body")
		if n != 10 {
			s.publish(t.Context(), "C", 0, n, "body")
		}
	}
	evidence := t.TempDir()
	if code, out, errs := command(t, s.args("--from", "first", "--for", "1s", "--evidence", evidence)...); code != 1 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	files, err := filepath.Glob(filepath.Join(evidence, "*-missing-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	code, out, errs := command(t, "replay", files[0], "--to", s.url+"/SCRATCH?subject=scratch.{key}")
	if code != 0 || !strings.Contains(out, "sent 20 messages of the incumbent to "+s.url+"/SCRATCH") {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	stream, err := s.js.Stream(t.Context(), "SCRATCH")
	if err != nil {
		t.Fatal(err)
	}
	c, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Fetch(20, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range got.Messages() {
		if id := m.Headers().Get("id"); id != strings.TrimLeft(id, " ") || m.Subject() != "scratch.k0" || string(m.Data()) != "body" {
			t.Errorf("message %d: %s %s", n, m.Subject(), m.Data())
		}
		n++
	}
	if n != 20 {
		t.Errorf("%d messages came", n)
	}
	for _, wrong := range []struct {
		code int
		args []string
	}{
		{2, []string{"--to", "http://x/y"}}, {2, []string{"--to", s.url}}, {2, []string{"--to", s.url + "/SCRATCH?subjects=x"}},
		{2, []string{"--to", "amqp://u:hunter2@127.0.0.1:1/"}}, {2, []string{"--to", "nats://u:hun/ter2?@127.0.0.1:1/S?subject=x"}},
		{1, []string{"--to", s.url + "/NONE?subject=none.{key}"}}, {1, []string{"--to", s.url + "/SCRATCH?subject=scratch.{key}", "--side", "both"}},
	} {
		if code, out, errs := command(t, append([]string{"replay", files[0]}, wrong.args...)...); code != wrong.code || errs == "" || strings.Contains(out+errs, "hun") {
			t.Errorf("%q: exit code %d\n%s\n%s", wrong.args, code, out, errs)
		}
	}
}
