package rabbitmq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A relay that has never run begins where the configuration says, exactly, or is
// refused with what is not there.
func TestStartPositions(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	stream := n.queue(t, unique(t), typeStream)
	n.publish(t, "", toQueue(stream, bodies(0, 10, 0))...)
	<-time.After(1100 * time.Millisecond) // the times of chunks that are asked for have seconds
	between := time.Now()
	<-time.After(1100 * time.Millisecond)
	n.publish(t, "", toQueue(stream, bodies(10, 10, 0))...)
	cluster := n.conn.Properties["cluster_name"].(string)
	origin := func(cluster, name string, offset uint64) string {
		return bridge.Origin{Stream: &bridge.Stream{System: Kind, Cluster: cluster, Name: name, Incarnation: "x", Replayable: true}, Offset: offset}.String()
	}
	begin := func(start string) (bridge.Source, error) {
		o := n.source(t, s, n.identity(t), "stream: "+stream+"\nstart: "+start)
		return o.Open(t.Context())
	}
	end := 20
	for _, v := range []struct {
		start string
		want  int // -1 is the end
	}{
		{"first", 0}, {"'2001-02-03T04:05:06Z'", 0}, {"0", 0}, {"7", 7}, {"15", 15},
		{origin(cluster, stream, 12), 12},
		{fmt.Sprintf("'%s'", between.Format(time.RFC3339)), 10},
		{"20", -1}, {"now", -1}, {"'2101-02-03T04:05:06Z'", -1},
	} {
		src, err := begin(v.start)
		if err != nil {
			t.Errorf("start: %s: %v", v.start, err)
			continue
		}
		if v.want < 0 {
			v.want = end
			n.publish(t, "", toQueue(stream, bodies(end, 1, 0))...)
			end++
		}
		if got := receive(t, src, 1)[0]; string(got.Body) != fmt.Sprintf("%08d", v.want) {
			t.Errorf("start: %s begins with %s, want %d", v.start, got.Body, v.want)
		}
		_ = src.Close()
	}
	for start, says := range map[string]string{
		"1000":                             "ends before",
		origin("elsewhere", stream, 1):     "names a message of",
		origin(cluster, stream+"-copy", 1): "names a message of",
	} {
		src, err := begin(start)
		if err == nil {
			_ = src.Close()
		}
		if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("start: %s: %v", start, err)
		}
	}
}

// At an offset that was cut off, and on an empty stream.
func TestStartWhereNothingIs(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	s := n.open(t)
	empty := n.queue(t, unique(t), typeStream)
	for start, refused := range map[string]bool{"first": false, "now": false, "0": false, "'2001-02-03T04:05:06Z'": false, "1": true} {
		src, err := n.source(t, s, n.identity(t), "stream: "+empty+"\nstart: "+start).Open(t.Context())
		if (err != nil) != refused || refused && bridge.ClassOf(err) != bridge.Stopping {
			t.Errorf("an empty stream, start: %s: %v", start, err)
		}
		if err == nil {
			_ = src.Close()
		}
	}
}
