package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// consumerLife is how long the server keeps a consumer that nobody pulls from,
	// so it bounds for how long a relay may be held up without a new session.
	consumerLife = 10 * time.Minute
	pullExpires  = 30 * time.Second
	pullBeat     = 2 * time.Second
	// probeExpires and probeBeat are those of a request that is made for the sake of
	// its heartbeat.
	probeExpires = 100 * time.Millisecond
	probeBeat    = 25 * time.Millisecond
	// silence is how long an open pull request may stay without a word, of which
	// the server owes one every pullBeat.
	silence = 15 * time.Second
)

// What a reader of a stream is asked for.
type readerConfig struct {
	stream      string
	filters     []string
	start       uint64 // the first sequence
	headersOnly bool
	maxPending  int
	maxBytes    int
	metadata    map[string]string // marks the consumer as the bridge's own
}

// A position is what JetStream says beside a message.
type position struct {
	stream, consumer uint64 // sequences
	time             int64  // nanoseconds since 1970
	pending          uint64 // how many matching messages the stream holds behind it
}

// A reader reads a stream in order from a sequence on, through a consumer of its
// own that nobody acknowledges to and that goes away with the session. It keeps
// two pull requests open, so the server always has room to send. The sequence
// of the consumer proves that nothing is missing. One caller at a time.
//
//	stream ──► consumer ──► two pull requests ──► arrived (maxPending) ──► next
type reader struct {
	conn     *connection
	cfg      readerConfig
	name     string // of the consumer
	inbox    string // "_INBOX.x." and the number of a pull request
	pull     string // the subject to pull at
	sub      *nats.Subscription
	arrived  chan *nats.Msg
	batch    int
	wanted   int       // asked for and not yet taken out of arrived
	pulls    uint64    // requests made
	seen     uint64    // the consumer's sequence of the newest message taken
	searched uint64    // up to this sequence of the stream nothing is left to take
	backlog  uint64    // what matched when the consumer was made
	heard    time.Time // when something was taken out of arrived, or a request made with none open
	timer    *time.Timer
}

// openReader makes the consumer and asks for the first messages.
func (c *connection) openReader(ctx context.Context, cfg readerConfig) (*reader, error) {
	r := &reader{conn: c, cfg: cfg, batch: max(1, cfg.maxPending/2), searched: max(1, cfg.start) - 1}
	consumer, err := c.js.CreateConsumer(ctx, cfg.stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, cfg.start),
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: cfg.filters, HeadersOnly: cfg.headersOnly,
		InactiveThreshold: consumerLife, MemoryStorage: true, Replicas: 1,
		Metadata: cfg.metadata,
	})
	if err != nil {
		return nil, c.failed(ctx, "stream "+cfg.stream+": make a consumer", err)
	}
	info := consumer.CachedInfo()
	r.name, r.backlog = info.Name, info.NumPending
	r.pull = c.api + "CONSUMER.MSG.NEXT." + cfg.stream + "." + r.name
	r.inbox = c.NewInbox() + "."
	// Beside messages there is room for what the server says about each request.
	r.arrived = make(chan *nats.Msg, 2*r.batch+64)
	if r.sub, err = c.ChanSubscribe(r.inbox+"*", r.arrived); err != nil {
		return nil, c.failed(ctx, "stream "+cfg.stream+": subscribe", err)
	}
	if err := r.ask(); err != nil {
		return nil, err
	}
	return r, nil
}

// ask keeps up to two requests open.
func (r *reader) ask() error {
	for r.wanted <= r.batch {
		if r.wanted <= 0 { // until now the server owed nothing
			r.heard = time.Now()
		}
		if err := r.request(pullRequest{r.batch, r.bytes(), pullExpires, pullBeat}); err != nil {
			return err
		}
	}
	return nil
}

// probe has the server search the stream once more and say soon how far that is. What
// it finds may come as the answer.
func (r *reader) probe() error {
	return r.request(pullRequest{Batch: 1, Expires: probeExpires, Beat: probeBeat})
}

// A pullRequest is what a consumer is asked.
type pullRequest struct {
	Batch   int           `json:"batch"`
	Bytes   int           `json:"max_bytes,omitempty"`
	Expires time.Duration `json:"expires"`
	Beat    time.Duration `json:"idle_heartbeat"`
}

func (r *reader) request(p pullRequest) error {
	request, err := json.Marshal(p)
	if err != nil {
		return err
	}
	r.pulls++
	if err := r.conn.PublishRequest(r.pull, r.inbox+strconv.FormatUint(r.pulls, 36), request); err != nil {
		return r.conn.failed(context.Background(), "stream "+r.cfg.stream+": pull", err)
	}
	r.wanted += p.Batch
	return nil
}

// bytes bounds one request, but never so that the largest message cannot come.
func (r *reader) bytes() int {
	if r.cfg.maxBytes == 0 {
		return 0
	}
	return max(r.cfg.maxBytes/2, int(r.conn.MaxPayload())+64<<10)
}

// tryNext gives the next message if it has arrived; nil if not.
func (r *reader) tryNext() (*nats.Msg, position, error) {
	for {
		select {
		case m := <-r.arrived:
			if pos, ok, err := r.take(m); ok || err != nil {
				return m, pos, err
			}
		default:
			return nil, position{}, r.ask()
		}
	}
}

// next waits for the next message. tick, if not nil, wakes it up: then it gives
// nil without an error.
func (r *reader) next(ctx context.Context, tick <-chan time.Time) (*nats.Msg, position, error) {
	if m, pos, err := r.tryNext(); m != nil || err != nil {
		return m, pos, err
	}
	// The caller's tick is no word of the server's: what is left of the silence is
	// counted from the last arrival.
	if left := silence - time.Since(r.heard); r.timer == nil {
		r.timer = time.NewTimer(left)
	} else {
		r.timer.Reset(left)
	}
	defer r.timer.Stop()
	for {
		select {
		case m := <-r.arrived:
			if pos, ok, err := r.take(m); ok || err != nil {
				return m, pos, err
			}
			r.timer.Reset(silence)
			if err := r.ask(); err != nil {
				return nil, position{}, err
			}
		case <-tick:
			return nil, position{}, nil
		case <-ctx.Done():
			return nil, position{}, context.Cause(ctx)
		case <-r.conn.lost:
			return nil, position{}, r.conn.cause()
		case <-r.conn.broken:
			return nil, position{}, r.conn.cause()
		case <-r.timer.C:
			return nil, position{}, fmt.Errorf("%s: %s: stream %s: the server has not said a word for %v", Kind, r.conn.system.name, r.cfg.stream, silence)
		}
	}
}

// take looks at what has arrived: a message (ok) or what the server says about a
// request.
func (r *reader) take(m *nats.Msg) (pos position, ok bool, err error) {
	r.heard = time.Now()
	if m.Reply == "" && strings.HasPrefix(m.Subject, r.inbox) {
		return pos, false, r.status(m)
	}
	if pos, ok = parsePosition(m.Reply); !ok {
		return pos, false, fmt.Errorf("%s: %s: stream %s: %q does not say where a message stands", Kind, r.conn.system.name, r.cfg.stream, m.Reply)
	}
	if pos.consumer != r.seen+1 {
		return pos, false, fmt.Errorf("%s: %s: stream %s: delivery %d came behind delivery %d: messages were dropped on the way", Kind, r.conn.system.name, r.cfg.stream, pos.consumer, r.seen)
	}
	r.seen++
	r.searched = pos.stream
	r.wanted--
	return pos, true, nil
}

// status takes what the server says about a request.
func (r *reader) status(m *nats.Msg) error {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case code == "100":
		r.beat(m.Header)
		return nil
	case code == "404", code == "408", code == "409" && (strings.HasPrefix(text, "Message Size Exceeds") || strings.HasPrefix(text, "Batch Completed")):
		left, _ := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		r.wanted -= left
		return nil
	case code == "503":
		return fmt.Errorf("%s: %s: stream %s: the consumer is gone", Kind, r.conn.system.name, r.cfg.stream)
	}
	return fmt.Errorf("%s: %s: stream %s: the server ended the reading: %s %s", Kind, r.conn.system.name, r.cfg.stream, code, bridge.Printable(text, 80))
}

// beat takes a heartbeat. It says how far the server has searched the stream and how
// much it has delivered of that: once all of it was taken, nothing is left up to there.
// A consumer's num_pending is no proof of that: the server counts a message a moment
// after it has confirmed it.
func (r *reader) beat(h nats.Header) {
	delivered, err1 := strconv.ParseUint(h.Get("Nats-Last-Consumer"), 10, 64)
	searched, err2 := strconv.ParseUint(h.Get("Nats-Last-Stream"), 10, 64)
	if err1 == nil && err2 == nil && delivered == r.seen {
		r.searched = max(r.searched, searched)
	}
}

// until reads what the stream held when the reader was opened, up to the
// sequence last, and calls each with it.
func (r *reader) until(ctx context.Context, last uint64, each func(*nats.Msg, position) error) error {
	if r.backlog == 0 {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		m, pos, err := r.next(ctx, tick.C)
		switch {
		case err != nil:
			return err
		case m == nil: // what was there may have been removed in the meantime
			if r.searched >= last {
				return nil
			}
			if err := r.probe(); err != nil {
				return err
			}
			continue
		case pos.stream > last:
			return nil
		}
		if err := each(m, pos); err != nil {
			return err
		}
		if pos.stream == last || pos.pending == 0 {
			return nil
		}
	}
}

// info asks for the consumer's state.
func (r *reader) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	consumer, err := r.conn.js.Consumer(ctx, r.cfg.stream, r.name)
	if err != nil {
		return nil, r.conn.failed(ctx, "stream "+r.cfg.stream+": ask for the consumer", err)
	}
	return consumer.CachedInfo(), nil
}

// closeFlush is how long discard waits for the server to read.
const closeFlush = 250 * time.Millisecond

// forget asks the server to forget the consumer and does not wait for it. If it
// does not hear of it the consumer goes by itself, in consumerLife.
func (r *reader) forget() {
	_ = r.sub.Unsubscribe()
	_ = r.conn.Publish(r.conn.api+"CONSUMER.DELETE."+r.cfg.stream+"."+r.name, nil)
}

// discard is forget in front of the connection's end, so it waits a moment. It
// cuts the connection if the server does not read.
func (r *reader) discard() {
	defer time.AfterFunc(closeFlush, r.conn.cut).Stop()
	r.forget()
	_ = r.conn.FlushTimeout(closeFlush)
}

// parsePosition reads the reply subject of a delivery, in either of its forms:
//
//	$JS.ACK.STREAM.CONSUMER.TIMES.STREAMSEQ.CONSUMERSEQ.TIME.PENDING
//	$JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.TIMES.STREAMSEQ.CONSUMERSEQ.TIME.PENDING[.MORE…]
func parsePosition(reply string) (position, bool) {
	const prefix = "$JS.ACK."
	if !strings.HasPrefix(reply, prefix) {
		return position{}, false
	}
	skip := 3
	switch dots := strings.Count(reply, "."); {
	case dots == 8:
	case dots >= 10:
		skip = 5
	default:
		return position{}, false
	}
	rest := reply[len(prefix):]
	for range skip {
		_, rest, _ = strings.Cut(rest, ".")
	}
	var n [4]uint64
	for i := range n {
		var token string
		token, rest, _ = strings.Cut(rest, ".")
		v, err := strconv.ParseUint(token, 10, 64)
		if err != nil {
			return position{}, false
		}
		n[i] = v
	}
	return position{stream: n[0], consumer: n[1], time: int64(n[2]), pending: n[3]}, true
}
