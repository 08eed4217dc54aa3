package nats

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The names of the bridge's journals at the incumbent. The prefixes of the two
// kinds of stream differ in front of the bridge's name, so they never meet.
func journalStream(bridge string) string { return "CROSSFADE-JOURNAL_" + assetOf(bridge) }
func journalSubject(id bridge.Identity, purpose string) string {
	return "crossfade." + tokenOf(id.Bridge) + ".journal." + tokenOf(id.Relay) + "." + tokenOf(purpose)
}

// OpenJournal is as bridge.JournalOpener says. All journals of a bridge share a
// stream, with as many replicas as the tapped stream has.
func (o *SourceOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	j := &journal{opener: o, stream: journalStream(o.id.Bridge), subject: journalSubject(o.id, purpose)}
	conn, err := j.session(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.provide(ctx, conn); err != nil {
		j.Close()
		return nil, err
	}
	j.maxRecord = int(conn.MaxPayload())
	return j, nil
}

// A journal is one subject of the bridge's own stream. It outlives the sessions
// of the tap, so it connects again where its connection was lost. Append and
// Replay do not overlap.
type journal struct {
	opener    *SourceOpener
	stream    string
	subject   string
	maxRecord int

	mu     sync.Mutex // guards what follows; not held across I/O
	conn   *connection
	closed bool
}

// session gives a connection that is alive.
func (j *journal) session(ctx context.Context) (*connection, error) {
	j.mu.Lock()
	conn, closed := j.conn, j.closed
	j.mu.Unlock()
	if closed {
		return nil, bridge.ErrClosed
	}
	if conn != nil {
		select {
		case <-conn.lost:
		case <-conn.broken:
		default:
			return conn, nil
		}
		conn.Close()
	}
	conn, err := j.opener.system.connect(ctx, "crossfade "+j.opener.id.String()+" journal")
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		conn.Close()
		return nil, bridge.ErrClosed
	}
	j.conn = conn
	return conn, nil
}

// provide makes the stream where it is missing.
func (j *journal) provide(ctx context.Context, conn *connection) error {
	replicas := 1
	if tapped, err := conn.js.Stream(ctx, j.opener.config.Stream); err == nil {
		replicas = tapped.CachedInfo().Config.Replicas
	} // else there is nothing to be like
	_, err := conn.ownStream(ctx, jetstream.StreamConfig{
		Name:        j.stream,
		Subjects:    []string{"crossfade." + tokenOf(j.opener.id.Bridge) + ".journal.>"},
		Description: "Crossfade: what the relays of bridge " + bridge.Printable(j.opener.id.Bridge, 60) + " have set aside",
		Metadata:    ownMetadata(bridge.Identity{Bridge: j.opener.id.Bridge}, purposeJournal),
		Storage:     jetstream.FileStorage,
		Replicas:    replicas,
	})
	return err
}

// Append is as bridge.Journal says.
func (j *journal) Append(ctx context.Context, record []byte) error {
	conn, err := j.session(ctx)
	if err != nil {
		return err
	}
	if len(record) > j.maxRecord {
		return fmt.Errorf("%s: %s: journal %s: a record of %d octets, at most %d are taken", Kind, conn.system.name, j.subject, len(record), j.maxRecord)
	}
	if _, err := conn.store(ctx, j.stream, &nats.Msg{Subject: j.subject, Data: record}); err != nil {
		return conn.failed(ctx, "journal "+j.subject, err)
	}
	return nil
}

// Replay is as bridge.Journal says.
func (j *journal) Replay(ctx context.Context, each func(record []byte) error) error {
	conn, err := j.session(ctx)
	if err != nil {
		return err
	}
	s, err := conn.js.Stream(ctx, j.stream)
	if err != nil {
		return conn.failed(ctx, "journal "+j.subject, err)
	}
	state := &s.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	r, err := conn.openReader(ctx, readerConfig{
		stream: j.stream, filters: []string{j.subject}, start: state.FirstSeq, maxPending: 1024, maxBytes: defaultMaxBytes,
		metadata: ownMetadata(j.opener.id, purposeReplay),
	})
	if err != nil {
		return err
	}
	defer r.forget()
	return r.until(ctx, state.LastSeq, func(m *nats.Msg, _ position) error { return each(m.Data) })
}

// MaxRecord is what the server takes; the records of one parked message may be
// several.
func (j *journal) MaxRecord() int { return j.maxRecord }

// Close is as bridge.Journal says.
func (j *journal) Close() error {
	j.mu.Lock()
	conn := j.conn
	j.closed = true
	j.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	return nil
}
