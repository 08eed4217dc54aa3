package nats

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// freePorts finds ports that nobody listens at.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// startCluster starts three servers with JetStream.
func startCluster(t *testing.T) []*testServer {
	t.Helper()
	ports := freePorts(t, 3)
	var routes []*url.URL
	for _, p := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	var all []*testServer
	for i, p := range ports {
		s := &testServer{opts: server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: p}, Routes: routes,
		}}
		s.start(t)
		s.opts.Port = s.Addr().(*net.TCPAddr).Port
		t.Cleanup(s.stop)
		all = append(all, s)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		leader := false
		for _, s := range all {
			leader = leader || s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(all)
		}
		if leader {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster finds no leader")
		}
	}
}

// awaitLeaders waits until streams answer, and their replicas have what they have:
// right after a change of leaders a question may stay without an answer.
func awaitLeaders(t *testing.T, js jetstream.JetStream, streams ...string) {
	t.Helper()
	settled := func(name string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		c := s.CachedInfo().Cluster
		for _, r := range c.Replicas {
			if !r.Current || r.Offline {
				return fmt.Errorf("replica %s lags by %d", r.Name, r.Lag)
			}
		}
		return nil
	}
	deadline := time.Now().Add(60 * time.Second)
	for _, name := range streams {
		for err := settled(name); err != nil; err = settled(name) {
			if time.Now().After(deadline) {
				t.Fatalf("stream %s: %v", name, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// In a cluster of three, whose code for expectations and repeats is another, the
// leaders of target, source and checkpoint change under load: every message is in
// the target once and in order.
func TestLeadersChange(t *testing.T) {
	const total, changes = 15000, 4
	cluster := startCluster(t)
	_, js := cluster[0].client(t)
	for name, subjects := range map[string]string{"A": "a.>", "B": "b.>"} {
		created := func() bool {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, Replicas: 3, Duplicates: 100 * time.Millisecond})
			return err == nil
		}
		for deadline := time.Now().Add(20 * time.Second); !created(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("stream %s cannot be made", name)
			}
		}
	}
	for i := range total {
		m := &nats.Msg{Subject: fmt.Sprintf("a.%d", i%100), Data: fmt.Append(nil, i), Header: nats.Header{"Nats-Msg-Id": {fmt.Sprint(i)}}}
		var err error
		if i%500 == 499 {
			_, err = js.PublishMsg(t.Context(), m)
		} else {
			err = js.Conn().PublishMsg(m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var urls []string
	for _, s := range cluster {
		urls = append(urls, s.ClientURL())
	}
	sys := cluster[0].system(t, func(c *SystemConfig) { c.URL, c.URLs = "", urls })
	from, to := sys.from(t, SourceConfig{Stream: "A"}), sys.to(t, SinkConfig{Stream: "B", Subject: "b.{token:2}", AckTimeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			err := liveOnce(ctx, from, to)
			if ctx.Err() != nil || bridge.ClassOf(err) == bridge.Stopping {
				ended <- err
				return
			}
			t.Logf("a life ended: %v", err)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	copied := func() (n uint64) {
		if stream, err := js.Stream(t.Context(), "B"); err == nil {
			n = stream.CachedInfo().State.Msgs
		}
		return n
	}
	deadline := time.Now().Add(90 * time.Second)
	for changed := 0; copied() < total; time.Sleep(time.Millisecond) {
		if changed < changes && copied() > uint64(changed+1)*total/(changes+2) {
			for _, stream := range []string{"B", "A", checkpointStream(testIdentity.Bridge)} {
				if _, err := js.Conn().Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, 5*time.Second); err != nil {
					t.Logf("step down of %s: %v", stream, err)
				}
			}
			changed++
		}
		if len(ended) > 0 || time.Now().After(deadline) {
			t.Fatalf("%d of %d after %d changes; relay ended: %v", copied(), total, changed, len(ended))
		}
	}
	cancel()
	<-ended
	awaitLeaders(t, js, "B", checkpointStream(testIdentity.Bridge))
	info := streamInfo(t, js, "B")
	if info.State.Msgs != total || info.State.LastSeq != total {
		t.Errorf("the target holds %d messages up to %d, want %d", info.State.Msgs, info.State.LastSeq, total)
	}
	inOrder(t, js, "B", total)
	if got := streamInfo(t, js, checkpointStream(testIdentity.Bridge)).Config.Replicas; got != 3 {
		t.Errorf("the checkpoint has %d replicas, the tapped stream 3", got)
	}
	if got := clusterOf(info); got != "three" {
		t.Errorf("the cluster is %q", got)
	}
}
