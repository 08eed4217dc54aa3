package adaptertest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// env is what a check works with.
type env struct {
	T
	Fixture
	facts      facts
	patience   time.Duration
	background []string
	rand       *rand.Rand
	next       int // the number of the next message

	mu    sync.Mutex
	wrong []string // breaches of contract seen outside the check's goroutine
	notes []string
	lacks string // the ability without which the promise is not made
}

func (e *env) begin() {
	h := fnv.New64a()
	h.Write([]byte(e.Name()))
	seed := h.Sum64()
	e.rand = rand.New(rand.NewPCG(seed, 1))
	e.Cleanup(func() {
		e.finish()
		if e.Failed() {
			e.Logf("seed %d", seed)
		}
	})
}

// breach notes a breach of contract from any goroutine; finish reports it.
func (e *env) breach(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wrong = append(e.wrong, fmt.Sprintf(format, args...))
}

func (e *env) finish() {
	e.mu.Lock()
	wrong := e.wrong
	e.wrong = nil
	e.mu.Unlock()
	for _, w := range wrong {
		e.Errorf("%s", w)
	}
}

// note adds a remark to the matrix.
func (e *env) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	e.Logf("%s", n)
	if !slices.Contains(e.notes, n) {
		e.notes = append(e.notes, n)
	}
}

// without says that the adapter lacks the ability that the check is about.
func (e *env) without(ability string) {
	e.Logf("waived by the adapter: %s", ability)
	e.lacks = "the adapter: " + ability
}

func (e *env) noted() string { return strings.Join(e.notes, "; ") }

// bounded calls f with a context that lasts as long as the patience, and fails
// the check if f does not return even then.
func (e *env) bounded(what string, f func(ctx context.Context) error) error {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return e.returns(what, done)
}

// returns waits for what a goroutine gives.
func (e *env) returns(what string, done <-chan error) error {
	e.Helper()
	timer := time.NewTimer(2 * e.patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		e.Fatalf("%s has not returned after %v", what, 2*e.patience)
		return nil
	}
}

// until polls a condition that something else brings about.
func (e *env) until(what string, cond func() bool) {
	e.Helper()
	deadline := time.Now().Add(e.patience)
	for pause := 100 * time.Microsecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			e.Fatalf("after %v still not: %s", e.patience, what)
		}
		time.Sleep(pause)
	}
}

// soon polls a condition that something else brings about, and says whether it
// has come true.
func (e *env) soon(cond func() bool) bool {
	e.Helper()
	deadline := time.Now().Add(e.patience)
	for pause := 100 * time.Microsecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// messages makes n messages that are unlike all before, over so many keys. Where the
// sink dictates lanes, lane 0 takes them.
func (e *env) messages(n, keys int) []bridge.Message { return e.messagesOn(0, n, keys) }

// messagesOn makes messages that so numbered a lane takes.
func (e *env) messagesOn(lane, n, keys int) []bridge.Message {
	all := make([]bridge.Message, n)
	for i := range all {
		all[i] = bridge.Message{
			Key:  e.facts.key(lane, e.next%keys),
			ID:   bridge.ID{Value: fmt.Sprint("id-", e.next)},
			Body: fmt.Appendf(nil, "body of message %d", e.next),
		}
		e.next++
	}
	return all
}

// put stores messages for the source.
func (e *env) put(msgs []bridge.Message) {
	e.Helper()
	err := e.bounded("Put", func(ctx context.Context) error { return e.Put(ctx, msgs) })
	if err != nil {
		e.Fatalf("put %d messages: %v", len(msgs), err)
	}
}

// want wants exactly these messages in the target, each key's in order. What a
// durable target has settled is there at once; others may take their time.
func (e *env) want(what string, msgs []bridge.Message) {
	e.Helper()
	if !e.facts.to.Durable {
		e.until(what+" has all messages", func() bool { return len(e.read()) >= len(msgs) })
	}
	e.wantSame(what, e.read(), msgs)
}

// read gives what is in the target.
func (e *env) read() []bridge.Message {
	e.Helper()
	var all []bridge.Message
	err := e.bounded("Read", func(ctx context.Context) (err error) {
		all, err = e.Read(ctx)
		return err
	})
	if err != nil {
		e.Fatalf("read the target: %v", err)
	}
	return all
}

// process starts a process.
func (e *env) process() Process {
	e.Helper()
	return e.Start(e.T)
}

// die kills a process.
func (e *env) die(p Process) {
	e.Helper()
	if p.Kill != nil {
		_ = e.bounded("Kill", func(context.Context) error { p.Kill(); return nil })
	}
}

// restart restarts the system.
func (e *env) restart() {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 2*time.Minute)
	defer cancel()
	if err := e.Restart(ctx); err != nil {
		e.Fatalf("restart the system: %v", err)
	}
}

func idsOf(msgs []bridge.Message) []string {
	ids := make([]string, len(msgs))
	for i := range msgs {
		ids[i] = msgs[i].ID.Value
	}
	return ids
}

// show prints IDs, cut short.
func show(ids []string) string {
	if len(ids) > 24 {
		return fmt.Sprintf("%d: %v … %v", len(ids), ids[:12], ids[len(ids)-12:])
	}
	return fmt.Sprintf("%d: %v", len(ids), ids)
}

// wantSame wants exactly these messages, each key's in order, with their bodies.
func (e *env) wantSame(what string, got, want []bridge.Message) {
	e.Helper()
	e.wantAll(what, got, want)
	if len(got) != len(want) {
		e.Errorf("%s: %d messages, want %d:\n got %s\nwant %s", what, len(got), len(want), show(idsOf(got)), show(idsOf(want)))
	}
}

// wantAll wants these messages, the first occurrences of each key's in order,
// with their bodies. Repeats are no fault; strangers are.
func (e *env) wantAll(what string, got, want []bridge.Message) {
	e.Helper()
	got = firsts(got)
	known := map[string]*bridge.Message{}
	for i := range want {
		known[want[i].ID.Value] = &want[i]
	}
	for i := range got {
		g := &got[i]
		w := known[g.ID.Value]
		switch {
		case w == nil:
			e.Errorf("%s: message %q was not expected", what, g.ID.Value)
		case w.Key != g.Key:
			e.Errorf("%s: message %q has key %q, want %q", what, g.ID.Value, g.Key, w.Key)
		case string(w.Body) != string(g.Body):
			e.Errorf("%s: message %q has body %.60q, want %.60q", what, g.ID.Value, g.Body, w.Body)
		}
	}
	gotBy, wantBy := byKey(got), byKey(want)
	for key, w := range wantBy {
		if g := gotBy[key]; !slices.Equal(g, w) {
			e.Errorf("%s: of %s\n got %s\nwant %s", what, key, show(g), show(w))
		}
	}
}

// firsts leaves out repeats.
func firsts(msgs []bridge.Message) []bridge.Message {
	seen := map[string]bool{}
	var all []bridge.Message
	for i := range msgs {
		if id := msgs[i].Key + "\x00" + msgs[i].ID.Value; !seen[id] {
			seen[id] = true
			all = append(all, msgs[i])
		}
	}
	return all
}

func byKey(msgs []bridge.Message) map[string][]string {
	m := map[string][]string{}
	for i := range msgs {
		m[msgs[i].Key] = append(m[msgs[i].Key], msgs[i].ID.Value)
	}
	return m
}
