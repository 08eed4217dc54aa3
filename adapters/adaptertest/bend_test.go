package adaptertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// bend is what a mutant does otherwise than memory; nil is as memory does.
type bend struct {
	from     func(*bridge.SourceTraits)
	to       func(*bridge.SinkTraits)
	settings func(*memory.SourceConfig, *memory.SinkConfig)
	restart  func(*world)

	openSource  func(context.Context, bridge.SourceOpener) (bridge.Source, error)
	receive     func(*bentSource, context.Context, []bridge.Delivery) (int, error)
	ack         func(*bentSource, context.Context, []bridge.Receipt) error
	closeSource func(*bentSource) error
	backlog     func(*bentSource, bridge.Backlog) bridge.Backlog
	mark        func(*bentSource, func() bool) func() bool
	hold        func(error) error
	resumes     func(each func(bridge.Origin)) func(bridge.Origin)
	named       func([]bridge.Origin) []bridge.Origin

	openSink  func(context.Context, bridge.SinkOpener) (bridge.Sink, error)
	openLane  func(*bentSink, context.Context, int, bridge.Settled) (bridge.Lane, error)
	send      func(*bentLane, context.Context, []*bridge.Message) (int, error)
	settle    func(*bentLane, int, []bridge.Placement, error)
	closeLane func(*bentLane) error
	recall    func(*bentSink, context.Context, int, int, func(bridge.Placed) bool) error
	route     func(s *bentSink, m *bridge.Message, lanes int) int
	loops     func(s *bentSink, m *bridge.Message) bool
	locate    func(*bentSink, context.Context, string, bridge.ID) (uint64, bool, error)

	site     func(*world, bridge.Site) bridge.Site
	holdings func(*world, []bridge.Holding) []bridge.Holding
	remove   func(ctx context.Context, b *memory.Broker, of, relay string) error

	purpose func(string) string
	journal func(bridge.Journal) bridge.Journal
}

// A world is one fixture's broker, and what a mutant remembers beside it.
type world struct {
	*bend
	broker *memory.Broker

	mu     sync.Mutex
	seen   map[string]bool
	latest bridge.Source
	first  bridge.Settled
	asked  int
}

// fixture is that of a mutant.
func (b *bend) fixture(t T) Fixture {
	w := &world{bend: b, broker: memory.NewBroker("mem"), seen: map[string]bool{}}
	t.Cleanup(w.broker.Disconnect)
	in := memory.StreamConfig{Name: "in"}
	if w.shards() {
		in.Shards = 4 // other than the partitions of the target, by which keys are chosen
	}
	if _, err := w.broker.Create(in); err != nil {
		t.Fatalf("%v", err)
	}
	w.broker.Stream("out")
	w.broker.Stream("loop")
	w.broker.Stream("out").Repartition(3)
	return Fixture{
		Start:    w.process(bentIdentity, "in", "out"),
		Loop:     w.process(bentIdentity, "loop", "loop"),
		Missing:  w.process(bentIdentity, "none", "none"),
		Other:    w.process(bridge.Identity{Bridge: "b", Relay: "other"}, "in", "out"),
		Identity: bentIdentity,
		Keeper:   func(T) bridge.Keeper { return bentKeeper{w} },
		Inventory: func(context.Context) (all []string, err error) {
			for _, name := range []string{"in", "out", "loop"} {
				all = append(all, fmt.Sprint(name, "\t", w.broker.Stream(name).Len()))
			}
			for _, h := range w.made() {
				all = append(all, h.Name+"\t"+h.Text)
			}
			return all, nil
		},
		Repartition: func(context.Context) error {
			w.broker.Stream("out").Repartition(6)
			return nil
		},
		Put: func(_ context.Context, msgs []bridge.Message) error {
			w.broker.Stream("in").Put(msgs...)
			return nil
		},
		Read: func(context.Context) (msgs []bridge.Message, err error) {
			for _, s := range w.broker.Stream("out").All() {
				msgs = append(msgs, s.Message)
			}
			return msgs, nil
		},
		Restart: func(context.Context) error {
			if b.restart != nil {
				b.restart(w)
			}
			w.broker.Restart()
			return nil
		},
	}
}

// shards says that the mutant's source has several shards.
func (w *world) shards() bool {
	var source memory.SourceConfig
	if w.settings != nil {
		w.settings(&source, &memory.SinkConfig{})
	}
	return source.Turn > 0
}

var bentIdentity = bridge.Identity{Bridge: "b", Relay: "r"}

// made is what memory says that bridge b made.
func (w *world) made() []bridge.Holding {
	all, _ := w.broker.Holdings(background, bentIdentity.Bridge)
	return all
}

// A bentKeeper is the broker's, changed.
type bentKeeper struct{ *world }

func (k bentKeeper) Holdings(ctx context.Context, of string) ([]bridge.Holding, error) {
	all, err := k.broker.Holdings(ctx, of)
	if k.holdings != nil {
		all = k.holdings(k.world, all)
	}
	return all, err
}

func (k bentKeeper) Remove(ctx context.Context, of, relay string) error {
	if k.remove != nil {
		return k.remove(ctx, k.broker, of, relay)
	}
	return k.broker.Remove(ctx, of, relay)
}

func (w *world) process(id bridge.Identity, from, to string) func(T) Process {
	return func(t T) Process {
		source := memory.SourceConfig{Stream: from, Unacked: 100}
		sink := memory.Reliable(to)
		sink.MaxBody, sink.Routed = 1<<17, true
		if w.settings != nil {
			w.settings(&source, &sink)
		}
		src, err := w.broker.Source(id, source)
		if err != nil {
			t.Fatalf("%v", err)
		}
		snk, err := w.broker.Sink(id, sink)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return Process{Source: &bentSourceOpener{src, w}, Sink: &bentSinkOpener{snk, w}}
	}
}

type bentSourceOpener struct {
	*memory.SourceOpener
	*world
}

func (o *bentSourceOpener) Traits() bridge.SourceTraits {
	t := o.SourceOpener.Traits()
	if o.from != nil {
		o.from(&t)
	}
	return t
}

func (o *bentSourceOpener) Open(ctx context.Context) (s bridge.Source, err error) {
	if o.openSource != nil {
		s, err = o.openSource(ctx, o.SourceOpener)
	} else {
		s, err = o.SourceOpener.Open(ctx)
	}
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest = s
	return &bentSource{Source: s, world: o.world}, nil
}

func (o *bentSourceOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	if o.purpose != nil {
		purpose = o.purpose(purpose)
	}
	j, err := o.SourceOpener.OpenJournal(ctx, purpose)
	if err == nil && o.journal != nil {
		j = o.journal(j)
	}
	return j, err
}

func (o *bentSourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	s, err := o.SourceOpener.Site(ctx)
	if err == nil && o.site != nil {
		s = o.site(o.world, s)
	}
	return s, err
}

type bentSource struct {
	bridge.Source
	*world
	count    int
	held     []bridge.Delivery
	receipts []bridge.Receipt
	buffer   []byte
}

func (s *bentSource) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if s.receive != nil {
		return s.receive(s, ctx, into)
	}
	return s.Source.Receive(ctx, into)
}

func (s *bentSource) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if s.ack != nil {
		return s.ack(s, ctx, receipts)
	}
	return s.Source.Ack(ctx, receipts)
}

func (s *bentSource) Close() error {
	if s.closeSource != nil {
		return s.closeSource(s)
	}
	return s.Source.Close()
}

func (s *bentSource) Backlog(ctx context.Context) (bridge.Backlog, error) {
	b, err := s.Source.(bridge.Backlogger).Backlog(ctx)
	if err == nil && s.backlog != nil {
		b = s.backlog(s, b)
	}
	return b, err
}

func (s *bentSource) Mark(ctx context.Context) (func() bool, error) {
	given, err := s.Source.(bridge.Backlogger).Mark(ctx)
	if err == nil && s.mark != nil {
		given = s.mark(s, given)
	}
	return given, err
}

func (s *bentSource) Hold(ctx context.Context) error {
	err := s.Source.(bridge.Holder).Hold(ctx)
	if s.hold != nil {
		err = s.hold(err)
	}
	return err
}

func (s *bentSource) Resumes(each func(bridge.Origin)) {
	if s.resumes != nil {
		each = s.resumes(each)
	}
	s.Source.(bridge.Resumer).Resumes(each)
}

func (s *bentSource) First(upTo []bridge.Origin) {
	if s.named != nil {
		upTo = s.named(upTo)
	}
	s.Source.(bridge.Resumer).First(upTo)
}

type bentSinkOpener struct {
	*memory.SinkOpener
	*world
}

func (o *bentSinkOpener) Traits() bridge.SinkTraits {
	t := o.SinkOpener.Traits()
	if o.to != nil {
		o.to(&t)
	}
	return t
}

func (o *bentSinkOpener) Open(ctx context.Context) (s bridge.Sink, err error) {
	if o.openSink != nil {
		s, err = o.openSink(ctx, o.SinkOpener)
	} else {
		s, err = o.SinkOpener.Open(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &bentSink{Sink: s, world: o.world}, nil
}

type bentSink struct {
	bridge.Sink
	*world
	placed []bridge.Placed // by this sink
}

func (s *bentSink) Open(ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
	l := &bentLane{bentSink: s, settled: settled, number: number}
	f := settled
	if s.settle != nil {
		f = func(n int, p []bridge.Placement, err error) { s.settle(l, n, p, err) }
	}
	var err error
	if s.openLane != nil {
		l.Lane, err = s.openLane(s, ctx, number, f)
	} else {
		l.Lane, err = s.Sink.Open(ctx, number, f)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *bentSink) Recall(ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
	if s.recall != nil {
		return s.recall(s, ctx, number, n, each)
	}
	return s.Sink.(bridge.Recaller).Recall(ctx, number, n, each)
}

func (s *bentSink) Loops(m *bridge.Message) bool {
	if s.loops != nil {
		return s.loops(s, m)
	}
	return s.Sink.(bridge.Looper).Loops(m)
}

func (s *bentSink) Route(m *bridge.Message, lanes int) int {
	if s.route != nil {
		return s.route(s, m, lanes)
	}
	return s.Sink.(bridge.Router).Route(m, lanes)
}

func (s *bentSink) Locate(ctx context.Context, key string, id bridge.ID) (uint64, bool, error) {
	if s.locate != nil {
		return s.locate(s, ctx, key, id)
	}
	return s.Sink.(bridge.Locator).Locate(ctx, key, id)
}

type bentLane struct {
	bridge.Lane
	*bentSink
	number  int
	settled bridge.Settled
	rest    []*bridge.Message
	ended   bool
}

func (l *bentLane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if l.send != nil {
		return l.send(l, ctx, msgs)
	}
	return l.Lane.Send(ctx, msgs)
}

func (l *bentLane) Close() error {
	if l.closeLane != nil {
		return l.closeLane(l)
	}
	return l.Lane.Close()
}

// altered sends copies of the messages, changed.
func altered(change func(*bridge.Message)) func(*bentLane, context.Context, []*bridge.Message) (int, error) {
	return func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
		copies := make([]*bridge.Message, len(msgs))
		for i, m := range msgs {
			c := *m
			change(&c)
			copies[i] = &c
		}
		return l.Lane.Send(ctx, copies)
	}
}

// suppressing drops messages that are like one before, and says that they were
// stored before.
func suppressing(like func(*bridge.Message) string) func(*bentLane, context.Context, []*bridge.Message) (int, error) {
	return func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
		for i, m := range msgs {
			k := like(m)
			l.mu.Lock()
			was := l.seen[k]
			l.seen[k] = true
			l.mu.Unlock()
			if was {
				l.settled(1, []bridge.Placement{{Position: 1, Repeat: true}}, nil)
				continue
			}
			if _, err := l.Lane.Send(ctx, msgs[i:i+1]); err != nil {
				return i, err
			}
		}
		return len(msgs), nil
	}
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// A bentJournal is a journal whose methods can be changed.
type bentJournal struct {
	bridge.Journal
	append func(context.Context, []byte) error
	replay func(context.Context, func([]byte) error) error
	close  func() error
}

func (j *bentJournal) Append(ctx context.Context, r []byte) error {
	if j.append != nil {
		return j.append(ctx, r)
	}
	return j.Journal.Append(ctx, r)
}

func (j *bentJournal) Replay(ctx context.Context, each func([]byte) error) error {
	if j.replay != nil {
		return j.replay(ctx, each)
	}
	return j.Journal.Replay(ctx, each)
}

func (j *bentJournal) Close() error {
	if j.close != nil {
		return j.close()
	}
	return j.Journal.Close()
}
