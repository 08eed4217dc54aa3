package engine

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The optional abilities of openers and sessions are asked for here and nowhere
// else in this package.

// checkerOf gives the preflight of a source or sink opener; nil if it has none.
func checkerOf(opener any) bridge.Checker {
	c, _ := opener.(bridge.Checker)
	return c
}

// journalsOf gives the journals of the incumbent; nil if it keeps none.
func journalsOf(opener bridge.SourceOpener) bridge.JournalOpener {
	if !opener.Traits().Journals {
		return nil
	}
	j, _ := opener.(bridge.JournalOpener)
	return j
}

// backlogOf asks a session how much waits.
func backlogOf(ctx context.Context, session bridge.Source) (b bridge.Backlog, asked bool, err error) {
	l, ok := session.(bridge.Backlogger)
	if !ok {
		return bridge.Backlog{}, false, nil
	}
	b, err = l.Backlog(ctx)
	return b, true, err
}

// siteOf asks an opener what it reads or writes; false if it cannot say.
func siteOf(ctx context.Context, opener any) (site bridge.Site, known bool, err error) {
	s, ok := opener.(bridge.Sited)
	if !ok {
		return site, false, nil
	}
	site, err = s.Site(ctx)
	return site, true, err
}

// namesOf is what an opener reads or writes, as far as its settings tell.
func namesOf(opener any) []string {
	if n, ok := opener.(bridge.Named); ok {
		return n.Names()
	}
	return nil
}

// acceptsRecreated says whether a relay may go on where that side was made anew.
func acceptsRecreated(opener any) bool {
	r, ok := opener.(bridge.Recreatable)
	return ok && r.AcceptsRecreated()
}

// keeperOf gives who knows what the bridge made at a system; nil if nobody does.
func keeperOf(s bridge.System) bridge.Keeper {
	k, _ := s.(bridge.Keeper)
	return k
}

// surveyorOf gives who says what there is at a system; nil if nobody does.
func surveyorOf(s bridge.System) bridge.Surveyor {
	v, _ := s.(bridge.Surveyor)
	return v
}

// provisionerOf gives who makes things at a system; nil if nobody does.
func provisionerOf(s bridge.System) bridge.Provisioner {
	p, _ := s.(bridge.Provisioner)
	return p
}

// tapsOf says what a source reads; nothing if it cannot say.
func tapsOf(opener bridge.SourceOpener) []bridge.Tap {
	if t, ok := opener.(bridge.Tapping); ok {
		return t.Taps()
	}
	return nil
}

// targetOf says what a sink writes into; false if it cannot say.
func targetOf(opener bridge.SinkOpener) (bridge.Target, bool) {
	if t, ok := opener.(bridge.Targeting); ok {
		return t.Target(), true
	}
	return bridge.Target{}, false
}

// carriesOf gives what a target declares of its mapping; nil if it does not.
func carriesOf(opener bridge.SinkOpener) []bridge.Mapping {
	if c, ok := opener.(bridge.Carrier); ok {
		return c.Carries()
	}
	return nil
}

// givesOf gives what a tap declares of its mapping; nil if it does not.
func givesOf(opener bridge.SourceOpener) []bridge.Mapping {
	if g, ok := opener.(bridge.Giver); ok {
		return g.Gives()
	}
	return nil
}

// placerOf gives who knows where a target keeps messages; nil if nobody does.
func placerOf(opener bridge.SinkOpener) bridge.Placer {
	p, _ := opener.(bridge.Placer)
	return p
}
