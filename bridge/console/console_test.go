package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/relay"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Unix(1_800_000_000, 0).UTC()

func readings() []telemetry.Reading {
	good := telemetry.Reading{
		Relay: "telemetry", From: telemetry.Side{System: "rabbit", Kind: "rabbitmq", What: "topic exchange t"}, To: telemetry.Side{System: "nats", Kind: "nats", What: "stream T"}, At: now,
		Snapshot: relay.Snapshot{
			Counts: relay.Counts{Received: 1234600, Placed: 1234567, Suppressed: 20, InFlight: 13},
			State:  relay.StateRunning, Why: "13 in flight", Since: now.Add(-90 * time.Second), Debt: 40, DebtLimit: 16384, LastPlaced: now,
		},
		Backlog: bridge.Backlog{Messages: 120, Bytes: -1, Oldest: now.Add(-time.Second)}, BacklogAt: now,
		Lag: telemetry.Lag{Messages: 120, Seconds: 1}, Rate: 4321.4,
	}
	bad := telemetry.Reading{
		Relay: "back", From: telemetry.Side{System: "nats"}, To: telemetry.Side{System: "rabbit"}, At: now,
		Snapshot:     relay.Snapshot{State: relay.StateFailed, Why: "access refused\x1b[31m — Give it the right.", Since: now.Add(-5 * time.Hour)},
		Lag:          telemetry.Lag{MessagesBound: telemetry.AtLeast, Seconds: 18000, SecondsBound: telemetry.AtMost},
		BacklogError: "no answer",
	}
	return []telemetry.Reading{good, bad}
}

func status(rs []telemetry.Reading) *Status {
	s := &Status{Bridge: "b", Version: "v", Started: now, At: now, Ready: true}
	for i := range rs {
		s.Relays = append(s.Relays, Summarise(&rs[i]))
		s.Ready = s.Ready && rs[i].Ready()
	}
	return s
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteText(&b, status(readings())); err != nil {
		t.Fatal(err)
	}
	const want = `telemetry  rabbit → nats  placed 1,234,567  4,321/s  lag 120 msgs 1.0s  debt 40  suppressed 20  running for 1m30s: 13 in flight
back       nats → rabbit  placed 0          0/s      lag ≥0 msgs ≤5h0m  debt 0   -              failed for 5h0m: access refused\x1B[31m — Give it the right.
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m30s", time.Hour: "1h0m", 26 * time.Hour: "1d2h", 400 * 24 * time.Hour: "400d0h",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}

func get(t *testing.T, h http.Handler, method, path string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestPages(t *testing.T) {
	rs := readings()
	h := Handler(Options{
		Status:  func() *Status { return status(rs) },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
	})
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/metrics", 200, "metrics"},
		{"GET", "/livez", 200, "ok\n"},
		{"GET", "/readyz", 503, "back: failed: access refused"},
		{"GET", "/", 200, "telemetry  rabbit → nats"},
		{"GET", "/api/v1/status", 200, `"bridge":"b"`},
		{"GET", "/other", 404, ""},
		{"POST", "/api/v1/status", 405, ""},
	} {
		code, body, _ := get(t, h, c.method, c.path)
		if code != c.code || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, code, body, c.code, c.body)
		}
	}
	rs = rs[:1]
	if code, body, _ := get(t, h, "GET", "/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("ready: %d %q", code, body)
	}
}

func TestStatusAsJSON(t *testing.T) {
	h := Handler(Options{Status: func() *Status { return status(readings()) }, Metrics: http.NotFoundHandler()})
	_, body, _ := get(t, h, "GET", "/api/v1/status")
	var s struct {
		Ready  bool
		Relays []map[string]any
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatal(err)
	}
	good, bad := s.Relays[0], s.Relays[1]
	for _, c := range []struct {
		got  any
		want any
	}{
		{s.Ready, false},
		{good["state"], "running"}, {good["why"], "13 in flight"}, {good["debt"], 40.0},
		{good["counts"].(map[string]any)["placed"], 1234567.0}, {good["lag"].(map[string]any)["messages"], 120.0},
		{good["lag"].(map[string]any)["bound"], false}, {bad["lag"].(map[string]any)["bound"], true},
		{bad["lag"].(map[string]any)["seconds_bound"], "at most"}, {bad["lag"].(map[string]any)["messages_bound"], "at least"},
		{good["backlog"].(map[string]any)["known"], true}, {good["backlog"].(map[string]any)["messages"], 120.0},
		{bad["backlog"].(map[string]any)["known"], false}, {bad["backlog"].(map[string]any)["error"], "no answer"},
		{good["since"], "2027-01-15T07:58:30Z"}, {bad["last_placed"], nil},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v in\n%s", c.got, c.want, body)
		}
	}
}

func TestServeAndFetch(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, Handler(Options{Status: func() *Status { return status(readings()) }, Metrics: http.NotFoundHandler()}))
	}()
	s, err := Fetch(t.Context(), l.Addr().String())
	if err != nil || s.Bridge != "b" || len(s.Relays) != 2 || s.Relays[0].Counts.Placed != 1234567 {
		t.Errorf("fetched %+v, %v", s, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := Fetch(t.Context(), l.Addr().String()); err == nil {
		t.Error("it still answers")
	}
}

func TestFetchWhatIsNoConsole(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"is it a crossfade?": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
		"cannot be read":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		s := httptest.NewServer(h)
		if _, err := Fetch(t.Context(), strings.TrimPrefix(s.URL, "http://")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
		s.Close()
	}
}
