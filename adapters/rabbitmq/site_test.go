package rabbitmq

import (
	"slices"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A site is the broker's own word for its cluster and the names that are read or
// written; nothing has to be there for it, and nothing is made.
func TestSites(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	cluster, _ := n.conn.Properties["cluster_name"].(string)
	for _, v := range []struct {
		o    bridge.Sited
		want []string
	}{
		{n.source(t, s, n.identity(t), "bindings: [{exchange: b, routing_key: '1'}, {exchange: a}, {exchange: b, routing_key: '2'}]"), []string{"exchange a", "exchange b"}},
		{n.source(t, s, n.identity(t), "queue: q\ncompetes: true"), []string{"queue q"}},
		{n.source(t, s, n.identity(t), "stream: st"), []string{"stream st"}},
		{n.sink(t, s, n.identity(t), "queue: q"), []string{"queue q"}},
		{n.sink(t, s, n.identity(t), "stream: st"), []string{"stream st"}},
		{n.sink(t, s, n.identity(t), "exchange: x"), []string{"exchange x"}},
	} {
		site, err := v.o.Site(t.Context())
		if err != nil || !slices.Equal(site.Names, v.want) || site.System != "rabbitmq cluster "+cluster+" vhost /" || site.Incarnation != "" {
			t.Errorf("%v: %+v, %v", v.want, site, err)
		}
	}
	if cluster == "" || strings.Contains(cluster, "test") {
		t.Errorf("the cluster is called %q", cluster)
	}
	down, err := newSystem("down", settings("url: amqp://127.0.0.1:1\nconnect_timeout: 1s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.sink(t, down, n.identity(t), "queue: q").Site(t.Context()); bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("a broker that is down: %v", err)
	}
}
