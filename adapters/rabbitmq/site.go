package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Sited = (*sourceOpener)(nil)
	_ bridge.Sited = (*sinkOpener)(nil)
	_ bridge.Named = (*sourceOpener)(nil)
	_ bridge.Named = (*sinkOpener)(nil)
)

// Names are the exchanges, queue or stream that is read.
func (o *sourceOpener) Names() (names []string) {
	switch {
	case o.settings.Queue != "":
		return []string{"queue " + o.settings.Queue}
	case o.settings.Stream != "":
		return []string{"stream " + o.settings.Stream}
	}
	for _, b := range o.settings.Bindings {
		names = append(names, "exchange "+b.Exchange)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Names is the exchange, queue or stream that is written.
func (o *sinkOpener) Names() []string {
	switch o.target.kind {
	case toExchange:
		return []string{"exchange " + o.target.exchange}
	case typeStream:
		return []string{"stream " + o.target.queue}
	}
	return []string{"queue " + o.target.queue}
}

// Site is the exchanges, queue or stream that is read. A tap or stream that was
// deleted and made again is found out when it is opened, so there is no
// incarnation here.
func (o *sourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, o.Names())
}

// Site is the exchange, queue or stream that is written.
func (o *sinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, o.Names())
}

// Loops is as bridge.Looper says. A tap's name does not say what it is bound to, but
// the message does: the exchange that it was published to. One that came to the tap
// through a further exchange is not known by this, and what comes back to a queue
// that was deleted and made again is.
func (s *sink) Loops(m *bridge.Message) bool {
	from, t := m.Origin.Stream, &s.opener.target
	if from == nil || from.System != Kind || from.Cluster != s.cluster || s.cluster == "" {
		return false
	}
	if t.kind == toExchange {
		return m.Address.Space == t.exchange && strings.HasPrefix(from.Name, namePrefix+".")
	}
	return from.Name == t.queue
}

// site asks the broker which cluster it is of.
func (s *system) site(ctx context.Context, id bridge.Identity, names []string) (bridge.Site, error) {
	site := bridge.Site{Names: names}
	err := s.setUp(ctx, id.String()+" look at "+names[0], func(_ context.Context, n *session) error {
		defer n.close()
		site.System = fmt.Sprintf("rabbitmq cluster %s vhost %s", n.broker.cluster, s.uri.Vhost)
		return nil
	})
	return site, err
}
