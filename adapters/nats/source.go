package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A SourceOpener opens sessions of one tap of a JetStream stream.
type SourceOpener struct {
	system *system
	id     bridge.Identity
	config SourceConfig
}

// Traits are what a tap of a stream promises.
func (o *SourceOpener) Traits() bridge.SourceTraits {
	return bridge.SourceTraits{
		Ordered: true, Durable: true, Replayable: true, SourceTime: true, Journals: true,
		Notes: []string{
			"The tap is a consumer without acknowledgements; the relay's position is a record in the stream " + checkpointStream(o.id.Bridge) + ".",
			"What the stream's limits remove before it is read is a gap: the relay stops and says so.",
		},
	}
}

// Describe names the tap.
func (o *SourceOpener) Describe() string { return "stream " + o.config.Stream }

// A source is a session of a tap.
type source struct {
	conn   *connection
	cfg    SourceConfig
	info   *jetstream.StreamInfo
	stream *bridge.Stream
	reader *reader
	gaps   gapWatch

	mu      sync.Mutex // guards what follows; not held across I/O
	unacked *window
	scanned place  // nothing that matches is between the newest delivery and here
	given   uint64 // nothing below waited when Receive was called last, or waited; 0 before
	marked  uint64 // the newest message of which a mark asks
	over    bool   // Receive has ended the session
	closed  bool

	ackMu sync.Mutex // one writer of the checkpoint at a time: Ack, Hold or Close
	point *checkpoint
	floor place
	wrote time.Time // when the latest write ended
	early []run     // Receive reads it too: what earlier sessions have settled above the floor
}

// Open begins a session: it takes the checkpoint over from any earlier session,
// whose acknowledgements are refused from then on, and reads on behind it.
func (o *SourceOpener) Open(ctx context.Context) (bridge.Source, error) {
	conn, err := o.system.connect(ctx, "crossfade "+o.id.String()+" source")
	if err != nil {
		return nil, err
	}
	s := &source{conn: conn, cfg: o.config, unacked: newWindow()}
	if err := s.open(ctx, o); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) open(ctx context.Context, o *SourceOpener) error {
	var err error
	if s.info, err = s.conn.tapped(ctx, &o.config); err != nil {
		return err
	}
	s.stream = originOf(s.info)
	if err := s.conn.standBy(ctx, o.id); err != nil {
		return err
	}
	if err := s.conn.answer(o.id); err != nil {
		return s.conn.failed(ctx, "answer for the relay", err)
	}
	if err := s.claim(ctx, o); err != nil {
		return err
	}
	s.scanned = s.floor
	s.gaps = gapWatch{at: s.floor.seq}
	s.reader, err = s.conn.openReader(ctx, readerConfig{
		stream: o.config.Stream, filters: o.config.Subjects, start: s.floor.seq + 1,
		maxPending: o.config.MaxPending, maxBytes: o.config.MaxBytes, metadata: ownMetadata(o.id, purposeTap),
	})
	return err
}

// standalone stands for the cluster of a server that is in none.
const standalone = "standalone"

// clusterOf is what JetStream calls the cluster that the stream lives in. A
// server that stands alone has no lasting name of its own; there the creation
// time of the stream tells it from all others.
func clusterOf(info *jetstream.StreamInfo) string {
	if info.Cluster == nil || info.Cluster.Name == "" {
		return standalone
	}
	return info.Cluster.Name
}

// tapped looks at the stream and refuses what cannot be tapped unseen.
func (c *connection) tapped(ctx context.Context, cfg *SourceConfig) (*jetstream.StreamInfo, error) {
	name := cfg.Stream
	s, err := c.js.Stream(ctx, name)
	if err != nil {
		err = c.failed(ctx, "stream "+name, err)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, bridge.Fatal(err, "There is no such stream; `nats stream ls` lists those of the account.")
		}
		return nil, err
	}
	info := s.CachedInfo()
	if r := info.Config.Retention; r != jetstream.LimitsPolicy {
		err := fmt.Errorf("%s: %s: stream %s: its retention is %s", Kind, c.system.name, name, retention(r))
		return nil, bridge.Fatal(err, consumedHint(name))
	}
	if most := info.Config.MaxConsumers; most > 0 && !cfg.Accept.Has(acceptConsumers) {
		err := fmt.Errorf("%s: %s: stream %s: it takes %d consumers at most (max_consumers) and has %d; the tap would be one more, and after a death one more for %v",
			Kind, c.system.name, name, most, info.State.Consumers, consumerLife)
		return nil, bridge.Fatal(err, "An application may not get its consumer then. Raise the limit; or, if there is room, write accept: ["+acceptConsumers+"].")
	}
	return info, nil
}

// consumedHint says why a stream whose messages go away when they were read is
// not tapped, and what can be done. A mirror has a consumer too, which keeps what
// the application has acknowledged for a second or, in a work queue, for ever
// once the mirror is gone.
func consumedHint(name string) string {
	return fmt.Sprintf("A reader of its own, and a mirror too, would keep messages that the application has acknowledged, until its producers are refused. "+
		"Let the stream republish into another one, and tap that: nats stream add %s-COPY --subjects 'copy-of.%s.>' --storage file --retention limits --discard old --max-bytes 1GB --defaults; "+
		"then nats stream edit %s --republish-source '>' --republish-destination 'copy-of.%s.>'. "+
		"The copy begins then; what cannot be stored there is missing from it, which messages with Nats-Expected headers are.", name, name, name, name)
}

func retention(r jetstream.RetentionPolicy) string {
	switch r {
	case jetstream.WorkQueuePolicy:
		return "work queue"
	case jetstream.InterestPolicy:
		return "interest"
	}
	return "limits"
}

// claim reads the relay's checkpoint, or begins one, and writes it anew, so that
// earlier sessions hold an outdated one.
func (s *source) claim(ctx context.Context, o *SourceOpener) error {
	point, m, found, err := s.conn.openCheckpoint(ctx, o.id, s.info.Config.Replicas)
	if err != nil {
		return err
	}
	switch {
	case found && madeAgain(&s.cfg, s.info, m):
		m = s.beginFirst()
	case found:
		err = s.verify(ctx, point, m)
	default:
		m, err = s.begin(ctx)
	}
	if err != nil {
		return err
	}
	if err := point.commit(ctx, m); err != nil {
		return err
	}
	s.point, s.floor, s.early = point, place{seq: m.Floor}, m.Early
	if !m.Time.IsZero() {
		s.floor.time = m.Time.UnixNano()
	}
	return nil
}

// madeAgain says that the stream is another one than the relay has read, and that
// this is accepted.
func madeAgain(c *SourceConfig, info *jetstream.StreamInfo, m mark) bool {
	return c.Accept.Has(acceptRecreated) && m.Stream == info.Config.Name && !m.Created.Equal(info.Created)
}

// verify compares the checkpoint with the stream as it is now.
func (s *source) verify(ctx context.Context, p *checkpoint, m mark) error {
	state := &s.info.State
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: stream %s: %s", Kind, s.conn.system.name, s.info.Config.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case m.Stream != s.info.Config.Name:
		return bridge.Fatal(wrong("the relay's checkpoint is of stream %s, up to %d", bridge.Printable(m.Stream, 64), m.Floor),
			"A relay's name stands for one stream: give the relay another name, or let it start afresh with "+p.forget()+".")
	case !m.Created.Equal(s.info.Created):
		return bridge.Fatal(wrong("it was created at %s, but the relay's checkpoint is of one created at %s",
			made(s.info.Created), made(m.Created)),
			"The stream was deleted and made again, so its positions mean something else; let the relay start afresh with "+p.forget()+", or write accept: ["+acceptRecreated+"] to copy what it holds now.")
	case m.Floor > state.LastSeq:
		return bridge.Fatal(wrong("it ends at %d, but the relay has copied up to %d", state.LastSeq, m.Floor),
			"The server has lost messages that it had confirmed (see sync_interval); let the relay start afresh with "+p.forget()+".")
	case m.Floor+1 < state.FirstSeq:
		return gapError(wrong("the messages from %d to %d were removed before the relay read them", m.Floor+1, state.FirstSeq-1), p)
	}
	if m.Floor < state.FirstSeq || m.Time.IsZero() {
		return nil
	}
	return s.sameHistory(ctx, p, m)
}

// sameHistory makes sure that the message at the floor is the one that the relay
// has copied: a server that lost what it had not synced gives out its sequences
// again.
func (s *source) sameHistory(ctx context.Context, p *checkpoint, m mark) error {
	stream, err := s.conn.js.Stream(ctx, m.Stream)
	if err != nil {
		return s.conn.failed(ctx, "stream "+m.Stream, err)
	}
	msg, err := stream.GetMsg(ctx, m.Floor)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // removed since
		return nil
	case err != nil:
		return s.conn.failed(ctx, fmt.Sprintf("stream %s: message %d", m.Stream, m.Floor), err)
	case !msg.Time.Equal(m.Time):
		return bridge.Fatal(fmt.Errorf("%s: %s: stream %s: message %d is of %s, but the relay has copied one of %s under that number", Kind, s.conn.system.name,
			m.Stream, m.Floor, msg.Time.UTC().Format(time.RFC3339Nano), m.Time.UTC().Format(time.RFC3339Nano)),
			"The server has lost messages that it had confirmed (see sync_interval); let the relay start afresh with "+p.forget()+".")
	}
	return nil
}

func gapError(err error, p *checkpoint) error {
	return bridge.Fatal(err, "The stream's limits were faster than the relay; widen them. To go on behind the gap, let the relay start afresh with "+p.forget()+".")
}

// Receive is as bridge.Source says.
func (s *source) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if len(into) == 0 {
		return 0, fmt.Errorf("%s: receive: no room for a delivery was given", Kind)
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	for {
		s.handled()
		n, err := s.some(ctx, into)
		if err != nil { // what came before it is void with the session
			return 0, s.fails(ctx, err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// some gives what has arrived, and waits if that is nothing. It may give nothing
// if all that came was settled by an earlier session.
func (s *source) some(ctx context.Context, into []bridge.Delivery) (n int, err error) {
	m, pos, err := s.first(ctx)
	for err == nil && m != nil {
		s.gaps.step(pos)
		if receipt, fresh := s.receipt(pos); fresh {
			d := &into[n]
			decode(m, pos, s.stream, &d.Message)
			if s.info.Config.AllowMsgTTL && len(m.Header) > 0 {
				expire(&d.Message, m.Header, time.Now())
			}
			d.Redelivered, d.Receipt = false, receipt
			d.Stored = bridge.Origin{Stream: s.stream, Offset: pos.stream}
			if n++; n == len(into) {
				break
			}
		}
		m, pos, err = s.reader.tryNext()
	}
	if err == nil {
		err = s.gaps.prove(context.WithoutCancel(ctx), s) // what is in hand would be lost to the session
	}
	return n, err
}

// fails says why Receive gives nothing. Unless ctx has ended the session has.
func (s *source) fails(ctx context.Context, err error) error {
	err = s.ended(ctx, err)
	if ctx.Err() == nil {
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
	}
	return err
}

// receipt begins a delivery. fresh is false if an earlier session has settled it.
func (s *source) receipt(pos position) (r bridge.Receipt, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := place{pos.stream, pos.time}
	s.scanned = p
	ticket := s.unacked.start(p)
	for _, e := range s.early {
		if e[0] <= p.seq && p.seq <= e[1] {
			s.unacked.skip(ticket)
			return r, false
		}
	}
	return bridge.Receipt{Seq: ticket}, true
}

// first waits for a message. While nothing comes it looks from time to time how
// far the stream was searched, so that a tap of few subjects does not stay behind
// on a busy stream.
func (s *source) first(ctx context.Context) (*nats.Msg, position, error) {
	if m, pos, err := s.reader.tryNext(); m != nil || err != nil {
		return m, pos, err
	}
	tick := time.NewTicker(idleLook)
	defer tick.Stop()
	for {
		m, pos, err := s.reader.next(ctx, tick.C)
		if m != nil || err != nil {
			return m, pos, err
		}
		if err := s.look(ctx); err != nil {
			return nil, pos, err
		}
	}
}

// ended says why the session has ended.
func (s *source) ended(ctx context.Context, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return bridge.ErrClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// Ack is as bridge.Source says. The low watermark goes into the checkpoint with
// one confirmed write. // I1
func (s *source) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	floor := s.settle(receipts)
	if floor.seq <= s.floor.seq {
		return s.ended(ctx, nil)
	}
	s.pace(ctx)
	if err := s.write(ctx, floor, above(s.early, floor.seq)); err != nil {
		return s.ended(ctx, err)
	}
	return nil
}

// ackEvery is the least time between two writes of the checkpoint. Whoever
// acknowledges waits so long, and has more to acknowledge the next time: the
// incumbent stores at most 200 records a second for a relay, whatever its load.
const ackEvery = 5 * time.Millisecond

// pace waits until the next write is due; ackMu is held.
func (s *source) pace(ctx context.Context) {
	wait := ackEvery - time.Since(s.wrote)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.conn.lost:
	}
}

// settle gives the place up to which everything is acknowledged.
func (s *source) settle(receipts []bridge.Receipt) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	floor := s.unacked.ack(receipts)
	if s.unacked.len() == 0 {
		return s.scanned
	}
	return floor
}

// write commits the floor; ackMu is held.
func (s *source) write(ctx context.Context, floor place, early []run) error {
	m := mark{Stream: s.info.Config.Name, Created: s.info.Created, Floor: floor.seq, Early: early}
	if floor.time != 0 {
		m.Time = time.Unix(0, floor.time).UTC()
	}
	if err := s.point.commit(ctx, m); err != nil {
		return err
	}
	s.floor, s.wrote = floor, time.Now()
	return nil
}

// Hold is as bridge.Holder says: the checkpoint is written anew, which only its
// newest holder can do. // I6
func (s *source) Hold(ctx context.Context) error {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	if err := s.write(ctx, s.floor, above(s.early, s.floor.seq)); err != nil {
		return s.ended(ctx, err)
	}
	return nil
}

// Close is as bridge.Source says.
func (s *source) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if !was {
		s.leave()
		s.reader.discard()
		s.conn.Close()
	}
	return nil
}

// leave writes what is acknowledged above the floor, so that it does not come
// again after an orderly end. If it cannot, it comes again.
func (s *source) leave() {
	if !s.ackMu.TryLock() {
		return // a write is on its way and may not come back
	}
	defer s.ackMu.Unlock()
	s.mu.Lock()
	early := s.unacked.early()
	s.mu.Unlock()
	if len(early) == 0 || len(early) > maxRuns || s.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	_ = s.write(ctx, s.floor, append(above(s.early, max(s.floor.seq, early[len(early)-1][1])), early...))
}

const (
	leaveTime = time.Second
	// maxRuns bounds the record of a checkpoint to what every server takes.
	maxRuns = 8192
)
