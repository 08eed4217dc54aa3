package bridge

import (
	"context"
	"errors"
	"io"
)

// A Class says what the relay does about an error.
type Class uint8

// The classes of errors.
const (
	// Transient: retry in place with back-off; the lane waits. The default,
	// because losing is worse than repeating. "Outcome unknown" is transient.
	Transient Class = iota
	// Rejected: park the message with the reason and go on.
	Rejected
	// Stopping: stop the relay and tell the operator.
	Stopping
	// Ended: the session ended because it was asked to.
	Ended
)

// ErrClosed is what a closed Source, Sink or Lane answers.
var ErrClosed = errors.New("closed")

// ErrRerouted is what an error wraps, or is joined with, that ends a lane because
// the target keeps its messages in another lane by now: the routes that the session
// goes by are out of date. It is Transient; the relay gives back what is unsettled
// and begins anew with everything, not with the lane alone.
var ErrRerouted = errors.New("the target is partitioned otherwise by now")

// A Reason is why a message can never be delivered as it is.
type Reason string

// The reasons for parking.
const (
	ReasonOversized  Reason = "oversized"    // larger than the target takes
	ReasonName       Reason = "illegal-name" // its address, key or header name cannot be said there
	ReasonUnroutable Reason = "unroutable"   // nothing at the target receives that address
	ReasonPoison     Reason = "poison"       // it cannot be read, or the target refuses its content
	ReasonLossy      Reason = "lossy"        // something in it cannot be carried at all
	ReasonExpired    Reason = "expired"      // its time ran out while it was parked
	ReasonHeld       Reason = "held"         // an earlier message of its key is parked
)

type rejectError struct {
	reason Reason
	err    error
}

func (e *rejectError) Error() string { return string(e.reason) + ": " + e.err.Error() }
func (e *rejectError) Unwrap() error { return e.err }

// Reject marks err as being about the message: it can never be delivered.
func Reject(reason Reason, err error) error { return &rejectError{reason, err} }

// ReasonOf gives the reason of a Reject, or "" if err is none.
func ReasonOf(err error) Reason {
	var r *rejectError
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}

type fatalError struct {
	hint string
	err  error
}

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// Fatal marks err as one that no retry mends. The hint tells the operator what
// to do, as a sentence.
func Fatal(err error, hint string) error { return &fatalError{hint, err} }

// HintOf gives the hint of a Fatal, or "".
func HintOf(err error) string {
	var f *fatalError
	if errors.As(err, &f) {
		return f.hint
	}
	return ""
}

// ClassOf says what the relay does about err, which is not nil.
func ClassOf(err error) Class {
	var r *rejectError
	var f *fatalError
	switch {
	case errors.As(err, &f):
		return Stopping
	case errors.As(err, &r):
		return Rejected
	case err == io.EOF: //nolint:errorlint // a wrapped one is a connection that broke
		return Ended
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return Ended
	}
	return Transient
}
