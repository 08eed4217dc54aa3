package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A shared tap is a stream tap that several relays of a bridge read, each at its own
// pace: the incumbent stores every message once for all of them. In the record it is
// an owner's of its own, while each relay has its position beside it, which says
// that the relay reads it. One that is read by nobody any more is deleted: after a
// change of its arguments once the last relay has read it to its end, and with the
// last relay that is removed.
//
//	application's exchange ──► shared tap ──► relay to Kafka,     at 7,104
//	                                     └──► relay to JetStream, at 6,998

// ownerPrefix begins the name under which shared taps are noted. No relay is called so.
const ownerPrefix = "shared tap "

// owner is who the relay's taps are noted for.
func (o *sourceOpener) owner() string {
	if o.settings.Shared != "" {
		return ownerPrefix + o.settings.Shared
	}
	return o.id.Relay
}

func (o *sourceOpener) ownerID() bridge.Identity {
	return bridge.Identity{Bridge: o.id.Bridge, Relay: o.owner()}
}

// switchName names what leads from one of the relay's taps to another.
func (o *sourceOpener) switchName(suffix ...string) string {
	if o.settings.Shared != "" {
		return sharedName(o.id.Bridge, o.settings.Shared, suffix...)
	}
	return ownName(append([]string{o.id.Bridge, o.id.Relay}, suffix...)...)
}

// sharedLock names what is held by whoever arranges or deletes a shared tap.
func sharedLock(bridgeName, owner string) string {
	return ownName("lock", bridgeName, owner)
}

// arranging calls f while no other relay arranges the same shared tap.
func (o *sourceOpener) arranging(ctx context.Context, f func(context.Context) error) error {
	if o.settings.Shared == "" {
		return f(ctx)
	}
	return o.system.setUp(ctx, o.id.String()+" arrange "+o.owner(), func(ctx context.Context, keeper *session) error {
		defer keeper.close()
		if err := keeper.hold(ctx, sharedLock(o.id.Bridge, o.owner())); err != nil {
			return fmt.Errorf("rabbitmq: %s is just being arranged for another relay, or removed with it: %w", o.owner(), err)
		}
		return f(ctx)
	})
}

// agree makes sure that the relays of one shared tap ask for the same tap.
func (s *system) agree(o *sourceOpener) error {
	c := &o.settings
	asks := fmt.Sprintf("bindings %v, max_bytes %d, max_age %v, segment_bytes %d", c.Bindings, c.MaxBytes, c.MaxAge, c.SegmentBytes)
	s.sharedMu.Lock()
	defer s.sharedMu.Unlock()
	if s.shared == nil {
		s.shared = map[string]sharedUse{}
	}
	key := o.id.Bridge + " " + c.Shared
	if use, is := s.shared[key]; is && use.relay != o.id.Relay && use.asks != asks {
		return fmt.Errorf("shared_tap: relays %s and %s both read the shared tap %s and differ in its bindings or bounds: write the same into both, or give one of them another tap",
			use.relay, o.id.Relay, c.Shared)
	}
	s.shared[key] = sharedUse{o.id.Relay, asks}
	return nil
}

// A sharedUse is what a relay asks of a shared tap.
type sharedUse struct{ relay, asks string }

// A tapStream is a stream that is read, with what is kept beside it.
type tapStream struct {
	name    string
	offsets string
	// Of a shared tap: its identity, whether the relay has a position there, and where
	// it begins if it has none.
	identity string
	noted    bool
	begin    func(context.Context) (uint64, error)
}

// sameSharing makes sure that a relay with a tap of its own does not begin to read a
// shared one, nor the other way round: what is between would be missing or come twice.
func (p *tapping) sameSharing() error {
	shared := p.settings.Shared
	for _, owner := range p.record.owners() {
		for _, t := range p.record.of(owner).used(useTap) {
			if owner == p.owner || owner != p.id.Relay && !p.reads(t.name) {
				continue
			}
			is := "the shared tap " + shared
			if shared == "" {
				is = "a tap of its own"
			}
			return bridge.Fatal(fmt.Errorf("rabbitmq: relay %s reads %s, and its settings now ask for %s: nothing leads from the one to the other", p.id.Relay, t.name, is),
				"Take the change back; or let the relay go with crossfade remove "+p.id.Relay+" and start it again: it begins anew, and what is published in between is not copied.")
		}
	}
	return nil
}

// dropUnread deletes taps that were changed and that nobody reads any more: whoever
// read one last was removed, or died before it could. The newest one stays, whoever
// reads it.
func (p *tapping) dropUnread(ctx context.Context) error {
	if p.settings.Shared == "" {
		return nil
	}
	chain := p.own.used(useTap)
	for i, t := range chain {
		if i == len(chain)-1 || len(p.record.beside(t.name)) > 0 {
			continue
		}
		if err := p.session.retire(ctx, p.owner, *t, nil, p.tell); err != nil {
			return err
		}
	}
	return nil
}

// join gives the tap of a chain that the relay reads now. A relay that reads an older
// one reads the newer one from its beginning; a new one begins at the newest.
func (p *tapping) join(ctx context.Context, chain []*thing) (now thing, last bool, err error) {
	if len(chain) == 0 {
		return now, false, fmt.Errorf("rabbitmq: %s is there, but the bridge has not noted that it made it", p.tap)
	}
	newest := *chain[len(chain)-1]
	i := slices.IndexFunc(chain, func(t *thing) bool { return p.reads(t.name) })
	switch {
	case i < 0 && newest.name != p.tap:
		return now, false, fmt.Errorf("rabbitmq: the shared tap %s is being changed: this relay waits until %s is what all of its relays ask for", p.settings.Shared, newest.name)
	case i < 0 || i == len(chain)-1:
		return newest, true, nil
	}
	t := p.tapStream(newest)
	t.begin = func(context.Context) (uint64, error) { return 0, nil }
	err = p.system.setUp(ctx, p.id.String()+" offsets of "+newest.name, func(ctx context.Context, keeper *session) error {
		defer keeper.close()
		_, err := p.openTapOffsets(ctx, p.session, keeper, t)
		return err
	})
	return *chain[i], false, err
}

// first says that a tap was made for this relay: no other has a position in it. It
// holds over a start that was cut off: what has come since the tap was bound is the
// relay's.
func (p *tapping) first(tap string) bool {
	return !slices.ContainsFunc(p.record.beside(tap), func(b besideThing) bool { return b.relay != p.id.Relay })
}

// reads says that the relay has a position in a tap.
func (p *tapping) reads(tap string) bool {
	return len(p.record.of(p.id.Relay).beside(tap)) > 0
}

// tapStream is what is to be known of a stream tap in order to read it.
func (p *tapping) tapStream(t thing) tapStream {
	s := tapStream{name: t.name, offsets: p.offsetsOf(t.name)}
	if p.settings.Shared == "" {
		return s
	}
	s.identity, s.noted = t.identity, p.reads(t.name)
	s.begin = func(ctx context.Context) (uint64, error) {
		if k := p.settings.Start.Kind; p.first(t.name) && (k == bridge.StartDefault || k == bridge.StartNow || k == bridge.StartFirst) {
			return 0, nil
		}
		return p.beginning(ctx, p.session)
	}
	return s
}

// A recordWatch finds out whether the relays of a shared tap have been given another one by
// a process with other settings: what comes then is stored for this relay too, and not in
// the tap that it reads. The other tap is noted before anything comes into it.
type recordWatch struct {
	opener *sourceOpener
	tap    string
	looked bool
	last   uint64 // the newest note when it was looked
}

func (w *recordWatch) replaced(ctx context.Context, n *session) (bool, error) {
	o := w.opener
	last, _, err := n.tail(ctx, recordName(o.id.Bridge), n.broker.emptyPatience())
	if err != nil || w.looked && last == w.last {
		return false, err
	}
	r, err := n.readRecord(ctx, o.id.Bridge)
	if err != nil {
		return false, err
	}
	chain := r.of(o.owner()).used(useTap)
	if len(chain) > 0 && chain[len(chain)-1].name != w.tap {
		return true, nil
	}
	w.looked, w.last = true, last
	return false, nil
}

// openSharedOffsets reads the relay's position in a shared tap, or begins it.
func (o *sourceOpener) openSharedOffsets(ctx context.Context, n, keeper *session, t tapStream) (*offsets, error) {
	_, tapErr := n.passive(t.name)
	if tapErr != nil {
		return nil, setupError(o.Describe(), tapErr) // it was there a moment ago
	}
	if _, err := n.passive(t.offsets); t.noted && missing(err) {
		return nil, bridge.Fatal(fmt.Errorf("rabbitmq: the offsets stream %s of relay %s is gone: nobody knows what it has read of %s", t.offsets, o.id.Relay, t.name),
			o.anew(""))
	}
	p, err := o.openOffsets(ctx, keeper, t.offsets, t.name, t.identity)
	switch {
	case err != nil:
		return nil, err
	case p.incarnation != t.identity:
		return nil, bridge.Fatal(fmt.Errorf("rabbitmq: %s was deleted and made again, and relay %s has read the former one up to offset %d", t.name, o.id.Relay, p.positions.next),
			o.anew(""))
	case p.created:
		return p, o.notRemade(ctx, n, p, t.name, t.offsets)
	}
	next, err := t.begin(ctx)
	if err != nil {
		return nil, err
	}
	return p, p.begin(ctx, next)
}

// anew says how an operator has a relay begin anew: as alone says where the tap is the
// relay's own, and without the others where it is shared.
func (o *sourceOpener) anew(alone string) string {
	if o.settings.Shared == "" {
		return alone
	}
	return "Let the relay go with crossfade remove " + o.id.Relay + " and start it again: it begins anew, where its start says."
}

// A besideThing is a thing beside a tap, and whose it is.
type besideThing struct {
	*thing
	relay string
}

// beside gives what belongs to a tap, of all relays.
func (r *record) beside(tap string) (all []besideThing) {
	for _, relay := range slices.Sorted(maps.Keys(r.relays)) {
		for _, t := range r.relays[relay].beside(tap) {
			all = append(all, besideThing{t, relay})
		}
	}
	return all
}

// readers are the relays that have a position in one of an owner's taps.
func (r *record) readers(owner string) (all []string) {
	for _, t := range r.of(owner).things {
		for _, b := range r.beside(t.name) {
			if !slices.Contains(all, b.relay) {
				all = append(all, b.relay)
			}
		}
	}
	slices.Sort(all)
	return all
}

// soleReads gives the owners of shared taps that nobody but that relay reads.
func (r *record) soleReads(relay string) (owners []string) {
	for _, owner := range slices.Sorted(maps.Keys(r.relays)) {
		if strings.HasPrefix(owner, ownerPrefix) && slices.Equal(r.readers(owner), []string{relay}) {
			owners = append(owners, owner)
		}
	}
	return owners
}

// leave ends a relay's reading of a shared tap that it has read to its end, and
// deletes the tap if nobody else reads it.
func (o *sourceOpener) leave(ctx context.Context, n *session, tap thing, own []*thing) error {
	tell := func(ctx context.Context, notes ...note) error { return o.system.note(ctx, o.id.Bridge, notes...) }
	var before, after []note
	for _, b := range own {
		before, after = append(before, b.says(noteRetire, o.id.Relay)), append(after, b.says(noteGone, o.id.Relay))
	}
	if err := tell(ctx, before...); err != nil {
		return err
	}
	for _, b := range own {
		if err := n.remove(*b); err != nil {
			return err
		}
	}
	if err := tell(ctx, after...); err != nil {
		return err
	}
	return o.arranging(ctx, func(ctx context.Context) error {
		r, err := n.readRecord(ctx, o.id.Bridge)
		if err != nil || len(r.beside(tap.name)) > 0 {
			return err
		}
		return n.retire(ctx, o.owner(), tap, nil, tell)
	})
}

// validateShared checks the name of a shared tap.
func (c *sourceSettings) validateShared() error {
	switch {
	case c.Shared == "":
		return nil
	case c.Tap != typeStream || c.Stream != "":
		return errors.New("shared_tap is for tap: stream: of a queue every message goes to one reader only")
	case len(c.Shared) > 100:
		return errors.New("shared_tap: names have at most 100 octets")
	}
	return nil
}
