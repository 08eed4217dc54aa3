package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// Under kill -9, one message in a hundred is poison that the candidate can never
// take: it is parked, and the later ones of its key are parked behind it. Then the
// cause is mended, or the poison discarded, and while the load goes on what is
// parked is sent again, under kill -9 as well: every key is in order at the end.
func TestHeld(t *testing.T) { onBoth(t, heldKeys) }

func heldKeys(t *testing.T, g generation) {
	for i, v := range []struct {
		name    string
		stage   func(*heldStory) *heldStory
		discard bool
		both    bool // at reduced size too
	}{
		{"RabbitMQ to JetStream", (*heldStory).toJetStream, false, true},
		{"JetStream to RabbitMQ", (*heldStory).toRabbitMQ, false, true},
		{"RabbitMQ to JetStream, discarded", (*heldStory).toJetStream, true, false},
		{"JetStream to RabbitMQ, discarded", (*heldStory).toRabbitMQ, true, false},
	} {
		if !v.both && !g.has(i) {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			route, _, _ := strings.Cut(strings.Replace(v.name, " to ", " → ", 1), ",")
			what := "the cause mended, all sent again"
			if v.discard {
				what = "the poison discarded, the rest sent again"
			}
			h := v.stage(newHeldStory(t, g, route+", 1 % poison, "+what, v.discard))
			h.hold()
			h.expectHeld(h.judgeAll())
			h.release()
			h.expectReleased()
		})
	}
}

// A heldStory is a scene in two parts: keys come to be held, and are released.
type heldStory struct {
	*scene
	parts   [2]int // messages that are confirmed at the end of each
	mend    func() // makes the candidate take what it refused
	discard bool   // instead of that
	parked  map[string]int
}

// tooLarge is what the candidates take, in octets: less than the body of poison.
const tooLarge = 12_000

func newHeldStory(t *testing.T, g generation, title string, discard bool) *heldStory {
	t.Helper()
	h := &heldStory{scene: newScene(t, g, title), discard: discard, parked: map[string]int{}}
	h.parts = [2]int{sized(6000, 120_000), sized(9000, 200_000)}
	keys := ledger.Keys100
	if full {
		keys = ledger.Keys1k
	}
	h.sizedLoad(keys, h.parts[1], sized(1500, 5000))
	h.load.Poison, h.load.PoisonUpTo = 100, h.load.Messages
	if discard { // what comes later has to pass a candidate that refuses poison still
		h.load.PoisonUpTo = h.parts[0]
	}
	h.expectParked = true
	return h
}

// toJetStream relays to a stream of JetStream that refuses what is too large.
func (h *heldStory) toJetStream() *heldStory {
	h.fromRabbitMQ(smallest, quorum)
	to := h.name + "-" + quorum
	h.relays[0].more = "limits: {parked: 1000000}"
	h.limitStream(to, tooLarge)
	h.mend = func() { h.limitStream(to, -1) } // which the running bridge has to notice
	return h
}

// limitStream sets the largest message that a stream of JetStream takes.
func (h *heldStory) limitStream(name string, octets int32) {
	h.t.Helper()
	withJetStream(h.t, h.nats, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		config := stream.CachedInfo().Config
		config.MaxMsgSize = octets
		_, err = js.UpdateStream(ctx, config)
		return err
	})
}

// toRabbitMQ relays to a quorum queue and a stream of a RabbitMQ that is said to
// take no more than that.
func (h *heldStory) toRabbitMQ() *heldStory {
	h.fromJetStream(quorum, stream)
	for _, r := range h.relays {
		r.more += "\n    limits: {parked: 1000000}"
	}
	h.rabbitMore = fmt.Sprintf(", max_message: %d", tooLarge)
	h.mend = func() {
		h.rabbitMore = ""
		h.write()
		h.killBridge()
		h.awaitBridge(patience, "connected to both sides", connected)
	}
	return h
}

// A heldStatus is what this story reads of a relay's.
type heldStatus struct {
	relayStatus
	ParkedNow int `json:"parked_now"`
	HeldKeys  int `json:"held_keys"`
}

// look asks the bridge, checks the law of conservation in what it says, and gives
// nothing if it does not answer.
func (h *heldStory) look() map[string]heldStatus {
	h.t.Helper()
	var all struct {
		Relays []heldStatus `json:"relays"`
	}
	answer, err := client.Get("http://" + h.bridge.listen + "/api/v1/status")
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		return nil
	}
	found := map[string]heldStatus{}
	for _, r := range all.Relays {
		if found[r.Name] = r; !r.balanced() {
			h.t.Errorf("%s: not conserved: %+v", r.Name, r.Counts)
		}
	}
	return found
}

// every says whether the bridge answers and ok holds for every relay.
func (h *heldStory) every(ok func(*relay, *heldStatus) bool) bool {
	found := h.look()
	for _, r := range h.relays {
		at, here := found[r.name]
		if !here || !ok(r, &at) {
			return false
		}
	}
	return true
}

// within waits until ok holds, which a planted mistake may prevent.
func (h *heldStory) within(what string, ok func() bool) {
	h.t.Helper()
	limit := 2 * h.patience()
	for deadline := time.Now().Add(limit); !ok(); {
		if h.bridge.ended() {
			h.t.Fatalf("the bridge ended by itself\n%s", h.bridge.logTail(20))
		}
		if time.Now().After(deadline) {
			if !h.planted {
				h.t.Errorf("after %s: not %s; the bridge says %+v", limit, what, h.look())
			}
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// hold plays the first part: poison under kill -9, until everything is either at
// the candidate or parked.
func (h *heldStory) hold() {
	h.t.Helper()
	h.begin()
	for i := range kills() {
		h.dueIn(0, i)
		h.killBridge()
	}
	h.stopLoad(h.parts[0])
	placed, parked := h.expected()
	h.within("everything placed or parked", func() bool {
		h.each(func(r *relay) error { return ledger.Rest(context.Background(), r.book, r.reader, 200*time.Millisecond) })
		return h.every(func(r *relay, at *heldStatus) bool {
			return at.Counts.InFlight == 0 && at.ParkedNow >= parked && r.book.Read() >= placed
		})
	})
}

// dueIn waits for the moment of kill i in a part: a random one in the i-th share of
// its load, with every relay at work.
func (h *heldStory) dueIn(part, i int) {
	h.t.Helper()
	from := 0
	if part > 0 {
		from = h.parts[part-1]
	}
	at := from + int((float64(i)+h.rng.Float64())/float64(kills())*float64(h.parts[part]-from))
	await(h.t, 10*patience, fmt.Sprintf("%d messages produced", at), func() bool {
		h.stillProducing()
		return h.book().Produced() >= at
	})
	await(h.t, patience, "every relay at work", func() bool {
		return h.every(func(_ *relay, at *heldStatus) bool { return at.Counts.Placed+at.Counts.Parked > 0 })
	})
}

// stopLoad ends the production, once so many messages are confirmed.
func (h *heldStory) stopLoad(least int) {
	h.t.Helper()
	await(h.t, 100*patience, fmt.Sprintf("%d messages produced", least), func() bool { return h.book().Produced() >= least })
	h.book().Enough()
	err := <-h.produced
	if h.produced <- err; err != nil {
		h.t.Fatal(err)
	}
}

// goOn lets the production go on behind what was produced.
func (h *heldStory) goOn() {
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	h.book().GoOn()
	h.produced = make(chan error, 1)
	go func(produced chan error) { produced <- h.produce(ctx, h.book(), h.source, h.pace) }(h.produced)
}

// release plays the second part, in which all that is parked is sent again while
// the load goes on, or discarded.
func (h *heldStory) release() {
	h.t.Helper()
	if h.discard {
		h.discardPoison()
	} else {
		h.mend()
	}
	h.pace.Rate = sized(1500, 1000) // a bridge that starts reads much, and is killed soon
	h.goOn()
	for _, r := range h.relays {
		if out, code := command(h.t, h.binary, h.env, "parked", "retry", r.name, "--all", "-c", h.config); code != 0 {
			h.t.Fatalf("parked retry: exit code %d\n%s", code, out)
		}
	}
	during := 0
	for i := range kills() {
		if h.retrying(i) {
			during++
		}
		h.killBridge()
	}
	h.notes = append(h.notes, fmt.Sprintf("%d of %d kills of the second part while parked messages were sent again", during, kills()))
	if during == 0 && !h.planted {
		h.t.Error("no kill came while parked messages were sent again: the story says nothing about that")
	}
	h.stopLoad(h.parts[1])
	h.within("nothing parked, nothing held", func() bool {
		return h.every(func(_ *relay, at *heldStatus) bool {
			return at.Counts.InFlight == 0 && at.ParkedNow == 0 && at.HeldKeys == 0
		})
	})
	h.finish()
}

// retrying waits for the moment of kill i of the second part: one at which a random
// share of what was parked is still to be sent again. It says whether it came: if
// none is left, the moment is that of the load's own share.
func (h *heldStory) retrying(i int) bool {
	h.t.Helper()
	share := 1 - (float64(i)+h.rng.Float64())/float64(kills())
	late := h.parts[0] + (h.parts[1]-h.parts[0])*(i+1)/(kills()+1)
	which := h.relays[h.rng.IntN(len(h.relays))]
	for deadline := time.Now().Add(10 * patience); ; {
		at, answers := h.look()[which.name]
		switch left := float64(at.ParkedNow); {
		case answers && at.Counts.Placed > 0 && left > 0 && left <= share*float64(h.parked[which.name]):
			return true
		case answers && at.Counts.Placed > 0 && left == 0 && h.book().Produced() >= late:
			return false
		case time.Now().After(deadline):
			h.t.Fatalf("neither %d messages produced nor %.0f %% of %d parked: %+v", late, 100*share, h.parked[which.name], at)
		}
		<-time.After(time.Millisecond)
	}
}

// discardPoison discards the poison and nothing else, as an operator does who looks
// at sizes: once to see, then with --confirm.
func (h *heldStory) discardPoison() {
	h.t.Helper()
	for _, r := range h.relays {
		args := []string{"parked", "discard", r.name, "-c", h.config}
		for _, x := range h.list(r) {
			if x.Octets > tooLarge {
				args = append(args, x.Ref)
			}
		}
		for _, args := range [][]string{args, append(args, "--confirm")} {
			if out, code := command(h.t, h.binary, h.env, args...); code != 0 {
				h.t.Fatalf("parked discard: exit code %d\n%s", code, out)
			}
		}
	}
	discarded := 0
	for n := range h.load.Messages {
		if h.book().Has(n+1) && h.book().Plan.Poisoned(n+1) {
			h.book().GivenUp(n + 1)
			discarded++
		}
	}
	h.notes = append(h.notes, fmt.Sprintf("%d poisoned messages discarded", discarded))
	h.parts[1] -= discarded
	h.least -= discarded
}

// A listed is a line of crossfade parked list --json.
type listed struct {
	Ref, Reason, Key, ID string
	Octets               int
	Hold                 bool
}

func (h *heldStory) list(r *relay) (out []listed) {
	h.t.Helper()
	text, code := command(h.t, h.binary, h.env, "parked", "list", r.name, "--json", "-c", h.config)
	if code != 0 {
		h.t.Fatalf("parked list: exit code %d\n%s", code, text)
	}
	for lines := json.NewDecoder(strings.NewReader(text)); lines.More(); {
		var x listed
		if err := lines.Decode(&x); err != nil {
			h.t.Fatalf("parked list: %v", err)
		}
		out = append(out, x)
	}
	return out
}

// expectReleased is the promise about the second part.
func (h *heldStory) expectReleased() {
	h.t.Helper()
	for _, r := range h.relays {
		if left := h.journalOf(r).waiting(); len(left) > 0 {
			h.t.Errorf("%s: %d messages are parked at the end, the first %s: %q %q, %s", r.name, len(left), left[0].ref, left[0].key, left[0].id, left[0].reason)
		}
		if left := h.list(r); len(left) > 0 {
			h.t.Errorf("%s: crossfade parked list shows %d messages at the end", r.name, len(left))
		}
	}
	h.expectNothingWrong()
}

// The story can fail: each of these builds makes one mistake about what is parked.
func TestPlantedHeld(t *testing.T) {
	for i, mistake := range []struct {
		bug   string
		stage func(*heldStory) *heldStory
		// found counts what is wrong, and says what that is.
		found func(h *heldStory) (int, string)
	}{
		{"park-unconfirmed", (*heldStory).toJetStream, func(h *heldStory) (int, string) {
			return h.judgeAll().gone, "neither at the candidate nor parked"
		}},
		{"hold-forgotten", (*heldStory).toRabbitMQ, func(h *heldStory) (int, string) {
			return h.judgeAll().passed, "at the candidate in front of what is parked"
		}},
		{"retry-unordered", (*heldStory).toJetStream, func(h *heldStory) (int, string) {
			h.judgeAll()
			h.release()
			return h.relays[0].report.Reordered.Count, "reordered"
		}},
	} {
		t.Run(mistake.bug, func(t *testing.T) {
			h := newHeldStory(t, generations[rand.New(rand.NewPCG(seed, uint64(i))).IntN(len(generations))], "held keys", false)
			h.plant(mistake.bug)
			mistake.stage(h).hold()
			n, what := mistake.found(h)
			verdict := "caught"
			if n == 0 {
				verdict = "MISSED"
				t.Errorf("the story does not see %s: nothing is %s", mistake.bug, what)
			}
			fmt.Printf("PLANTED %s, %s: %d %s in %q (%s)\n", mistake.bug, verdict, n, what, h.title, time.Since(h.began).Round(100*time.Millisecond))
		})
	}
}
