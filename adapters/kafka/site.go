package kafka

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

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

// siteSystem names a cluster by the ID that it gives itself.
func siteSystem(l *layout) string { return Kind + " cluster " + l.cluster }
