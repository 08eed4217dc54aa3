package nats

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A coreSinkOpener opens sessions that publish without JetStream.
type coreSinkOpener struct {
	system *system
	id     bridge.Identity
	config SinkConfig
}

// Traits are what publishing promises: at most once. A connection that fails
// leaves a prefix of what was written, and the next session begins at or before
// its end, so first occurrences stay in order.
func (o *coreSinkOpener) Traits() bridge.SinkTraits {
	return bridge.SinkTraits{
		Survives: bridge.SurvivesPrefix, Lanes: 1,
		Notes: []string{"Core NATS delivers at most once: settled means that the server has read the message, whoever is there to hear it."},
	}
}

// Describe names the target.
func (o *coreSinkOpener) Describe() string { return "core NATS, subject " + o.config.Subject }

// Open connects.
func (o *coreSinkOpener) Open(ctx context.Context) (bridge.Sink, error) {
	conn, err := o.system.connect(ctx, "crossfade "+o.id.String()+" sink")
	if err != nil {
		return nil, err
	}
	return &coreSink{opener: o, spare: conn, cluster: conn.ConnectedClusterName(), server: conn.ConnectedServerId()}, nil
}

// A coreSink opens lanes, each with a connection of its own.
type coreSink struct {
	opener  *coreSinkOpener
	cluster string // as the server said when the sink was opened
	server  string

	mu     sync.Mutex // guards what follows; not held across I/O
	spare  *connection
	closed bool
}

// Open begins a session of a lane.
func (s *coreSink) Open(ctx context.Context, _ int, settled bridge.Settled) (bridge.Lane, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
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
		if conn, err = s.opener.system.connect(ctx, "crossfade "+s.opener.id.String()+" sink"); err != nil {
			return nil, err
		}
	}
	return &coreLane{conn: conn, encoder: newEncoder(s.opener.id, s.opener.config.template), window: s.opener.config.Window, settled: settled}, nil
}

// Close is as bridge.Sink says.
func (s *coreSink) Close() error {
	s.mu.Lock()
	conn := s.spare
	s.spare, s.closed = nil, true
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	return nil
}

// A coreLane publishes and settles within Send, once the server has answered a
// ping that follows the messages.
type coreLane struct {
	conn    *connection
	encoder *encoder
	window  int
	settled bridge.Settled
	ended   error
	mu      sync.Mutex // held while settled runs, so that none comes after Close
	closed  bool
}

// Send is as bridge.Lane says.
func (l *coreLane) Send(ctx context.Context, msgs []*bridge.Message) (int, error) {
	if l.ended == nil && ctx.Err() != nil {
		l.ended = context.Cause(ctx)
	}
	done := 0
	for done < len(msgs) && l.ended == nil {
		n, refused := l.publish(ctx, msgs[done:min(len(msgs), done+l.window)])
		if n > 0 && l.ended == nil {
			l.settle(ctx, n)
		}
		if l.ended != nil {
			break // whether the n arrived is not known
		}
		if done += n; refused != nil {
			return done, refused
		}
	}
	if l.ended != nil {
		return done, l.over()
	}
	return done, nil
}

// publish writes messages, up to the first that is refused, and says how many.
func (l *coreLane) publish(ctx context.Context, msgs []*bridge.Message) (n int, refused error) {
	for i, m := range msgs {
		out, err := l.prepare(m)
		if err != nil {
			return i, err
		}
		if err := l.conn.PublishMsg(out); err != nil {
			l.ended = l.conn.failed(ctx, "publish", err)
			return i, nil
		}
	}
	return len(msgs), nil
}

// over says why the lane has ended.
func (l *coreLane) over() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return bridge.ErrClosed
	}
	return l.ended
}

// prepare encodes m and refuses what the server would not take.
func (l *coreLane) prepare(m *bridge.Message) (*nats.Msg, error) {
	out, err := l.encoder.encode(m, nil)
	if err != nil {
		return nil, fmt.Errorf("core: %w", err)
	}
	size, most := l.encoder.headerSize()+len(out.Data), int(l.conn.MaxPayload())
	switch {
	case size > most:
		return nil, bridge.Reject(bridge.ReasonOversized, fmt.Errorf("core: body and headers of %d octets, the server takes %d (max_payload)", size, most))
	case len(out.Subject)+64 > maxLine:
		return nil, bridge.Reject(bridge.ReasonName, fmt.Errorf("core: a subject of %d octets does not fit into the server's max_control_line", len(out.Subject)))
	}
	return out, nil
}

// settle waits until the server has read n messages and reports them.
func (l *coreLane) settle(ctx context.Context, n int) {
	if err := flush(ctx, l.conn); err != nil {
		l.ended = l.conn.failed(ctx, "publish", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.ended = bridge.ErrClosed
		return
	}
	l.settled(n, nil, nil)
}

// Close is as bridge.Lane says.
func (l *coreLane) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.conn.Close() // ends a Send that waits for the server
	return nil
}
