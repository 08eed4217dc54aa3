package main

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A place is a queue with samples and one for results, in a real broker.
type place struct {
	from, to, read, write string
	// put adds a message with headers. The ID goes into message-id, or into the header
	// of the ledger's producer.
	put     func(m message, headers map[string]string) error
	results *results
}

// results are what was found so far, in its order.
type results struct {
	mu  sync.Mutex
	all []message
}

func (r *results) add(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, m)
}

func (r *results) list() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// unique is a name that no other test has.
func unique() string { return fmt.Sprintf("consumer-%d", time.Now().UnixNano()) }

// flags are those of a consumer in that place.
func (p *place) flags(stateFile string) string {
	return fmt.Sprintf("-quiet -batch 100 -from %s -read %s -to %s -write %s -name %s -state %s",
		p.from, p.read, p.to, p.write, p.read, stateFile)
}

// consumerOf makes the consumer that a process with these flags has.
func consumerOf(t *testing.T, flags string) *consumer {
	t.Helper()
	s, err := parse(strings.Fields(flags), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConsumer(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// story has a consumer read what producers and a relay wrote, stops it in the
// middle, and wants exactly the results that the samples lead to.
func story(t *testing.T, p *place) {
	all := load(8, 100)
	want := applied(minutes, all)
	flags := p.flags(filepath.Join(t.TempDir(), "state.json"))
	if err := consumerOf(t, flags).listen(t); err != nil { // a queue gets what comes after it
		t.Fatal(err)
	}
	p.putTwice(t, all)
	p.abandon(t, flags)

	var samples, repeats, skipped int
	for _, enough := range []int{len(want) / 3, len(want)} {
		c, longer := consumerOf(t, flags), time.Second // for repeats behind the last result, and for results that must not come
		if enough < len(want) {
			c.in, longer = &stopping{input: c.in, after: len(all) * 2 / 3}, 0
		}
		p.run(t, c, enough, longer)
		samples, repeats, skipped = samples+c.Counts().Samples, repeats+c.Counts().Repeats, skipped+c.Counts().Skipped
		t.Logf("%s", c.Counts())
		if enough < len(want) && samples == len(all) {
			t.Error("the consumer was not stopped in the middle")
		}
	}
	if got := p.results.list(); !reflect.DeepEqual(ofEach(got), ofEach(want)) {
		t.Errorf("%d results, want %d: got\n%q\nwant\n%q", len(got), len(want), got, want)
	}
	if samples != len(all) || repeats != len(all) || skipped != len(all)/100*3 {
		t.Errorf("%d samples, %d repeats, %d skipped of %d samples", samples, repeats, skipped, len(all))
	}
}

// listen connects the consumer, which makes what it reads from, and hangs up.
func (c *consumer) listen(t *testing.T) error {
	defer c.in.close()
	return c.in.open(t.Context())
}

// putTwice puts every sample twice, once as its producer writes it and once as a
// relay does, and what is no sample among them.
func (p *place) putTwice(t *testing.T, all []sample) {
	t.Helper()
	came := map[string]bool{}
	for i, x := range twice(all) {
		headers := map[string]string{}
		if id := x.Metric + "~" + x.ID; came[id] {
			headers[relayed] = "kp~" + id
		} else {
			came[id] = true
		}
		err := p.put(message{Key: x.Metric, ID: x.ID, Body: x.body()}, headers)
		if i%200 == 0 && err == nil {
			for _, body := range []string{"", "null", "no sample"} {
				err = p.put(message{Key: x.Metric, Body: []byte(body)}, nil)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// abandon takes a batch and hangs up in front of it, as a process does that is
// killed.
func (p *place) abandon(t *testing.T, flags string) {
	t.Helper()
	c := consumerOf(t, flags)
	defer c.in.close()
	if err := c.in.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		batch, err := c.in.receive(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("nothing to abandon: %v", err)
		}
		if len(batch) > 0 {
			return
		}
	}
}

// A stopping input stops its consumer once it has given so many messages.
type stopping struct {
	input
	after int
	stop  func()
}

func (s *stopping) receive(ctx context.Context) ([]message, error) {
	batch, err := s.input.receive(ctx)
	if s.after -= len(batch); s.after <= 0 {
		s.stop()
	}
	return batch, err
}

// run lets the consumer run until it is stopped, or until there are enough results, and a
// while longer.
func (p *place) run(t *testing.T, c *consumer, enough int, longer time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if s, is := c.in.(*stopping); is {
		s.stop, enough = stop, 1<<30
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for deadline := time.Now().Add(60 * time.Second); len(p.results.list()) < enough; {
		select {
		case err := <-ended:
			if err != nil || ctx.Err() == nil {
				t.Fatalf("the consumer ended: %v", err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d results, want %d", len(p.results.list()), enough)
		}
	}
	<-time.After(longer)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// says checks that there is an error with the words that help.
func says(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want: %s", err, words)
	}
}
