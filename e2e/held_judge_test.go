package e2e

import (
	"bytes"
	"fmt"
	"slices"
)

// A heldVerdict is what is wrong after the first part, in messages.
type heldVerdict struct {
	missing   int // before the first poison of their key, and not at the candidate
	passed    int // from the first poison of their key on, and at the candidate
	gone      int // from there on, and not parked
	strangers int // parked, and ought not to be
	unordered int // parked behind a later one of their key
	altered   int // parked with another reason or body
	repeated  int // parked once more with the same ID, which is allowed
	// resent were delivered, and delivered once more by the incumbent after a crash,
	// when their key was held already. That is allowed where nobody can read back
	// that the candidate has them.
	resent   int
	examples []string
}

func (v *heldVerdict) clean() bool {
	return v.missing+v.passed+v.gone+v.strangers+v.unordered+v.altered == 0
}

func (v *heldVerdict) String() string {
	s := fmt.Sprintf("missing %d, passed %d, gone %d, strangers %d, unordered %d, altered %d, repeated %d, resent %d",
		v.missing, v.passed, v.gone, v.strangers, v.unordered, v.altered, v.repeated, v.resent)
	for _, e := range v.examples {
		s += "\n    " + e
	}
	return s
}

func (v *heldVerdict) add(count *int, format string, args ...any) {
	if *count++; len(v.examples) < 8 {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// firsts gives the first poison of each key that the incumbent has.
func (h *heldStory) firsts() map[string]int {
	book, firsts := h.book(), map[string]int{}
	for n := 1; n <= book.Plan.Messages; n++ {
		if key := book.Plan.Name(n); book.Has(n) && book.Plan.Poisoned(n) && firsts[key] == 0 {
			firsts[key] = n
		}
	}
	return firsts
}

// held says whether message n belongs behind the first poison of its key, or is it.
func (h *heldStory) held(firsts map[string]int, n int) bool {
	first := firsts[h.book().Plan.Name(n)]
	return first > 0 && n >= first
}

// expected counts where the messages of the first part have to be.
func (h *heldStory) expected() (placed, parked int) {
	firsts := h.firsts()
	for n := 1; n <= h.book().Plan.Messages; n++ {
		switch {
		case !h.book().Has(n):
		case h.held(firsts, n):
			parked++
		default:
			placed++
		}
	}
	return placed, parked
}

// judgeAll judges every relay after the first part, from the journal and the
// candidate, and gives the sum.
func (h *heldStory) judgeAll() (sum heldVerdict) {
	h.t.Helper()
	if n := h.book().Report().Unknown; n > 0 {
		h.t.Fatalf("the incumbent left %d messages unanswered: there is no saying which", n)
	}
	for _, r := range h.relays {
		v := h.judge(r)
		h.notes = append(h.notes, fmt.Sprintf("%s: %d parked of %d keys: %s", r.name, h.parked[r.name], len(h.firsts()), v.String()))
		sum.missing += v.missing
		sum.passed += v.passed
		sum.gone += v.gone
		sum.strangers += v.strangers
		sum.unordered += v.unordered
		sum.altered += v.altered
		sum.repeated += v.repeated
		sum.resent += v.resent
		sum.examples = append(sum.examples, v.examples...)
	}
	return sum
}

func (h *heldStory) judge(r *relay) (v heldVerdict) {
	h.t.Helper()
	plan, firsts := r.book.Plan, h.firsts()
	aside := h.journalOf(r).waiting()
	h.parked[r.name] = len(aside)
	h.expectListed(r, aside)
	numbers := map[[2]string]int{}
	for n := 1; n <= plan.Messages; n++ {
		if r.book.Has(n) {
			numbers[[2]string{plan.Name(n), plan.ID(n)}] = n
		}
	}
	seen, newest := map[int]bool{}, map[string]int{}
	for _, x := range aside {
		n := numbers[[2]string{x.key, x.id}]
		switch {
		case r.repeats && n > 0 && firsts[x.key] > n && r.book.Times(n) > 0:
			v.resent++
			continue
		case n == 0 || !h.held(firsts, n):
			v.add(&v.strangers, "%d, %q id %q, is parked as %s", n, x.key, x.id, x.reason)
			continue
		case seen[n]:
			v.repeated++
			continue
		case n < newest[x.key]:
			v.add(&v.unordered, "%d of %q is parked behind %d", n, x.key, newest[x.key])
		}
		seen[n], newest[x.key] = true, max(n, newest[x.key])
		reason := "held"
		if n == firsts[x.key] {
			reason = "oversized"
		}
		if x.reason != reason || !x.hold || !bytes.Equal(x.body, plan.Body(n)) {
			v.add(&v.altered, "%d of %q is parked as %s with %d octets, hold %v", n, x.key, x.reason, len(x.body), x.hold)
		}
	}
	for n := 1; n <= plan.Messages; n++ {
		held, times := h.held(firsts, n), r.book.Times(n)
		switch {
		case !r.book.Has(n):
		case held && times > 0:
			v.add(&v.passed, "%d of %q is at the candidate, the key's first poison is %d", n, plan.Name(n), firsts[plan.Name(n)])
		case held && !seen[n]:
			v.add(&v.gone, "%d of %q is not parked, the key's first poison is %d", n, plan.Name(n), firsts[plan.Name(n)])
		case !held && times == 0:
			v.add(&v.missing, "%d of %q is not at the candidate, the key's first poison is %d", n, plan.Name(n), firsts[plan.Name(n)])
		}
	}
	return v
}

// expectListed compares what crossfade parked list says with the journal.
func (h *heldStory) expectListed(r *relay, aside []setAside) {
	h.t.Helper()
	same := slices.EqualFunc(h.list(r), aside, func(l listed, x setAside) bool {
		return l.Ref == x.ref && l.Key == x.key && l.Reason == x.reason && l.Octets == len(x.body) && l.Hold == x.hold
	})
	if !same && !h.planted {
		h.t.Errorf("%s: crossfade parked list does not show what the journal holds", r.name)
	}
}

// expectHeld is the promise about the first part: what was seen by readers of our
// own, and what the bridge says of itself, before and after one more kill.
func (h *heldStory) expectHeld(v heldVerdict) {
	h.t.Helper()
	if !v.clean() {
		h.t.Errorf("after the first part: %s", v.String())
	}
	keys := len(h.firsts())
	if keys < 3 {
		h.t.Errorf("only %d keys are held; the story wants three at least", keys)
	}
	rightly := func(r *relay, at *heldStatus) bool {
		return at.HeldKeys == keys && at.ParkedNow == h.parked[r.name] && at.Counts.InFlight == 0
	}
	if !h.every(rightly) {
		h.t.Errorf("the bridge says %+v; %d keys are held and %v messages parked", h.look(), keys, h.parked)
	}
	h.killBridge()
	h.within(fmt.Sprintf("as before the kill, with %d keys held and %v parked", keys, h.parked), func() bool { return h.every(rightly) })
}
