package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consuming are the options of a client that reads a job's topic from its beginning as
// a group of the job's own, and commits when it is told to.
func consuming(j job) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(j.Bridge), kgo.ConsumeTopics(j.From), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Hour), // marks, which the loop commits itself
	}
}

// A produced record is on its way to a topic; done is closed when it is there, or when
// err says why not.
type produced struct {
	done chan struct{}
	err  error
}

func produce(ctx context.Context, client *kgo.Client, topic, key, id string, body []byte) *produced {
	p := &produced{done: make(chan struct{})}
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: body, Headers: []kgo.RecordHeader{{Key: idHeader, Value: []byte(id)}}}
	client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		p.err = err
		close(p.done)
	})
	return p
}

func (p *produced) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fromKafka copies what publish sends on, in order, and commits what is confirmed.
func fromKafka[C any](ctx context.Context, j job, w *watch, client *kgo.Client, publish func(*kgo.Record) (C, error), confirmed func(C) error) error {
	type pending struct {
		c C
		r *kgo.Record
	}
	window := make(chan sent[pending, struct{}], inFlight)
	settled := make(chan error, 1)
	go func() {
		settled <- settle(j.Messages, window,
			func(p pending) error {
				err := confirmed(p.c)
				client.MarkCommitRecords(p.r)
				return err
			},
			func(struct{}) error { return client.CommitMarkedOffsets(ctx) })
	}()
	for taken := 0; taken < j.Messages; {
		fetches := client.PollRecords(ctx, inFlight)
		if err := fetches.Err(); err != nil {
			return err
		}
		w.begin()
		for it := fetches.RecordIter(); !it.Done(); taken++ {
			r := it.Next()
			c, err := publish(r)
			if err != nil {
				return err
			}
			select {
			case window <- sent[pending, struct{}]{confirm: pending{c, r}}:
			case err := <-settled:
				return err
			}
		}
	}
	if err := <-settled; err != nil {
		return err
	}
	w.end(j.Messages)
	return nil
}

// A wave is what one poll brought. It is over when its last record is confirmed.
type wave struct {
	records []*kgo.Record
	left    atomic.Int64
	over    chan struct{}
	once    sync.Once
	err     error
}

func (v *wave) confirm(_ *kgo.Record, err error) {
	if err != nil {
		v.once.Do(func() { v.err = err })
	}
	if v.left.Add(-1) == 0 {
		close(v.over)
	}
}

// waves is how many polls' records may be on their way.
const waves = 4

// kafkaToKafka copies with franz-go at both ends: its idempotent producer keeps each
// partition in order. Unlike the other loops it settles by the poll and not by the
// message, which costs it less.
func kafkaToKafka(ctx context.Context, j job, w *watch, client *kgo.Client) error {
	if _, _, err := client.ProducerID(ctx); err != nil { // connected before the clock starts
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	open := make(chan *wave, waves)
	settled := make(chan error, 1)
	go func() {
		err := settleWaves(ctx, client, open)
		settled <- err
		stop(err)
	}()
	for taken := 0; taken < j.Messages; {
		fetches := client.PollRecords(ctx, inFlight)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		w.begin()
		v := &wave{records: fetches.Records(), over: make(chan struct{})}
		v.left.Store(int64(len(v.records)))
		for _, r := range v.records {
			client.Produce(ctx, &kgo.Record{Topic: j.To, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, v.confirm)
		}
		taken += len(v.records)
		select {
		case open <- v:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	close(open)
	if err := <-settled; err != nil {
		return err
	}
	w.end(j.Messages)
	return nil
}

// settleWaves waits for waves in their order, and commits the prefix: one commit for
// all that are over.
func settleWaves(ctx context.Context, client *kgo.Client, open <-chan *wave) error {
	for v := range open {
		select {
		case <-v.over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if v.err != nil {
			return v.err
		}
		client.MarkCommitRecords(v.records...)
		if len(open) == 0 {
			if err := client.CommitMarkedOffsets(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
