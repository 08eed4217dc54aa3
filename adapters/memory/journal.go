package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// maxRecord is the largest record of a journal, in octets.
const maxRecord = 4 << 20

// records is a journal as the broker holds it.
type records struct {
	id  bridge.Identity
	mu  sync.Mutex
	all [][]byte
}

// OpenJournal is as bridge.JournalOpener says.
func (o *SourceOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b := o.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	name := o.id + "/" + purpose
	r := b.journals[name]
	if r == nil {
		r = &records{id: o.identity}
		b.journals[name] = r
	}
	return &journal{records: r}, nil
}

// A journal is one opening of records.
type journal struct {
	*records
	closed bool // guarded by records.mu
}

// Append is as bridge.Journal says.
func (j *journal) Append(ctx context.Context, record []byte) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(record) > maxRecord:
		return fmt.Errorf("%s: journal: record of %d octets, at most %d are taken", Kind, len(record), maxRecord)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return bridge.ErrClosed
	}
	j.all = append(j.all, slices.Clone(record))
	return nil
}

// Replay is as bridge.Journal says.
func (j *journal) Replay(ctx context.Context, each func([]byte) error) error {
	j.mu.Lock()
	all, closed := j.all, j.closed
	j.mu.Unlock()
	if closed {
		return bridge.ErrClosed
	}
	for _, r := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := each(slices.Clone(r)); err != nil {
			return err
		}
	}
	return nil
}

// MaxRecord is as bridge.Journal says.
func (j *journal) MaxRecord() int { return maxRecord }

// Close is as bridge.Journal says.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}
