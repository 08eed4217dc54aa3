package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A SinkOpener opens sessions with one JetStream stream.
type SinkOpener struct {
	system *system
	id     bridge.Identity
	config SinkConfig
}

// Traits are what the stream promises as configured.
func (o *SinkOpener) Traits() bridge.SinkTraits {
	t := bridge.SinkTraits{
		Durable: true, Fence: bridge.FenceExpect, Survives: bridge.SurvivesPrefix, Recall: maxRecall, Lanes: 1,
		Notes: []string{"JetStream confirms before it syncs to disk, every 2 minutes by default: see sync_interval, or use 3 replicas."},
	}
	if !o.config.fenced() {
		t.Fence, t.Survives = bridge.FenceNone, bridge.SurvivesAny
	}
	if o.config.Shared {
		t.Notes = append(t.Notes, "Others write into the stream too, so nothing keeps an earlier session of this relay out, and one message of a key is in flight.",
			fmt.Sprintf("Recall looks back over the newest %d messages of the stream, whoever wrote them.", maxScan))
	}
	if o.config.Consumed {
		t.Recall = 0
		t.Notes = append(t.Notes, "What was read from the stream is gone from it, so it cannot be read back.",
			"A crash sends repeats, so nothing keeps an earlier session of this relay out, and one message of a key is in flight.")
	}
	return t
}

// Describe names the target.
func (o *SinkOpener) Describe() string { return "stream " + o.config.Stream }

// Open connects and looks whether the stream can take what the template makes.
func (o *SinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	s := &sink{opener: o, lanes: map[int]*lane{}}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.look(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.spare, s.created, s.origin = conn, t.created, t.origin
	return s, nil
}

// A sink opens lanes, each with a connection of its own.
type sink struct {
	opener  *SinkOpener
	created time.Time      // of the stream, when the sink was opened
	origin  *bridge.Stream // of what comes from it

	mu     sync.Mutex // guards what follows; not held across I/O
	spare  *connection
	lanes  map[int]*lane // the newest session of each
	closed bool
}

// target is what a session has to know of the stream.
type target struct {
	created  time.Time
	origin   *bridge.Stream
	last     uint64 // the newest sequence
	first    uint64
	maxMsg   int      // the largest message with its headers; 0 is what the server takes
	subjects []string // nil: every subject that the template makes belongs to the stream
}

func (s *sink) connect(ctx context.Context) (*connection, error) {
	return s.opener.system.connect(ctx, "crossfade "+s.opener.id.String()+" sink")
}

// look asks for the stream and refuses one that does not fit the settings.
func (s *sink) look(ctx context.Context, conn *connection) (target, error) {
	c := &s.opener.config
	stream, err := conn.js.Stream(ctx, c.Stream)
	if err != nil {
		err = conn.failed(ctx, "stream "+c.Stream, err)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return target{}, bridge.Fatal(err, "Create it first: "+createCommand(c)+".")
		}
		return target{}, err
	}
	info := stream.CachedInfo()
	if wrong, hint := unfit(&info.Config, c); wrong != "" {
		return target{}, bridge.Fatal(fmt.Errorf("%s: %s: stream %s: %s", Kind, conn.system.name, c.Stream, wrong), hint)
	}
	t := target{created: info.Created, origin: originOf(info), last: info.State.LastSeq, first: info.State.FirstSeq}
	t.learn(&info.Config, c)
	return t, nil
}

// learn takes over what the stream's settings are.
func (t *target) learn(stream *jetstream.StreamConfig, c *SinkConfig) {
	t.maxMsg, t.subjects = max(0, int(stream.MaxMsgSize)), nil
	if reachOf(c.template, stream.Subjects) != reachAll {
		t.subjects = stream.Subjects
	}
}

// unfit says why a stream cannot be this target, or "".
func unfit(stream *jetstream.StreamConfig, c *SinkConfig) (wrong, hint string) {
	switch {
	case stream.Mirror != nil:
		return "it mirrors another stream and takes no messages", "Write into a stream of its own."
	case stream.Sealed:
		return "it is sealed", "Nothing can be written to a sealed stream; choose another."
	case stream.NoAck:
		return "it confirms nothing (no_ack)", "Set no_ack to false: without confirmations nothing can be called placed."
	case len(stream.Sources) > 0 && !c.Shared:
		return "it takes messages from other streams as well", "Write shared: true, or choose a stream that only this relay writes to."
	case stream.Retention != jetstream.LimitsPolicy && !c.Consumed:
		return "its retention is " + retention(stream.Retention) + ", so it cannot be read back",
			"Use a stream with limits retention; or write consumed: true and accept that a crash may leave repeats."
	case stream.MaxMsgsPerSubject > 0:
		// What the limit removed is not recalled, so a crash sends it again, behind newer messages of its key. // I2
		return fmt.Sprintf("it keeps the newest %d of a subject (max_msgs_per_subject), so after a crash an older value may take the place of a newer one", stream.MaxMsgsPerSubject),
			"Set max_msgs_per_subject to -1; let a stream of its own that takes from this one keep the newest of each subject."
	case reachOf(c.template, stream.Subjects) == reachNone:
		return fmt.Sprintf("none of its subjects (%s) takes what the template %q makes", strings.Join(stream.Subjects, ", "), c.Subject),
			fmt.Sprintf("Add the subject %q to the stream, or change the template.", wildcard(c.template))
	}
	return "", ""
}

// wildcard is the widest subject that the template's names fall under.
func wildcard(t *bridge.Template) string {
	if s, ok := t.Literal(); ok {
		return s
	}
	if strings.HasPrefix(t.String(), "{") {
		return ">"
	}
	return t.Prefix() + ">"
}

// createCommand is what makes a stream that fits the settings.
func createCommand(c *SinkConfig) string {
	return fmt.Sprintf("nats stream add %s --subjects '%s' --storage file --retention limits --discard old --dupe-window 2m --defaults", c.Stream, wildcard(c.template))
}

// Open begins a session of a lane. With an exclusive stream it reads the newest
// sequence, and each message names the one that it follows: what an earlier
// session still has on its way either is the next one, and then nothing of this
// session is taken, or is refused. // I2, I6
func (s *sink) Open(ctx context.Context, index int, settled bridge.Settled) (bridge.Lane, error) {
	if index < 0 || index > 0 && s.opener.config.fenced() {
		return nil, bridge.Fatal(fmt.Errorf("%s: stream %s: lane %d: an exclusive stream has one lane", Kind, s.opener.config.Stream, index), "This is a mistake in the program that opens the lane.")
	}
	s.mu.Lock()
	conn, closed := s.spare, s.closed
	s.spare = nil
	s.mu.Unlock()
	if closed {
		return nil, bridge.ErrClosed
	}
	if conn == nil {
		var err error
		if conn, err = s.connect(ctx); err != nil {
			return nil, err
		}
	}
	l, err := s.open(ctx, conn, settled)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[index] = l
	return l, nil
}

func (s *sink) open(ctx context.Context, conn *connection, settled bridge.Settled) (*lane, error) {
	t, err := s.settledDown(ctx, conn)
	if err != nil {
		return nil, err
	}
	if !t.created.Equal(s.created) && !s.opener.AcceptsRecreated() {
		return nil, bridge.Fatal(fmt.Errorf("%s: %s: stream %s: it was created at %s, but the relay has written into one created at %s",
			Kind, conn.system.name, s.opener.config.Stream, made(t.created), made(s.created)),
			"The stream was deleted and made again, so what was placed is gone; to go on without it, write accept: ["+acceptRecreated+"].")
	}
	return startLane(conn, &s.opener.config, s.opener.id, t, settled)
}

// settledDown looks at the stream until its newest sequence stands still. What
// an earlier session had on its way when it ended is stored in a moment, and a
// lane that begins before that is refused at its first message. This is no
// fence; it spares the relay a turn.
func (s *sink) settledDown(ctx context.Context, conn *connection) (target, error) {
	t, err := s.look(ctx, conn)
	for range stillTries {
		if err != nil {
			return t, err
		}
		pause := time.NewTimer(stillFor)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return t, context.Cause(ctx)
		}
		last := t.last
		if t, err = s.look(ctx, conn); t.last == last {
			break
		}
	}
	return t, err
}

const (
	stillFor   = 3 * time.Millisecond
	stillTries = 20 // others may write all the time
)

// Close is as bridge.Sink says.
func (s *sink) Close() error {
	s.mu.Lock()
	conn := s.spare
	s.spare, s.closed = nil, true
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	return nil
}

// lane gives the newest session of a lane.
func (s *sink) lane(index int) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[index]
}
