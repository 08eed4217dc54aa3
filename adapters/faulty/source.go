package faulty

import (
	"context"
	"errors"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Source decorates the opener of a tap. The result has the abilities that o has.
func (f *Faults) Source(o bridge.SourceOpener) bridge.SourceOpener {
	d := &sourceOpener{SourceOpener: o, faults: f}
	journals, isJournals := o.(bridge.JournalOpener)
	checker, isChecker := o.(bridge.Checker)
	sited, isSited := o.(bridge.Sited)
	j := &journalOpener{JournalOpener: journals, faults: f}
	switch {
	case isJournals && isChecker && isSited:
		return struct {
			*sourceOpener
			*journalOpener
			bridge.Checker
			bridge.Sited
		}{d, j, checker, sited}
	case isJournals && isChecker:
		return struct {
			*sourceOpener
			*journalOpener
			bridge.Checker
		}{d, j, checker}
	case isJournals && isSited:
		return struct {
			*sourceOpener
			*journalOpener
			bridge.Sited
		}{d, j, sited}
	case isChecker && isSited:
		return struct {
			*sourceOpener
			bridge.Checker
			bridge.Sited
		}{d, checker, sited}
	case isJournals:
		return struct {
			*sourceOpener
			*journalOpener
		}{d, j}
	case isChecker:
		return struct {
			*sourceOpener
			bridge.Checker
		}{d, checker}
	case isSited:
		return struct {
			*sourceOpener
			bridge.Sited
		}{d, sited}
	}
	return d
}

type sourceOpener struct {
	bridge.SourceOpener
	faults *Faults
}

// Open is as bridge.SourceOpener says, but for the faults.
func (o *sourceOpener) Open(ctx context.Context) (bridge.Source, error) {
	k := o.faults.draw("source: open", Before, After, Delay)
	switch k.kind {
	case Before:
		return nil, k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return nil, err
		}
	}
	inner, err := o.SourceOpener.Open(ctx)
	if err != nil {
		return nil, err
	}
	if k.kind == After {
		return nil, errors.Join(k.err, inner.Close())
	}
	return able(&source{Source: inner, faults: o.faults}, inner), nil
}

// able gives s the abilities that inner has.
func able(s *source, inner bridge.Source) bridge.Source {
	backlogger, isBacklogger := inner.(bridge.Backlogger)
	resumer, isResumer := inner.(bridge.Resumer)
	_, isHolder := inner.(bridge.Holder)
	h := holder{s}
	switch {
	case isBacklogger && isHolder && isResumer:
		return struct {
			*source
			bridge.Backlogger
			bridge.Resumer
			holder
		}{s, backlogger, resumer, h}
	case isBacklogger && isHolder:
		return struct {
			*source
			bridge.Backlogger
			holder
		}{s, backlogger, h}
	case isBacklogger && isResumer:
		return struct {
			*source
			bridge.Backlogger
			bridge.Resumer
		}{s, backlogger, resumer}
	case isHolder && isResumer:
		return struct {
			*source
			bridge.Resumer
			holder
		}{s, resumer, h}
	case isBacklogger:
		return struct {
			*source
			bridge.Backlogger
		}{s, backlogger}
	case isHolder:
		return struct {
			*source
			holder
		}{s, h}
	case isResumer:
		return struct {
			*source
			bridge.Resumer
		}{s, resumer}
	}
	return s
}

// A source is a session that may fail at any call.
type source struct {
	bridge.Source
	faults *Faults

	mu    sync.Mutex
	ended error
}

// cut ends the session as a lost connection does, and gives what ended it.
func (s *source) cut(cause error) error {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = cause
	}
	cause = s.ended
	s.mu.Unlock()
	_ = s.Source.Close() // the connection is gone; nobody is left to hear of it
	return cause
}

// over gives what ended the session, or nil.
func (s *source) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Receive is as bridge.Source says, but for the faults.
func (s *source) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	if err := s.over(); err != nil {
		return 0, err
	}
	can := []Kind{Before, After, Delay, Disconnect}
	if len(into) > 1 {
		can = append(can, Duplicate)
	}
	k := s.faults.draw("source: receive", can...)
	switch k.kind {
	case Before:
		return 0, s.cut(k.err)
	case Delay:
		if err := k.pause(ctx); err != nil {
			return 0, err
		}
	case Disconnect:
		return s.lose(ctx, into, &k)
	case Duplicate:
		return s.repeat(ctx, into, &k)
	}
	n, err := s.plain(ctx, into)
	if k.kind == After && err == nil {
		clear(into[:n])
		return 0, s.cut(k.err)
	}
	return n, err
}

// plain receives, and says what ended the session if it was a fault elsewhere.
func (s *source) plain(ctx context.Context, into []bridge.Delivery) (int, error) {
	n, err := s.Source.Receive(ctx, into)
	if err != nil && ctx.Err() == nil {
		if cause := s.over(); cause != nil {
			return 0, cause
		}
	}
	return n, err
}

// lose waits for deliveries for a while, and loses the connection then, or with
// the first of them in hand.
func (s *source) lose(ctx context.Context, into []bridge.Delivery, k *strike) (int, error) {
	soon, cancel := context.WithTimeoutCause(ctx, k.wait, k.err)
	defer cancel()
	n, err := s.plain(soon, into)
	if err != nil && !errors.Is(err, k.err) {
		return n, err
	}
	cause := s.cut(k.err)
	if n > 0 {
		return n, nil
	}
	return 0, cause
}

// repeat delivers the last of what comes twice, in order, none of it
// acknowledged.
func (s *source) repeat(ctx context.Context, into []bridge.Delivery, k *strike) (int, error) {
	n, err := s.plain(ctx, into[:1+k.rng.IntN(len(into)-1)])
	if err != nil {
		return n, err
	}
	again := copy(into[n:], into[n-min(n, len(into)-n):n])
	for i := range again {
		into[n+i].Redelivered = true
	}
	return n + again, nil
}

// Ack is as bridge.Source says, but for the faults.
func (s *source) Ack(ctx context.Context, receipts []bridge.Receipt) error {
	if err := s.over(); err != nil {
		return err
	}
	k := s.faults.draw("source: ack", Before, After, Partial, Delay, Disconnect)
	switch k.kind {
	case Before, Disconnect:
		return s.cut(k.err)
	case Partial:
		var some []bridge.Receipt
		for _, r := range receipts {
			if k.rng.IntN(2) == 0 {
				some = append(some, r)
			}
		}
		receipts = some
	case Delay:
		if err := k.pause(ctx); err != nil {
			return s.cut(err)
		}
	}
	err := s.Source.Ack(ctx, receipts)
	if k.kind == After || k.kind == Partial {
		return s.cut(k.err)
	}
	return err
}

// Close is as bridge.Source says.
func (s *source) Close() error {
	s.mu.Lock()
	s.ended = bridge.ErrClosed
	s.mu.Unlock()
	return s.Source.Close()
}

// A holder is the ability of a source to prove that it has the tap.
type holder struct{ s *source }

// Hold is as bridge.Holder says, but for the faults.
func (h holder) Hold(ctx context.Context) error {
	if err := h.s.over(); err != nil {
		return err
	}
	k := h.s.faults.draw("source: hold", Before, Delay)
	switch k.kind {
	case Before:
		return h.s.cut(k.err)
	case Delay:
		if err := k.pause(ctx); err != nil {
			return err
		}
	}
	return h.s.Source.(bridge.Holder).Hold(ctx)
}

type journalOpener struct {
	bridge.JournalOpener
	faults *Faults
}

// OpenJournal is as bridge.JournalOpener says, but for the faults.
func (o *journalOpener) OpenJournal(ctx context.Context, purpose string) (bridge.Journal, error) {
	k := o.faults.draw("journal: open", Before, Delay)
	switch k.kind {
	case Before:
		return nil, k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return nil, err
		}
	}
	j, err := o.JournalOpener.OpenJournal(ctx, purpose)
	if err != nil {
		return nil, err
	}
	return &journal{j, o.faults}, nil
}

type journal struct {
	bridge.Journal
	faults *Faults
}

// Append is as bridge.Journal says, but for the faults.
func (j *journal) Append(ctx context.Context, record []byte) error {
	k := j.faults.draw("journal: append", Before, After, Delay)
	switch k.kind {
	case Before:
		return k.err
	case Delay:
		if err := k.pause(ctx); err != nil {
			return err
		}
	}
	err := j.Journal.Append(ctx, record)
	if err == nil && k.kind == After {
		return k.err
	}
	return err
}

// Replay is as bridge.Journal says, but for the faults.
func (j *journal) Replay(ctx context.Context, each func([]byte) error) error {
	k := j.faults.draw("journal: replay", Before, After)
	if k.kind == Before {
		return k.err
	}
	err := j.Journal.Replay(ctx, each)
	if err == nil && k.kind == After {
		return k.err
	}
	return err
}
