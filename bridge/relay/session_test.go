package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// script is a source.
type script struct {
	next func(ctx context.Context, into []bridge.Delivery) (int, error)
	ack  func(ctx context.Context, r []bridge.Receipt) error
}

func (s *script) Receive(ctx context.Context, into []bridge.Delivery) (int, error) {
	return s.next(ctx, into)
}
func (s *script) Ack(ctx context.Context, r []bridge.Receipt) error {
	if s.ack == nil {
		return nil
	}
	return s.ack(ctx, r)
}
func (s *script) Close() error { return nil }

type fakeSink struct {
	open func(ctx context.Context, settled bridge.Settled) (bridge.Lane, error)
	rec  func(n int, each func(bridge.Placed) bool)
}

func (f *fakeSink) Open(ctx context.Context, _ int, s bridge.Settled) (bridge.Lane, error) {
	return f.open(ctx, s)
}
func (f *fakeSink) Close() error { return nil }
func (f *fakeSink) Recall(ctx context.Context, lane, n int, each func(bridge.Placed) bool) error {
	if f.rec != nil {
		f.rec(n, each)
	}
	return nil
}

type fakeLane struct {
	send  func(ctx context.Context, msgs []*bridge.Message) (int, error)
	close func()
}

func (f *fakeLane) Send(ctx context.Context, m []*bridge.Message) (int, error) { return f.send(ctx, m) }
func (f *fakeLane) Close() error {
	if f.close != nil {
		f.close()
	}
	return nil
}

func counting(limit int, body int) func(context.Context, []bridge.Delivery) (int, error) {
	i := 0
	return func(ctx context.Context, into []bridge.Delivery) (int, error) {
		if i >= limit {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}
		n := 0
		for n < len(into) && i < limit {
			into[n] = bridge.Delivery{Message: bridge.Message{Key: fmt.Sprint("k", i%7), ID: bridge.ID{Value: fmt.Sprint(i)}, Body: make([]byte, body)}, Receipt: bridge.Receipt{Seq: uint64(i)}}
			n++
			i++
		}
		return n, nil
	}
}

func placing(settled bridge.Settled) bridge.Lane {
	return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
		settled(len(m), nil, nil)
		return len(m), nil
	}}
}

func mk(t *testing.T, c Config) *Relay {
	c.Identity = bridge.Identity{Bridge: "b", Relay: "r"}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAMendedPlaceToParkIsNotWaitedForAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		first := true
		src := &script{next: counting(100, 1)}
		r := mk(t, Config{
			Source: func(context.Context) (bridge.Source, error) { return src, nil },
			Sink: func(context.Context) (bridge.Sink, error) {
				return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) {
					return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
						if first {
							first = false
							return 0, bridge.Reject(bridge.ReasonName, errors.New("bad"))
						}
						s(len(m), nil, nil)
						return len(m), nil
					}}, nil
				}}, nil
			},
			Parking: parking(func([]bridge.Parked) error {
				if n++; n == 1 {
					return errors.New("journal away")
				}
				return nil
			}),
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Hour)
		s := r.Snapshot()
		if s.State != StateIdle {
			t.Errorf("all is settled for an hour, but state is %s: %s", s.State, s.Why)
		}
		stop()
		<-done
	})
}

func TestSessionsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := int32(0)
		r := mk(t, Config{
			Source: func(context.Context) (bridge.Source, error) {
				epoch++
				i := 0
				e := epoch
				return &script{next: func(ctx context.Context, into []bridge.Delivery) (int, error) {
					if i++; i > 1 {
						return 0, errors.New("broken")
					}
					into[0] = bridge.Delivery{Message: bridge.Message{Key: "k"}, Receipt: bridge.Receipt{Shard: e}}
					return 1, nil
				}}, nil
			},
			Sink: func(context.Context) (bridge.Sink, error) {
				return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) { return placing(s), nil }}, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(300 * time.Second)
		stop()
		<-done
		if len(r.ledger.trackers) > 2 {
			t.Errorf("%d sessions left %d trackers", epoch, len(r.ledger.trackers))
		}
	})
}

func TestAStopIsHeardWhileFiniteInputDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := 0
		var open atomic.Bool
		src := &script{next: func(ctx context.Context, into []bridge.Delivery) (int, error) {
			if i++; i > 1 {
				return 0, io.EOF
			}
			into[0] = bridge.Delivery{Message: bridge.Message{Key: "k"}}
			return 1, nil
		}}
		r := mk(t, Config{
			Source: func(context.Context) (bridge.Source, error) { return src, nil },
			Sink: func(context.Context) (bridge.Sink, error) {
				if !open.Load() {
					return nil, errors.New("refused")
				}
				return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) { return placing(s), nil }}, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx); close(done) }()
		time.Sleep(time.Second)
		stop()
		time.Sleep(24 * time.Hour)
		select {
		case <-done:
		default:
			t.Error("still running a day after the stop:", r.Snapshot().State)
		}
		open.Store(true)
		<-done
	})
}

func TestWhatTheSessionReportsComesBeforeWhatSendMeets(t *testing.T) {
	for _, cause := range []error{bridge.Reject(bridge.ReasonPoison, errors.New("poison")), bridge.Fatal(errors.New("sealed"), "x")} {
		synctest.Test(t, func(t *testing.T) {
			src := &script{next: counting(1000, 1)}
			opens := 0
			r := mk(t, Config{
				Source: func(context.Context) (bridge.Source, error) { return src, nil },
				Sink: func(context.Context) (bridge.Sink, error) {
					return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) {
						opens++
						return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
							s(0, nil, cause) // about the first message
							return 1, errors.New("the lane has ended")
						}}, nil
					}}, nil
				},
				Parking: parking(func([]bridge.Parked) error { return nil }),
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			time.Sleep(time.Hour)
			s := r.Snapshot()
			if bridge.ClassOf(cause) == bridge.Stopping && s.State != StateFailed || bridge.ClassOf(cause) == bridge.Rejected && s.Counts.Parked != 1000 {
				t.Errorf("%v: %d sessions, %d parked, %s: %s", cause, opens, s.Counts.Parked, s.State, s.Why)
			}
			stop()
			<-done
		})
	}
}

func TestASmallWindowStillHoldsWhatIsRecalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{next: counting(1000, 1)}
		var sent int
		r := mk(t, Config{
			Limits:     Limits{Window: 100},
			Source:     func(context.Context) (bridge.Source, error) { return src, nil },
			SinkTraits: bridge.SinkTraits{Recall: 1 << 16, Lanes: 1},
			Sink: func(context.Context) (bridge.Sink, error) {
				return &fakeSink{
					rec: func(n int, each func(bridge.Placed) bool) { // all 1000 were placed before the crash
						for i := 999; i >= 0; i-- {
							each(bridge.Placed{ID: bridge.ID{Value: fmt.Sprint(i)}, Key: fmt.Sprint("k", i%7)})
						}
					},
					open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) {
						return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
							sent += len(m)
							s(len(m), nil, nil)
							return len(m), nil
						}}, nil
					}}, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute)
		if sent > 0 {
			t.Error("sent again although recalled")
		}
		stop()
		<-done
	})
}

func TestARejectAboutNothingBacksOff(t *testing.T) {
	opens := 0
	src := &script{next: counting(1, 1)}
	r := mk(t, Config{
		Limits: Limits{Drain: 10 * time.Millisecond},
		Source: func(context.Context) (bridge.Source, error) { return src, nil },
		Sink: func(context.Context) (bridge.Sink, error) {
			opens++
			return nil, bridge.Reject(bridge.ReasonName, errors.New("name"))
		},
	})
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	_ = r.Run(ctx)
	if opens > 30 {
		t.Errorf("%d sessions in a second", opens)
	}
}

func TestParkingAtFullPaceIsNotWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := 0
		src := &script{next: func(ctx context.Context, into []bridge.Delivery) (int, error) {
			time.Sleep(time.Millisecond)
			for n := range min(10, len(into)) {
				i++
				into[n] = bridge.Delivery{Message: bridge.Message{Key: "k", ID: bridge.ID{Value: fmt.Sprint(i)}}}
			}
			return min(10, len(into)), nil
		}}
		r := mk(t, Config{
			Source: func(context.Context) (bridge.Source, error) { return src, nil },
			Sink: func(context.Context) (bridge.Sink, error) {
				return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) {
					return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
						return 0, bridge.Reject(bridge.ReasonName, errors.New("bad"))
					}}, nil
				}}, nil
			},
			Parking: parking(func([]bridge.Parked) error {
				time.Sleep(time.Millisecond)
				return nil
			}),
			Limits: Limits{Parked: 1 << 30},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute)
		if s := r.Snapshot(); s.State == StateWaiting || s.Counts.Parked == 0 {
			t.Errorf("%+v %s: %s", s.Counts, s.State, s.Why)
		}
		stop()
		<-done
	})
}

func TestACandidateThatOpensAndRefusesIsNotUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{next: counting(100, 1)}
		r := mk(t, Config{
			Source: func(context.Context) (bridge.Source, error) { return src, nil },
			Sink: func(context.Context) (bridge.Sink, error) {
				return &fakeSink{open: func(_ context.Context, s bridge.Settled) (bridge.Lane, error) {
					return &fakeLane{send: func(_ context.Context, m []*bridge.Message) (int, error) {
						return 0, errors.New("the stream is full")
					}}, nil
				}}, nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Hour)
		s := r.Snapshot()
		if s.State != StateWaiting || time.Since(s.Since) < 59*time.Minute || s.Reconnects > 0 || !strings.Contains(s.Why, "the stream is full") {
			t.Errorf("%s since %s, %d reconnects: %s", s.State, time.Since(s.Since), s.Reconnects, s.Why)
		}
		stop()
		<-done
	})
}

// One message that waits does not keep the bodies of its whole batch.
func TestABatchKeepsOnlyTheBodiesThatAreUnsettled(t *testing.T) {
	b := &batch{buf: make([]bridge.Delivery, 3), left: 3}
	var l ledger
	l.init(8, Limits{Window: 8, Bytes: 100})
	for i := range b.buf {
		b.buf[i].Body = []byte("large")
		e := entry{d: &b.buf[i], batch: b}
		if i > 0 {
			l.release(&e)
		}
	}
	if b.buf[0].Body == nil || b.buf[1].Body != nil || b.buf[2].Body != nil {
		t.Errorf("%+v", b.buf)
	}
}

// A Receive asks for no more than the octets that are left, as far as sizes can
// be foreseen.
func TestOneReceiveDoesNotOverrunTheOctets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{next: counting(4000, 1<<16)}
		r := mk(t, Config{
			Limits: Limits{Bytes: 4 << 20},
			Source: func(context.Context) (bridge.Source, error) { return src, nil },
			Sink:   func(context.Context) (bridge.Sink, error) { return nil, errors.New("away") },
		})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(30 * time.Second)
		if b := r.Snapshot().Bytes; b < 4<<20 || b > 6<<20 {
			t.Errorf("%d MiB in flight, the limit is 4", b>>20)
		}
		<-done
	})
}

// Recall covers what a source has out beyond what the relay has taken.
func TestRecallCoversWhatTheSourceHasOut(t *testing.T) {
	debt, recall := debtAndRecall(Config{
		Limits:       Limits{Debt: 20},
		SourceTraits: bridge.SourceTraits{Unacked: 4096}, SinkTraits: bridge.SinkTraits{Recall: 1 << 16},
	})
	if debt != 20 || recall != 4096 {
		t.Errorf("debt %d, recall %d", debt, recall)
	}
}

// A parking takes messages and forgets them.
type parking func([]bridge.Parked) error

func (p parking) Park(_ context.Context, ps []bridge.Parked) error             { return p(ps) }
func (p parking) Each(context.Context, func(*bridge.Parked) error) error       { return nil }
func (p parking) Retry(context.Context, []string) error                        { return nil }
func (p parking) Placed(context.Context, []string) error                       { return nil }
func (p parking) Refused(context.Context, string, bridge.Reason, string) error { return nil }
