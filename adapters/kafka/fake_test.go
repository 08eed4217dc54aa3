package kafka

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// helperT is what both *testing.T and a conformance check can do.
type helperT interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// A testCluster is a cluster for tests: Kafka's protocol in this process, with sessions
// that end soon, or a real one.
type testCluster struct {
	*kfake.Cluster // nil if it is a real one
	server         *brokers.Server
	addrs          []string
	session        time.Duration // after so long a dead process is given up
	request        time.Duration // so long an answer may take
}

func startCluster(t helperT, opts ...kfake.Opt) *testCluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.ClusterID("fake"), kfake.GroupMinSessionTimeout(100 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatalf("kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return &testCluster{Cluster: c, addrs: c.ListenAddrs(), session: 1500 * time.Millisecond, request: 3 * time.Second}
}

// realCluster is an Apache Kafka that ends with the test, which may restart it.
func realCluster(t *testing.T) *testCluster {
	t.Helper()
	s := brokers.PrivateKafka(t)
	return &testCluster{server: s, addrs: []string{strings.TrimPrefix(s.URL(), "kafka://")}, session: 2 * time.Second, request: 15 * time.Second}
}

// client is a plain client, as applications have it.
func (c *testCluster) client(t helperT, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// topic makes a topic.
func (c *testCluster) topic(t helperT, name string, partitions int32, configs ...string) {
	t.Helper()
	with := map[string]*string{}
	for _, kv := range configs {
		k, v, _ := strings.Cut(kv, "=")
		with[k] = &v
	}
	res, err := kadm.NewClient(c.client(t)).CreateTopic(context.Background(), partitions, 1, with, name)
	if err == nil {
		err = res.Err
	}
	if err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	eventually(t, "all of topic "+name+" has leaders", func() bool {
		all, err := kadm.NewClient(c.client(t)).ListEndOffsets(context.Background(), name)
		return err == nil && all.Error() == nil && len(all[name]) == int(partitions)
	})
}

// put produces records whose values are numbers, in turn to all partitions.
func put(t helperT, cl *kgo.Client, topic string, partitions int, first, last int) {
	t.Helper()
	var rs []*kgo.Record
	for i := first; i < last; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: fmt.Appendf(nil, "key-%d", i%partitions), Value: fmt.Append(nil, i)})
	}
	if err := cl.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// system is one process of the bridge.
func (c *testCluster) system(t helperT, change ...func(*SystemConfig)) *system {
	t.Helper()
	conf := SystemConfig{Brokers: c.addrs, SessionTimeout: c.session, RequestTimeout: c.request}
	for _, f := range change {
		f(&conf)
	}
	s, err := Adapter().System("test", decoded(conf))
	if err != nil {
		t.Fatalf("system: %v", err)
	}
	return s.(*system)
}

// kill cuts every connection of the process, which makes no other.
func (s *system) kill() {
	s.mu.Lock()
	s.dead = true
	var all []*conn
	for c := range s.alive {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// decoded is a bridge.Decode that gives v.
func decoded(v any) bridge.Decode {
	return func(into any) error {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(v))
		return nil
	}
}

func (s *system) from(t helperT, c SourceConfig) bridge.SourceOpener {
	t.Helper()
	o, err := s.Source(testIdentity, decoded(c))
	if err != nil {
		t.Fatalf("source: %v", err)
	}
	return o
}

func openSource(t *testing.T, o bridge.SourceOpener) *source {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	s, err := o.Open(ctx)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*source)
}

// take receives so many messages.
func take(t *testing.T, s bridge.Source, n int) []bridge.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var all []bridge.Delivery
	for len(all) < n {
		buf := make([]bridge.Delivery, n-len(all))
		k, err := s.Receive(ctx, buf)
		if err != nil {
			t.Fatalf("receive, after %d of %d: %v", len(all), n, err)
		}
		all = append(all, buf[:k]...)
	}
	return all
}

func receipts(ds []bridge.Delivery) []bridge.Receipt {
	rs := make([]bridge.Receipt, len(ds))
	for i := range ds {
		rs[i] = ds[i].Receipt
	}
	return rs
}

func ackAll(t *testing.T, s bridge.Source, ds ...bridge.Delivery) {
	t.Helper()
	if err := s.Ack(t.Context(), receipts(ds)); err != nil {
		t.Fatalf("ack: %v", err)
	}
}

func bodiesOf(ds []bridge.Delivery) string {
	var all []string
	for i := range ds {
		all = append(all, string(ds[i].Body))
	}
	return strings.Join(all, " ")
}

// eventually waits for what something else brings about.
func eventually(t helperT, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("after 15 s still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
