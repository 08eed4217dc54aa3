package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sourceOpener is a from block.
type sourceOpener struct {
	system   *system
	id       bridge.Identity
	settings sourceSettings
	tap      string       // the queue that is read
	dropped  string       // the queue that takes what falls out of the tap
	made     atomic.Bool  // the tap has been there since this opener was made
	fewer    atomic.Int64 // the prefetch, if messages are too large for the configured one
}

var (
	_ bridge.SourceOpener  = (*sourceOpener)(nil)
	_ bridge.JournalOpener = (*sourceOpener)(nil)
	_ bridge.Checker       = (*sourceOpener)(nil)
	_ bridge.Withholder    = (*sourceOpener)(nil)
)

func newSourceOpener(s *system, id bridge.Identity, c sourceSettings) *sourceOpener {
	o := &sourceOpener{system: s, id: id, settings: c}
	switch {
	case c.Queue != "":
		o.tap = c.Queue
	case c.Stream != "":
		o.tap = c.Stream
	default:
		o.tap, o.dropped = tapName(id, &c), tapName(id, &c, "dropped")
	}
	return o
}

// Traits are those of the tap's type.
func (o *sourceOpener) Traits() bridge.SourceTraits {
	t := bridge.SourceTraits{Ordered: true, Durable: true, SourceTime: true, Unacked: o.settings.Prefetch, Journals: true}
	switch o.settings.Tap {
	case typeStream:
		t.Replayable, t.Unacked = true, 0
		t.OwnPositions = o.settings.Stream == "" && o.settings.Shared == ""
		t.Notes = append(t.Notes,
			"A message with a decimal header makes the broker close the producer's connection once a stream is bound.",
			"Headers that are arrays or tables do not reach a stream.",
			"The stream's bounds act by whole segments, and cutting it off below the reader is a gap, which stops the relay.")
	case tapQueue:
		t.Competing = true
		t.Notes = append(t.Notes,
			"The relay takes messages away from the queue's other consumers, and order holds only while it has none.")
	default:
		t.Notes = append(t.Notes,
			"The tap begins when it is made: what waits in the application's queues then is not copied.",
			"At its bound the tap moves the oldest messages into "+o.dropped+": a gap.",
			"Producers' confirms wait for the tap as for every queue bound there.")
	}
	if o.settings.Tap == typeQuorum {
		t.Notes = append(t.Notes, "From RabbitMQ 4 on a quorum queue delivers higher priorities first.")
	}
	return t
}

// Withhold is as bridge.Withholder says.
func (o *sourceOpener) Withhold() {
	if o.settings.usual && o.settings.Tap != typeStream {
		o.settings.Prefetch = mostPrefetch
	}
}

// prefetch is the configured one, or less since messages were large.
func (o *sourceOpener) prefetch() int {
	if n := int(o.fewer.Load()); n > 0 {
		return min(n, o.settings.Prefetch)
	}
	return o.settings.Prefetch
}

// overflowed is told how many messages filled the intake: as half as many are
// asked for from the next session on.
func (o *sourceOpener) overflowed(held int) { o.fewer.Store(int64(max(1, held/2))) }

// Describe names the tap.
func (o *sourceOpener) Describe() string {
	switch {
	case o.settings.Tap == tapQueue:
		return "queue " + o.tap + " (competing)"
	case o.settings.Stream != "":
		return "stream " + o.tap
	}
	exchanges := make([]string, 0, len(o.settings.Bindings))
	for _, b := range o.settings.Bindings {
		exchanges = append(exchanges, b.Exchange)
	}
	tap := o.settings.Tap + " tap"
	if o.settings.Shared != "" {
		tap = "shared " + tap + " " + o.settings.Shared
	}
	return "exchange " + strings.Join(exchanges, ", ") + " (" + tap + ")"
}

// Open begins a session and makes the tap if it is not there.
func (o *sourceOpener) Open(ctx context.Context) (source bridge.Source, err error) {
	err = o.system.setUp(ctx, o.id.String()+" read "+o.Describe(), func(ctx context.Context, n *session) error {
		source, err = o.open(ctx, n)
		return err
	})
	if err != nil {
		if source != nil {
			_ = source.Close()
		}
		return nil, err
	}
	return source, nil
}

// open takes the tap's lock first: a second process with the same identity gets
// an error that says so, and tries again until the first is gone.
func (o *sourceOpener) open(ctx context.Context, n *session) (bridge.Source, error) {
	if err := n.hold(ctx, lockName(o.id, "tap")); err != nil {
		return nil, err
	}
	switch {
	case o.settings.Stream != "":
		source, err := o.openStream(ctx, n, tapStream{name: o.tap, offsets: tapName(o.id, &o.settings, "offsets")})
		if err != nil {
			return nil, err
		}
		return source, nil
	case o.settings.Tap == tapQueue:
		found, err := n.queueArguments(o.tap)
		if err != nil {
			return nil, setupError("queue "+o.tap, err)
		}
		if found.kind() == typeStream {
			return nil, bridge.Fatal(fmt.Errorf("rabbitmq: %s is a stream", o.tap), "Reading a stream takes nothing away from anyone: use a tap with bindings of its own.")
		}
		source, err := o.openQueue(n, o.tap, "")
		if err != nil {
			return nil, err
		}
		return source, nil
	}
	if err := o.mayTap(n); err != nil {
		return nil, err
	}
	return o.openTaps(ctx, n)
}

// openTaps reads the relay's oldest tap. If another one receives in its place, the
// session ends when the tap is empty.
func (o *sourceOpener) openTaps(ctx context.Context, n *session) (bridge.Source, error) {
	tap, last, p, err := o.taps(ctx, n)
	if err != nil {
		return nil, err
	}
	d := &draining{opener: o, session: n, tap: tap, beside: p.record.of(o.id.Relay).beside(tap.name)}
	var next *thing
	if chain := p.own.used(useTap); !last {
		next = chain[len(chain)-1]
	}
	var source bridge.Source
	if tap.kind == kindStream {
		s, err := o.openStream(ctx, n, p.tapStream(tap))
		if err != nil {
			return nil, err
		}
		s.next = next
		s.marks.own(o, tap)
		source, d.empty, d.intake = s, s.atEnd, s.reader.intake
	} else {
		s, err := o.openQueue(n, tap.name, tap.name)
		if err != nil {
			return nil, err
		}
		s.next = next
		s.marks.own(o, tap)
		source, d.empty, d.intake = s, s.atEnd, s.intake
	}
	if !last {
		n.start(d.watch)
	}
	return source, nil
}
