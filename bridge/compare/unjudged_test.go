package compare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A heldStream is what a broker holds for one reader, in shards, and what of it is
// acknowledged there.
type heldStream struct {
	u       *unjudged
	log     bool // places last
	session uint64
	stream  *bridge.Stream
	shards  map[int32]*heldShard
	clock   time.Duration
	equal   bool // messages have no ID but their content
}

type heldShard struct {
	stored   []storedAt
	observed []int // by message: how often it was
	given    int   // how many were given in this session
}

type storedAt struct {
	what  string
	acked bool
	given uint64 // the session in which it was first
}

func newHeld(log bool) *heldStream {
	h := &heldStream{u: newUnjudged(), log: log, shards: map[int32]*heldShard{}}
	h.reopen()
	return h
}

// reopen begins a session: the broker gives everything again that is not acknowledged.
func (h *heldStream) reopen() {
	h.session++
	h.stream = nil
	if h.log { // another pointer to the same
		h.stream = &bridge.Stream{System: "s", Cluster: "c", Name: "n", Replayable: true}
	}
	for _, s := range h.shards {
		s.given = 0
	}
	h.u.begin()
}

func (h *heldStream) put(shard int32, what ...string) {
	s := h.shards[shard]
	if s == nil {
		s = &heldShard{}
		h.shards[shard] = s
	}
	for _, w := range what {
		s.stored = append(s.stored, storedAt{what: w})
		s.observed = append(s.observed, 0)
	}
}

// give delivers the next message of a shard, and does with it what a reader does. again
// says that it was not taken for a new one.
func (h *heldStream) give(shard int32) (again, more bool) {
	s := h.shards[shard]
	for s.given < len(s.stored) && s.stored[s.given].acked {
		s.given++
	}
	if s.given == len(s.stored) {
		return false, false
	}
	n := s.given
	s.given++
	h.clock += time.Millisecond
	if s.stored[n].given == 0 {
		s.stored[n].given = h.session
	}
	d := bridge.Delivery{Receipt: bridge.Receipt{Shard: shard, Seq: uint64(n), Ref: h.session}, Redelivered: s.stored[n].given < h.session}
	if h.log {
		d.Stored = bridge.Origin{Stream: h.stream, Shard: shard, Offset: uint64(n)}
	}
	o := drift.Observation{Key: 1, ID: uint64(len(s.stored[n].what)), Body: hashOf(s.stored[n].what), At: h.clock, Anonymous: h.equal}
	known, judged := h.u.know(&d, &o)
	switch {
	case known && judged:
		h.ack([]bridge.Receipt{d.Receipt}, 1)
	case !known:
		h.u.add(&d, &o)
		s.observed[n]++
	}
	return known, true
}

func hashOf(s string) (h uint64) {
	for _, c := range []byte(s) {
		h = h*131 + uint64(c)
	}
	return h
}

// giveAll delivers all that is left, from one shard after the other.
func (h *heldStream) giveAll() (again, fresh int) {
	for shard := range h.shards {
		for {
			known, more := h.give(shard)
			if !more {
				break
			}
			if known {
				again++
			} else {
				fresh++
			}
		}
	}
	return again, fresh
}

// ack is what of acknowledgements the broker gets: the first ones, in each shard.
func (h *heldStream) ack(rs []bridge.Receipt, arrive int) {
	for _, r := range rs[:arrive] {
		if r.Ref != h.session {
			panic(fmt.Sprintf("receipt %d of session %v is acknowledged in session %d", r.Seq, r.Ref, h.session))
		}
		h.shards[r.Shard].stored[r.Seq].acked = true
	}
}

// judged lets everything go that was observed before a time.
func (h *heldStream) judged(before time.Duration) []bridge.Receipt { return h.u.take(before, nil) }

func words(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// expectOnce says that everything was observed, and nothing twice.
func (h *heldStream) expectOnce(t *testing.T) {
	t.Helper()
	for shard, s := range h.shards {
		for n, times := range s.observed {
			if times != 1 {
				t.Errorf("shard %d: message %d, %q, was observed %d times", shard, n, s.stored[n].what, times)
			}
		}
	}
}

// What was observed and not judged comes again in the next session, and is known; its
// receipt is the new session's.
func TestUnjudgedComesAgain(t *testing.T) {
	for _, log := range []bool{false, true} {
		h := newHeld(log)
		h.put(0, words("a", 10)...)
		h.put(1, words("b", 5)...)
		if again, fresh := h.giveAll(); again != 0 || fresh != 15 || h.u.n != 15 {
			t.Fatalf("log %t: %d again, %d new, %d unjudged", log, again, fresh, h.u.n)
		}
		h.reopen()
		if rs := h.judged(3*time.Millisecond + 1); len(rs) != 0 {
			t.Errorf("log %t: %d receipts of a session that is over", log, len(rs))
		}
		if again, fresh := h.giveAll(); again != 15 || fresh != 0 || h.u.n != 12 {
			t.Errorf("log %t: %d again, %d new, %d unjudged", log, again, fresh, h.u.n)
		}
		h.put(0, "new", "new")
		if _, fresh := h.giveAll(); fresh != 2 {
			t.Errorf("log %t: %d new", log, fresh)
		}
		rs := h.judged(h.clock + 1)
		if len(rs) != 14 || h.u.n != 0 {
			t.Errorf("log %t: %d receipts, %d unjudged", log, len(rs), h.u.n)
		}
		h.ack(rs, len(rs))
		if h.reopen(); len(h.judged(h.clock+1)) != 0 {
			t.Errorf("log %t: receipts are given twice", log)
		}
		h.expectOnce(t)
	}
}

// A session may end while what it was given again is not all there yet.
func TestUnjudgedAcrossShortSessions(t *testing.T) {
	for _, log := range []bool{false, true} {
		h := newHeld(log)
		h.put(0, words("a", 20)...)
		h.giveAll()
		for given := range 20 {
			h.reopen()
			for range given {
				if again, _ := h.give(0); !again {
					t.Fatalf("log %t: one that came again in a session of %d is taken for a new one", log, given)
				}
			}
		}
		h.reopen()
		h.put(0, "new")
		if again, fresh := h.giveAll(); again != 20 || fresh != 1 || h.u.n != 21 {
			t.Errorf("log %t: %d again, %d new, %d unjudged", log, again, fresh, h.u.n)
		}
		h.expectOnce(t)
	}
}

// Acknowledgements get lost with a connection: what was judged comes again, is known, and is
// acknowledged at once.
func TestUnjudgedAfterLostAcknowledgements(t *testing.T) {
	for _, log := range []bool{false, true} {
		for arrive := range 11 {
			h := newHeld(log)
			h.put(0, words("a", 20)...)
			h.giveAll()
			rs := h.judged(10*time.Millisecond + 1)
			h.ack(rs, arrive)
			h.reopen()
			h.put(0, "new")
			if again, fresh := h.giveAll(); len(rs) != 10 || again != 20-arrive || fresh != 1 || h.u.n != 11 {
				t.Errorf("log %t, %d of %d arrive: %d again, %d new, %d unjudged", log, arrive, len(rs), again, fresh, h.u.n)
			}
			for n, m := range h.shards[0].stored[:10] {
				if !m.acked {
					t.Errorf("log %t, %d arrive: message %d, which was judged, is not acknowledged", log, arrive, n)
				}
			}
			h.expectOnce(t)
		}
	}
}

// What has gone at the broker in the meantime does not come again, and what follows it is
// known all the same.
func TestUnjudgedThatVanished(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, gone := range [][]int{{0}, {0, 1, 2}, {4, 5}, {9}, {1, 3, 5, 7}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}} {
			h := newHeld(log)
			h.put(0, words("a", 10)...)
			h.giveAll()
			for _, n := range gone {
				h.shards[0].stored[n].acked = true // by somebody else
			}
			h.reopen()
			h.put(0, "new")
			if again, fresh := h.giveAll(); again != 10-len(gone) || fresh != 1 {
				t.Errorf("log %t, %v gone: %d again, %d new", log, gone, again, fresh)
			}
			if rs := h.judged(h.clock + 1); len(rs) != 11-len(gone) || h.u.n != 0 {
				t.Errorf("log %t, %v gone: %d receipts, %d unjudged", log, gone, len(rs), h.u.n)
			}
			h.expectOnce(t)
		}
	}
}

// Of equal contents each is known once: as many are taken for new as are new, whether or not
// one of them is unjudged meanwhile.
func TestUnjudgedOfEqualContents(t *testing.T) {
	for _, contents := range [][]string{{"x", "x", "x", "x", "x", "x"}, {"x", "y", "x", "y", "x", "y"}, {"x", "x", "y", "x", "x", "y"}} {
		for judge := range 7 {
			h := newHeld(false)
			h.equal = true
			h.put(0, contents...)
			h.giveAll()
			rs := h.judged(time.Duration(judge)*time.Millisecond + 1)
			h.ack(rs, len(rs))
			h.reopen()
			h.put(0, contents...)
			if again, fresh := h.giveAll(); len(rs) != judge || again != 6-judge || fresh != 6 {
				t.Errorf("%v, %d judged: %d again, %d new", contents, len(rs), again, fresh)
			}
			h.expectOnce(t)
		}
	}
}

// Where contents are equal and acknowledgements were lost, nobody can say which of them come
// again. Nothing is missed then, and no more is taken for new than acknowledgements were
// lost.
func TestUnjudgedOfEqualContentsAfterLostAcknowledgements(t *testing.T) {
	for lost := range 7 {
		h := newHeld(false)
		h.equal = true
		h.put(0, slices.Repeat([]string{"x"}, 12)...)
		h.giveAll()
		rs := h.judged(6*time.Millisecond + 1)
		h.ack(rs, 6-lost)
		h.reopen()
		h.put(0, "x")
		again, fresh := h.giveAll()
		if again+fresh != 6+lost+1 || fresh < 1 || fresh > 1+lost {
			t.Errorf("%d lost: %d again, %d new", lost, again, fresh)
		}
	}
}

// A producer's repeats are equal to what they repeat. The first that comes again may be the
// earlier or the later one: what follows tells.
func TestUnjudgedBesideRepeats(t *testing.T) {
	const n = 40
	for _, apart := range []int{1, 2, 7, 20} {
		for lost := range n {
			h := newHeld(false)
			for i := range n { // every fifth is repeated
				h.put(0, fmt.Sprint("m", i))
				if j := i - apart; j >= 0 && j%5 == 0 {
					h.put(0, fmt.Sprint("m", j))
				}
			}
			all := len(h.shards[0].stored)
			h.giveAll()
			rs := h.judged(time.Duration(all/2)*time.Millisecond + 1)
			arrive := max(0, len(rs)-lost)
			h.ack(rs, arrive)
			h.reopen()
			h.put(0, "new", "m0", "newer")
			if again, fresh := h.giveAll(); again != all-arrive || fresh != 3 {
				t.Errorf("repeats %d behind, %d of %d arrive: %d again, %d new", apart, arrive, len(rs), again, fresh)
			}
			h.expectOnce(t)
			rs = h.judged(h.clock + 1)
			h.ack(rs, len(rs))
			for i, m := range h.shards[0].stored {
				if !m.acked {
					t.Errorf("repeats %d behind, %d of %d arrive: message %d, %s, is never acknowledged", apart, arrive, all/2, i, m.what)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// Where a queue holds few contents, in any order, what comes again is known by its order.
func TestUnjudgedOfFewContents(t *testing.T) {
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	h := newHeld(false)
	for range 20_000 {
		h.put(0, fmt.Sprint("state ", rng.IntN(4)))
	}
	h.giveAll()
	rs := h.judged(5000*time.Millisecond + 1)
	h.ack(rs, len(rs)-1000)
	h.reopen()
	h.put(0, "state 0", "state 1")
	if again, fresh := h.giveAll(); again != 16_000 || fresh != 2 {
		t.Errorf("%d again, %d new", again, fresh)
	}
	h.expectOnce(t)
}

// Places that last tell one that was judged long ago, and was let go of, too.
func TestUnjudgedOfALogForgetsAndKnows(t *testing.T) {
	h := newHeld(true)
	const n = 10 * fewestKept
	h.put(0, words("a", n)...)
	h.giveAll()
	h.judged(time.Duration(n-5)*time.Millisecond + 1) // no acknowledgement arrives
	if kept := len(h.u.shards[shardOf{0, 0}].items); kept > 5+2*fewestKept || h.u.n != 5 {
		t.Errorf("%d items are kept, %d unjudged", kept, h.u.n)
	}
	h.reopen()
	h.put(0, "new")
	if again, fresh := h.giveAll(); again != n || fresh != 1 {
		t.Errorf("%d again, %d new", again, fresh)
	}
	for i, m := range h.shards[0].stored {
		if m.acked != (i < n-5) {
			t.Errorf("message %d of %d is acknowledged: %t", i, n, m.acked)
		}
	}
	if rs := h.judged(h.clock + 1); len(rs) != 6 {
		t.Errorf("%d receipts", len(rs))
	}
	h.expectOnce(t)
}

// What is judged while it comes again, and let go of, does not disturb what comes behind it.
func TestUnjudgedOfAQueueForgetsWhileItComesAgain(t *testing.T) {
	h := newHeld(false)
	const n = 2*mostKept + 3000
	h.put(0, words("a", n)...)
	h.giveAll()
	rs := h.judged((2*mostKept-1000)*time.Millisecond + 1)
	h.ack(rs, len(rs))
	h.reopen()
	for range 3000 {
		if again, _ := h.give(0); !again {
			t.Fatal("one that came again is taken for a new one")
		}
	}
	s := h.u.shards[shardOf{0, 0}]
	before := len(s.items)
	rs = h.judged((2*mostKept+1500)*time.Millisecond + 1)
	if h.ack(rs, len(rs)); len(rs) != 2500 || len(s.items) == before {
		t.Errorf("%d receipts, %d items", len(rs), len(s.items))
	}
	if again, fresh := h.giveAll(); again != 1000 || fresh != 0 || h.u.n != 1500 {
		t.Errorf("%d again, %d new, %d unjudged", again, fresh, h.u.n)
	}
	h.expectOnce(t)
}

// As many acknowledgements may be lost as a queue gives un-acknowledged.
func TestUnjudgedAfterAllAcknowledgementsAreLost(t *testing.T) {
	const prefetch, n = 65535, 80_000
	h := newHeld(false)
	h.put(0, words("a", n)...)
	h.giveAll()
	rs := h.judged((n-1000)*time.Millisecond + 1)
	h.ack(rs, n-prefetch)
	h.reopen()
	h.put(0, "new")
	if again, fresh := h.giveAll(); again != prefetch || fresh != 1 {
		t.Errorf("%d again, %d new", again, fresh)
	}
	h.expectOnce(t)
}

// What is kept of a queue is bounded, and what was judged in the last session before is
// known.
func TestUnjudgedOfAQueueIsBounded(t *testing.T) {
	h := newHeld(false)
	s := func() *shard { return h.u.shards[shardOf{0, 0}] }
	for round := range 2*mostKept/1000 + 10 {
		h.put(0, words(fmt.Sprint(round, "-"), 1000)...)
		h.giveAll()
		rs := h.judged(h.clock - 10*time.Millisecond + 1)
		h.ack(rs, len(rs)-100) // the others are on their way
		if round == 0 {
			h.ack(rs, len(rs))
		}
		if n := len(s().items); n > 2*mostKept+1000 {
			t.Fatalf("%d items are kept", n)
		}
		if round > 0 && h.u.n != 10 {
			t.Fatalf("%d unjudged", h.u.n)
		}
		for i := range h.shards[0].stored[:len(h.shards[0].stored)-110] {
			h.shards[0].stored[i].acked = true
		}
	}
	h.reopen()
	h.put(0, "new")
	if again, fresh := h.giveAll(); again != 110 || fresh != 1 {
		t.Errorf("%d again, %d new", again, fresh)
	}
	if s().items[len(s().items)-1].receipt.Ref != h.session {
		t.Error("the newest has no receipt of this session")
	}
	h.expectOnce(t)
}

// Shards, and streams, are told apart: the same contents in each are messages of their own.
func TestUnjudgedByShardAndStream(t *testing.T) {
	for _, log := range []bool{false, true} {
		h := newHeld(log)
		for shard := range int32(3) {
			h.put(shard, "x", "y", "x")
		}
		if _, fresh := h.giveAll(); fresh != 9 {
			t.Errorf("log %t: %d new", log, fresh)
		}
		h.reopen()
		if again, _ := h.giveAll(); again != 9 {
			t.Errorf("log %t: %d again", log, again)
		}
		h.expectOnce(t)
	}
	u := newUnjudged()
	for n, name := range []string{"one", "two", "one", "two"} { // by turns, by other pointers
		d := bridge.Delivery{Stored: bridge.Origin{Stream: &bridge.Stream{Name: name, Replayable: true}, Offset: uint64(n / 2)}}
		o := drift.Observation{At: time.Duration(n + 1)}
		if known, _ := u.know(&d, &o); known {
			t.Errorf("%s %d is known", name, n/2)
		}
		u.add(&d, &o)
	}
	if len(u.shards) != 2 || u.n != 4 {
		t.Errorf("%d shards, %d unjudged", len(u.shards), u.n)
	}
}

// nth is when the n-th oldest was observed.
func TestUnjudgedNth(t *testing.T) {
	h := newHeld(true)
	if at := h.u.nth(0); at != 0 {
		t.Errorf("of nothing: %v", at)
	}
	h.put(0, words("a", 100)...)
	h.giveAll()
	for _, n := range []int{0, 1, 50, 99, 100, 1000} {
		if at := h.u.nth(n); at != time.Duration(min(n, 99)+1)*time.Millisecond {
			t.Errorf("the %d-th is of %v", n, at)
		}
	}
	h.judged(31 * time.Millisecond)
	if at := h.u.nth(10); at != 41*time.Millisecond {
		t.Errorf("the 10-th of 70 is of %v", at)
	}
	// Of two shards about: as far into each as into all.
	h.put(1, words("b", 70)...)
	h.giveAll() // observed from 101 ms on
	if at := h.u.nth(70); at != 136*time.Millisecond {
		t.Errorf("the 70-th of 140 in two shards is of %v", at)
	}
}

// Whatever happens to sessions, acknowledgements and messages: everything is observed, and
// nothing twice, and only receipts of the session are given.
func TestUnjudgedWhateverHappens(t *testing.T) {
	seed := seedOf(t)
	for round := range 400 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		h := newHeld(round%2 == 0)
		n := 0
		for range 40 {
			switch rng.IntN(6) {
			case 0, 1:
				shard := rng.Int32N(3)
				for range rng.IntN(20) {
					n++
					h.put(shard, fmt.Sprint("m", n))
					if round%4 == 3 && rng.IntN(5) == 0 { // a producer's repeat
						h.put(shard, fmt.Sprint("m", max(1, n-rng.IntN(3))))
					}
				}
			case 2, 3:
				for range rng.IntN(60) {
					if shard := rng.Int32N(3); h.shards[shard] != nil {
						h.give(shard)
					}
				}
			case 4:
				rs := h.judged(h.clock - time.Duration(rng.IntN(40))*time.Millisecond)
				arrive := len(rs)
				if lost := rng.IntN(2) == 0; lost {
					arrive = rng.IntN(len(rs) + 1)
				}
				h.ack(rs, arrive)
				if arrive < len(rs) {
					h.reopen()
				}
			default:
				h.reopen()
			}
		}
		h.reopen()
		h.giveAll()
		h.expectOnce(t)
		unjudged := h.u.n
		rs := h.judged(h.clock + 1)
		if repeats := round%4 == 3; h.u.n != 0 || len(rs) > unjudged && !repeats { // there some are given twice
			t.Errorf("%d receipts of %d unjudged, %d left", len(rs), unjudged, h.u.n)
		}
		h.ack(rs, len(rs))
		for shard, s := range h.shards {
			for i, m := range s.stored {
				if !m.acked {
					t.Errorf("shard %d: message %d is never acknowledged", shard, i)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("round %d, log %t", round, h.log)
		}
	}
}
