package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

var keepChecks = []check{
	{"Keep", "lists what opening has made, and nothing before", []waiver{needsKeeper, needsDurableSource}, keepLists},
	{"Keep", "refuses to remove what a session has, and leaves it alone", []waiver{needsKeeper, needsDurableSource}, keepRefuses},
	{"Keep", "removes all that a relay has, as often as it is called", []waiver{needsKeeper, needsDurableSource}, keepRemoves},
	{"Keep", "touches nothing of another relay or of the operator", []waiver{needsKeeper, needsDurableSource}, keepSpares},
}

func needsKeeper(f *facts) string {
	if !f.keeper {
		return "the harness: it gives no Keeper"
	}
	return ""
}

// inventory is what the operator's tools show, or nil.
func (e *env) inventory() []string {
	e.Helper()
	if e.Inventory == nil {
		return nil
	}
	var all []string
	err := e.bounded("Inventory", func(ctx context.Context) (err error) {
		all, err = e.Inventory(ctx)
		return err
	})
	if err != nil {
		e.Fatalf("inventory: %v", err)
	}
	slices.Sort(all)
	return all
}

// unchanged wants the system to be, or soon to be, as it was.
func (e *env) unchanged(what string, before []string) {
	e.Helper()
	now := before
	e.soon(func() bool {
		now = e.inventory()
		return slices.Equal(before, now)
	})
	if slices.Equal(before, now) {
		return
	}
	for _, x := range before {
		if !slices.Contains(now, x) {
			e.Errorf("%s: gone or changed: %s", what, x)
		}
	}
	for _, x := range now {
		if !slices.Contains(before, x) {
			e.Errorf("%s: new or changed: %s", what, x)
		}
	}
}

// holdings asks a process that has nothing open.
func (e *env) holdings(of string) []bridge.Holding {
	e.Helper()
	k := e.Keeper(e.T)
	var all []bridge.Holding
	err := e.bounded("Holdings", func(ctx context.Context) (err error) {
		all, err = k.Holdings(ctx, of)
		return err
	})
	if err != nil {
		e.Fatalf("holdings: %v", err)
	}
	for _, h := range all {
		if h.Kind == "" || h.Name == "" || h.Text == "" {
			e.Errorf("a holding says too little: %+v", h)
		}
	}
	return all
}

func (e *env) remove(relay string) error {
	e.Helper()
	k := e.Keeper(e.T)
	return e.bounded("Remove", func(ctx context.Context) error { return k.Remove(ctx, e.Identity.Bridge, relay) })
}

// removed removes what a relay has, once its sessions are gone for the system
// too.
func (e *env) removed(relay string) {
	e.Helper()
	var err error
	if e.soon(func() bool { err = e.remove(relay); return err == nil }); err != nil {
		e.Fatalf("remove what relay %q has: %v", relay, err)
	}
}

// of are the holdings of a relay.
func of(relay string, all []bridge.Holding) []bridge.Holding {
	return slices.DeleteFunc(slices.Clone(all), func(h bridge.Holding) bool { return h.Relay != relay })
}

// used opens the tap and a journal, receives, acknowledges the first half, and
// closes the journal. There are more messages in the place than are received.
func (e *env) used(p Process, msgs []bridge.Message, records ...[]byte) *tap {
	e.Helper()
	t := e.tap(p)
	e.put(msgs)
	got := t.receive(len(msgs))
	t.ack(got[:len(got)/2]...)
	if e.facts.from.Journals {
		j := e.journal(p, "parked")
		e.appendTo(j, records...)
		e.closeJournal(j)
	}
	return t
}

func keepLists(e *env) {
	before := e.inventory()
	for range 2 {
		if all := e.holdings(e.Identity.Bridge); len(all) > 0 {
			e.Errorf("before the bridge came it has %+v", all)
		}
	}
	e.unchanged("Holdings", before)
	e.used(e.process(), e.messages(6, 2), numbered(3)...)
	all := e.holdings(e.Identity.Bridge)
	if len(of(e.Identity.Relay, all)) == 0 {
		e.Errorf("a tap was opened, and nothing of the relay is listed: %+v", all)
	}
	for _, h := range all {
		if h.Relay != e.Identity.Relay && h.Relay != "" {
			e.Errorf("a relay that never was has %+v", h)
		}
	}
	if all := e.holdings(e.Identity.Bridge + "-other"); len(all) > 0 {
		e.Errorf("a bridge that never was has %+v", all)
	}
}

func keepRefuses(e *env) {
	msgs := e.messages(8, 2)
	p := e.process()
	t := e.used(p, msgs[:4], numbered(2)...)
	was := len(e.holdings(e.Identity.Bridge))
	if err := e.remove(e.Identity.Relay); err == nil {
		e.Errorf("what a session has was removed")
	} else if err := e.remove(e.Identity.Relay); err == nil {
		e.Errorf("what a session has was removed at the second try")
	}
	if is := len(e.holdings(e.Identity.Bridge)); is < was {
		e.Errorf("of %d holdings %d are left by a refused removal", was, is)
	}
	e.put(msgs[4:])
	got := t.receive(4)
	t.ack(got...)
	if e.facts.from.Journals {
		e.wantRecords(e.journal(p, "parked"), numbered(2)...)
	}
}

func keepRemoves(e *env) {
	before := e.inventory()
	msgs := e.messages(8, 2)
	t := e.used(e.process(), msgs[:4], numbered(2)...)
	t.close()
	e.removed(e.Identity.Relay)
	if left := of(e.Identity.Relay, e.holdings(e.Identity.Bridge)); len(left) > 0 {
		e.Errorf("after Remove the relay has %+v", left)
	}
	e.removed(e.Identity.Relay)
	if e.facts.from.Journals {
		e.wantRecords(e.journal(e.process(), "parked"))
	}
	e.removed(e.Identity.Relay)
	for range 2 {
		e.removed("")
	}
	if all := e.holdings(e.Identity.Bridge); len(all) > 0 {
		e.Errorf("after all was removed the bridge has %+v", all)
	}
	if before != nil { // what was put belongs to the operator
		e.gone(before)
	}
	t = e.tap(e.process()) // as if it had never run
	e.put(msgs[4:])
	t.receive(4)
}

// gone wants nothing at the system that was not there before, whatever became of
// what was.
func (e *env) gone(before []string) {
	e.Helper()
	name := func(x string) string { n, _, _ := strings.Cut(x, "\t"); return n }
	var names []string
	for _, x := range before {
		names = append(names, name(x))
	}
	var extra []string
	e.soon(func() bool {
		extra = nil
		for _, x := range e.inventory() {
			if !slices.Contains(names, name(x)) {
				extra = append(extra, x)
			}
		}
		return len(extra) == 0
	})
	for _, x := range extra {
		e.Errorf("after all was removed there is still %s", x)
	}
}

func keepSpares(e *env) {
	mine, other := e.process(), e.Other(e.T)
	msgs := e.messages(6, 2)
	theirs := e.tap(other)
	t := e.used(mine, msgs, numbered(2)...)
	got := theirs.receive(len(msgs))
	theirs.ack(got[:2]...)
	if e.facts.from.Journals {
		j := e.journal(other, "parked")
		e.appendTo(j, numbered(4)...)
		e.closeJournal(j)
	}
	listed := func() string {
		var all []string
		for _, h := range e.holdings(e.Identity.Bridge) {
			if h.Relay != e.Identity.Relay && h.Relay != "" {
				all = append(all, fmt.Sprint(h.Relay, " ", h.Kind, " ", h.Name))
			}
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	}
	was := listed()
	if was == "" {
		e.Errorf("nothing of the other relay is listed")
	}
	t.close()
	e.removed(e.Identity.Relay)
	_ = e.remove("") // what all share is still needed, so this is refused or does nothing
	if is := listed(); is != was {
		e.Errorf("the other relay had\n%s\nand has\n%s", was, is)
	}
	theirs.ack(got[2:3]...)
	if e.facts.from.Journals {
		e.wantRecords(e.journal(other, "parked"), numbered(4)...)
	}
	theirs.close()
	again := e.tap(other)
	more := again.receive(len(msgs) - 3)
	e.wantAll("the other relay's tap", messagesOf(more), messagesOf(got[3:]))
}

func messagesOf(ds []bridge.Delivery) []bridge.Message {
	all := make([]bridge.Message, len(ds))
	for i := range ds {
		all[i] = ds[i].Message
	}
	return all
}
