package ledger

import (
	"fmt"
	"sync"
)

// A state is what is known of a planned message at the incumbent.
type state uint8

const (
	unsent state = iota
	sent         // perhaps stored
	confirmed
)

// A Book keeps what the incumbent confirmed and what was found at the candidate.
// Its methods are safe for concurrent use.
type Book struct {
	Plan *Plan
	// Subject, where it is set, says where at the candidate a message has to be.
	Subject func(name string) string

	mu        sync.Mutex
	states    []state
	seen      []uint8  // how often a number was found, up to 255
	newest    []uint32 // by key: the highest number found
	confirmed int
	found     int // confirmed ones that were found
	read      int
	faults    [kinds]tally
}

// NewBook opens an empty book.
func NewBook(p *Plan) *Book {
	return &Book{
		Plan: p, states: make([]state, p.Messages+1), seen: make([]uint8, p.Messages+1), newest: make([]uint32, len(p.keys)),
	}
}

// Sent notes that message n may be at the incumbent from now on.
func (b *Book) Sent(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states[n] == unsent {
		b.states[n] = sent
	}
}

// Confirmed notes that the incumbent has message n.
func (b *Book) Confirmed(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states[n] == confirmed {
		return
	}
	b.states[n] = confirmed
	b.confirmed++
	if b.seen[n] > 0 {
		b.found++
	}
}

// Progress is how many messages the incumbent confirmed, how many of those were
// found at the candidate, and how many the candidate held in all.
func (b *Book) Progress() (confirmed, found, read int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.confirmed, b.found, b.read
}

// Observe notes the next message of the candidate, in its order. The message is
// not kept.
func (b *Book) Observe(m *Message) {
	n := m.N
	if n < 1 || n >= len(b.seen) {
		b.note(unexpected, m.Key, "%q id %q number %d body %.60q", m.Subject, m.ID, n, m.Body)
		return
	}
	planned := b.Plan.Message(n)
	difference := difference(&planned, m)
	if want := b.Subject; difference == "" && want != nil && want(planned.Name) != m.Subject {
		difference = fmt.Sprintf("is at %q, belongs at %q", m.Subject, want(planned.Name))
	}
	key := b.Plan.of[n].key
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read++
	if difference != "" {
		b.faults[altered].add(planned.Key, "%d: %s", n, difference)
	}
	switch {
	case b.states[n] == unsent:
		b.faults[unexpected].add(planned.Key, "%d was never sent", n)
	case b.seen[n] > 0:
		b.faults[duplicated].add(planned.Key, "%d came again, after %d", n, b.newest[key])
	case b.newest[key] > uint32(n):
		b.faults[reordered].add(planned.Key, "%d came after %d", n, b.newest[key])
	}
	if b.seen[n] == 0 && b.states[n] == confirmed {
		b.found++
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
	r := Report{Confirmed: b.confirmed, Read: b.read}
	var lost tally
	for n := 1; n < len(b.states); n++ {
		switch b.states[n] {
		case sent:
			r.Unknown++
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
