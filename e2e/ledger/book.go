package ledger

import (
	"fmt"
	"sync"
	"time"
)

// A state is what is known of a planned message at the incumbent.
type state uint8

const (
	unsent   state = iota
	sent           // perhaps stored
	returned       // to the producer, since no queue received it
	confirmed
	givenUp // by an operator: it has to be nowhere
)

// A Book keeps what the incumbent confirmed and what was found at one candidate.
// Its methods are safe for concurrent use.
type Book struct {
	Plan *Plan
	// Subject, where it is set, says where at the candidate a message of a key has
	// to be.
	Subject func(key string) string
	// Aside, where it is set, is asked about each message that carries no number of
	// the plan; true takes it out of the book. Called by one goroutine at a time.
	Aside func(m *Message) bool
	// Seen, where it is set, is told how long a message was on its way when it is found
	// first, from when it was sent. Called by one goroutine at a time.
	Seen func(onItsWay time.Duration)
	// Losses are what the incumbent does to messages before anybody can read them.
	Losses []Loss

	source *source

	mu       sync.Mutex
	seen     []uint8  // how often a number was found, up to 255
	newest   []uint32 // by key: the highest number found
	distinct int      // numbers that were found
	read     int
	faults   [kinds]tally
}

// A source is what is known of the plan at the incumbent.
type source struct {
	mu        sync.Mutex
	states    []state
	at        []int64 // when a message was sent, in nanoseconds since 1970
	confirmed int
	newest    int // number that was sent
	enough    bool
}

// NewBook opens an empty book.
func NewBook(p *Plan) *Book {
	return (&Book{Plan: p, source: &source{states: make([]state, p.Messages+1), at: make([]int64, p.Messages+1)}}).ForAnother()
}

// ForAnother opens a book for one more candidate of the same incumbent.
func (b *Book) ForAnother() *Book {
	return &Book{Plan: b.Plan, source: b.source, seen: make([]uint8, b.Plan.Messages+1), newest: make([]uint32, len(b.Plan.keys))}
}

// Sent notes that message n may be at the incumbent from now on.
func (b *Book) Sent(n int) {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.source.states[n] == unsent {
		b.source.states[n], b.source.at[n] = sent, time.Now().UnixNano()
	}
	b.source.newest = max(b.source.newest, n)
}

// Confirmed notes that the incumbent has message n.
func (b *Book) Confirmed(n int) {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.source.states[n] != confirmed {
		b.source.states[n] = confirmed
		b.source.confirmed++
	}
}

// Returned notes that no queue of the incumbent received message n.
func (b *Book) Returned(n int) {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	b.source.states[n] = returned
}

// Enough ends the production before the plan is at its end.
func (b *Book) Enough() {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	b.source.enough = true
}

// GoOn takes Enough back: who produces next goes on behind what was sent.
func (b *Book) GoOn() {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	b.source.enough = false
}

// next is the number behind those that were sent.
func (b *Book) next() int {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	return b.source.newest + 1
}

// GivenUp notes that message n, which the incumbent confirmed, must not be at the
// candidate any more: an operator gave it up.
func (b *Book) GivenUp(n int) {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.source.states[n] == confirmed {
		b.source.confirmed--
	}
	b.source.states[n] = givenUp
}

// Has says whether the incumbent confirmed message n.
func (b *Book) Has(n int) bool { return b.stateOf(n) == confirmed }

// Times is how often message n was found.
func (b *Book) Times(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.seen[n])
}

// more says whether message n is to be produced.
func (b *Book) more(n int) bool {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	return n <= b.Plan.Messages && !b.source.enough
}

// Produced is how many messages the incumbent confirmed so far.
func (b *Book) Produced() int {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	return b.source.confirmed
}

// Read is how many messages the candidate held so far.
func (b *Book) Read() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

// Complete says whether everything confirmed has been found.
func (b *Book) Complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	if b.distinct < b.source.confirmed {
		return false
	}
	for n, s := range b.source.states {
		if s == confirmed && b.seen[n] == 0 {
			return false
		}
	}
	return true
}

// since is how long ago message n was sent.
func (b *Book) since(n int) time.Duration {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	return time.Since(time.Unix(0, b.source.at[n]))
}

func (b *Book) stateOf(n int) state {
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	return b.source.states[n]
}

// Observe notes the next message of the candidate, in its order. The message is
// not kept.
func (b *Book) Observe(m *Message) {
	n := m.N
	if n < 1 || n >= len(b.seen) {
		if b.Aside != nil && b.Aside(m) {
			return
		}
		b.note(unexpected, m.Key, "%q id %q number %d body %.60q", m.Subject, m.ID, n, m.Body)
		return
	}
	planned := b.Plan.Message(n)
	for _, l := range b.Losses {
		l.apply(&planned)
	}
	difference := difference(&planned, m)
	if want := b.Subject; difference == "" && want != nil && want(planned.Key) != m.Subject {
		difference = fmt.Sprintf("is at %q, belongs at %q", m.Subject, want(planned.Key))
	}
	key := b.Plan.of[n].key
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read++
	if difference != "" {
		b.faults[altered].add(planned.Key, "%d: %s", n, difference)
	}
	switch at := b.stateOf(n); {
	case at == unsent, at == returned, at == givenUp:
		b.faults[unexpected].add(planned.Key, "%d was never sent, or returned, or given up", n)
	case b.seen[n] > 0:
		b.faults[duplicated].add(planned.Key, "%d came again, after %d", n, b.newest[key])
	case b.newest[key] > uint32(n):
		b.faults[reordered].add(planned.Key, "%d came after %d", n, b.newest[key])
	}
	if b.seen[n] == 0 {
		b.distinct++
		if b.Seen != nil {
			b.Seen(b.since(n))
		}
	}
	b.seen[n] = min(b.seen[n], 254) + 1
	b.newest[key] = max(b.newest[key], uint32(n))
}

// Unreadable notes a message of the candidate that cannot be read.
func (b *Book) Unreadable(subject string, err error) { b.note(altered, subject, "%v", err) }

func (b *Book) note(k kind, key, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read++
	b.faults[k].add(key, format, args...)
}

// Report says what the book shows now. What is confirmed and not found counts as
// lost.
func (b *Book) Report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.source.mu.Lock()
	defer b.source.mu.Unlock()
	r := Report{Confirmed: b.source.confirmed, Read: b.read}
	var lost tally
	for n, s := range b.source.states {
		switch s {
		case sent:
			r.Unknown++
		case returned:
			r.Returned++
		case confirmed:
			if b.seen[n] == 0 {
				key := b.Plan.of[n].key
				lost.add(b.Plan.keys[key], "%d; the newest of the key is %d", n, b.newest[key])
			}
		}
	}
	r.Lost = lost.finding()
	r.Duplicated = b.faults[duplicated].finding()
	r.Reordered = b.faults[reordered].finding()
	r.Altered = b.faults[altered].finding()
	r.Unexpected = b.faults[unexpected].finding()
	return r
}
