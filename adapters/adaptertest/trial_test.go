package adaptertest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A trial is a T of its own, so that a check may fail without the test failing.
type trial struct {
	name   string
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	failed   bool
	lines    []string
	cleanups []func()
}

// try runs one check on a harness, and says whether it failed and why.
func try(h Harness, c check) (failed bool, why string) {
	t := &trial{name: "Trial/" + c.name()}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.run(func() {
		about := h.facts(t)
		if why := c.waiver(&about); why != "" {
			t.Logf("waived by %s", why)
			return
		}
		h.prove(t, c, about)
	})
	t.cancel()
	for len(t.cleanups) > 0 {
		last := t.cleanups[len(t.cleanups)-1]
		t.cleanups = t.cleanups[:len(t.cleanups)-1]
		t.run(last)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed, strings.Join(t.lines, "\n")
}

// run calls f where Fatalf may end it.
func (t *trial) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (t *trial) Helper()                  {}
func (t *trial) Name() string             { return t.name }
func (t *trial) Context() context.Context { return t.ctx }

func (t *trial) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *trial) Errorf(format string, args ...any) {
	t.Logf(format, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *trial) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *trial) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// shortPatience is enough for a broker in the same process.
const shortPatience = 400 * time.Millisecond
