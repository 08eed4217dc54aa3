package rabbitmq

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var (
	_ bridge.Sited = (*sourceOpener)(nil)
	_ bridge.Sited = (*sinkOpener)(nil)
)

// Site is the exchanges, queue or stream that is read. A tap or stream that was
// deleted and made again is found out when it is opened, so there is no
// incarnation here.
func (o *sourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	var names []string
	switch {
	case o.settings.Queue != "":
		names = []string{"queue " + o.settings.Queue}
	case o.settings.Stream != "":
		names = []string{"stream " + o.settings.Stream}
	default:
		for _, b := range o.settings.Bindings {
			names = append(names, "exchange "+b.Exchange)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return o.system.site(ctx, o.id, names)
}

// Site is the exchange, queue or stream that is written.
func (o *sinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	name := "queue " + o.target.queue
	switch o.target.kind {
	case toExchange:
		name = "exchange " + o.target.exchange
	case typeStream:
		name = "stream " + o.target.queue
	}
	return o.system.site(ctx, o.id, []string{name})
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
