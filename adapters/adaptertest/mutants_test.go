package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// A mutant breaks one promise; each of the named checks has to fail on it.
type mutant struct {
	name   string
	bend   bend
	caught []string // prefixes of group/promise
}

var background = context.Background()

// inTurns gives the source several shards.
func inTurns(from *memory.SourceConfig, _ *memory.SinkConfig) { from.Turn = 5 }

func sourceMutants() []mutant {
	return []mutant{
		{"gives nothing when there is nothing", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			n, err := s.Source.Receive(ctx, into)
			if errors.Is(err, context.DeadlineExceeded) {
				return 0, nil
			}
			return n, err
		}}, []string{"Receive/blocks", "Receive/ends with ctx"}},
		{"gives an error of ctx, not its cause", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			if ctx.Err() != nil {
				return n, ctx.Err()
			}
			return n, err
		}}, []string{"Receive/ends with ctx"}},
		{"ends the session with ctx", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			if err != nil {
				_ = s.Source.Close()
			}
			return n, err
		}}, []string{"Receive/ends with ctx"}},
		{"gives deliveries and an error", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			if s.count += n; s.count > 20 && err == nil {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}}, []string{"Receive/gives deliveries or an error"}},
		{"writes behind the room given", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			if all := into[:cap(into)]; n == len(into) && len(all) > n {
				all[n] = all[0]
			}
			return n, err
		}}, []string{"Receive/honours"}},
		{"reorders", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			slices.Reverse(into[:max(n, 0)])
			return n, err
		}}, []string{"Receive/gives each shard", "Receive/gives deliveries or", "Death/un-acked messages come back first and in order after Close"}},
		{"gives first what comes", bend{settings: inTurns, named: func([]bridge.Origin) []bridge.Origin { return nil }}, []string{"Death/of several"}},
		{"gives a shard first in full", bend{settings: inTurns, named: func(upTo []bridge.Origin) []bridge.Origin {
			upTo = slices.Clone(upTo)
			for i := range upTo {
				upTo[i].Offset += 1 << 20
			}
			return upTo
		}}, []string{"Death/of several"}},
		{"does not know where it goes on", bend{settings: inTurns, resumes: func(each func(bridge.Origin)) func(bridge.Origin) {
			return func(o bridge.Origin) {
				o.Offset++
				each(o)
			}
		}}, []string{"Death/of several"}},
		{"uses its buffers again", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			s.buffer = s.buffer[:0]
			for i := range n {
				from := len(s.buffer)
				s.buffer = append(s.buffer, into[i].Body...)
				into[i].Body = s.buffer[from:len(s.buffer):len(s.buffer)]
			}
			return n, err
		}}, []string{"Receive/leaves alone"}},
		{"never lifts its bound on un-acked", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			if s.count >= 100 {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			n, err := s.Source.Receive(ctx, into)
			s.count += n
			return n, err
		}}, []string{"Receive/goes on"}},
		{"counts offsets anew in each session", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			for i := range n {
				s.count++
				into[i].Origin.Offset = uint64(s.count)
			}
			return n, err
		}}, []string{"Receive/gives a stored message the same origin"}},
		{"counts only what was not delivered", bend{
			receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
				n, err := s.Source.Receive(ctx, into)
				s.count += n
				return n, err
			},
			ack: func(s *bentSource, ctx context.Context, receipts []bridge.Receipt) error {
				s.count -= len(receipts)
				return s.Source.Ack(ctx, receipts)
			},
			backlog: func(s *bentSource, b bridge.Backlog) bridge.Backlog {
				b.Messages -= int64(s.count)
				return b
			},
		}, []string{"Backlog/"}},
		{"counts stored places anew in each session", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			for i := range n {
				into[i].Stored.Offset = uint64(1000*s.count + i)
			}
			s.count++
			return n, err
		}}, []string{"Receive/says where"}},
		{"gives a mark at once", bend{mark: func(*bentSource, func() bool) func() bool { return func() bool { return true } }},
			[]string{"Mark/is given when all", "Mark/is given behind"}},
		{"gives a mark with the last message", bend{
			receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
				n, err := s.Source.Receive(ctx, into)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.count += n
				return n, err
			},
			mark: func(s *bentSource, _ func() bool) func() bool {
				last := s.broker.Stream("in").Len()
				return func() bool {
					s.mu.Lock()
					defer s.mu.Unlock()
					return s.count >= last
				}
			},
		}, []string{"Mark/is given when all"}},
		{"never gives a mark", bend{mark: func(*bentSource, func() bool) func() bool { return func() bool { return false } }},
			[]string{"Mark/is given when all", "Mark/is given where earlier", "Mark/leaves nothing"}},
		{"writes a message for a mark", bend{mark: func(s *bentSource, given func() bool) func() bool {
			s.broker.Stream("in").Put(bridge.Message{Key: "mark", ID: bridge.ID{Value: "mark"}, Body: []byte("mark")})
			return given
		}}, []string{"Mark/leaves nothing"}},
		{"forgets acknowledgements", bend{ack: func(*bentSource, context.Context, []bridge.Receipt) error { return nil }},
			[]string{"Ack/acknowledged messages", "Ack/is safe beside"}},
		{"acknowledges cumulatively", bend{ack: func(s *bentSource, ctx context.Context, receipts []bridge.Receipt) error {
			var all []bridge.Receipt
			for _, r := range receipts {
				for seq := uint64(1); seq <= r.Seq; seq++ {
					r := r
					r.Seq = seq
					all = append(all, r)
				}
			}
			return s.Source.Ack(ctx, all)
		}}, []string{"Ack/a gap", "Ack/takes any subset", "Death/a gap", "Death/order and completeness"}},
		{"ends the session at a repeated acknowledgement", bend{ack: func(s *bentSource, ctx context.Context, receipts []bridge.Receipt) error {
			for _, r := range receipts {
				if slices.ContainsFunc(s.receipts, func(o bridge.Receipt) bool { return o.Seq == r.Seq }) {
					_ = s.Source.Close()
					return errors.New("unknown delivery tag")
				}
				s.receipts = append(s.receipts, r)
			}
			return s.Source.Ack(ctx, receipts)
		}}, []string{"Ack/a repeat"}},
		{"keeps the receipts", bend{ack: func(s *bentSource, ctx context.Context, receipts []bridge.Receipt) error {
			before := s.receipts
			s.receipts = receipts
			return s.Source.Ack(ctx, before)
		}}, []string{"Ack/is safe beside"}},
		{"takes receipts of ended sessions", bend{ack: func(s *bentSource, ctx context.Context, receipts []bridge.Receipt) error {
			s.mu.Lock()
			latest := s.latest
			s.mu.Unlock()
			forged := slices.Clone(receipts)
			for i := range forged {
				forged[i].Ref = latest
			}
			// The new session acknowledges only what it has delivered.
			_, _ = latest.Receive(ctx, make([]bridge.Delivery, 6))
			return latest.Ack(ctx, forged)
		}}, []string{"Ack/a receipt of an ended session"}},
		{"acknowledges at receipt", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			n, err := s.Source.Receive(ctx, into)
			for i := range n {
				_ = s.Source.Ack(ctx, []bridge.Receipt{into[i].Receipt})
			}
			return n, err
		}}, []string{"Death/un-acked messages come back first and in order after Close", "Death/un-acked messages come back first and in order after death",
			"Death/order and completeness", "Death/un-acked messages survive the restart", "Ack/a gap"}},
		{"loses the un-acked at Close", bend{
			receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
				n, err := s.Source.Receive(ctx, into)
				for i := range n {
					s.receipts = append(s.receipts, into[i].Receipt)
				}
				return n, err
			},
			closeSource: func(s *bentSource) error {
				_ = s.Source.Ack(background, s.receipts)
				return s.Source.Close()
			},
		}, []string{"Death/un-acked messages come back first and in order after Close", "Ack/a gap"}},
		{"gives back behind newer messages", bend{receive: func(s *bentSource, ctx context.Context, into []bridge.Delivery) (int, error) {
			for len(s.held) == 0 {
				n, err := s.Source.Receive(ctx, make([]bridge.Delivery, 1))
				if err != nil {
					return n, err
				}
				all := make([]bridge.Delivery, 64)
				ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				// Everything that is there, the redelivered at the end.
				fresh, _ := s.Source.Receive(ctx, all)
				s.held = all[:fresh]
				slices.SortStableFunc(s.held, func(a, b bridge.Delivery) int {
					switch {
					case a.Redelivered == b.Redelivered:
						return 0
					case a.Redelivered:
						return 1
					}
					return -1
				})
			}
			n := copy(into, s.held)
			s.held = s.held[n:]
			return n, nil
		}}, []string{"Death/un-acked messages come back first and in order after Close", "Death/un-acked messages come back first and in order after death"}},
		{"loses what is un-acked with the system", bend{restart: func(w *world) {
			into := make([]bridge.Delivery, 1000)
			id := bridge.Identity{Bridge: "b", Relay: "r"}
			o, _ := w.broker.Source(id, memory.SourceConfig{Stream: "in"})
			s, _ := o.Open(background)
			n, _ := s.Receive(background, into)
			for i := range n {
				_ = s.Ack(background, []bridge.Receipt{into[i].Receipt})
			}
		}}, []string{"Death/un-acked messages survive the restart"}},
		{"believes that it holds the tap", bend{hold: func(error) error { return nil }}, []string{"Hold/"}},
		{"does not hear Close", bend{closeSource: func(*bentSource) error { return nil }},
			[]string{"Close/of a source unblocks", "Close/of a source while"}},
		{"leaves a goroutine", bend{openSource: func(ctx context.Context, o bridge.SourceOpener) (bridge.Source, error) {
			go pass(2 * shortPatience)
			return o.Open(ctx)
		}}, []string{"Close/no goroutines"}},
		{"does not hear ctx when a source opens", bend{openSource: func(_ context.Context, o bridge.SourceOpener) (bridge.Source, error) {
			return o.Open(background)
		}}, []string{"Open/ends with ctx"}},
		{"takes a missing stream for an outage", bend{openSource: func(ctx context.Context, o bridge.SourceOpener) (bridge.Source, error) {
			s, err := o.Open(ctx)
			if err != nil {
				err = errors.New(err.Error())
			}
			return s, err
		}}, []string{"Open/missing topology"}},
	}
}

func journalMutants() []mutant {
	return []mutant{
		{"replays the newest first", bend{journal: func(j bridge.Journal) bridge.Journal {
			return &bentJournal{Journal: j, replay: func(ctx context.Context, each func([]byte) error) error {
				var all [][]byte
				_ = j.Replay(ctx, func(r []byte) error { all = append(all, r); return nil })
				slices.Reverse(all)
				for _, r := range all {
					if err := each(r); err != nil {
						return err
					}
				}
				return nil
			}}
		}}, []string{"Journal/replays"}},
		{"replays on after an error", bend{journal: func(j bridge.Journal) bridge.Journal {
			return &bentJournal{Journal: j, replay: func(ctx context.Context, each func([]byte) error) error {
				return j.Replay(ctx, func(r []byte) error { _ = each(r); return nil })
			}}
		}}, []string{"Journal/replays"}},
		{"cuts records", bend{journal: func(j bridge.Journal) bridge.Journal {
			return &bentJournal{Journal: j, append: func(ctx context.Context, r []byte) error {
				return j.Append(ctx, r[:min(len(r), 1<<20)])
			}}
		}}, []string{"Journal/takes records"}},
		{"leaves out empty records", bend{journal: func(j bridge.Journal) bridge.Journal {
			return &bentJournal{Journal: j, append: func(ctx context.Context, r []byte) error {
				if len(r) == 0 {
					return nil
				}
				return j.Append(ctx, r)
			}}
		}}, []string{"Journal/takes records"}},
		{"mixes purposes", bend{purpose: func(string) string { return "all" }}, []string{"Journal/keeps purposes"}},
		{"writes a journal at Close", bend{journal: func(j bridge.Journal) bridge.Journal {
			var held [][]byte
			flush := func(ctx context.Context) {
				for _, r := range held {
					_ = j.Append(ctx, r)
				}
				held = nil
			}
			return &bentJournal{Journal: j,
				append: func(_ context.Context, r []byte) error { held = append(held, bytes.Clone(r)); return nil },
				replay: func(ctx context.Context, each func([]byte) error) error { flush(ctx); return j.Replay(ctx, each) },
				close:  func() error { flush(background); return j.Close() },
			}
		}}, []string{"Journal/survives death", "Journal/survives the restart"}},
	}
}

func keeperMutants() []mutant {
	all := func(ctx context.Context, b *memory.Broker, of string) {
		hs, _ := b.Holdings(ctx, of)
		for _, h := range hs {
			_ = b.Remove(ctx, of, h.Relay)
		}
	}
	return []mutant{
		{"counts its calls in the site", bend{site: func(w *world, s bridge.Site) bridge.Site {
			w.asked++
			s.Incarnation = fmt.Sprint(w.asked)
			return s
		}}, []string{"Site/is the same"}},
		{"makes the tap to tell its site", bend{site: func(w *world, s bridge.Site) bridge.Site {
			o, _ := w.broker.Source(bentIdentity, memory.SourceConfig{Stream: "in"})
			if tap, err := o.Open(background); err == nil {
				_ = tap.Close()
			}
			return s
		}}, []string{"Site/is the same"}},
		{"names the system only", bend{site: func(_ *world, s bridge.Site) bridge.Site {
			s.Names = []string{"stream"}
			return s
		}}, []string{"Site/differs"}},
		{"lists nothing", bend{holdings: func(*world, []bridge.Holding) []bridge.Holding { return nil }}, []string{"Keep/lists", "Keep/touches"}},
		{"lists the operator's", bend{holdings: func(_ *world, hs []bridge.Holding) []bridge.Holding {
			return append(hs, bridge.Holding{Kind: "stream", Name: "in", Text: "of the operator"})
		}}, []string{"Keep/lists", "Keep/removes"}},
		{"makes what it lists", bend{holdings: func(w *world, hs []bridge.Holding) []bridge.Holding {
			o, _ := w.broker.Source(bentIdentity, memory.SourceConfig{Stream: "in"})
			_, _ = o.OpenJournal(background, "parked")
			return hs
		}}, []string{"Keep/lists"}},
		{"removes what is in use", bend{remove: func(ctx context.Context, b *memory.Broker, of, relay string) error {
			b.Disconnect()
			return b.Remove(ctx, of, relay)
		}}, []string{"Keep/refuses"}},
		{"ends the session and refuses then", bend{remove: func(ctx context.Context, b *memory.Broker, of, relay string) error {
			err := b.Remove(ctx, of, relay)
			if err != nil {
				b.Disconnect()
			}
			return err
		}}, []string{"Keep/refuses"}},
		{"removes nothing", bend{remove: func(context.Context, *memory.Broker, string, string) error { return nil }},
			[]string{"Keep/removes", "Keep/refuses"}},
		{"forgets the journals", bend{
			remove: func(context.Context, *memory.Broker, string, string) error { return nil },
			holdings: func(_ *world, hs []bridge.Holding) []bridge.Holding {
				return slices.DeleteFunc(hs, func(h bridge.Holding) bool { return h.Kind == "journal" })
			},
		}, []string{"Keep/removes"}},
		{"fails where nothing is left", bend{remove: func(ctx context.Context, b *memory.Broker, of, relay string) error {
			hs, _ := b.Holdings(ctx, of)
			if len(hs) == 0 {
				return errors.New("not found")
			}
			return b.Remove(ctx, of, relay)
		}}, []string{"Keep/removes"}},
		{"removes what other relays have", bend{remove: func(ctx context.Context, b *memory.Broker, of, relay string) error {
			err := b.Remove(ctx, of, relay)
			if err == nil {
				b.Disconnect()
				all(ctx, b, of)
			}
			return err
		}}, []string{"Keep/touches"}},
		{"removes what other relays have with what all share", bend{remove: func(ctx context.Context, b *memory.Broker, of, relay string) error {
			if relay == "" {
				b.Disconnect()
				all(ctx, b, of)
				return nil
			}
			return b.Remove(ctx, of, relay)
		}}, []string{"Keep/touches"}},
	}
}

func TestMutantsAreCaught(t *testing.T) {
	for _, m := range slices.Concat(sourceMutants(), journalMutants(), sinkMutants(), identityMutants(), keeperMutants()) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			h := Harness{Name: m.name, New: m.bend.fixture, Patience: shortPatience}
			for _, prefix := range m.caught {
				c := find(t, prefix)
				if strings.HasPrefix(prefix, "Close/no goroutines") {
					continue // the others' goroutines would be in the way
				}
				if failed, log := try(h, c); !failed {
					t.Errorf("%s does not catch it\n%s", c.name(), log)
				} else if testing.Verbose() {
					t.Logf("%s:\n%s", c.name(), log)
				}
			}
		})
	}
}

func find(t *testing.T, prefix string) check {
	t.Helper()
	var found []check
	for _, c := range checks {
		if strings.HasPrefix(c.name(), prefix) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%q names %d checks", prefix, len(found))
	}
	return found[0]
}

// TestLeakIsCaught runs alone, for the sake of the goroutines of others.
func TestLeakIsCaught(t *testing.T) {
	c := find(t, "Close/no goroutines")
	for _, m := range slices.Concat(sourceMutants(), sinkMutants()) {
		if slices.Contains(m.caught, "Close/no goroutines") {
			if failed, log := try(Harness{New: m.bend.fixture, Patience: shortPatience}, c); !failed {
				t.Errorf("%s: not caught\n%s", m.name, log)
			}
		}
	}
}

// TestEveryCheckCatchesSomething says that no check is there for show.
func TestEveryCheckCatchesSomething(t *testing.T) {
	caught := map[string]int{}
	for _, m := range slices.Concat(sourceMutants(), journalMutants(), sinkMutants(), identityMutants(), keeperMutants()) {
		for _, prefix := range m.caught {
			c := find(t, prefix)
			caught[c.name()]++
		}
	}
	for _, c := range checks {
		if caught[c.name()] == 0 {
			t.Errorf("%s catches no mutant", c.name())
		}
	}
}

// TestUnbentPasses says that the mutants' fixture itself is right.
func TestUnbentPasses(t *testing.T) {
	for _, b := range []*bend{{}, {settings: inTurns}} {
		f := (&Harness{New: b.fixture}).facts(&trial{ctx: t.Context()})
		for _, c := range checks {
			if c.waiver(&f) != "" {
				continue
			}
			if failed, log := try(Harness{New: b.fixture}, c); failed {
				t.Errorf("%s:\n%s", c.name(), log)
			}
		}
	}
}

// TestWaiversComeFromTraits says that nothing is waived by an adapter with every
// trait, and that traits waive what they take back.
func TestWaiversComeFromTraits(t *testing.T) {
	b := &bend{settings: inTurns}
	tr := &trial{ctx: t.Context()}
	full := (&Harness{New: b.fixture}).facts(tr)
	none := facts{source: true, sink: true}
	waived := 0
	for _, c := range checks {
		if why := c.waiver(&full); why != "" {
			t.Errorf("%s is waived by %s", c.name(), why)
		}
		if why := c.waiver(&none); why != "" {
			waived++
			if !strings.HasPrefix(why, "trait ") && !strings.HasPrefix(why, "the harness") {
				t.Errorf("%s is waived by %q", c.name(), why)
			}
		}
	}
	if waived < 20 {
		t.Errorf("only %d checks are waived without any trait", waived)
	}
	if why := fmt.Sprint(needsSource(&facts{}), needsSink(&facts{}), needsLoop(&facts{})); strings.Count(why, "the adapter") != 3 {
		t.Errorf("an adapter that has neither waives %q", why)
	}
}
