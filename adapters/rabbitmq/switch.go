package rabbitmq

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A tap whose arguments have changed is a new queue, and a message must be in
// exactly one of the two: binding one and unbinding the other are two steps. But a
// message that an exchange routes to nothing goes to its alternate exchange, so
// unbinding the old tap there moves the flow in one step:
//
//	application's exchange ──► switch ──► old tap
//	                              └ alternate: aside ──► new tap
//
// Before and after, the taps are bound directly as well; a queue that a message
// reaches in two ways gets it once. What comes between is:
//
//	bind the switch; unbind the old tap from the application's exchange; pause;
//	note it; unbind the old tap from the switch; pause;
//	bind the new tap to the application's exchange; pause; delete the switch
//
// A pause is for messages that the broker is routing just then by bindings that
// it has looked up already. A crash anywhere leaves something to go on from: the
// note, made before the one step, says which tap receives.

// switchPause is how long a broker may take to route a message. Nothing in AMQP
// tells.
const switchPause = 500 * time.Millisecond

// change begins to replace the only tap.
func (p *tapping) change(ctx context.Context, old thing) error {
	gone, err := p.isGone(p.tap)
	if err != nil {
		return err
	}
	if !gone {
		return bridge.Fatal(fmt.Errorf("rabbitmq: %s is there, but the bridge has not noted that it made it", p.tap),
			"The tap's new settings ask for a queue of that name: delete it, or change the settings.")
	}
	gate, aside := p.gate()
	if err := p.tell(ctx, gate.make(p.owner), aside.make(p.owner)); err != nil {
		return err
	}
	if err := p.declareTap(ctx); err != nil { // noted behind the switch: two taps without one are an old and a new one
		return err
	}
	return p.advance(ctx, &old, *p.own.find(kindExchange, gate.name))
}

// gate gives the two exchanges of a switch to the tap of the configuration.
func (p *tapping) gate() (gate, aside thing) {
	gate = thing{kind: kindExchange, name: p.switchName(useSwitch), use: useSwitch, of: p.tap}
	aside = thing{kind: kindExchange, name: p.switchName(useSwitch, useAside), use: useAside, of: p.tap}
	return gate, aside
}

// finishSwitch goes on with a switch that an earlier session began, or takes it
// back if it is not wanted any more and has not happened yet.
func (p *tapping) finishSwitch(ctx context.Context) error {
	gates := p.own.used(useSwitch)
	if len(gates) == 0 {
		return nil
	}
	gate := *gates[0]
	var old, next *thing
	for _, t := range p.own.used(useTap) {
		if t.name == gate.of {
			next = t
		} else {
			old = t
		}
	}
	switch {
	case next != nil && (gate.switched || old == nil || next.name == p.tap):
		return p.advance(ctx, old, gate)
	case old != nil:
		if err := p.rebind(ctx, old.name); err != nil {
			return err
		}
	}
	if next != nil {
		if err := p.session.retire(ctx, p.owner, *next, p.own.beside(next.name), p.tell); err != nil {
			return err
		}
	}
	if err := p.pause(ctx); err != nil {
		return err
	}
	return p.dropGate(ctx)
}

// advance goes through the steps, from whatever has been done of them. old is nil
// if that tap was deleted.
func (p *tapping) advance(ctx context.Context, old *thing, gate thing) error {
	if !gate.switched {
		if err := p.prepare(ctx, old, gate); err != nil {
			return err
		}
		if err := p.tell(ctx, gate.says(noteSwitch, p.owner)); err != nil {
			return err
		}
	}
	if old != nil {
		if err := p.session.unbind(old.name, binding{Exchange: gate.name}); err != nil {
			return err
		}
	}
	if err := p.pause(ctx); err != nil {
		return err
	}
	if err := p.rebind(ctx, gate.of); err != nil {
		return err
	}
	if err := p.pause(ctx); err != nil {
		return err
	}
	return p.dropGate(ctx)
}

// prepare leads the flow to the old tap through the switch.
func (p *tapping) prepare(ctx context.Context, old *thing, gate thing) error {
	aside := p.switchName(useSwitch, useAside)
	for name, arguments := range map[string]amqp.Table{aside: nil, gate.name: {"alternate-exchange": aside}} {
		err := p.session.do(func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare(name, "fanout", true, false, false, false, arguments)
		})
		if err != nil {
			return setupError("declare exchange "+name, err)
		}
	}
	if old != nil {
		if err := p.session.bind(old.name, binding{Exchange: gate.name}); err != nil {
			return err
		}
	}
	if err := p.session.bind(gate.of, binding{Exchange: aside}); err != nil {
		return err
	}
	for _, w := range p.wanted {
		err := p.session.do(func(ch *amqp.Channel) error { return ch.ExchangeBind(gate.name, w.Key, w.Exchange, false, w.table()) })
		if err != nil {
			return setupError(fmt.Sprintf("bind to exchange %s with %q", w.Exchange, w.Key), err)
		}
	}
	if old != nil {
		if err := p.unbind(ctx, old.name, func(binding) bool { return true }); err != nil {
			return err
		}
	}
	return p.pause(ctx)
}

// dropGate deletes the switch, when nothing needs it.
func (p *tapping) dropGate(ctx context.Context) error {
	var notes []note
	for _, t := range append(p.own.used(useSwitch), p.own.used(useAside)...) {
		if err := p.session.remove(*t); err != nil {
			return err
		}
		notes = append(notes, t.says(noteGone, p.owner))
	}
	return p.tell(ctx, notes...)
}

func (p *tapping) pause(ctx context.Context) error {
	select {
	case <-time.After(min(switchPause, p.system.settings.SetupTimeout/8)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retire deletes a tap that is not wanted, with what is beside it. Only messages
// that fell out of it stay, in their queue, which is the record of a gap.
func (n *session) retire(ctx context.Context, relay string, tap thing, beside []*thing, tell func(context.Context, ...note) error) error {
	if tap.kind != kindStream {
		if found, err := n.passive(tap.name); err == nil && found.Messages > 0 {
			return fmt.Errorf("rabbitmq: %s is to be deleted and holds %d messages", tap.name, found.Messages)
		}
	}
	going := []thing{tap}
	for _, b := range beside {
		if b.use == useDropped {
			if found, err := n.passive(b.name); err == nil && found.Messages > 0 {
				continue
			}
		}
		going = append(going, *b)
	}
	var before, after []note
	for _, t := range going {
		before = append(before, t.says(noteRetire, relay))
		after = append(after, t.says(noteGone, relay))
	}
	if err := tell(ctx, before...); err != nil {
		return err
	}
	for _, t := range going {
		if err := n.remove(t); err != nil {
			return err
		}
	}
	return tell(ctx, after...)
}
