package demo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A spoiler stands between a relay and a candidate and does wrong on purpose: it copies a
// stream, and now and then loses a message, repeats one, changes one, takes a header off
// one, or lets the next of its metric go first.
type spoiler struct {
	mu      sync.Mutex
	planted map[string]int // done so far, by the kind of drift that it is
	off     bool           // nothing more is done wrong
}

// The mistakes, in turn, by the kinds of drift that they are.
var mistakes = []string{"missing", "duplicate", "reordered", "corrupted", "header_lossy"}

// mistakeEvery is how often there is one.
const mistakeEvery = 400 * time.Millisecond

func newSpoiler() *spoiler { return &spoiler{planted: map[string]int{}} }

// counts are the mistakes so far.
func (s *spoiler) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.planted)
}

// stop ends the mistakes; copying goes on.
func (s *spoiler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
}

// did counts a mistake, unless there are to be no more.
func (s *spoiler) did(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.off {
		s.planted[kind]++
	}
	return !s.off
}

// run copies until ctx ends.
func (s *spoiler) run(ctx context.Context, from, to string) error {
	in, err := nats.Connect(from, nats.Name("demo spoiler"))
	if err != nil {
		return fmt.Errorf("demo: spoiler: %w", err)
	}
	defer in.Close()
	out, err := nats.Connect(to, nats.Name("demo spoiler"))
	if err != nil {
		return fmt.Errorf("demo: spoiler: %w", err)
	}
	defer out.Close()
	source, err1 := jetstream.New(in)
	refused := make(chan error, 1)
	target, err2 := jetstream.New(out, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
		select {
		case refused <- err:
		default:
		}
	}))
	if err1 != nil || err2 != nil {
		return fmt.Errorf("demo: spoiler: %w, %w", err1, err2)
	}
	c, err := source.OrderedConsumer(ctx, relayedStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("demo: spoiler: %w", err)
	}
	it, err := c.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return fmt.Errorf("demo: spoiler: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	copies := copying{spoiler: s, js: target, due: time.Now().Add(2 * time.Second)}
	for {
		m, err := it.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = copies.take(m)
		}
		select {
		case err = <-refused:
		default:
		}
		if err != nil {
			return fmt.Errorf("demo: spoiler: %w", err)
		}
	}
}

// copying is what a run has in hand.
type copying struct {
	spoiler *spoiler
	js      jetstream.JetStream
	due     time.Time // of the next mistake
	n       int
	held    *nats.Msg // to go behind the next of its metric
}

// take copies one message, or does something wrong with it.
func (c *copying) take(m jetstream.Msg) error {
	out := &nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}
	for name := range out.Header { // what the relay told the server, which keeps it
		if strings.HasPrefix(name, "Nats-") {
			out.Header.Del(name)
		}
	}
	if c.held != nil && c.held.Subject == out.Subject {
		held := c.held
		c.held = nil
		return c.send(out, held)
	}
	if c.held != nil || time.Now().Before(c.due) {
		return c.send(out)
	}
	kind := mistakes[c.n%len(mistakes)]
	if !c.spoiler.did(kind) {
		return c.send(out)
	}
	c.n++
	c.due = time.Now().Add(mistakeEvery)
	switch kind {
	case "missing":
		return nil
	case "duplicate":
		return c.send(out, out)
	case "reordered":
		c.held = out
		return nil
	case "corrupted":
		out.Data = bytes.Replace(out.Data, []byte(`"host-`), []byte(`"hast-`), 1)
	default:
		out.Header.Del(unitHeader)
	}
	return c.send(out)
}

func (c *copying) send(msgs ...*nats.Msg) error {
	for _, m := range msgs {
		if _, err := c.js.PublishMsgAsync(m); err != nil {
			return err
		}
	}
	return nil
}
