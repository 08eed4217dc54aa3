package bridge

import (
	"context"
	"sync"
)

// A Publisher is the simplest way to write to a target: publish these in order
// and return how many are durable. n == len(msgs) exactly when err is nil; it is
// unknown whether msgs[n] took effect, and nothing later did.
type Publisher interface {
	Publish(ctx context.Context, msgs []*Message) (n int, err error)
	Close() error
}

// BatchSink makes a Sink of a function that opens a Publisher. Fencing, if the
// target has it, is the open function's. Many third-party adapters need no more.
func BatchSink(open func(ctx context.Context, lane int) (Publisher, error)) Sink {
	return batchSink(open)
}

type batchSink func(ctx context.Context, lane int) (Publisher, error)

func (open batchSink) Open(ctx context.Context, lane int, settled Settled) (Lane, error) {
	p, err := open(ctx, lane)
	if err != nil {
		return nil, err
	}
	return &batchLane{publisher: p, settled: settled}, nil
}

func (batchSink) Close() error { return nil }

type batchLane struct {
	publisher Publisher
	settled   Settled
	once      sync.Once
	closeErr  error
}

// Send publishes and settles before it returns, so the lane's window is the call.
func (l *batchLane) Send(ctx context.Context, msgs []*Message) (int, error) {
	n, err := l.publisher.Publish(ctx, msgs)
	if n > 0 {
		l.settled(n, nil, nil)
	}
	return n, err
}

func (l *batchLane) Close() error {
	l.once.Do(func() { l.closeErr = l.publisher.Close() })
	return l.closeErr
}
