package e2e

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// An application is what runs at the incumbent before any bridge comes: a
// producer with confirms whose messages are mandatory, and a consumer for each of
// its queues. It speaks with a client of its own and forgives nothing: a refusal,
// a return, a block, a lost connection, a message that is missing, comes twice,
// out of turn or altered is an error.
type application struct {
	t         *testing.T
	book      *ledger.Book // of what was produced
	producer  *amqp.Channel
	confirms  chan amqp.Confirmation
	consumers []*consumer
	sent      int

	mu       sync.Mutex
	troubles []string
	closing  bool
}

// A consumer reads one queue of the application.
type consumer struct {
	queue string
	book  *ledger.Book

	mu   sync.Mutex
	last int // number of the message
}

// startApplication opens the producer, for the plan of the load, and a consumer
// for each queue.
func startApplication(t *testing.T, url string, load ledger.Load, queues ...string) *application {
	t.Helper()
	a := &application{t: t, book: ledger.NewBook(ledger.NewPlan(load))}
	a.producer = a.open("producer", url)
	a.confirms = a.producer.NotifyPublish(make(chan amqp.Confirmation, load.Messages))
	returns := a.producer.NotifyReturn(make(chan amqp.Return, 1))
	go func() { // ends with the connection
		for r := range returns {
			a.trouble("a message was returned: %d %s", r.ReplyCode, r.ReplyText)
		}
	}()
	if err := a.producer.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		c := &consumer{queue: q, book: a.book.ForAnother()}
		ch := a.open("consumer of "+q, url)
		if err := ch.Qos(200, 0, false); err != nil {
			t.Fatal(err)
		}
		deliveries, err := ch.Consume(q, "", false, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.consumers = append(a.consumers, c)
		go func() { // ends with the connection
			for d := range deliveries {
				a.consume(c, &d)
			}
		}()
	}
	return a
}

// open opens a connection with a channel, and watches both.
func (a *application) open(who, url string) *amqp.Channel {
	a.t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		a.mu.Lock()
		a.closing = true
		a.mu.Unlock()
		_ = conn.Close()
	})
	ch, err := conn.Channel()
	if err != nil {
		a.t.Fatal(err)
	}
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	cancelled := ch.NotifyCancel(make(chan string, 1))
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	channelClosed := ch.NotifyClose(make(chan *amqp.Error, 1))
	for what, wait := range map[string]func() (any, bool){
		"was blocked":         func() (any, bool) { b, ok := <-blocked; return b.Reason, ok && b.Active },
		"was cancelled":       func() (any, bool) { tag, ok := <-cancelled; return tag, ok },
		"lost its connection": func() (any, bool) { err := <-closed; return err, true },
		"lost its channel":    func() (any, bool) { err := <-channelClosed; return err, true },
	} {
		go func() { // ends with the connection
			if why, is := wait(); is {
				a.trouble("the %s %s: %v", who, what, why)
			}
		}()
	}
	return ch
}

func (a *application) trouble(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closing && len(a.troubles) < 20 {
		a.troubles = append(a.troubles, fmt.Sprintf(format, args...))
	}
}

// consume wants each message of the plan, in its order.
func (a *application) consume(c *consumer, d *amqp.Delivery) {
	var n int
	_, _ = fmt.Sscan(fmt.Sprint(d.Headers[ledger.NumberHeader]), &n)
	c.book.ObserveAMQP(d)
	if d.Redelivered {
		a.trouble("%s: %d was redelivered", c.queue, n)
	}
	if err := d.Ack(false); err != nil {
		a.trouble("%s: acknowledge %d: %v", c.queue, n, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n != c.last+1 {
		a.trouble("%s: %d came after %d", c.queue, n, c.last)
	}
	c.last = n
}

// A measure is how it went for the producer.
type measure struct {
	rate        float64       // messages a second
	median, p99 time.Duration // from publishing to the confirm
}

// inFlight is how many messages a producer has unconfirmed.
const inFlight = 200

// produce publishes the next messages of the plan and waits until all are
// confirmed.
func (a *application) produce(messages int) measure {
	a.t.Helper()
	sentAt := make([]time.Time, 0, messages)
	took := make([]time.Duration, 0, messages)
	first, began := a.sent+1, time.Now()
	settle := func() {
		select {
		case c, ok := <-a.confirms:
			n := int(c.DeliveryTag)
			if !ok || n < first || n > a.sent {
				a.t.Fatalf("a confirm of %d, want %d to %d; %v", n, first, a.sent, a.troubles)
			}
			if !c.Ack {
				a.trouble("message %d was refused", n)
			}
			a.book.Confirmed(n)
			took = append(took, time.Since(sentAt[n-first]))
		case <-time.After(patience):
			a.t.Fatalf("no confirm within %s", patience)
		}
	}
	for range messages {
		for a.sent-first+1-len(took) >= inFlight {
			settle()
		}
		n := a.sent + 1
		a.book.Sent(n)
		sentAt = append(sentAt, time.Now())
		if err := a.producer.Publish(a.book.Plan.Space, a.book.Plan.Name(n), true, false, a.book.Plan.Publishing(n)); err != nil {
			a.t.Fatalf("publish: %v; %v", err, a.troubles)
		}
		a.sent = n
	}
	for len(took) < messages {
		settle()
	}
	m := measure{rate: float64(messages) / time.Since(began).Seconds()}
	slices.Sort(took)
	m.median, m.p99 = took[len(took)/2], took[len(took)*99/100]
	return m
}

// trickle publishes slowly for a while, as an application does most of the time.
func (a *application) trickle(ctx context.Context, d time.Duration) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a.produce(1)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// unharmed waits until the consumers have everything, and fails with what went
// wrong for any of them.
func (a *application) unharmed(phase string) {
	a.t.Helper()
	for _, c := range a.consumers {
		for deadline := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
			c.mu.Lock()
			last := c.last
			c.mu.Unlock()
			if last >= a.sent {
				break
			}
			if time.Now().After(deadline) {
				a.trouble("%s: %d of %d came", c.queue, last, a.sent)
				break
			}
		}
		if r := c.book.Report(); !r.Clean() || r.Read != a.sent || r.Confirmed != a.sent {
			a.trouble("%s: %s", c.queue, r.String())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.troubles) > 0 {
		a.t.Fatalf("%s: the application noticed:\n%s", phase, strings.Join(a.troubles, "\n"))
	}
}

// medianOf is the measure whose rate is in the middle, with the middle of the
// others' latencies.
func medianOf(ms []measure) measure {
	by := func(f func(measure) float64) float64 {
		v := make([]float64, len(ms))
		for i, m := range ms {
			v[i] = f(m)
		}
		slices.SortFunc(v, cmp.Compare)
		return v[len(v)/2]
	}
	return measure{
		rate:   by(func(m measure) float64 { return m.rate }),
		median: time.Duration(by(func(m measure) float64 { return float64(m.median) })),
		p99:    time.Duration(by(func(m measure) float64 { return float64(m.p99) })),
	}
}
