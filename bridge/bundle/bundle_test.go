package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// evidence compares two streams that differ in every way, and gives what was found.
func evidence(t *testing.T) []*compare.Evidence {
	t.Helper()
	broker := memory.NewBroker("mem")
	t.Cleanup(broker.Disconnect)
	from, to := broker.Stream("from"), broker.Stream("to")
	stream := func(name string) compare.Stream {
		o, err := broker.Source(bridge.Identity{Bridge: "b", Relay: "compare"}, memory.SourceConfig{Stream: name})
		if err != nil {
			t.Fatal(err)
		}
		return compare.Stream{Open: o.Open, Traits: o.Traits()}
	}
	var mu sync.Mutex
	var all []*compare.Evidence
	seen := map[drift.Kind]int{}
	place := func(d *bridge.Delivery) uint32 {
		if _, ok := d.Header("astray"); ok {
			return 2
		}
		return 1
	}
	c, err := compare.New(compare.Config{
		Name: "c", Streams: [2]compare.Stream{stream("from"), stream("to")}, Loops: []string{"b/r"},
		Drift:  drift.Options{Grace: 300 * time.Millisecond, GraceMost: time.Second, Stuck: 1500 * time.Millisecond, Late: 700 * time.Millisecond},
		Place:  [2]func(*bridge.Delivery) uint32{func(*bridge.Delivery) uint32 { return 1 }, place},
		Limits: compare.Limits{Evidence: 1000},
		Found: func(e *compare.Evidence) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
			seen[e.Finding.Kind]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	waitFor := func(what string, cond func(s *compare.Snapshot) bool) {
		t.Helper()
		deadline := time.Now().Add(15 * time.Second)
		for {
			s := c.Snapshot()
			if cond(&s) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", what, s)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	n := 0
	message := func(key string) bridge.Message {
		n++
		return bridge.Message{Key: key, ID: bridge.ID{Value: fmt.Sprint(n)}, Body: fmt.Appendf(nil, `{"n":%d,"owner":{"name":"secret-%d"}}`, n, n),
			Headers: []bridge.Header{{Name: "User", Value: []byte("secret")}}, Time: time.Unix(int64(n), 0)}
	}
	both := func(key string, times int) {
		for range times {
			m := message(key)
			from.Put(m)
			to.Put(m)
		}
	}
	keys := []string{"missing", "duplicate", "reordered", "corrupted", "lossy", "extra", "astray", "late", "stuck", "loop", "other"}
	for _, k := range keys {
		both(k, 5)
	}
	waitFor("the beginning", func(s *compare.Snapshot) bool { return s.Begun })
	from.Put(message("missing"))
	again := message("duplicate")
	from.Put(again)
	to.Put(again)
	a, b := message("reordered"), message("reordered")
	from.Put(a, b)
	to.Put(b, a)
	m := message("corrupted")
	from.Put(m)
	m.Body = append([]byte("{\"x\":1,"), m.Body[1:]...)
	to.Put(m)
	m = message("lossy")
	from.Put(m)
	m.Headers = nil
	to.Put(m)
	to.Put(message("extra"))
	m = message("astray")
	from.Put(m)
	m.Headers = append(m.Headers, bridge.Header{Name: "astray"})
	to.Put(m)
	m = message("loop")
	m.Via = "b/r"
	from.Put(m)
	m.Via = ""
	to.Put(m)
	late := message("late")
	from.Put(late)
	from.Put(message("stuck"))
	for _, k := range keys {
		if k != "late" && k != "stuck" {
			both(k, 40)
		}
	}
	to.Put(again)
	waitFor("what is late", func(s *compare.Snapshot) bool { return s.Matched > 300 })
	time.Sleep(900 * time.Millisecond) // it is to be late
	to.Put(late)
	waitFor("all kinds", func(s *compare.Snapshot) bool {
		both("other", 3)
		for _, n := range s.Drift {
			if n == 0 {
				return false
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for _, n := range s.Drift {
			_ = n
		}
		return len(seen) == int(drift.Kinds)
	})
	mu.Lock()
	defer mu.Unlock()
	return all
}

// Every difference that is found comes to the same verdict from its file, redacted or
// not, and what is redacted is not in the file.
func TestReplayComesToTheSame(t *testing.T) {
	all := evidence(t)
	kinds := map[string]int{}
	for _, r := range []Redaction{{}, {Keys: true, Headers: []string{"user"}, Fields: []string{"owner.name"}}, {Keys: true, Bodies: true, Headers: []string{"USER"}}} {
		w := NewWriter(t.TempDir(), 1<<30)
		for _, e := range all {
			b := Of(e)
			if err := b.Redact(r); err != nil {
				t.Fatal(err)
			}
			path, err := w.Write(b)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(path); err != nil || r.Keys && strings.Contains(string(text), "secret") {
				t.Errorf("%v; a secret is in %s", err, text)
			}
			read, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			v, err := Replay(read)
			if err != nil || !v.Same || v.Extent != e.Finding.Extent {
				t.Errorf("%s of %s %s, redacted %v: the replay finds %v, extent %d, %v; want extent %d", b.Kind, b.Key, b.ID, b.Redacted, v.Kinds, v.Extent, err, e.Finding.Extent)
			}
			kinds[b.Kind]++
		}
	}
	t.Logf("%v", kinds)
	if len(kinds) != int(drift.Kinds) {
		t.Errorf("not all kinds: %v", kinds)
	}
}

// What is missing replays although the message that passed it first is not in the bundle,
// and those that are came less than the grace before it was found.
func TestReplayOfWhatWasPassedEarlier(t *testing.T) {
	tried := 0
	for _, e := range evidence(t) {
		b := Of(e)
		if b.Kind != drift.Missing.String() {
			continue
		}
		tried++
		b.Rules.Grace, b.At = "5s", b.History[0].Read
		for i := range b.History {
			if b.History[i].Read.After(b.At) {
				b.At = b.History[i].Read
			}
		}
		if v, err := Replay(b); err != nil || !v.Same {
			t.Errorf("%s: the replay finds %v, %v", b.ID, v.Kinds, err)
		}
	}
	if tried == 0 {
		t.Error("nothing is missing")
	}
}

func TestWriterIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "er")
	b := &Bundle{Format: format, Comparison: "../c", Kind: "missing", Key: strings.Repeat("x", 100)}
	w := NewWriter(dir, 1000)
	n := 0
	for {
		path, err := w.Write(b)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || filepath.Dir(path) != dir {
			t.Fatalf("%s: %v", path, err)
		}
		n++
	}
	if again := NewWriter(dir, 1000); n == 0 || n > 9 {
		t.Errorf("%d were written", n)
	} else if _, err := again.Write(b); !errors.Is(err, ErrFull) {
		t.Errorf("what was there before does not count: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != n {
		t.Errorf("%d files are there, want %d", len(entries), n)
	}
}

func TestWhatIsNoBundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	for text, want := range map[string]string{
		"": "is none, or is not whole", "{}": "is none", `{"format":-1}`: "is none", "[]": "is none", `{"format":99}`: "take the version that wrote it", `{"format":1,"history":[{"side":`: "not whole",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(path + "x"); err == nil {
		t.Error("no file is a bundle")
	}
	for _, b := range []*Bundle{{Kind: "odd"}, {Kind: "missing"}, {Kind: "missing", History: []Frame{{}}, Rules: Rules{Grace: "x"}}} {
		if v, err := Replay(b); err == nil {
			t.Errorf("%+v is replayed to %+v", b, v)
		}
	}
}
