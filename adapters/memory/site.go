package memory

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Site is as bridge.Sited says.
func (o *SourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.broker.site(ctx, o.config.Stream)
}

// Site is as bridge.Sited says.
func (o *SinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.broker.site(ctx, o.config.Stream)
}

// Names is as bridge.Named says.
func (o *SourceOpener) Names() []string { return []string{"stream " + o.config.Stream} }

// Names is as bridge.Named says.
func (o *SinkOpener) Names() []string { return []string{"stream " + o.config.Stream} }

// Taps is as bridge.Tapping says.
func (o *SourceOpener) Taps() []bridge.Tap {
	return []bridge.Tap{{Role: bridge.RoleLog, Name: o.config.Stream}}
}

// Target is as bridge.Targeting says.
func (o *SinkOpener) Target() bridge.Target {
	return bridge.Target{Object: bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: o.config.Stream}}
}

// Loops is as bridge.Looper says.
func (s *sink) Loops(m *bridge.Message) bool {
	from, to := m.Origin.Stream, s.origin
	return from == to || from != nil && *from == *to
}

// AcceptsRecreated says that the relay may go on where its target was made anew.
func (o *SinkOpener) AcceptsRecreated() bool { return o.config.Recreated }

func (b *Broker) site(ctx context.Context, stream string) (bridge.Site, error) {
	s, err := b.lookup(ctx, stream)
	if err != nil {
		return bridge.Site{}, err
	}
	return bridge.Site{System: Kind + " " + b.cluster, Names: []string{"stream " + stream}, Incarnation: s.origin.Incarnation}, nil
}
