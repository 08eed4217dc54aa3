package relay

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/ordering"
)

var incumbent = &bridge.Stream{System: "test", Name: "in", Incarnation: "1", Replayable: true}

// sharded is a source of several shards.
type sharded struct {
	script
	floors []bridge.Origin
	first  [][]bridge.Origin
}

func (s *sharded) Resumes(each func(bridge.Origin)) {
	for _, o := range s.floors {
		each(o)
	}
}
func (s *sharded) First(upTo []bridge.Origin) { s.first = append(s.first, upTo) }

// laned is a sink whose lanes do different things.
type laned struct {
	open   func(lane int, s bridge.Settled) bridge.Lane
	placed []bridge.Placed // newest first
	read   int
}

func (s *laned) Open(_ context.Context, lane int, settled bridge.Settled) (bridge.Lane, error) {
	return s.open(lane, settled), nil
}
func (s *laned) Close() error { return nil }
func (s *laned) Recall(_ context.Context, lane, n int, each func(bridge.Placed) bool) error {
	s.read = 0
	for _, p := range s.placed[:min(n, len(s.placed))] {
		s.read++
		if !each(p) {
			break
		}
	}
	return nil
}

// While one shard waits the others go on no further than what is read back after a
// crash. // I6
func TestOneShardThatWaitsKeepsTheOthersInReach(t *testing.T) {
	if n := whileOneWaits(t, 1000); n != 100 {
		t.Errorf("%d were received while the first waits, want 100", n)
	}
}

// whileOneWaits says how many are received, of so many, while the first one's lane
// waits, and lets it go on then. The debt is 100.
func whileOneWaits(t *testing.T, most int64) (n int64) {
	keys := []string{}
	for i := 0; len(keys) < 2; i++ {
		if k := fmt.Sprint("k", i); ordering.Lane(k, 0, 2) == len(keys) {
			keys = append(keys, k)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var received atomic.Int64
		src := &sharded{script: script{next: func(ctx context.Context, into []bridge.Delivery) (int, error) {
			if received.Load() >= most {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			for i := range into {
				n := received.Add(1)
				d := bridge.Delivery{Message: bridge.Message{Key: keys[0], ID: bridge.ID{Value: fmt.Sprint(n)}, Body: []byte{1}}}
				d.Receipt.Seq = uint64(n)
				if n == 1 {
					d.Key, d.Receipt.Shard = keys[1], 1
				}
				into[i] = d
			}
			return len(into), nil
		}}}
		let := make(chan struct{})
		r := mk(t, Config{
			Source:       func(context.Context) (bridge.Source, error) { return src, nil },
			SourceTraits: bridge.SourceTraits{Sharded: true},
			SinkTraits:   bridge.SinkTraits{Recall: 1 << 16, Lanes: 2},
			Limits:       Limits{Debt: 100, Batch: 10},
			Sink: func(context.Context) (bridge.Sink, error) {
				return &laned{open: func(lane int, s bridge.Settled) bridge.Lane {
					if lane == 0 {
						return placing(s)
					}
					return &fakeLane{send: func(ctx context.Context, m []*bridge.Message) (int, error) {
						select {
						case <-let:
							s(len(m), nil, nil)
							return len(m), nil
						case <-ctx.Done():
							return 0, ctx.Err()
						}
					}}
				}}, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		n = received.Load()
		close(let)
		synctest.Wait()
		if c := r.Snapshot().Counts; c.Placed != uint64(most) {
			t.Errorf("%d were placed in the end, want %d", c.Placed, most)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n
}

// A relay reads back until it has seen of every shard what does not come again, and has
// those first of which something is placed and does. // I6
func TestRecallReachesBackOverEveryShard(t *testing.T) {
	at := func(shard int32, offset uint64) bridge.Origin {
		return bridge.Origin{Stream: incumbent, Shard: shard, Offset: offset}
	}
	placed := func(n int, shard int32, from uint64) (ps []bridge.Placed) { // newest first
		for i := range n {
			o := at(shard, from+uint64(n-1-i))
			ps = append(ps, bridge.Placed{ID: bridge.ID{Value: o.String()}, Key: "k", Origin: o})
		}
		return ps
	}
	late := placed(3, 1, 50) // 50, 51, 52, of which the group knows 50
	busy := placed(130, 0, 1000)
	old := placed(500, 0, 500)
	for _, tc := range []struct {
		name   string
		floors []bridge.Origin
		read   int
		first  []string
	}{
		{"nothing waits", nil, 20, nil},
		{"the busy one alone", []bridge.Origin{at(0, 1120)}, 20, []string{at(0, 1129).String()}},
		{"the late one too", []bridge.Origin{at(0, 1120), at(1, 51)}, 133, []string{at(0, 1129).String(), at(1, 52).String()}},
		{"one that was never seen", []bridge.Origin{at(2, 0)}, 40, nil},
		{"another life of the stream", []bridge.Origin{{Stream: &bridge.Stream{System: "test", Name: "in", Incarnation: "2", Replayable: true}, Shard: 1, Offset: 51}}, 40, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &sharded{script: script{next: counting(0, 1)}, floors: tc.floors}
				sink := &laned{placed: slices.Concat(busy, late, old), open: func(_ int, s bridge.Settled) bridge.Lane { return placing(s) }}
				r := mk(t, Config{
					Source:       func(context.Context) (bridge.Source, error) { return src, nil },
					SourceTraits: bridge.SourceTraits{Sharded: true},
					SinkTraits:   bridge.SinkTraits{Recall: 1 << 16, Lanes: 1},
					Limits:       Limits{Debt: 20},
					Sink:         func(context.Context) (bridge.Sink, error) { return sink, nil },
				})
				if tc.name == "the late one too" {
					r.reach = 400
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx) }()
				synctest.Wait()
				if sink.read != tc.read {
					t.Errorf("read back %d, want %d", sink.read, tc.read)
				}
				if len(src.first) != 1 {
					t.Fatalf("First was called %d times", len(src.first))
				}
				var first []string
				for _, o := range src.first[0] {
					first = append(first, o.String())
				}
				if slices.Sort(first); !slices.Equal(first, tc.first) {
					t.Errorf("first: %v, want %v", first, tc.first)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
