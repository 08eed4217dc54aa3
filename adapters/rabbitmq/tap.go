package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A tapping brings a relay's taps into the state that the configuration asks for.
// There is one tap, and two while a change is under way: the old one receives
// nothing any more and is read to its end before the new one is.
type tapping struct {
	*sourceOpener
	session *session
	record  *record
	owner   string      // who the taps are noted for
	own     *belongings // the owner's
	wanted  []binding
}

// taps makes what is missing and gives the tap that is to be read now, and
// whether another one follows when it is empty. Doing it again changes nothing.
func (o *sourceOpener) taps(ctx context.Context, n *session) (now thing, last bool, p *tapping, err error) {
	p = &tapping{sourceOpener: o, session: n, owner: o.owner()}
	for _, b := range o.settings.Bindings {
		w, err := bindingOf(b)
		if err != nil {
			return thing{}, false, nil, err
		}
		p.wanted = append(p.wanted, w)
	}
	err = o.arranging(ctx, func(ctx context.Context) error {
		if p.record, err = n.readRecord(ctx, o.id.Bridge); err != nil {
			return err
		}
		p.own = p.record.of(p.owner)
		if err := p.sameSharing(); err != nil {
			return err
		}
		for _, step := range []func(context.Context) error{p.finishRetiring, p.lookAtTaps, p.finishSwitch, p.dropUnread, p.arrange} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return thing{}, false, nil, err
	}
	chain := p.own.used(useTap)
	switch {
	case o.settings.Shared != "":
		now, last, err = p.join(ctx, chain)
		return now, last, p, err
	case len(chain) == 0: // one that is there and was never noted
		return p.newTap(), true, p, nil
	}
	return *chain[0], len(chain) == 1, p, nil
}

// newTap is the tap of the configuration.
func (o *sourceOpener) newTap() thing {
	t := thing{kind: kindStream, name: o.tap, use: useTap}
	if o.settings.Tap != typeStream {
		t.kind = o.settings.Tap + kindQueue
	}
	if o.settings.Shared != "" {
		t.identity = token()
	}
	return t
}

// besideTap is what a tap of the configuration has beside it.
func (o *sourceOpener) besideTap() thing {
	if o.settings.Tap == typeStream {
		return thing{kind: kindStream, name: tapName(o.id, &o.settings, "offsets"), use: useOffsets, of: o.tap}
	}
	return thing{kind: typeClassic + kindQueue, name: o.dropped, use: useDropped, of: o.tap}
}

// offsetsOf gives the stream in which a stream tap's position is kept.
func (p *tapping) offsetsOf(tap string) string {
	for _, b := range p.record.of(p.id.Relay).beside(tap) {
		if b.use == useOffsets {
			return b.name
		}
	}
	return p.besideTap().name // of a tap that was never noted
}

// tell writes notes and takes them in.
func (p *tapping) tell(ctx context.Context, notes ...note) error {
	if err := p.system.note(ctx, p.id.Bridge, notes...); err != nil {
		return err
	}
	for _, e := range notes {
		p.record.apply(e)
	}
	return nil
}

// finishRetiring deletes what an earlier session was about to delete.
func (p *tapping) finishRetiring(ctx context.Context) error {
	var notes []note
	for _, relay := range slices.Compact([]string{p.owner, p.id.Relay}) {
		for _, t := range p.record.of(relay).things {
			if !t.retired {
				continue
			}
			if err := p.session.remove(*t); err != nil {
				return err
			}
			notes = append(notes, t.says(noteGone, relay))
		}
	}
	return p.tell(ctx, notes...)
}

// lookAtTaps compares the record with the broker. A tap that is gone took messages
// with it, which is an error until somebody has deleted what was beside it too:
// then a new beginning is meant. // I1
func (p *tapping) lookAtTaps(ctx context.Context) error {
	for _, t := range p.own.used(useTap) {
		gone, err := p.isGone(t.name)
		if err != nil {
			return err
		}
		if !gone {
			continue
		}
		notes := []note{t.says(noteGone, p.owner)}
		for _, b := range p.record.beside(t.name) {
			if gone, err = p.isGone(b.name); err != nil {
				return err
			}
			if !gone && (b.use == useDropped || t.name != p.tap || p.settings.Shared != "") {
				return tapDeleted(t.name, b.name)
			}
			if gone {
				notes = append(notes, b.says(noteGone, b.relay))
			}
		}
		if p.made.Load() && t.name == p.tap {
			return tapDeleted(t.name, "what is beside it")
		}
		if err := p.tell(ctx, notes...); err != nil {
			return err
		}
	}
	return nil
}

func tapDeleted(tap, beside string) error {
	return bridge.Fatal(fmt.Errorf("rabbitmq: tap %s was deleted, with what it held", tap),
		"Delete "+beside+" too and start the bridge again, to begin anew: what was published in between is not copied.")
}

func (p *tapping) isGone(name string) (bool, error) {
	_, err := p.session.passive(name)
	if missing(err) {
		return true, nil
	}
	return false, setupError(name, err)
}

// arrange makes the tap of the configuration, if it is the first or there is one
// other. While two are there, the older one is read to its end first.
func (p *tapping) arrange(ctx context.Context) error {
	chain := p.own.used(useTap)
	switch {
	case len(chain) == 0:
		if err := p.declareTap(ctx); err != nil {
			return err
		}
		return p.rebind(ctx, p.tap)
	case len(chain) == 1 && chain[0].name != p.tap:
		return p.change(ctx, *chain[0])
	}
	newest := chain[len(chain)-1].name
	if newest == p.tap && p.settings.Tap != typeStream { // opening a stream tap looks at what is beside it
		if err := p.declareTap(ctx); err != nil {
			return err
		}
	}
	return p.rebind(ctx, newest)
}

// declareTap declares the tap of the configuration and what is beside it, unless
// they are there: then the arguments are those of the broker's version that they
// were made on.
func (p *tapping) declareTap(ctx context.Context) error {
	var err error
	if p.settings.Shared != "" {
		_, err = p.system.makeNoted(ctx, p.session, p.ownerID(), p.newTap(), tapArguments(&p.settings, "", p.session.broker))
	} else if p.settings.Tap == typeStream {
		err = p.system.setUp(ctx, p.id.String()+" offsets of "+p.Describe(), func(ctx context.Context, keeper *session) error {
			defer keeper.close()
			_, err := p.openTapOffsets(ctx, p.session, keeper, p.tapStream(p.newTap()))
			return err
		})
	} else {
		err = p.declareQueueTap(ctx)
	}
	if err == nil && p.own.find(p.newTap().kind, p.tap) == nil {
		// It was noted by makeNoted, or it was there and is nobody's.
		fresh, err := p.session.readRecord(ctx, p.id.Bridge)
		if err != nil {
			return err
		}
		p.record, p.own = fresh, fresh.of(p.owner)
	}
	return err
}

// declareQueueTap makes the tap first and the queue beside it before anything is
// bound, so that queue without a tap means that the tap was deleted, with all that
// it held. // I1
func (p *tapping) declareQueueTap(ctx context.Context) error {
	gone, err := p.isGone(p.tap)
	if err != nil {
		return err
	}
	if gone {
		besideGone, err := p.isGone(p.dropped)
		if err != nil {
			return err
		}
		noted := p.own.find(typeClassic+kindQueue, p.dropped) != nil // of a tap that was read to its end
		if p.made.Load() || !besideGone && !noted {
			return tapDeleted(p.tap, p.dropped)
		}
	}
	if _, err := p.system.makeNoted(ctx, p.session, p.id, p.newTap(), tapArguments(&p.settings, p.dropped, p.session.broker)); err != nil {
		return err
	}
	if _, err := p.system.makeNoted(ctx, p.session, p.id, p.besideTap(), droppedArguments()); err != nil {
		return err
	}
	p.made.Store(true)
	return nil
}

// rebind binds a tap as the configuration says, and then unbinds what is not there
// any more: a message that both match is there once.
func (p *tapping) rebind(ctx context.Context, tap string) error {
	var notes []note
	for _, w := range p.wanted {
		if !slices.ContainsFunc(p.own.bindings[tap], w.same) {
			notes = append(notes, note{Do: noteBind, Relay: p.owner, Name: tap, Binding: &w})
		}
	}
	if err := p.tell(ctx, notes...); err != nil {
		return err
	}
	for _, w := range p.wanted {
		if err := p.session.bind(tap, w); err != nil {
			return err
		}
	}
	return p.unbind(ctx, tap, func(b binding) bool { return !slices.ContainsFunc(p.wanted, b.same) })
}

// unbind takes off the bindings that which is true of.
func (p *tapping) unbind(ctx context.Context, tap string, which func(binding) bool) error {
	var notes []note
	for _, b := range p.own.bindings[tap] {
		if !which(b) {
			continue
		}
		if err := p.session.unbind(tap, b); err != nil {
			return err
		}
		notes = append(notes, note{Do: noteUnbind, Relay: p.owner, Name: tap, Binding: &b})
	}
	return p.tell(ctx, notes...)
}

func (n *session) bind(queue string, b binding) error {
	err := n.do(func(ch *amqp.Channel) error { return ch.QueueBind(queue, b.Key, b.Exchange, false, b.table()) })
	return setupError(fmt.Sprintf("bind to exchange %s with %q", b.Exchange, b.Key), err)
}

// unbind takes a binding off; one that is not there is as good.
func (n *session) unbind(queue string, b binding) error {
	err := n.do(func(ch *amqp.Channel) error { return ch.QueueUnbind(queue, b.Key, b.Exchange, b.table()) })
	if missing(err) {
		return nil
	}
	return setupError(fmt.Sprintf("unbind from exchange %s with %q", b.Exchange, b.Key), err)
}

// remove deletes a thing; one that is gone is as good.
func (n *session) remove(t thing) error {
	err := n.do(func(ch *amqp.Channel) error {
		if t.kind == kindExchange {
			return ch.ExchangeDelete(t.name, false, false)
		}
		_, err := ch.QueueDelete(t.name, false, false, false)
		return err
	})
	if missing(err) {
		return nil
	}
	return setupError("delete "+t.name, err)
}

// missing says that the broker does not know what was asked for, rather than
// not being ready.
func missing(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == codeNotFound && !notReady(e)
}
