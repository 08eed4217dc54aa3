package kafka

import (
	"context"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

var _ bridge.Named = (*SourceOpener)(nil)

// Site is as bridge.Sited says. Which life of a topic it is does not belong to it: the
// relay's notes, which live beside the topics, know.
func (o *SourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	c := newCluster(o.system)
	defer c.close()
	l, topics, err := o.look(ctx, c)
	if err != nil {
		return bridge.Site{}, err
	}
	site := bridge.Site{System: siteSystem(l)}
	if o.config.Pattern != "" {
		site.Names = append(site.Names, "pattern "+o.config.Pattern)
	}
	for _, t := range topics {
		site.Names = append(site.Names, "topic "+t.name)
	}
	return site, nil
}

// Names is as bridge.Named says: the topics, or the pattern, of which only the brokers
// know which topics it names.
func (o *SourceOpener) Names() (names []string) {
	if o.config.Pattern != "" {
		return []string{"pattern " + o.config.Pattern}
	}
	for _, t := range o.config.Topics {
		names = append(names, "topic "+t)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// siteSystem names a cluster by the ID that it gives itself.
func siteSystem(l *layout) string { return Kind + " cluster " + l.cluster }
