package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The names of what the bridge owns at the incumbent.
func checkpointStream(bridge string) string { return "CROSSFADE_" + assetOf(bridge) }
func checkpointSubject(id bridge.Identity) string {
	return "crossfade." + tokenOf(id.Bridge) + ".checkpoint." + tokenOf(id.Relay)
}

// A mark is how far a relay has come: what the record of a checkpoint holds.
type mark struct {
	Stream  string    `json:"stream"`
	Created time.Time `json:"created"` // of the stream: tells one life of it from the next
	Floor   uint64    `json:"floor"`   // everything up to this sequence is settled
	Time    time.Time `json:"time"`    // of the message at Floor; zero if there was none
	// Early are the runs of sequences above Floor, both ends included, that are
	// settled as well. Only an orderly end of a session writes them; what is
	// missing here comes again.
	Early []run `json:"early,omitempty"`
}

// A run is a run of sequences, both ends included.
type run [2]uint64

// A checkpoint is one relay's record in the bridge's own stream at the
// incumbent. Every write names the one that it follows, so a session whose
// successor has written is refused, and no write goes backwards. One caller at a
// time.
//
//	crossfade.BRIDGE.checkpoint.RELAY   … ──► record 41 ──► record 42
//	                                                         ▲ the next names 42
type checkpoint struct {
	conn    *connection
	stream  string
	subject string
	last    uint64 // the sequence of the newest record; 0 if there is none
}

// errTaken says that another session of the relay has begun.
var errTaken = errors.New("another session of this relay has begun and holds its checkpoint")

// openCheckpoint opens the place of the record, and makes it if it is not there.
// found says that there is a record.
func (c *connection) openCheckpoint(ctx context.Context, id bridge.Identity, replicas int) (p *checkpoint, m mark, found bool, err error) {
	_, err = c.ownStream(ctx, jetstream.StreamConfig{
		Name:              checkpointStream(id.Bridge),
		Subjects:          []string{"crossfade." + tokenOf(id.Bridge) + ".checkpoint.*"},
		Description:       "Crossfade: how far the relays of bridge " + bridge.Printable(id.Bridge, 60) + " have come",
		Metadata:          ownMetadata(bridge.Identity{Bridge: id.Bridge}, purposeCheckpoint),
		MaxMsgsPerSubject: 8,
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
	})
	if err != nil {
		return nil, m, false, err
	}
	return c.readCheckpoint(ctx, id)
}

// readCheckpoint reads the record where the stream is there.
func (c *connection) readCheckpoint(ctx context.Context, id bridge.Identity) (p *checkpoint, m mark, found bool, err error) {
	p = &checkpoint{conn: c, stream: checkpointStream(id.Bridge), subject: checkpointSubject(id)}
	s, err := c.js.Stream(ctx, p.stream)
	if err != nil {
		return nil, m, false, c.failed(ctx, "checkpoint "+p.subject+": read", err)
	}
	record, err := s.GetLastMsgForSubject(ctx, p.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return p, m, false, nil
	}
	if err != nil {
		return nil, m, false, c.failed(ctx, "checkpoint "+p.subject+": read", err)
	}
	if err := json.Unmarshal(record.Data, &m); err != nil {
		err = fmt.Errorf("%s: %s: checkpoint %s: cannot be read: %w", Kind, c.system.name, p.subject, err)
		return nil, m, false, bridge.Fatal(err, "Another program writes under crossfade.>; "+p.forget()+" lets the relay start afresh.")
	}
	p.last = record.Sequence
	return p, m, true, nil
}

// forget is the command that removes the record.
func (p *checkpoint) forget() string {
	return fmt.Sprintf("nats stream purge %s --subject '%s' -f", p.stream, p.subject)
}

// commit writes m and returns once it is confirmed.
func (p *checkpoint) commit(ctx context.Context, m mark) error {
	record, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ack, err := p.conn.store(ctx, p.stream, &nats.Msg{Subject: p.subject, Data: record, Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader: {fmt.Sprint(p.last)},
	}})
	if err != nil {
		var refused *pubAckError
		if errors.As(err, &refused) && refused.ErrCode == codeWrongLast {
			err = errTaken
		}
		return p.conn.failed(ctx, "checkpoint "+p.subject+": write", err)
	}
	p.last = ack.Seq
	return nil
}

// store publishes one message and waits until the stream has confirmed it.
func (c *connection) store(ctx context.Context, stream string, m *nats.Msg) (pubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultAckTimeout)
	defer cancel()
	answer, err := c.request(ctx, m)
	if err != nil {
		return pubAck{}, err
	}
	ack, err := parsePubAck(answer.Data, stream)
	switch {
	case err != nil:
		return ack, err
	case ack.Error != nil:
		return ack, ack.Error
	case ack.Stream != stream:
		return ack, fmt.Errorf("subject %s is taken by stream %s", m.Subject, bridge.Printable(ack.Stream, 64))
	}
	return ack, nil
}

// ownStream opens one of the bridge's own streams and makes it where it is
// missing. What an operator has changed about it is left alone.
func (c *connection) ownStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := c.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = c.js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another relay of the bridge was faster
			s, err = c.js.Stream(ctx, cfg.Name)
		}
	}
	if err == nil {
		return s, nil
	}
	err = c.failed(ctx, "the bridge's own stream "+cfg.Name, err)
	if e := apiError(err); e != nil && e.Code == 400 {
		return nil, bridge.Fatal(err, "The relay keeps its position in this stream; make room for it, or see that no other stream takes its subjects.")
	}
	return nil, err
}

// apiError gives what JetStream's API answered, or nil.
func apiError(err error) *jetstream.APIError {
	var e *jetstream.APIError
	if errors.As(err, &e) {
		return e
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) {
		return js.APIError()
	}
	return nil
}
