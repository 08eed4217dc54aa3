package rabbitmq

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A journal is a stream at the incumbent that only this relay writes to.
type journal struct{ log *ownLog }

var _ bridge.Journal = (*journal)(nil)

// OpenJournal opens the journal of that purpose, on a connection of its own.
func (o *sourceOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	j := &journal{}
	err := o.system.setUp(ctx, o.id.String()+" journal "+purpose, func(ctx context.Context, n *session) error {
		t := thing{kind: kindStream, name: ownName(o.id.Bridge, o.id.Relay, purpose), use: useJournal + purpose}
		_, err := o.system.makeNoted(ctx, n, o.id, t, amqp.Table{
			"x-queue-type": typeStream, "x-stream-max-segment-size-bytes": int64(defaultSegment),
		})
		if err != nil {
			return err
		}
		j.log, err = openLog(n, t.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// Append writes one record and waits for its confirm.
func (j *journal) Append(ctx context.Context, record []byte) error {
	if len(record) > maxRecord {
		return bridge.Reject(bridge.ReasonOversized, fmt.Errorf("rabbitmq: a record of %d octets; a journal takes %d", len(record), maxRecord))
	}
	return j.log.append(ctx, record)
}

// Replay reads from the first record to the last durable one.
func (j *journal) Replay(ctx context.Context, each func(record []byte) error) error {
	return j.log.replay(ctx, each)
}

// MaxRecord is the largest record in octets.
func (j *journal) MaxRecord() int { return maxRecord }

// Close ends the connection.
func (j *journal) Close() error {
	j.log.close()
	return nil
}
