package ledger

import (
	"context"
	"fmt"
	"time"
)

// A Reader reads one candidate from where it was when it last returned. Read
// returns nil when ctx ends.
type Reader interface {
	Read(ctx context.Context, b *Book) error
}

// Collect reads until everything confirmed has been found, or nothing has come
// for as long as patience. What is missing then is in the book's Report.
func Collect(ctx context.Context, b *Book, r Reader, patience time.Duration) error {
	return read(ctx, b, r, func(since time.Duration) bool {
		return b.Complete() || since > patience
	})
}

// Rest reads until nothing has come for as long as quiet: what else a candidate
// holds after whoever wrote to it has ended.
func Rest(ctx context.Context, b *Book, r Reader, quiet time.Duration) error {
	return read(ctx, b, r, func(since time.Duration) bool { return since > quiet })
}

// read lets r read until enough says so; it is given the time since the last
// message.
func read(ctx context.Context, b *Book, r Reader, enough func(since time.Duration) bool) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.Read(reading, b) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := b.Read()
	since := time.Now()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = fmt.Errorf("ledger: reading ended: %w", context.Cause(ctx))
			}
			return err
		case <-tick.C:
		}
		if now := b.Read(); now != last {
			last, since = now, time.Now()
		}
		if enough(time.Since(since)) {
			stop()
			return <-ended
		}
	}
}
