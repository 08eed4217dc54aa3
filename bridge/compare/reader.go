package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A desk is what the readers of a comparison have in common.
type desk struct {
	name   string
	log    *slog.Logger
	epoch  time.Time
	limits Limits

	mu sync.Mutex // guards the comparison's state and that of its readers; never held across I/O
}

func newDesk(name string, limits Limits, log *slog.Logger) desk {
	return desk{name: name, log: log.With("comparison", name), epoch: time.Now().Add(-time.Second), limits: limits}
}

// now is the time since the epoch, which is never 0.
func (d *desk) now() time.Duration { return time.Since(d.epoch) }

// at is a time of the comparison as others know it; zero for 0.
func (d *desk) at(since time.Duration) time.Time {
	if since == 0 {
		return time.Time{}
	}
	return d.epoch.Add(since)
}

// A reader reads one stream: it hands on what comes, once each, and acknowledges what is
// judged. Sessions that break are opened again, for as long as it takes.
type reader struct {
	*desk
	name     string // of the side, for a person
	stream   *Stream
	observe  func(d *bridge.Delivery, read time.Time) drift.Observation // the receiving goroutine's
	take     func(fresh []bridge.Delivery, obs []drift.Observation, read time.Time)
	full     func() bool // no more may be taken; take and full are called with the desk's mutex held
	buf      []bridge.Delivery
	obs      []drift.Observation
	sessions func() // a session began; the mutex is held

	// The desk's mutex guards what follows.
	unjudged *unjudged
	marks    marks
	acks     []bridge.Receipt // to be acknowledged
	released time.Duration    // what was observed before is, or will be with these
	settling settling
	heard    time.Duration // the session's system has read what was acknowledged by then
	asked    time.Duration // it has answered what it holds; 0 has not yet
	mute     string        // why it did not, the last time
	opened   time.Duration // when the first session had been opened; 0 is not yet
	finished bool          // it was finite, and is read to its end
	last     time.Duration // when something was observed last
	link     link

	acker chan struct{} // there is something to acknowledge
	room  chan struct{} // there may be room to observe
}

// A link is what is known of the connection to one side.
type link struct {
	up      bool
	since   time.Time
	err     error
	attempt int
	next    time.Time
}

// batch is how many deliveries are received at once.
const batch = 512

func newReader(d *desk, name string, stream *Stream) *reader {
	return &reader{
		desk: d, name: name, stream: stream, unjudged: newUnjudged(),
		buf: make([]bridge.Delivery, batch), obs: make([]drift.Observation, 0, batch),
		acker: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// run reads until ctx ends, the stream is exhausted or nothing mends it. opened is called
// when the first session is open.
func (r *reader) run(ctx context.Context, opened func()) error {
	limits := &r.limits
	var once sync.Once
	attempt, wait := 0, limits.Backoff
	for {
		moved, err := r.session(ctx, func() { once.Do(opened) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errExhausted):
			return nil
		case bridge.ClassOf(err) == bridge.Stopping:
			return err
		}
		if attempt++; moved {
			attempt, wait = 1, limits.Backoff
		}
		r.down(err, attempt, wait)
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(2*wait, limits.BackoffMax)
	}
}

var errExhausted = errors.New("the stream is exhausted")

// session reads until the session ends.
func (r *reader) session(ctx context.Context, opened func()) (moved bool, err error) {
	src, err := r.stream.Open(ctx)
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	_, unanswered := src.(bridge.Settler)
	r.begin(unanswered)
	opened()
	work, end := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { end(r.acknowledge(work, src)) })
	if b, ok := src.(bridge.Backlogger); ok {
		wg.Go(func() { end(r.mark(work, src, b)) })
	}
	moved, err = r.receive(work, src)
	if errors.Is(err, errExhausted) {
		r.finish()
		<-work.Done() // what is judged by then is acknowledged
	}
	if cause := context.Cause(work); cause != nil && !errors.Is(err, errExhausted) {
		err = cause
	}
	end(nil)
	wg.Wait()
	return moved, errors.Join(err, closed(src.Close()))
}

// closed is what is to be said of a session's end.
func closed(err error) error {
	if err == nil || bridge.ClassOf(err) != bridge.Stopping {
		return nil
	}
	return err
}

// begin notes that a session is open.
func (r *reader) begin(unanswered bool) {
	r.mu.Lock()
	back, down := r.link.err != nil, time.Since(r.link.since)
	r.link = link{up: true, since: time.Now()}
	r.unjudged.begin()
	r.marks.reset()
	r.settling.reset()
	if r.heard = 0; !unanswered {
		r.heard = always
	}
	r.acks = r.acks[:0]
	r.sessions()
	if r.opened == 0 {
		r.opened = r.now()
	}
	r.mu.Unlock()
	if back {
		r.log.Info("resumed", "side", r.name, "after", down.Round(time.Millisecond))
	}
}

func (r *reader) down(err error, attempt int, wait time.Duration) {
	r.mu.Lock()
	first := r.link.up || r.link.err == nil
	if first {
		r.link.since = time.Now()
	}
	r.link.up, r.link.err, r.link.attempt, r.link.next = false, err, attempt, time.Now().Add(wait)
	r.mu.Unlock()
	if first {
		r.log.Warn("waiting", "side", r.name, "why", bridge.Printable(err.Error(), 400), "next_attempt_in", wait)
	}
}

func (r *reader) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
}

// receive observes until the session ends.
func (r *reader) receive(ctx context.Context, src bridge.Source) (moved bool, err error) {
	for {
		if err := r.waitForRoom(ctx); err != nil {
			return moved, err
		}
		n, err := src.Receive(ctx, r.buf)
		if err == io.EOF { //nolint:errorlint // a wrapped one is a connection that broke
			return moved, errExhausted
		}
		if err != nil {
			return moved, fmt.Errorf("receive: %w", err)
		}
		r.handle(r.buf[:n])
		moved = true
	}
}

// waitForRoom blocks while no more may be taken.
func (r *reader) waitForRoom(ctx context.Context) error {
	for {
		r.mu.Lock()
		full := r.full()
		r.mu.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !full {
			return nil
		}
		select {
		case <-r.room:
		case <-ctx.Done():
		}
	}
}

// handle hands on deliveries that were not handed on before.
func (r *reader) handle(ds []bridge.Delivery) {
	read := time.Now()
	r.obs = r.obs[:0]
	for i := range ds {
		if r.stream.Identify != nil {
			r.stream.Identify(&ds[i])
		}
		r.obs = append(r.obs, r.observe(&ds[i], read))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = read.Sub(r.epoch)
	n := 0
	for i := range ds {
		known, judged := r.unjudged.know(&ds[i], &r.obs[i])
		switch {
		case judged && known:
			r.acks = append(r.acks, ds[i].Receipt)
		case !known:
			r.unjudged.add(&ds[i], &r.obs[i])
			ds[n], r.obs[n] = ds[i], r.obs[i]
			n++
		}
	}
	r.take(ds[:n], r.obs[:n], read)
}

// release lets go of what was observed before a time; the desk's mutex is held.
func (r *reader) release(before time.Duration) {
	if bridge.Planted(bridge.BugAckUnjudged) {
		before = always
	}
	r.settling.look(r.now(), r.heard, r.link.up && (r.marks.given || r.finished))
	r.acks, r.released = r.unjudged.take(before, r.acks), before
	signal(r.acker)
	signal(r.room)
}

// starved is how long nothing comes of what the source holds until it is taken to wait for
// acknowledgements.
const starved = 2 * time.Second

// overfull says that nearly as many messages are not acknowledged as the source takes, or
// as many as may be held, and until when those were observed that have to be let go; the
// desk's mutex is held.
func (r *reader) overfull(now time.Duration) (before time.Duration, over bool) {
	most, bound := r.limits.Pending, r.stream.Traits.Unacked*3/4
	if bound > 0 {
		most = min(most, bound)
		if waits := r.link.up && !r.full() && now-r.last >= starved && r.marks.since(now-starved); waits { // it takes fewer than it said
			most = min(most, r.unjudged.n/2)
		}
	}
	if r.unjudged.n <= most {
		return 0, false
	}
	return r.unjudged.nth(r.unjudged.n-most/2) + 1, true
}

// acknowledge passes on what is let go, until the session ends.
func (r *reader) acknowledge(ctx context.Context, src bridge.Source) error {
	var acks []bridge.Receipt
	for {
		select {
		case <-r.acker:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.mu.Lock()
		acks, r.acks = r.acks, acks[:0]
		upTo := r.released
		r.mu.Unlock()
		if len(acks) > 0 {
			if err := src.Ack(ctx, acks); err != nil {
				return fmt.Errorf("acknowledge: %w", err)
			}
			clear(acks)
		}
		r.mu.Lock()
		r.settling.acknowledged(upTo, r.now())
		r.mu.Unlock()
	}
}

// How often a system is asked what it holds, and how long it may think.
const (
	markEvery    = 500 * time.Millisecond
	markPatience = 10 * time.Second
)

// mark asks the system what it holds, until the session ends.
func (r *reader) mark(ctx context.Context, src bridge.Source, b bridge.Backlogger) error {
	t := time.NewTicker(markEvery)
	defer t.Stop()
	for {
		asked := r.now()
		patient, cancel := context.WithTimeout(ctx, markPatience)
		given, err := b.Mark(patient)
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errors.ErrUnsupported):
			return bridge.Fatal(fmt.Errorf("the source cannot tell when everything has been read: %w", err), "Compare a stream or a tap of the comparison's own.")
		case err != nil && bridge.ClassOf(err) == bridge.Stopping:
			return err
		}
		r.answered(asked, given, err)
		r.hear(ctx, src, asked)
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hear notes that the system has read what was acknowledged before a time, if it says so.
// If it does not, nothing counts as let go, and a session that is dead ends by itself.
func (r *reader) hear(ctx context.Context, src bridge.Source, before time.Duration) {
	s, ok := src.(bridge.Settler)
	if !ok {
		return
	}
	patient, cancel := context.WithTimeout(ctx, markPatience)
	defer cancel()
	if s.Settled(patient) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = max(r.heard, before)
}

// answered notes what became of a question.
func (r *reader) answered(asked time.Duration, given func() bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.mute == "" {
			r.log.Warn("the system does not tell what it holds", "side", r.name, "why", bridge.Printable(err.Error(), 400))
		}
		r.mute = bridge.Printable(oneLine(err), 400)
		return
	}
	r.mute = ""
	r.asked = asked
	r.marks.add(asked, given)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits and says whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
