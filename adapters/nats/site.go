package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Site is as bridge.Sited says. Which life of the stream it is does not belong
// to it: the checkpoint, which lives beside the stream, knows.
func (o *SourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, func(c *connection) (bridge.Site, error) {
		site, _, err := c.streamSite(ctx, o.config.Stream)
		return site, err
	})
}

// Site is as bridge.Sited says, with the creation time of the stream.
func (o *SinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, func(c *connection) (bridge.Site, error) {
		site, info, err := c.streamSite(ctx, o.config.Stream)
		if err == nil {
			site.Incarnation = made(info.Created)
		} else if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = bridge.Fatal(err, "Create it first: "+createCommand(&o.config)+".")
		}
		return site, err
	})
}

// Site is as bridge.Sited says.
func (o *coreSourceOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, func(c *connection) (bridge.Site, error) {
		return bridge.Site{System: siteSystem(c.ConnectedClusterName()), Names: o.Names()}, nil
	})
}

// Site is as bridge.Sited says.
func (o *coreSinkOpener) Site(ctx context.Context) (bridge.Site, error) {
	return o.system.site(ctx, o.id, func(c *connection) (bridge.Site, error) {
		return bridge.Site{System: siteSystem(c.ConnectedClusterName()), Names: o.Names()}, nil
	})
}

// Names is as bridge.Named says.
func (o *SourceOpener) Names() []string { return []string{"stream " + o.config.Stream} }

// Names is as bridge.Named says.
func (o *SinkOpener) Names() []string { return []string{"stream " + o.config.Stream} }

// Names is as bridge.Named says.
func (o *coreSourceOpener) Names() []string {
	var names []string
	for _, s := range o.config.Subjects {
		names = append(names, "subject "+s)
	}
	slices.Sort(names)
	return names
}

// Names is as bridge.Named says.
func (o *coreSinkOpener) Names() []string { return []string{"subject " + wildcard(o.config.template)} }

// Loops is as bridge.Looper says. A stream is known by its name and the nanosecond in
// which it was created, whichever cluster keeps it now.
func (s *sink) Loops(m *bridge.Message) bool {
	from := m.Origin.Stream
	return from != nil && from.System == Kind && from.Name == s.origin.Name && from.Incarnation == s.origin.Incarnation
}

// Loops is as bridge.Looper says: the message was heard on the subject that it would
// be published to. Servers without a cluster have no name in common.
func (s *coreSink) Loops(m *bridge.Message) bool {
	from := m.Origin.Stream
	if from == nil || from.System != Kind || from.Name != coreName || from.Cluster != s.cluster || s.cluster == "" && from.Incarnation != s.server {
		return false
	}
	subject, err := s.opener.config.template.Append(nil, m, appendSubject)
	return err == nil && m.Address.Space == "" && m.Address.Name == string(subject)
}

// AcceptsRecreated says that the configuration lets the relay go on where its
// target stream was deleted and made again.
func (o *SinkOpener) AcceptsRecreated() bool { return o.config.Accept.Has(acceptRecreated) }

// made is the creation time of a stream as a Site and errors have it.
func made(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// site asks over a connection of its own, to which the account is added. That
// question comes last, since a server that refuses it says so in a way that
// ends the connection.
func (s *system) site(ctx context.Context, id bridge.Identity, ask func(*connection) (bridge.Site, error)) (bridge.Site, error) {
	conn, err := s.connect(ctx, "crossfade "+id.String()+" site")
	if err != nil {
		return bridge.Site{}, err
	}
	defer conn.Close()
	site, err := ask(conn)
	if err != nil {
		return bridge.Site{}, err
	}
	info, err := conn.userInfo(ctx)
	switch {
	case ctx.Err() != nil:
		return bridge.Site{}, context.Cause(ctx)
	case err != nil && !errors.Is(err, errNotTold):
		return bridge.Site{}, err
	case info.Data.Account != "" && info.Data.Account != globalAccount:
		site.System += " account " + info.Data.Account
	}
	return site, nil
}

// globalAccount is the one that all are in where no accounts are configured.
const globalAccount = "$G"

func siteSystem(cluster string) string {
	if cluster == "" || cluster == standalone {
		return Kind + " " + standalone
	}
	return Kind + " cluster " + cluster
}

// streamSite says where a stream lives, by what JetStream says of it. The domain
// is that of the server which answers, whether or not the configuration names it.
func (c *connection) streamSite(ctx context.Context, name string) (bridge.Site, *jetstream.StreamInfo, error) {
	s, err := c.js.Stream(ctx, name)
	if err != nil {
		err = c.failed(ctx, "stream "+name, err)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = bridge.Fatal(err, "There is no such stream; `nats stream ls` lists those of the account.")
		}
		return bridge.Site{}, nil, err
	}
	info := s.CachedInfo()
	answer, err := c.ask(ctx, c.api+"STREAM.INFO."+name)
	if err != nil {
		return bridge.Site{}, nil, c.failed(ctx, "stream "+name, err)
	}
	var more struct {
		Domain string `json:"domain"`
	}
	if err := json.Unmarshal(answer, &more); err != nil {
		return bridge.Site{}, nil, fmt.Errorf("%s: %s: stream %s: what the server says of it: %w", Kind, c.system.name, name, err)
	}
	site := bridge.Site{System: siteSystem(clusterOf(info)), Names: []string{"stream " + name}}
	if more.Domain != "" {
		site.System += " domain " + more.Domain
	}
	return site, info, nil
}
