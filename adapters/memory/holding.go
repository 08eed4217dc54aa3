package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A place is where a tap or a journal is found.
type place struct {
	bridge.Holding
	remove func() error
}

// Holdings is as bridge.Keeper says: taps and journals.
func (b *Broker) Holdings(ctx context.Context, of string) ([]bridge.Holding, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var all []bridge.Holding
	for _, p := range b.places(of) {
		all = append(all, p.Holding)
	}
	return all, nil
}

// Remove is as bridge.Keeper says. Nothing here is shared by relays.
func (b *Broker) Remove(ctx context.Context, of, relay string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	places := b.places(of)
	places = slices.DeleteFunc(places, func(p place) bool { return p.Relay != relay || relay == "" })
	for _, p := range places { // taps are first, and refuse
		if err := p.remove(); err != nil {
			return err
		}
	}
	return nil
}

// places finds what belongs to the relays of a bridge, taps first.
func (b *Broker) places(of string) []place {
	var all []place
	for _, s := range b.all() {
		all = append(all, s.places(of)...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, r := range b.journals {
		if r.id.Bridge != of {
			continue
		}
		r.mu.Lock()
		n := len(r.all)
		r.mu.Unlock()
		all = append(all, place{
			bridge.Holding{Relay: r.id.Relay, Kind: "journal", Name: name, Text: fmt.Sprintf("%d records", n)},
			func() error { b.forget(name); return nil },
		})
	}
	slices.SortFunc(all, func(x, y place) int {
		return cmp.Or(-cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Relay, y.Relay), cmp.Compare(x.Name, y.Name))
	})
	return all
}

func (b *Broker) forget(journal string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.journals, journal)
}

func (s *Stream) places(of string) []place {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []place
	for name, t := range s.taps {
		if t.id.Bridge != of {
			continue
		}
		first := t.acked.next(0)
		waiting := s.log.last + 1 - first - uint64(t.acked.from(first))
		all = append(all, place{
			bridge.Holding{Relay: t.id.Relay, Kind: "tap", Name: s.config.Name + " " + name, Text: fmt.Sprintf("tap, %d messages", waiting)},
			func() error { return s.untap(name) },
		})
	}
	return all
}

// untap forgets a tap that no session has.
func (s *Stream) untap(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.taps[name]
	if t == nil {
		return nil
	}
	if t.session != nil && t.session.ended == nil {
		return bridge.Fatal(fmt.Errorf("%s: stream %s: relay %s: a session in this process runs it", Kind, s.config.Name, name), "Stop the relay first.")
	}
	delete(s.taps, name)
	s.trim()
	return nil
}

// Delete deletes a stream with all that it holds, and ends its sessions. A stream
// of that name that is created later has another incarnation.
func (b *Broker) Delete(name string) {
	b.mu.Lock()
	s := b.streams[name]
	delete(b.streams, name)
	b.mu.Unlock()
	if s != nil {
		s.cut(false)
	}
}
