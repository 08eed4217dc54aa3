package memory

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	errTaken = errors.New("memory: session: a newer session of the same tap has taken over")
	errCut   = errors.New("memory: session: the connection was cut")
)

// A Broker is a queue system in the process. All its methods, and those of its
// streams, are safe for concurrent use.
type Broker struct {
	cluster  string
	mu       sync.Mutex
	streams  map[string]*Stream
	journals map[string]*records
	created  int
}

// NewBroker gives an empty broker; cluster is what it calls itself in origins.
func NewBroker(cluster string) *Broker {
	return &Broker{cluster: cluster, streams: map[string]*Stream{}, journals: map[string]*records{}}
}

// Create makes a stream, or gives the one that is there. It is an error if that
// one has other shards.
func (b *Broker) Create(c StreamConfig) (*Stream, error) {
	c.Shards = max(c.Shards, 1)
	if c.Name == "" || c.Keep < 0 || c.Partitions < 0 {
		return nil, fmt.Errorf("%s: stream %q: want a name, and keep and partitions not negative", Kind, c.Name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.streams[c.Name]; s != nil {
		if s.config.Shards != c.Shards {
			return nil, fmt.Errorf("%s: stream %q: has %d shards, not %d", Kind, c.Name, s.config.Shards, c.Shards)
		}
		return s, nil
	}
	b.created++
	s := &Stream{
		config: c,
		origin: &bridge.Stream{System: Kind, Cluster: b.cluster, Name: c.Name, Incarnation: strconv.Itoa(b.created), Replayable: true},
		log:    newLog(), partitions: max(c.Partitions, 1),
		taps:  map[string]*tap{},
		lanes: map[laneID]*laneState{},
	}
	b.streams[c.Name] = s
	return s, nil
}

// Stream gives the stream of that name with one shard, made if need be.
func (b *Broker) Stream(name string) *Stream {
	b.mu.Lock()
	s := b.streams[name]
	b.mu.Unlock()
	if s != nil {
		return s
	}
	s, err := b.Create(StreamConfig{Name: name})
	if err != nil {
		panic(err) // only an empty name gets here
	}
	return s
}

func (b *Broker) lookup(ctx context.Context, name string) (*Stream, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.streams[name]; s != nil {
		return s, nil
	}
	return nil, bridge.Fatal(fmt.Errorf("%s: stream %q: there is no such stream in %s", Kind, name, b.cluster),
		"Create the stream, or name one that exists.")
}

// Disconnect ends every session, as a cut network does. Nothing stored is lost.
func (b *Broker) Disconnect() {
	for _, s := range b.all() {
		s.cut(false)
	}
}

// Restart ends every session, and of each tap forgets as many of the latest
// acknowledgements as its slack.
func (b *Broker) Restart() {
	for _, s := range b.all() {
		s.cut(true)
	}
}

func (b *Broker) all() []*Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Stream, 0, len(b.streams))
	for _, s := range b.streams {
		all = append(all, s)
	}
	return all
}

// A Stream is a durable log. Its mutex is held for copying only, never while
// anything waits.
type Stream struct {
	config StreamConfig
	origin *bridge.Stream

	mu         sync.Mutex
	partitions int
	log        log
	taps       map[string]*tap
	lanes      map[laneID]*laneState
	ended      bool
	seen       map[string]seen // by ID.Text, where a sink suppresses
	sweep      int             // seen is swept when it has that many
	waiting    []waiter
}

type seen struct {
	position uint64
	at       time.Time
}

type waiter struct {
	last uint64
	done chan struct{}
}

// A Stored message is one that a stream holds.
type Stored struct {
	bridge.Message
	Position uint64
	Shard    int32
	// Relay and Lane say who placed it; Relay is "" for what Put stored.
	Relay string
	Lane  int
}

// Put stores messages as a producer does, spread over the shards by key. The
// slices stay the caller's.
func (s *Stream) Put(msgs ...bridge.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var now time.Time
	for i := range msgs {
		e := s.store(&msgs[i], nil)
		if e.Time.IsZero() {
			if now.IsZero() {
				now = time.Now()
			}
			e.Time = now
		}
	}
	s.wake()
}

// End says that nothing more will be put: once everything is acknowledged,
// Receive gives io.EOF.
func (s *Stream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
}

// Len is how many messages are held.
func (s *Stream) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.log.last + 1 - s.log.first)
}

// Last is the newest position; 0 if nothing was ever stored.
func (s *Stream) Last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.last
}

// All gives what is held, in order. The slices within are the stream's.
func (s *Stream) All() []Stored { return s.From(0) }

// From gives what is held from that position on, in order.
func (s *Stream) From(position uint64) []Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	position = max(position, s.log.first)
	if position > s.log.last {
		return nil
	}
	all := make([]Stored, 0, s.log.last+1-position)
	for p := position; p <= s.log.last; p++ {
		e := s.log.at(p)
		st := Stored{Message: e.Message, Position: p, Shard: e.shard}
		if e.lane != nil {
			st.Relay, st.Lane = e.lane.id.relay, e.lane.id.lane
		}
		all = append(all, st)
	}
	return all
}

// Await returns once a message has got that position, or ctx has ended.
func (s *Stream) Await(ctx context.Context, position uint64) error {
	s.mu.Lock()
	if s.log.last >= position {
		s.mu.Unlock()
		return nil
	}
	w := waiter{position, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// store adds m to the log. s.mu is held.
func (s *Stream) store(m *bridge.Message, by *laneState) *entry {
	var e *entry
	if s.config.Borrows && by != nil {
		e = s.log.keep(m)
	} else {
		e = s.log.add(m)
	}
	e.lane, e.shard = by, 0
	if s.config.Shards > 1 {
		e.shard = shardOf(m.Key, s.config.Shards)
	}
	return e
}

// wake lets those go on who wait for messages, and drops what is not kept.
// s.mu is held.
func (s *Stream) wake() {
	for _, t := range s.taps {
		t.session.wakeUp()
	}
	if len(s.waiting) > 0 {
		kept := s.waiting[:0]
		for _, w := range s.waiting {
			if w.last > s.log.last {
				kept = append(kept, w)
				continue
			}
			close(w.done)
		}
		s.waiting = kept
	}
	s.trim()
}

// trim drops what is beyond Keep and acknowledged by every tap. s.mu is held.
func (s *Stream) trim() {
	keep := uint64(s.config.Keep)
	if keep == 0 || s.log.last < s.log.first+keep+chunkSize {
		return
	}
	limit := s.log.last + 1 - keep
	for _, t := range s.taps {
		limit = min(limit, t.needs())
	}
	s.log.dropBelow(limit)
}

func (s *Stream) cut(restart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taps {
		t.session.end(errCut)
		if restart {
			t.forget()
		}
	}
	for _, l := range s.lanes {
		for session := range l.sessions {
			session.end(errCut)
		}
	}
}

// shardOf spreads keys by FNV-1a, on purpose another hash than that of lanes.
func shardOf(key string, shards int) int32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int32(h % uint32(shards))
}
