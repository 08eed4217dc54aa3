package nats

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

func startAt(t helperT, text string) (s bridge.Start) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// A stream of which 1 to 3 are gone and 4 to 8 are there, and the time of 6.
func partlyGone(t *testing.T) (*testServer, jetstream.JetStream, *jetstream.StreamInfo, time.Time) {
	srv := startServer(t, nil)
	_, js := srv.client(t)
	s := makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}, MaxMsgs: 5})
	publish(t, js, "a.x", upTo(8)...)
	m, err := s.GetMsg(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return srv, js, info, m.Time
}

func TestStart(t *testing.T) {
	srv, js, info, sixth := partlyGone(t)
	before := inventory(t, js)
	at := func(d time.Duration) string { return sixth.Add(d).Format(time.RFC3339Nano) }
	type sessions struct {
		want   string
		opener bridge.SourceOpener
	}
	var opened []sessions
	for n, c := range []struct{ start, want, check, level string }{
		{"", "4 5 6 7 8", "the first message that the stream holds", "pass"},
		{"first", "4 5 6 7 8", "the first message that the stream holds", "pass"},
		{"now", "", "the 5 messages that the stream holds are not copied", "warn"},
		{at(0), "6 7 8", "at or after", "pass"},
		{at(1), "7 8", "at or after", "pass"},
		{at(-time.Hour), "4 5 6 7 8", "begins at 4, of " + made(info.State.FirstTime), "warn"},
		{"4", "4 5 6 7 8", "begin at 4", "pass"},
		{"8", "8", "begin at 8", "pass"},
		{"9", "", "begin at 9", "pass"},
		{bridge.Origin{Stream: originOf(info), Offset: 7}.String(), "7 8", "begin at 7", "pass"},
	} {
		opener, err := srv.system(t).Source(bridge.Identity{Bridge: "start", Relay: fmt.Sprint(n)}, decoded(SourceConfig{Stream: "A", Start: startAt(t, c.start)}))
		if err != nil {
			t.Fatal(err)
		}
		f := opener.(bridge.Checker).Check(t.Context())
		if last := f[len(f)-1]; last.Level.String() != c.level || !strings.Contains(last.Text, c.check) {
			t.Errorf("start %s: check: %v %q, want %s %q", c.start, last.Level, last.Text, c.level, c.check)
		}
		if n == 0 {
			if diff := difference(before, inventory(t, js)); diff != "" {
				t.Errorf("check changed something:\n%s", diff)
			}
		}
		s := openSource(t, opener) // from now on it is fixed where the relay begins
		if n := len(strings.Fields(c.want)); n > 0 {
			if got := bodiesOf(take(t, s, n)); got != c.want {
				t.Errorf("start %s: got %s, want %s", c.start, got, c.want)
			}
		}
		s.Close()
		opened = append(opened, sessions{c.want, opener})
	}
	if s, err := js.Stream(t.Context(), "A"); err != nil {
		t.Fatal(err)
	} else {
		eventually(t, "no consumer is left", func() bool {
			info, err := s.Info(t.Context())
			return err == nil && info.State.Consumers == 0
		})
	}
	cfg := info.Config
	cfg.MaxMsgs = -1
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	publish(t, js, "a.y", 9)
	for _, o := range opened {
		want := strings.TrimSpace(o.want + " 9")
		if got := bodiesOf(take(t, openSource(t, o.opener), len(strings.Fields(want)))); got != want {
			t.Errorf("later: got %s, want %s", got, want)
		}
	}
}

// A relay's first session fixes where it begins, whatever comes before its first
// acknowledgement and whatever the setting says later.
func TestStartIsFixed(t *testing.T) {
	srv, js, _, _ := partlyGone(t)
	first := srv.system(t).from(t, SourceConfig{Stream: "A", Start: startAt(t, "now")})
	openSource(t, first).Close()
	publish(t, js, "a.x", 9, 10)
	if got := bodiesOf(take(t, openSource(t, srv.system(t).from(t, SourceConfig{Stream: "A", Start: startAt(t, "first")})), 2)); got != "9 10" {
		t.Errorf("got %s", got)
	}
}

// What a stream cannot give is refused with what would be missing; nothing is
// passed over in silence.
func TestStartIsRefused(t *testing.T) {
	srv, js, info, _ := partlyGone(t)
	other := *originOf(info)
	other.Incarnation = "older"
	for start, words := range map[string]string{
		"2":  "begins at 4; the messages from 2 to 3 are gone",
		"11": "ends at 8; the messages from 9 to 10 would not be copied",
		bridge.Origin{Stream: originOf(info), Offset: 1}.String(): "messages from 1 to 3 are gone",
		bridge.Origin{Stream: &other, Offset: 5}.String():         "another stream of that name, whose messages are " + bridge.Origin{Stream: originOf(info), Offset: 5}.String(),
		time.Now().Add(time.Hour).Format(time.RFC3339):            "yet to come",
	} {
		o := srv.system(t).from(t, SourceConfig{Stream: "A", Start: startAt(t, start)})
		openFails(t, o, words, "start: first")
		f := o.(bridge.Checker).Check(t.Context())
		if last := f[len(f)-1]; last.Level != bridge.Fail {
			t.Errorf("start %s: check says %v %q", start, last.Level, last.Text)
		}
	}
	// Nothing is left of the refused ones but the checkpoint's empty stream.
	if c, err := js.Stream(t.Context(), "A"); err != nil || c.CachedInfo().State.Consumers != 0 {
		t.Errorf("consumers are left: %v", err)
	}
	if s, err := js.Stream(t.Context(), checkpointStream(testIdentity.Bridge)); err != nil || s.CachedInfo().State.Msgs != 0 {
		t.Errorf("a refused start was written down: %v", err)
	}
	sys := srv.system(t)
	for words, c := range map[string]SourceConfig{
		"begin":                    {Core: true, Subjects: []string{"a"}, Start: startAt(t, "now")},
		"is not copied":            {Core: true, Subjects: []string{"a"}, Start: startAt(t, "first")},
		"it can only be now":       {Core: true, Subjects: []string{"a"}, Start: startAt(t, "17")},
		"number 1":                 {Stream: "A", Start: startAt(t, "0")},
		"the relay reads stream B": {Stream: "B", Start: startAt(t, bridge.Origin{Stream: originOf(info), Offset: 5}.String())},
		"message of kafka A":       {Stream: "A", Start: startAt(t, bridge.Origin{Stream: &bridge.Stream{System: "kafka", Name: "A", Replayable: true}, Offset: 5}.String())},
	} {
		_, err := sys.Source(testIdentity, decoded(c))
		if words == "begin" {
			if err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v: want %q in it", err, words)
		}
	}
}

// A stream that bounds its consumers is tapped by the operator's word only.
func TestBoundOnConsumers(t *testing.T) {
	o, _, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{MaxConsumers: 3})
	openFails(t, o, "takes 3 consumers", "accept: [consumers]")
	accepting := srv.system(t).from(t, SourceConfig{Stream: "A", Accept: bridge.Accepts{acceptConsumers}})
	if f := fmt.Sprint(accepting.(bridge.Checker).Check(t.Context())); !strings.Contains(f, "the tap is one more, as accepted") {
		t.Errorf("check: %s", f)
	}
	openSource(t, accepting)
}
