package faulty_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/faulty"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

var identity = bridge.Identity{Bridge: "b", Relay: "r"}

func messages(from, to, keys int) (all []bridge.Message) {
	for i := from; i < to; i++ {
		all = append(all, bridge.Message{
			Key: fmt.Sprint("key-", i%keys), ID: bridge.ID{Value: fmt.Sprint("id-", i)}, Body: fmt.Appendf(nil, "body %d", i),
		})
	}
	return all
}

func pointers(msgs []bridge.Message) (all []*bridge.Message) {
	for i := range msgs {
		all = append(all, &msgs[i])
	}
	return all
}

// only is a plan by which one kind strikes once at each place.
func only(seed uint64, k faulty.Kind) faulty.Plan {
	return faulty.Plan{Seed: seed, Rates: map[faulty.Kind]float64{k: 1}, Most: 1}
}

type setting struct {
	f       *faulty.Faults
	broker  *memory.Broker
	in, out *memory.Stream
	source  bridge.SourceOpener
	sink    bridge.SinkOpener
}

func set(t *testing.T, p faulty.Plan, c memory.SinkConfig) *setting {
	t.Helper()
	b := memory.NewBroker("mem")
	t.Cleanup(b.Disconnect)
	s := &setting{f: faulty.New(p), broker: b, in: b.Stream("in"), out: b.Stream("out")}
	src, err := b.Source(identity, memory.SourceConfig{Stream: "in"})
	if err != nil {
		t.Fatal(err)
	}
	c.Stream = "out"
	snk, err := b.Sink(identity, c)
	if err != nil {
		t.Fatal(err)
	}
	s.source, s.sink = s.f.Source(src), s.f.Sink(snk)
	return s
}

// retried opens, and again if the fault strikes.
func retried[T any](t *testing.T, open func(context.Context) (T, error)) T {
	t.Helper()
	for range 3 {
		if v, err := open(t.Context()); err == nil {
			return v
		}
	}
	t.Fatal("does not open in three attempts")
	panic("unreachable")
}

type report struct {
	settled  int
	refused  []int
	failures []error
}

func (r *report) settle(n int, ps []bridge.Placement, err error) {
	for i := range n {
		if ps != nil && ps[i].Refused != nil {
			r.refused = append(r.refused, r.settled+i)
		}
	}
	r.settled += n
	if err != nil {
		r.failures = append(r.failures, err)
	}
}

func (s *setting) lane(t *testing.T, r *report) bridge.Lane {
	t.Helper()
	k := retried(t, s.sink.Open)
	return retried(t, func(ctx context.Context) (bridge.Lane, error) { return k.Open(ctx, 0, r.settle) })
}

func (s *setting) stored() (ids []string) {
	for _, m := range s.out.All() {
		ids = append(ids, m.ID.Value)
	}
	return ids
}

func TestSendFails(t *testing.T) {
	for _, k := range []faulty.Kind{faulty.Before, faulty.After, faulty.Disconnect, faulty.Partial} {
		for _, survives := range []bridge.Survivors{bridge.SurvivesPrefix, bridge.SurvivesAny} {
			t.Run(fmt.Sprint(k, "/", survives), func(t *testing.T) {
				partial, subset := 0, 0
				for seed := range uint64(20) {
					s := set(t, only(seed, k), memory.SinkConfig{Survives: survives})
					r := &report{}
					l := s.lane(t, r)
					msgs := messages(0, 8, 8)
					n, err := l.Send(t.Context(), pointers(msgs))
					if (n == len(msgs)) != (err == nil) {
						t.Fatalf("seed %d: send gave %d, %v", seed, n, err)
					}
					told := len(r.failures)
					if err != nil {
						told++
					}
					if told != 1 || bridge.ClassOf(errors.Join(append(r.failures, err)...)) != bridge.Transient {
						t.Errorf("seed %d: the failure was told %d times: %v, %v", seed, told, err, r.failures)
					}
					if _, err := l.Send(t.Context(), pointers(msgs)); err == nil {
						t.Errorf("seed %d: the lane did not end", seed)
					}
					if err := l.Close(); err != nil {
						t.Error(err)
					}
					if _, err := l.Send(t.Context(), pointers(msgs)); !errors.Is(err, bridge.ErrClosed) {
						t.Errorf("seed %d: send after close: %v", seed, err)
					}
					got := s.stored()
					full := []string{"id-0", "id-1", "id-2", "id-3", "id-4", "id-5", "id-6", "id-7"}
					prefix := slices.Equal(got, full[:len(got)])
					switch {
					case (k == faulty.Before || k == faulty.Disconnect) && (len(got) > 0 || r.settled > 0):
						t.Errorf("seed %d: %v had an effect: %v", seed, k, got)
					case k == faulty.After && (len(got) != 8 || r.settled > 0):
						t.Errorf("seed %d: stored %v, settled %d", seed, got, r.settled)
					case survives == bridge.SurvivesPrefix && !prefix:
						t.Errorf("seed %d: stored %v, no prefix", seed, got)
					case r.settled > len(got) || !slices.Equal(got[:r.settled], full[:r.settled]):
						t.Errorf("seed %d: settled %d of what is stored: %v", seed, r.settled, got)
					}
					if len(got) > 0 && len(got) < 8 {
						partial++
					}
					if !prefix {
						subset++
					}
				}
				if k == faulty.Partial && partial < 5 {
					t.Errorf("only %d of 20 pipelines took effect in part", partial)
				}
				if k == faulty.Partial && survives == bridge.SurvivesAny && subset < 5 {
					t.Errorf("only %d of 20 pipelines have a gap", subset)
				}
			})
		}
	}
}

func TestReceiveAndAckFail(t *testing.T) {
	for _, k := range []faulty.Kind{faulty.Before, faulty.After, faulty.Disconnect, faulty.Partial} {
		t.Run(string(k), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := set(t, only(3, k), memory.SinkConfig{})
				s.in.Put(messages(0, 6, 2)...)
				into := make([]bridge.Delivery, 6)
				var src bridge.Source
				if k != faulty.Partial { // Receive does not fail in part
					src = retried(t, s.source.Open)
					n, err := src.Receive(t.Context(), into)
					if again, err := src.Receive(t.Context(), into); err == nil {
						t.Fatalf("receive went on with %d after %d, %v", again, n, err)
					}
					if (err == nil) != (k == faulty.Disconnect) {
						t.Errorf("receive gave %d, %v", n, err)
					}
				}
				src = retried(t, s.source.Open)
				n, err := src.Receive(t.Context(), into)
				if n != 6 || err != nil || into[0].ID.Value != "id-0" {
					t.Fatalf("the next session gave %d, %v", n, err)
				}
				var receipts []bridge.Receipt
				for i := range into {
					receipts = append(receipts, into[i].Receipt)
				}
				if err := src.Ack(t.Context(), receipts); err == nil {
					t.Error("ack did not fail")
				}
				b, err := retried(t, s.source.Open).(bridge.Backlogger).Backlog(t.Context())
				want := map[faulty.Kind]bool{
					faulty.Before: b.Messages == 6, faulty.Disconnect: b.Messages == 6,
					faulty.After: b.Messages == 0, faulty.Partial: b.Messages > 0 && b.Messages < 6,
				}
				if err != nil || !want[k] {
					t.Errorf("%d of 6 are left after an ack that failed %s, %v", b.Messages, k, err)
				}
			})
		})
	}
}

func TestDuplicatesRepeatInOrder(t *testing.T) {
	s := set(t, faulty.Plan{Seed: 5, Rates: map[faulty.Kind]float64{faulty.Duplicate: 0.5}}, memory.SinkConfig{})
	s.in.Put(messages(0, 200, 3)...)
	src := retried(t, s.source.Open)
	next, repeats := 0, 0
	for next < 200 {
		into := make([]bridge.Delivery, 1+next%9)
		n, err := src.Receive(t.Context(), into)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range into[:n] {
			switch {
			case d.ID.Value == fmt.Sprint("id-", next):
				next++
			case d.Redelivered:
				repeats++
			default:
				t.Fatalf("%s came, %d was next", d.ID.Value, next)
			}
		}
	}
	if repeats < 20 || repeats < s.f.Count(faulty.Duplicate) {
		t.Errorf("%d repeats, %s", repeats, s.f)
	}
}

func TestDelaysEndWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := faulty.Plan{Rates: map[faulty.Kind]float64{faulty.Delay: 1}, Delay: time.Hour}
		s := set(t, p, memory.SinkConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		if _, err := s.source.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open of a source: %v", err)
		}
		if _, err := s.sink.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open of a sink: %v", err)
		}
		start := time.Now()
		src := retried(t, s.source.Open)
		s.in.Put(messages(0, 1, 1)...)
		if _, err := src.Receive(ctx, make([]bridge.Delivery, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("receive: %v", err)
		}
		if n, err := src.Receive(t.Context(), make([]bridge.Delivery, 1)); n != 1 || err != nil {
			t.Errorf("receive after a ctx had ended: %d, %v", n, err)
		}
		if took := time.Since(start); took < time.Second || took > 2*time.Hour {
			t.Errorf("two calls took %v", took)
		}
	})
}

func TestZombiesComeLater(t *testing.T) {
	landed, refused := 0, 0
	for seed := range uint64(30) {
		for _, fence := range []bridge.Fence{bridge.FenceNone, bridge.FenceExpect, bridge.FenceEpoch} {
			s := set(t, faulty.Plan{Seed: seed, Rates: map[faulty.Kind]float64{faulty.Zombie: 1}, Most: 1}, memory.SinkConfig{Fence: fence})
			r := &report{}
			first := s.lane(t, r)
			msgs := messages(0, 8, 1)
			if n, err := first.Send(t.Context(), pointers(msgs[:4])); n == 4 || err == nil || r.settled > 0 {
				t.Fatalf("seed %d: send gave %d, %v and settled %d", seed, n, err, r.settled)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			clear(msgs[:4]) // they are the caller's again
			before := len(s.stored())
			next := s.lane(t, r)
			for i := 4; i < 8; i++ {
				if _, err := next.Send(t.Context(), pointers(msgs[i:i+1])); err != nil {
					if fence != bridge.FenceExpect || len(s.stored()) == before {
						t.Fatalf("seed %d, %v: the successor: %v", seed, fence, err)
					}
					break // the zombie came before its first: it was told
				}
			}
			got := s.stored()
			switch own := slices.Index(got, "id-4"); {
			case s.f.Count(faulty.ZombieLanded)+s.f.Count(faulty.ZombieRefused) != 1:
				t.Errorf("seed %d, %v: the zombie did not rise: %s", seed, fence, s.f)
			case fence == bridge.FenceNone && s.f.Count(faulty.ZombieRefused) > 0:
				t.Errorf("seed %d: refused without a fence", seed)
			case fence != bridge.FenceNone && own >= 0 && len(got)-own != 4:
				t.Errorf("seed %d, %v: got through the fence: %v", seed, fence, got)
			}
			landed += s.f.Count(faulty.ZombieLanded)
			refused += s.f.Count(faulty.ZombieRefused)
		}
	}
	if landed < 30 || refused < 30 {
		t.Errorf("%d zombies landed, %d were refused", landed, refused)
	}
}

func refuseSome(m *bridge.Message) error {
	if string(m.Body) == "body 3" || string(m.Body) == "body 5" {
		return bridge.Reject(bridge.ReasonPoison, errors.New("chosen"))
	}
	return nil
}

func TestRefusalsComeInEveryWay(t *testing.T) {
	ways := map[string]int{}
	for seed := range uint64(40) {
		for _, latency := range []time.Duration{0, time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				c := memory.SinkConfig{Latency: latency, Survives: bridge.Survivors(seed % 2)}
				s := set(t, faulty.Plan{Seed: seed, Refuse: refuseSome}, c)
				r := &report{}
				l := s.lane(t, r)
				msgs := messages(0, 8, 8)
				sent := 0 // what is settled or refused
				for sent < len(msgs) {
					n, err := l.Send(t.Context(), pointers(msgs[sent:]))
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
					switch {
					case err == nil && len(r.failures) == 0:
						sent += n
						ways["placement"] += len(r.refused)
					case err != nil && bridge.ReasonOf(err) == bridge.ReasonPoison:
						ways["send"]++
						sent += n + 1
					case len(r.failures) == 1 && bridge.ReasonOf(r.failures[0]) == bridge.ReasonPoison && err == nil:
						ways["settled"]++
						sent = r.settled + 1
						for i := range sent - 1 { // those that a Send refused are not among the settled
							if refuseSome(&msgs[i]) != nil {
								sent++
								break
							}
						}
						if err := l.Close(); err != nil {
							t.Fatal(err)
						}
						settled := r.settled
						*r = report{settled: settled}
						l = s.lane(t, r)
					default:
						t.Fatalf("seed %d: send gave %d, %v; settled %+v", seed, n, err, r)
					}
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprint(s.stored()); got != "[id-0 id-1 id-2 id-4 id-6 id-7]" {
					t.Errorf("seed %d: stored %s", seed, got)
				}
				if s.f.Count(faulty.Refuse) == 0 {
					t.Error("no refusal was counted")
				}
			})
		}
	}
	for _, w := range []string{"send", "settled", "placement"} {
		if ways[w] < 5 {
			t.Errorf("refusals came these ways: %v", ways)
		}
	}
}

func TestSeedsAreReproduced(t *testing.T) {
	run := func(seed uint64) (line string) {
		synctest.Test(t, func(t *testing.T) {
			m := newMover(t, seed, memory.Reliable("out"))
			m.run(t)
			line = fmt.Sprint(m.f, m.stored(), m.lives)
		})
		return line
	}
	for seed := range uint64(5) {
		if a, b := run(seed), run(seed); a != b {
			t.Errorf("seed %d gave\n%s\nand then\n%s", seed, a, b)
		}
	}
	if run(1) == run(2) {
		t.Error("two seeds gave the same faults")
	}
}

func TestStopAndAbilities(t *testing.T) {
	s := set(t, faulty.Plan{Rates: map[faulty.Kind]float64{faulty.Before: 1}}, memory.Reliable("out"))
	if _, err := s.source.Open(t.Context()); err == nil {
		t.Error("nothing went wrong")
	}
	s.f.Stop()
	src := retried(t, s.source.Open)
	snk := retried(t, s.sink.Open)
	if s.f.Count(faulty.Before) != 1 || s.f.Counts()[faulty.Before] != 1 {
		t.Errorf("counted %s", s.f)
	}
	for what, ok := range map[string]bool{
		"Backlogger": is[bridge.Backlogger](src), "Holder": is[bridge.Holder](src), "Recaller": is[bridge.Recaller](snk),
		"Locator": is[bridge.Locator](snk), "no Router": !is[bridge.Router](snk), "JournalOpener": is[bridge.JournalOpener](s.source),
		"Checker of the source": is[bridge.Checker](s.source), "Checker of the sink": is[bridge.Checker](s.sink),
		"Sited of the source": is[bridge.Sited](s.source), "Sited of the sink": is[bridge.Sited](s.sink),
		"AcceptsRecreated": is[interface{ AcceptsRecreated() bool }](s.sink),
	} {
		if !ok {
			t.Errorf("the ability %s has changed", what)
		}
	}
	plain := s.f.Sink(plainSink{})
	if k, err := plain.Open(t.Context()); err != nil || is[bridge.Recaller](k) || is[bridge.Checker](plain) || is[bridge.Sited](plain) {
		t.Errorf("a plain sink got abilities: %T, %v", k, err)
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

type plainSink struct{}

func (plainSink) Traits() bridge.SinkTraits { return bridge.SinkTraits{} }
func (plainSink) Describe() string          { return "plain" }
func (plainSink) Open(context.Context) (bridge.Sink, error) {
	return bridge.BatchSink(func(context.Context, int) (bridge.Publisher, error) { return nil, errors.New("none") }), nil
}

func TestJournalFails(t *testing.T) {
	for k, want := range map[faulty.Kind]int{faulty.Before: 1, faulty.After: 2} {
		s := set(t, only(1, k), memory.SinkConfig{})
		j := retried(t, func(ctx context.Context) (bridge.Journal, error) {
			return s.source.(bridge.JournalOpener).OpenJournal(ctx, "parked")
		})
		if err := j.Append(t.Context(), []byte("a")); err == nil {
			t.Errorf("%s: append did not fail", k)
		}
		if err := j.Append(t.Context(), []byte("a")); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		if err := j.Replay(t.Context(), func([]byte) error { return nil }); err == nil {
			t.Errorf("%s: replay did not fail", k)
		}
		n := 0
		if err := j.Replay(t.Context(), func([]byte) error { n++; return nil }); err != nil || n != want {
			t.Errorf("%s: %d records, %v; want %d", k, n, err, want)
		}
	}
}
