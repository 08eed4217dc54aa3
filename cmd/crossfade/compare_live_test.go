package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/report"
)

// both publishes the same messages to both streams.
func (s *twoStreams) both(from, to int) {
	s.t.Helper()
	for n := from; n < to; n++ {
		for _, stream := range []string{"I", "C"} {
			s.publish(s.t.Context(), stream, n%5, n, fmt.Sprintf(`{"value":%d}`, n))
		}
	}
}

func reportOf(t *testing.T, text string) *report.Report {
	t.Helper()
	r := &report.Report{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

func TestCompareEqualStreams(t *testing.T) {
	s := newTwoStreams(t)
	s.both(0, 100)
	// One that was to end in the past compares what is stored by now.
	for _, bound := range [][]string{{"--for", "200ms"}, {"--for", "1ns"}, {"--until", "2026-01-31T14:00:00Z"}} {
		code, out, errs := command(t, s.args(append(bound, "--from", "first")...)...)
		if code != 0 || errs != "" || !strings.HasPrefix(out, "MATCH  streams\n\nincumbent  incumbent: stream I, 100 observed\ncandidate  candidate: stream C, 100 observed\n") ||
			!strings.Contains(out, "\nmatched    100\ndrift      none\n") || !strings.Contains(out, "\nkeys       about 5 at the incumbent, 5 of them at the candidate too\n") {
			t.Errorf("%q: exit code %d\n%s\n%s", bound, code, out, errs)
		}
		s.expectNothingLeft()
	}
}

// Where there is nothing to compare, that is no match: the exit code is 2, and it is said
// what is missing.
func TestCompareNothing(t *testing.T) {
	s := newTwoStreams(t)
	for _, first := range []string{"", "C"} { // who knows what came before the first that both have
		if first != "" {
			s.publish(t.Context(), first, 1, 1, "x")
		}
		const want = "nothing has come from the incumbent yet"
		code, out, errs := command(t, s.args("--from", "first", "--for", "100ms")...)
		if code != 2 || errs != "" || !strings.HasPrefix(out, "NOTHING JUDGED  streams\n           "+want+"\n") || strings.Contains(out, "judged up to") || strings.Contains(out, "lag") {
			t.Errorf("%q: exit code %d\n%s\n%s", first, code, out, errs)
		}
		code, out, _ = command(t, s.args("--from", "first", "--for", "100ms", "--json")...)
		if r := reportOf(t, out); code != 2 || r.Verdict != "pending" || r.Why != want || !r.Judged.IsZero() {
			t.Errorf("%q: exit code %d\n%s", first, code, out)
		}
	}
	// What only the incumbent has is missing.
	s.publish(t.Context(), "I", 2, 2, "x")
	code, out, _ := command(t, s.args("--from", "first", "--for", "100ms")...)
	if code != 1 || !strings.HasPrefix(out, "DRIFT  streams\n") || !strings.Contains(out, "\nmatched    0\ndrift      missing 1\nelse       1 from before the beginning\n") || !strings.Contains(out, "\nmissing       key k2  id 2\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	s.expectNothingLeft()
}

func TestCompareOfNoStream(t *testing.T) {
	s := newTwoStreams(t)
	code, out, errs := command(t, "compare", "--incumbent", s.url+"/I", "--candidate", s.url+"/NONE", "--for", "1s")
	if code != 2 || out != "" || !strings.Contains(errs, "stream NONE") || !strings.Contains(errs, "`nats stream ls` lists those of the account.") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	s.expectNothingLeft()
}

// A live comparison is one that runs in this process until its end, or until it is stopped.
type liveComparison struct {
	t    *testing.T
	stop context.CancelFunc
	done chan int
	out  bytes.Buffer // once it is done
	mu   sync.Mutex
	errs strings.Builder
}

func (l *liveComparison) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs.Write(b)
}

func (l *liveComparison) stderr() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs.String()
}

func live(t *testing.T, args ...string) *liveComparison {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	l := &liveComparison{t: t, stop: stop, done: make(chan int, 1)}
	go func() { l.done <- execute(ctx, args, &l.out, l) }()
	return l
}

// until waits for a text on standard error.
func (l *liveComparison) until(want string) {
	l.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !strings.Contains(l.stderr(), want); {
		select {
		case <-tick.C:
		case code := <-l.done:
			l.t.Fatalf("it ended with %d before it said %q\n%s\n%s", code, want, l.out.String(), l.stderr())
		case <-deadline:
			l.t.Fatalf("it never says %q\n%s", want, l.stderr())
		}
	}
}

// interrupt is Ctrl-C.
func (l *liveComparison) interrupt() (code int, stdout, stderr string) {
	l.t.Helper()
	l.stop()
	select {
	case code = <-l.done:
	case <-time.After(25 * time.Second):
		l.t.Fatalf("it does not end\n%s", l.stderr())
	}
	return code, l.out.String(), l.stderr()
}

// everyMoment makes the progress lines of a test come soon.
func everyMoment(t *testing.T) {
	was := progressEvery
	progressEvery = 10 * time.Millisecond
	t.Cleanup(func() { progressEvery = was })
}

// Without a bound it runs until a signal, and then says what it has come to.
func TestCompareUntilASignal(t *testing.T) {
	everyMoment(t)
	s := newTwoStreams(t)
	s.both(0, 10) // before it begins, and so none of its business
	l := live(t, s.args()...)
	l.until("nothing has come from the incumbent yet")
	s.both(10, 50)
	l.until("matched 40  pending 0 + 0")
	code, out, errs := l.interrupt()
	if code != 0 || !strings.HasPrefix(out, "MATCH  streams\n") || !strings.Contains(out, "\nmatched    40\n") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	for _, line := range strings.Split(strings.TrimSuffix(errs, "\n"), "\n") {
		if !strings.Contains(line, "pending 0 + 0") && !strings.Contains(line, "matched ") || strings.ContainsAny(line, "\r\x1b") {
			t.Errorf("%q is no line without a terminal", line)
		}
	}
	s.expectNothingLeft()

	l = live(t, s.args("--quiet")...)
	l2 := live(t, s.args("--json")...) // two do not disturb each other
	for _, x := range []*liveComparison{l2} {
		x.until("nothing has come from the incumbent yet")
	}
	s.awaitConsumers(2)
	s.publish(t.Context(), "I", 0, 50, "was")
	s.publish(t.Context(), "C", 0, 50, "is")
	for _, x := range []*liveComparison{l, l2} {
		x.until("kind=corrupted key=k0 id=50")
	}
	code, out, errs = l.interrupt()
	if code != 1 || !strings.HasPrefix(out, "DRIFT  streams\n") || !strings.Contains(out, "\ndrift      corrupted 1\n") || !strings.Contains(out, "was \"was\", is \"is\"") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = l2.interrupt()
	if r := reportOf(t, out); code != 1 || r.Verdict != "drift" || r.Drift["corrupted"] != 1 || len(r.Findings) != 1 || r.Findings[0].ID != "50" {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	s.expectNothingLeft()
}

// awaitConsumers waits until so many read each stream.
func (s *twoStreams) awaitConsumers(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var got []int
		for _, name := range []string{"I", "C"} {
			stream, err := s.js.Stream(s.t.Context(), name)
			if err != nil {
				s.t.Fatal(err)
			}
			got = append(got, stream.CachedInfo().State.Consumers)
		}
		if got[0] == n && got[1] == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%v read the streams, want %d each", got, n)
		}
	}
}

// closedPort gives the address of a server that is not there.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A side that cannot be reached leaves nothing judged. The report says why, and what was
// made at the other side is removed all the same.
func TestCompareWithAnUnreachableSide(t *testing.T) {
	s := newTwoStreams(t)
	s.both(0, 5)
	for _, side := range []string{"incumbent", "candidate"} {
		there := closedPort(t)
		addresses := map[string]string{"incumbent": s.url + "/I", "candidate": s.url + "/C"}
		addresses[side] = "nats://user:hunter2@" + there + "/X"
		out := filepath.Join(t.TempDir(), "r.html")
		l := live(t, "compare", "--incumbent", addresses["incumbent"], "--candidate", addresses["candidate"], "--from", "first", "--for", "1s", "-o", out)
		l.until("msg=waiting comparison=streams side=" + side)
		code, stdout, stderr := l.interrupt()
		want := "the " + side + " could not be read: open: nats: " + side + ": connect to nats://" + there
		if code != 2 || !strings.HasPrefix(stdout, "NOTHING JUDGED  streams\n           "+want) || !strings.Contains(stdout, "connection refused\n") {
			t.Errorf("%s: exit code %d\n%s\n%s", side, code, stdout, stderr)
		}
		if !strings.Contains(stderr, "what the comparison made may be left: system "+side+": ") || strings.Contains(stderr, "crossfade remove") {
			t.Errorf("%s: what may be left is not said: %s", side, stderr)
		}
		page, err := os.ReadFile(out)
		if err != nil || !strings.Contains(string(page), "could not be read: open: nats") {
			t.Errorf("%s: %v\n%s", side, err, page)
		}
		if strings.Contains(stdout+stderr+string(page), "hunter2") {
			t.Errorf("%s: the password is said:\n%s\n%s\n%s", side, stdout, stderr, page)
		}
		s.expectNothingLeft()
	}
}

// A comparison that is stopped while a side cannot be read is no match, though all that was
// judged is the same; and what was found stays found, though nothing can be removed.
func TestCompareStoppedWhileASideIsDown(t *testing.T) {
	for _, c := range []struct {
		candidate string
		code      int
		heading   string
		until     string
	}{
		{"same", 2, "INCOMPARABLE  streams\n           the incumbent could not be read: ", "matched 2  pending 0 + 0"},
		{"other", 1, "DRIFT  streams\n           the incumbent could not be read: ", "corrupted 1"},
	} {
		everyMoment(t)
		s := newTwoStreams(t)
		l := live(t, s.args()...)
		l.until("nothing has come from the incumbent yet")
		s.both(0, 1)
		s.publish(t.Context(), "I", 0, 1, "same")
		s.publish(t.Context(), "C", 0, 1, c.candidate)
		l.until(c.until)
		s.down()
		for _, side := range []string{"incumbent", "candidate"} {
			l.until("msg=waiting comparison=streams side=" + side)
		}
		code, out, errs := l.interrupt()
		if code != c.code || !strings.HasPrefix(out, c.heading) || !strings.Contains(errs, "what the comparison made may be left: ") {
			t.Errorf("%s: exit code %d\n%s\n%s", c.candidate, code, out, errs)
		}
	}
}

// With a configuration it is said how to remove later what could not be removed.
func TestCompareSaysHowToRemoveWhatIsLeft(t *testing.T) {
	there := closedPort(t)
	path := file(t, `name: b
systems:
  - {name: a, kind: memory, streams: [{name: S}]}
  - {name: gone, kind: nats, url: "nats://`+there+`"}
  - {name: unrelated, kind: nats, url: "nats://`+there+`"}
comparisons:
  - {name: x, incumbent: {system: a, stream: S}, candidate: {system: gone, stream: T}}
`)
	l := live(t, "compare", "-c", path)
	l.until("msg=waiting comparison=x side=candidate")
	code, stdout, stderr := l.interrupt()
	if code != 2 || !strings.HasPrefix(stdout, "NOTHING JUDGED  x\n") || !strings.Contains(stderr, "; once it answers: crossfade remove x-") || !strings.Contains(stderr, "-candidate -c "+path+" --confirm\n") || strings.Contains(stderr, "unrelated") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// Passwords are in nothing that is printed, logged or written.
func TestNoPasswordIsWritten(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, Username: "user", Password: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("user", "hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"I", "C"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name) + ".>"}}); err != nil {
			t.Fatal(err)
		}
	}
	s := &twoStreams{t: t, url: strings.Replace(srv.ClientURL(), "://", "://user:hunter2@", 1), js: js}
	s.both(0, 20)
	s.publish(t.Context(), "I", 0, 20, "was")
	s.publish(t.Context(), "C", 0, 20, "is")
	dir := t.TempDir()
	args := s.args("--from", "first", "--for", "200ms", "--log-level", "debug", "--evidence", filepath.Join(dir, "evidence"))
	for _, ext := range []string{"txt", "json", "html"} {
		args = append(args, "-o", filepath.Join(dir, "r."+ext))
	}
	code, stdout, stderr := command(t, args...)
	if code != 1 || !strings.Contains(stdout, "corrupted 1") {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	all := map[string]string{"standard output": stdout, "standard error": stderr}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, err := os.ReadFile(path)
			all[path] = string(text)
			return err
		}
		return err
	})
	if err != nil || len(all) != 2+3+1 {
		t.Errorf("%v, %d files", err, len(all))
	}
	for where, text := range all {
		if text == "" || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", where, text)
		}
	}
	s.expectNothingLeft()

	// The wrong one, too.
	l := live(t, "compare", "--incumbent", strings.Replace(s.url, "hunter2", "hunter3", 1)+"/I", "--candidate", s.url+"/C", "--for", "1s")
	var stopped bool
	for deadline := time.Now().Add(20 * time.Second); !stopped && !strings.Contains(l.stderr(), "msg=waiting"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it says nothing")
		}
		select {
		case code := <-l.done:
			stopped = true
			l.done <- code
		default:
		}
	}
	code, stdout, stderr = l.interrupt()
	if code != 2 || strings.Contains(stdout+stderr, "hunter") || !strings.Contains(strings.ToLower(stdout+stderr), "authorization") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// Each bundle can be replayed, also with what the key had around the message; one whose
// verdict was changed is not what it says.
func TestReplayOfBundles(t *testing.T) {
	s := newTwoStreams(t)
	for n := range 30 {
		body := fmt.Sprintf("body %d", n)
		s.publish(t.Context(), "I", 1, n, body)
		if n == 10 {
			body = "\x1b[31mred\x00"
		}
		if n != 20 {
			s.publish(t.Context(), "C", 1, n, body)
		}
	}
	dir := t.TempDir()
	compared, said, errs := command(t, s.args("--from", "first", "--for", "100ms", "--evidence", dir)...)
	if compared != 1 {
		t.Fatalf("exit code %d\n%s\n%s", compared, said, errs)
	}
	one := func(kind string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*-"+kind+"-*.json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v\n%s\n%s", files, err, said, errs)
		}
		return files[0]
	}
	missing, corrupted := one("missing"), one("corrupted")

	code, out, errs := command(t, "replay", missing)
	for _, want := range []string{
		"missing of key k1, id 20\ncomparison streams, found 20", "the incumbent has it, and the candidate has gone past it without\n",
		"\nincumbent  incumbent: stream I\n  read ", "\n  header id = 20\n", "\n  body 20\n", "\ncandidate  candidate: stream C\n  has no such message\n", "\nreplayed: missing, as then\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code != 0 || errs != "" || strings.Contains(out, "as they were read:") || strings.Contains(out, "body 19") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = command(t, "replay", missing, "--history")
	_, history, _ := strings.Cut(out, "\nmessages of the key, as they were read:\n")
	if code != 0 || errs != "" || strings.Count(history, "  incumbent  ") != 30 || strings.Count(history, "  candidate  ") != 29 || !strings.Contains(history, "  kp~k1~20  body 20\n") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = command(t, "replay", corrupted, "--history")
	if code != 0 || strings.ContainsAny(out, "\x1b\x00") || strings.Count(out, `\x1B[31mred\x00`) < 2 {
		t.Errorf("exit code %d\n%q\n%s", code, out, errs)
	}

	// Changed by hand.
	b, err := bundle.Read(corrupted)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name string, change func(b *bundle.Bundle)) string {
		x := *b
		change(&x)
		text, err := json.Marshal(&x)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := changed("other.json", func(b *bundle.Bundle) { b.Kind = "reordered" })
	code, out, errs = command(t, "replay", path)
	if code != 1 || !strings.Contains(out, "reordered of key k1, id 10\n") || strings.Contains(out, "as then") ||
		errs != "the replay finds corrupted, and the bundle says reordered: this is a mistake of crossfade; please report it, with the bundle\n" {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	path = changed("same.json", func(b *bundle.Bundle) { b.Candidate.Frame, b.History = b.Incumbent.Frame, nil })
	if code, _, errs = command(t, "replay", path); code != 1 || !strings.HasPrefix(errs, "the replay finds no difference, and the bundle says corrupted: ") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	// A bundle may come from anywhere: nothing of it reaches the terminal as it is.
	path = changed("hostile.json", func(b *bundle.Bundle) {
		const evil = "\x1b]0;owned\a"
		b.Comparison, b.Key, b.ID, b.Lines = evil, evil, evil, []string{evil}
		b.Incumbent.System, b.Incumbent.What, b.Redacted = evil, evil, []string{evil}
		frame := *b.Incumbent.Frame
		frame.Stored, frame.Text = evil, evil
		b.Incumbent.Frame = &frame
		b.History[0].Side, b.History[0].Text = evil, evil
	})
	if code, out, errs = command(t, "replay", path, "--history"); strings.ContainsAny(out+errs, "\x1b\a") || strings.Count(out, "owned") != 11 {
		t.Errorf("exit code %d\n%q\n%q", code, out, errs)
	}
}
