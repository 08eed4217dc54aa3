package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// OpenJournal is as bridge.JournalOpener says. A journal is a topic of its own.
func (o *SourceOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	j := &journal{log: ownLog{cluster: newCluster(o.system), topic: journalOf(o.id, purpose)}}
	err := o.provide(ctx, &j.log, purpose)
	if err != nil {
		j.log.cluster.close()
		return nil, err
	}
	return j, nil
}

// provide makes the topic of a journal where it is missing, and notes it before.
func (o *SourceOpener) provide(ctx context.Context, log *ownLog, purpose string) error {
	there, err := log.there(ctx)
	if err != nil {
		return err
	}
	if !there {
		n, err := openNotes(ctx, log.cluster, o.id.Bridge)
		if err == nil {
			err = n.makes(ctx, o.id.Relay, kindTopic, log.topic, useJournal+purpose)
		}
		if err != nil {
			return err
		}
	}
	return log.make(ctx)
}

// A journal is a topic that only this relay writes to.
type journal struct {
	mu  sync.Mutex // one at a time: Append or Replay
	log ownLog
}

// Append is as bridge.Journal says. The record is written without an identity of its own:
// if the answer is lost, it may be there, and once more when it is appended again.
func (j *journal) Append(ctx context.Context, record []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(record) > maxOwnRecord {
		return fmt.Errorf("%s: %s: journal %s: a record of %d octets, at most %d are taken", Kind, j.log.cluster.system.name, j.log.topic, len(record), maxOwnRecord)
	}
	return j.log.append(ctx, record)
}

// Replay is as bridge.Journal says.
func (j *journal) Replay(ctx context.Context, each func(record []byte) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.replay(ctx, each)
}

// MaxRecord is what the topic takes; the records of one parked message may be several.
func (j *journal) MaxRecord() int { return maxOwnRecord }

// Close is as bridge.Journal says. It ends what is under way.
func (j *journal) Close() error {
	j.log.cluster.close()
	return nil
}
