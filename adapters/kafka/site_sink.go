package kafka

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Site is as bridge.Sited says, with the topic's ID where the settings name one. Of
// topics that a template makes, each sink compares the IDs with those that were seen
// first in this process.
func (o *SinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	c := newCluster(o.system)
	defer c.close()
	name, literal := o.config.template.Literal()
	if !literal {
		l, err := c.look(ctx, ownPrefix) // no topic: the cluster's own ID
		if err != nil {
			return bridge.Site{}, err
		}
		return bridge.Site{System: siteSystem(l), Names: o.Names()}, nil
	}
	l, err := o.lookAt(ctx, c, name)
	if err != nil {
		return bridge.Site{}, err
	}
	return bridge.Site{System: siteSystem(l), Names: o.Names(), Incarnation: l.topics[name].id}, nil
}

// Names is as bridge.Named says.
func (o *SinkOpener) Names() []string { return []string{o.config.what()} }

// AcceptsRecreated says that the configuration lets the relay go on where its topic
// was deleted and made again.
func (o *SinkOpener) AcceptsRecreated() bool { return o.config.Accept.Has(acceptRecreated) }
