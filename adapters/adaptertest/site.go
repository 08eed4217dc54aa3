package adaptertest

import (
	"context"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var siteChecks = []check{
	{"Site", "is the same at every call and in every process, and changes nothing", nil, siteStable},
	{"Site", "differs for another source and another target", []waiver{needsLoop}, siteDiffers},
}

// site asks an opener for its site.
func (e *env) site(o any) bridge.Site {
	e.Helper()
	var s bridge.Site
	err := e.bounded("Site", func(ctx context.Context) (err error) {
		s, err = o.(bridge.Sited).Site(ctx)
		return err
	})
	switch {
	case err != nil:
		e.Fatalf("site: %v", err)
	case s.System == "" || len(s.Names) == 0 || slices.Contains(s.Names, "") || !slices.IsSorted(s.Names):
		e.Errorf("the site is %+v: want a system, and sorted names", s)
	}
	if n, ok := o.(bridge.Named); ok && (len(n.Names()) == 0 || !slices.IsSorted(n.Names()) || missing(n.Names(), s.Names)) {
		e.Errorf("the settings name %q, and the site %q", n.Names(), s.Names)
	}
	return s
}

// missing says that not all are among those that there are.
func missing(all, there []string) bool {
	return slices.ContainsFunc(all, func(n string) bool { return !slices.Contains(there, n) })
}

// sited are the openers of a process that can say their site, source first.
func (e *env) sited(p Process) []any {
	var all []any
	if o, ok := p.Source.(bridge.Sited); ok {
		all = append(all, o)
	}
	if o, ok := p.Sink.(bridge.Sited); ok {
		all = append(all, o)
	}
	return all
}

// equalSites are in all respects equal.
func equalSites(a, b bridge.Site) bool {
	return a.System == b.System && a.Incarnation == b.Incarnation && slices.Equal(a.Names, b.Names)
}

// siteStable asks before and after data has moved, and in two processes.
func siteStable(e *env) {
	p, other := e.process(), e.process()
	openers, others := e.sited(p), e.sited(other)
	if len(openers) == 0 {
		e.without("its openers are not Sited")
		return
	}
	before := e.inventory()
	var was []bridge.Site
	for i, o := range openers {
		first := e.site(o)
		for _, again := range []bridge.Site{e.site(o), e.site(others[i])} {
			if !equalSites(first, again) || !first.Same(again) {
				e.Errorf("the site was %+v and is %+v", first, again)
			}
		}
		was = append(was, first)
	}
	e.unchanged("Site", before)
	if p.Source != nil {
		e.tap(p)
	}
	if p.Sink != nil {
		l := e.lane(p, 0)
		l.deliver(e.messages(3, 1))
	}
	for i, o := range others {
		if is := e.site(o); !equalSites(was[i], is) {
			e.Errorf("with data the site was %+v and is %+v", was[i], is)
		}
	}
}

func siteDiffers(e *env) {
	one, two := e.sited(e.process()), e.sited(e.Loop(e.T))
	if len(one) == 0 {
		e.without("its openers are not Sited")
		return
	}
	for i := range one {
		if a, b := e.site(one[i]), e.site(two[i]); a.Same(b) {
			e.Errorf("%v and %v are taken for the same", a, b)
		}
	}
}
