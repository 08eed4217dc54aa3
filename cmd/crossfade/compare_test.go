package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge/report"
)

// twoStreams are I and C of one server, into which a test publishes.
type twoStreams struct {
	t    *testing.T
	url  string
	js   jetstream.JetStream
	down func() // ends the server of both
}

func newTwoStreams(t *testing.T) *twoStreams {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"I", "C"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name) + ".>"}}); err != nil {
			t.Fatal(err)
		}
	}
	return &twoStreams{t, s.ClientURL(), js, s.Shutdown}
}

// publish stores a message of a key in a stream, as a producer with IDs of its own does.
func (s *twoStreams) publish(ctx context.Context, stream string, key, n int, body string) {
	s.t.Helper()
	m := &nats.Msg{Subject: fmt.Sprintf("%s.k%d", strings.ToLower(stream), key), Header: nats.Header{"key": {fmt.Sprint("k", key)}, "id": {fmt.Sprint(n)}}, Data: []byte(body)}
	if _, err := s.js.PublishMsg(ctx, m); err != nil && ctx.Err() == nil {
		s.t.Error(err)
	}
}

func (s *twoStreams) args(more ...string) []string {
	return append([]string{
		"compare", "--incumbent", s.url + "/I", "--candidate", s.url + "/C", "--key", "header:key", "--id", "header:id", "--grace", "300ms", "--settle", "600ms",
	}, more...)
}

func TestCompareSaysWhatDiffers(t *testing.T) {
	s := newTwoStreams(t)
	for n := range 400 {
		body := fmt.Sprintf(`{"value":%d}`, n)
		s.publish(t.Context(), "I", n%7, n, body)
		switch n {
		case 100: // lost
			continue
		case 200:
			body = `{"value":0}`
		case 250:
			s.publish(t.Context(), "C", n%7, n, body)
		}
		s.publish(t.Context(), "C", n%7, n, body)
	}
	dir := t.TempDir()
	html, text, evidence := filepath.Join(dir, "r.html"), filepath.Join(dir, "r.txt"), filepath.Join(dir, "evidence")
	code, stdout, stderr := command(t, s.args("--from", "first", "--for", "1s", "--json", "-o", html, "-o", text, "--evidence", evidence)...)
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v\n%s\n%s", code, err, stdout, stderr)
	}
	// The subjects differ, as the addresses of any two streams may.
	if r.Drift["missing"] != 1 || r.Drift["duplicate"] != 1 || r.Drift["corrupted"] != 1 || r.Drift["extra"] != 0 || r.Matched != 399 {
		t.Errorf("%+v", r)
	}
	kinds := map[string]int{}
	for _, f := range r.Findings {
		kinds[f.Kind]++
		if f.Kind == "header_lossy" {
			continue
		}
		code, stdout, stderr := command(t, "replay", f.Bundle)
		if code != 0 || !strings.Contains(stdout, "replayed: "+f.Kind+", as then") || !strings.Contains(stdout, "id "+f.ID) {
			t.Errorf("replay %s: exit code %d\n%s\n%s", f.Bundle, code, stdout, stderr)
		}
	}
	for path, want := range map[string]string{html: `<span class="drift">DRIFT</span>`, text: "DRIFT  streams"} {
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s, %v: %s", path, err, b)
		}
	}
	if out := os.Getenv("CROSSFADE_TEST_REPORT"); out != "" { // for those who want to see it
		b, _ := os.ReadFile(html)
		_ = os.WriteFile(out, b, 0o644)
		b, _ = os.ReadFile(text)
		_ = os.WriteFile(out+".txt", b, 0o644)
	}
	s.expectNothingLeft()
}

// expectNothingLeft looks whether the comparison removed what it made.
func (s *twoStreams) expectNothingLeft() {
	s.t.Helper()
	names := s.js.StreamNames(s.t.Context())
	for name := range names.Name() {
		if name != "I" && name != "C" {
			s.t.Errorf("stream %s is left", name)
		}
	}
	for _, name := range []string{"I", "C"} {
		stream, err := s.js.Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		if info, err := stream.Info(s.t.Context()); err != nil || info.State.Consumers != 0 {
			s.t.Errorf("stream %s has %d consumers, %v", name, info.State.Consumers, err)
		}
	}
}
