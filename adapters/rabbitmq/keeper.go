package rabbitmq

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

var _ bridge.Keeper = (*system)(nil)

// Holdings lists what is noted and still there.
func (s *system) Holdings(ctx context.Context, bridgeName string) ([]bridge.Holding, error) {
	var found []bridge.Holding
	err := s.setUp(ctx, "list what "+bridgeName+" made", func(ctx context.Context, n *session) error {
		defer n.close()
		r, err := n.readRecord(ctx, bridgeName)
		if err != nil || !r.noted {
			return err
		}
		for _, owner := range r.owners() {
			relay, readers := owner, []string(nil)
			if strings.HasPrefix(owner, ownerPrefix) {
				if relay, readers = "", r.readers(owner); len(readers) == 1 {
					relay = readers[0]
				}
			}
			for _, t := range r.relays[owner].inOrder() {
				h, there, err := n.holding(relay, t, r.relays[owner].bindings[t.name])
				if err != nil {
					return err
				}
				if len(readers) > 0 {
					h.Text += ", shared by " + strings.Join(readers, ", ")
				}
				if there {
					found = append(found, h)
				}
			}
		}
		found = append(found, bridge.Holding{Kind: kindStream, Name: recordName(bridgeName), Text: "record of what the bridge made here"})
		return nil
	})
	return found, err
}

// useOrder is the order in which things are deleted: what leads to others first.
var useOrder = []string{useSwitch, useAside, useBinding, useTap, useDropped, useOffsets}

// useBinding is that of the bindings of a queue that the bridge did not make.
const useBinding = "binding"

// inOrder gives a relay's things in the order in which they are deleted, and with
// them the bindings that do not go with a queue.
func (b *belongings) inOrder() []thing {
	var all []thing
	for _, queue := range slices.Sorted(maps.Keys(b.bindings)) {
		if b.find("", queue) == nil {
			all = append(all, thing{kind: "binding", name: queue, use: useBinding})
		}
	}
	for _, t := range b.things {
		all = append(all, *t)
	}
	rank := func(t thing) int {
		if i := slices.Index(useOrder, t.use); i >= 0 {
			return i
		}
		return len(useOrder)
	}
	slices.SortStableFunc(all, func(x, y thing) int { return rank(x) - rank(y) })
	return all
}

// holding looks whether a thing is there, and says what it holds.
func (n *session) holding(relay string, t thing, bindings []binding) (h bridge.Holding, there bool, err error) {
	h = bridge.Holding{Relay: relay, Kind: t.kind, Name: t.name, Text: t.use}
	count := 0
	if t.kind == kindExchange {
		err = n.exchange(t.name)
		h.Text = "for the change from one tap to another"
	} else {
		found, passiveErr := n.passive(t.name)
		count, err = found.Messages, passiveErr
	}
	switch {
	case missing(err):
		return h, false, nil
	case err != nil:
		return h, false, setupError(t.name, err)
	}
	switch {
	case t.use == useDropped:
		h.Text = "what fell out of the tap, " + counted(count, "message", "messages")
	case t.kind == kindStream && t.use != useTap:
		h.Text = t.use + ", about " + counted(count, "entry", "entries")
	case t.use == useTap && t.kind == kindStream:
		h.Text = "tap, about " + counted(count, "message", "messages")
	case t.use == useTap:
		h.Text = "tap, " + counted(count, "message", "messages")
	}
	if len(bindings) > 0 {
		from := make([]string, 0, len(bindings))
		for _, b := range bindings {
			from = append(from, strings.TrimSpace(b.Exchange+" "+b.Key))
		}
		h.Text += ", bound to " + strings.Join(from, ", ")
	}
	return h, true, nil
}

// counted writes a number with its digits in threes, and of what it is.
func counted(n int, one, many string) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + one
	}
	return digits + " " + many
}

// owners are those for whom things are noted: shared taps before the relays that have
// their positions in them, as things are deleted.
func (r *record) owners() []string {
	return slices.SortedFunc(maps.Keys(r.relays), func(a, b string) int {
		shared := func(s string) int {
			if strings.HasPrefix(s, ownerPrefix) {
				return 0
			}
			return 1
		}
		return cmp.Or(shared(a)-shared(b), strings.Compare(a, b))
	})
}

// Remove deletes one relay's things while it holds the locks of the relay, or the
// record when nothing else is left. A shared tap goes with its last reader.
func (s *system) Remove(ctx context.Context, bridgeName, relay string) error {
	what := "remove what " + bridgeName + " made"
	if relay == "" {
		return s.removeRecord(ctx, bridgeName)
	}
	id := bridge.Identity{Bridge: bridgeName, Relay: relay}
	return s.setUp(ctx, what+" for "+relay, func(ctx context.Context, n *session) error {
		defer n.close()
		for _, lock := range []string{lockName(id, "tap"), laneLock(id, 0)} {
			if err := n.tryHold(lock); err != nil {
				return removeRefused(id, lock, err)
			}
		}
		r, err := n.readRecord(ctx, bridgeName)
		if err != nil {
			return err
		}
		owners := r.soleReads(relay)
		for _, owner := range owners {
			if err := n.tryHold(sharedLock(bridgeName, owner)); err != nil {
				return setupError("lock "+owner+", which another relay is just about to read", err)
			}
		}
		if len(owners) > 0 { // as it is under the locks
			if r, err = n.readRecord(ctx, bridgeName); err != nil {
				return err
			}
			owners = r.soleReads(relay)
		}
		return n.removeAll(ctx, s, bridgeName, r, append(owners, relay))
	})
}

func removeRefused(id bridge.Identity, lock string, err error) error {
	if hasCode(err, codeLocked) {
		return bridge.Fatal(fmt.Errorf("rabbitmq: remove %s: a process runs this relay: it has the lock %s: %w", id.Relay, lock, err),
			"Stop it first. Its connections at the broker are named crossfade "+id.String()+" … (rabbitmqctl list_connections name client_properties peer_host).")
	}
	return setupError("lock "+lock, err)
}

// removeAll deletes in an order from which it can go on at any time. Taps are noted
// as about to go, so that a relay that is started again does not take it for a loss.
func (n *session) removeAll(ctx context.Context, s *system, bridgeName string, r *record, owners []string) error {
	var before, after []note
	for _, owner := range owners {
		for _, t := range r.of(owner).inOrder() {
			if slices.Contains([]string{useTap, useDropped, useOffsets}, t.use) && !t.retired {
				before = append(before, t.says(noteRetire, owner))
			}
			if t.use != useBinding {
				after = append(after, t.says(noteGone, owner))
			}
		}
	}
	if err := s.note(ctx, bridgeName, before...); err != nil {
		return err
	}
	for _, owner := range owners {
		own := r.of(owner)
		for _, t := range own.inOrder() {
			for _, b := range own.bindings[t.name] {
				if err := n.unbind(t.name, b); err != nil {
					return err
				}
				after = append(after, note{Do: noteUnbind, Relay: owner, Name: t.name, Binding: &b})
			}
			if t.use == useBinding {
				continue
			}
			if err := n.remove(t); err != nil {
				return err
			}
		}
	}
	return s.note(ctx, bridgeName, after...)
}

// removeRecord deletes the record, unless something that it lists is there.
func (s *system) removeRecord(ctx context.Context, bridgeName string) error {
	held, err := s.Holdings(ctx, bridgeName)
	if err != nil || len(held) == 0 {
		return err
	}
	if left := len(held) - 1; left > 0 {
		return bridge.Fatal(fmt.Errorf("rabbitmq: %d things of %s are still there, %s among them", left, bridgeName, held[0].Name),
			"Remove its relays first.")
	}
	return s.setUp(ctx, "remove the record of "+bridgeName, func(_ context.Context, n *session) error {
		defer n.close()
		return n.remove(thing{kind: kindStream, name: recordName(bridgeName)})
	})
}
