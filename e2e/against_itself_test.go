package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A place is compared with itself, while the process that compares is killed and the broker
// is restarted: whatever is found there, the comparison has made up.
func TestAgainstItself(t *testing.T) {
	for _, g := range generations {
		t.Run(g.name, func(t *testing.T) {
			aloneIfFull(t)
			for _, tap := range []string{quorum, stream} {
				t.Run(tap, func(t *testing.T) { againstItself(t, g, tap, brokers.KindRabbitMQ) })
			}
		})
	}
	t.Run(kafka, func(t *testing.T) {
		aloneIfFull(t)
		againstItself(t, rabbit3, kafka, brokers.KindKafka)
	})
	t.Run(jetStream, func(t *testing.T) {
		aloneIfFull(t)
		againstItself(t, rabbit3, jetStream, brokers.KindNATS)
	})
}

// A mirror is a scene without relays, in which one comparison reads a place twice.
type mirror struct {
	*scene
	books *ledger.Book
	crowd *crowd
	// two says that the sides are two places of the broker's, which may both have, or one
	// of them, or none, what it never confirmed.
	two bool
	// since is how many messages there were when the bridge was started last.
	since int
}

func againstItself(t *testing.T, g generation, place string, kind brokers.Kind) {
	m := newMirror(t, g, place, kind)
	rate := sized(400, 11_000)
	if place == quorum {
		rate = sized(400, 5000) // two queues of it, on a broker of two cores that is restarted
	}
	m.sizedLoad(ledger.Zipf10k, sized(15, 600)*rate, rate)
	m.pace.Window = sized(0, 8000)
	m.begin()
	began := time.Now()
	n := 2 * sized(3, 10)
	for i := range n {
		m.due(i, n)
		if i%2 == 0 {
			m.killBridge()
			m.since = m.stored()
		} else {
			m.note("restart of " + string(m.server(kind).Kind))
			m.do(m.server(kind).Restart)
		}
	}
	m.enough()
	took := time.Since(began)
	m.crowd.end()
	c := m.awaitJudged()
	if code := m.bridge.stop(t, 30*time.Second); code != 0 {
		t.Errorf("the bridge ended with exit code %d\n%s", code, m.bridge.logTail(20))
	}
	m.expectNothingFound(&c)
	m.notes = append(m.notes, fmt.Sprintf("%d messages in %s, %.0f/s; beside them %d under one key by %d senders, %d of which sent once more", m.books.Produced(),
		took.Round(100*time.Millisecond), float64(m.books.Produced())/took.Seconds(), m.crowd.sent.Load(), len(m.crowd.senders), m.crowd.repeats.Load()))
	m.print()
}

// newMirror has a comparison of a place with itself. Two taps store what comes by several
// connections in an order of their own: there the crowd has one, or both sides read one tap.
func newMirror(t *testing.T, g generation, place string, kind brokers.Kind) *mirror {
	t.Helper()
	m := &mirror{scene: newScene(t, g, "RabbitMQ, a "+place+" tap against itself", kind), two: place == quorum}
	in := m.intake(place)
	senders := 3
	switch place {
	case quorum:
		senders = 1
	case stream:
		in.block = strings.Replace(in.block, "tap: stream,", "tap: stream, shared_tap: both,", 1)
	default:
		m.title = place + " against itself"
	}
	id := ""
	if in.more != "" {
		id = ", " + in.more
	}
	m.compared = []string{fmt.Sprintf("  - {name: itself, incumbent: %s, candidate: %s%s, evidence: {most: 1000000, flight: 512MiB}}\n", in.block, in.block, id)}
	m.crowd = m.newCrowd(place, senders)
	return m
}

// begin starts the bridge and, once both sides are read, the load.
func (m *mirror) begin() {
	m.t.Helper()
	m.write()
	m.start()
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("the bridge's last words:\n%s", m.bridge.logTail(40))
		}
	})
	m.awaitComparison("both sides read", bothRead)
	m.t.Cleanup(m.sweep)
	m.books = ledger.NewBook(ledger.NewPlan(m.load))
	ctx, cancel := context.WithCancel(context.Background())
	m.t.Cleanup(cancel)
	m.produced = make(chan error, 1)
	go func() { m.produced <- m.produce(ctx, m.books, m.source, m.pace) }()
	m.crowd.begin()
	m.t.Cleanup(m.crowd.end)
}

// stored is how many messages the broker has confirmed.
func (m *mirror) stored() int { return m.books.Produced() + int(m.crowd.sent.Load()) }

// due waits for the moment of fault i of n, with messages being matched.
func (m *mirror) due(i, n int) {
	m.t.Helper()
	at := int((float64(i) + m.rng.Float64()) / float64(n) * float64(m.least))
	await(m.t, 10*patience, fmt.Sprintf("%d messages produced", at), func() bool { return m.producing() && m.books.Produced() >= at })
	m.awaitComparison("matching messages", func(c *comparisonStatus) bool { return m.producing() && bothRead(c) && c.Matched > 0 })
}

// producing fails a story whose load has come to its end too early.
func (m *mirror) producing() bool {
	m.t.Helper()
	select {
	case err := <-m.produced:
		m.t.Fatalf("the load ended while faults were still to come, at %d messages: %v", m.books.Produced(), err)
	default:
	}
	return true
}

// enough ends the load once it is as large as it has to be.
func (m *mirror) enough() {
	m.t.Helper()
	await(m.t, 100*patience, "the load produced", func() bool { return m.producing() && m.books.Produced() >= m.least })
	m.books.Enough()
	if err := <-m.produced; err != nil {
		m.t.Fatal(err)
	}
}

// expectNothingFound is the promise: no drift in any life of the bridge, and all that came
// since its last start matched, a producer's repeats included.
func (m *mirror) expectNothingFound(c *comparisonStatus) {
	m.t.Helper()
	torn := 0
	for _, d := range m.logged() {
		if !m.two || m.confirmed(d.key, d.id) {
			m.t.Errorf("found, where nothing is: %s", d.line)
		}
		torn++
	}
	if int(c.drifts()) > torn || torn == 0 && c.Verdict != "match" || c.Incumbent.Incomparable+c.Candidate.Incomparable > 0 {
		m.t.Errorf("%+v", *c)
	}
	if n := m.stored() - m.since; int(c.Matched+c.Incumbent.Repeats) < n { // repeats that were not read at one time are not matched
		m.t.Errorf("%d messages are matched and %d repeats, and %d were stored since the last start", c.Matched, c.Incumbent.Repeats, n)
	}
	m.notes = append(m.notes, fmt.Sprintf("matched %d and %d repeats since the last start, of %d and %d observed, %d before the beginning; drift 0", c.Matched, c.Incumbent.Repeats, c.Incumbent.Observed, c.Candidate.Observed, c.Candidate.Before))
	if torn > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%d messages were never confirmed, and only one of the two taps has them", torn))
	}
}

// confirmed says that the broker confirmed every message of that key and ID.
func (m *mirror) confirmed(key, id string) bool {
	if key == crowdKey {
		return !m.crowd.unsure[id]
	}
	return confirmed(m.books, key, id)
}

// confirmed says it of a book's load.
func confirmed(b *ledger.Book, key, id string) bool {
	for n := 1; n <= b.Plan.Messages; n++ {
		if b.Plan.Name(n) == key && b.Plan.ID(n) == id {
			return b.Has(n)
		}
	}
	return true
}
