package kafka

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A sinkRig is a fake cluster and what it takes to write to it.
type sinkRig struct {
	*kfake.Cluster
	system *system
}

// newSinkRig starts a fake cluster of three brokers with topic "t" of that many
// partitions.
func newSinkRig(t testing.TB, partitions int32, opts ...kfake.Opt) *sinkRig {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(partitions, "t"), kfake.ClusterID("fake")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &sinkRig{Cluster: c, system: testSystem(t, c.ListenAddrs(), nil)}
}

// keysOf are requests as faults name them.
func keysOf(keys ...protocol.ApiKey) (ks []kmsg.Key) {
	for _, k := range keys {
		ks = append(ks, kmsg.Key(k))
	}
	return ks
}

// kerrOf is an error code as faults name it.
func kerrOf(e kafkago.Error) *kerr.Error { return kerr.TypedErrorForCode(int16(e)) }

// testSystem is a system as configured; change may be nil.
func testSystem(t testing.TB, brokers []string, change func(*SystemConfig)) *system {
	t.Helper()
	s := &system{name: "test", config: SystemConfig{Brokers: brokers, RequestTimeout: 5 * time.Second}}
	if change != nil {
		change(&s.config)
	}
	if err := s.config.finish(s.name); err != nil {
		t.Fatal(err)
	}
	return s
}

// sinkOf gives an opener as another process of the same relay has it.
func (r *sinkRig) sinkOf(t testing.TB, c SinkConfig) *SinkOpener {
	t.Helper()
	return openerOf(t, r.system, c)
}

func openerOf(t testing.TB, s *system, c SinkConfig) *SinkOpener {
	t.Helper()
	if c.Topic == "" {
		c.Topic = "t"
	}
	o, err := s.Sink(testIdentity, func(into any) error {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(c))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	opener := o.(*SinkOpener)
	opener.lanes = 1
	return opener
}

// A session is one of a lane under test.
type session struct {
	bridge.Lane
	sink bridge.Sink

	mu      sync.Mutex
	places  []bridge.Placement
	err     error
	changed chan struct{}
}

func openSession(t testing.TB, o *SinkOpener, lane int) *session {
	t.Helper()
	s, err := tryOpen(o, lane)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

func tryOpen(o *SinkOpener, lane int) (*session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sink, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{sink: sink, changed: make(chan struct{}, 1)}
	if s.Lane, err = sink.Open(ctx, lane, s.settled); err != nil {
		return nil, errors.Join(err, sink.Close())
	}
	return s, nil
}

func (s *session) settled(n int, places []bridge.Placement, err error) {
	s.mu.Lock()
	s.places = append(s.places, places...)
	if err != nil {
		s.err = err
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *session) end() {
	_ = s.Close()
	_ = s.sink.Close()
}

// state is what has been settled, and what ended the lane.
func (s *session) state() ([]bridge.Placement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]bridge.Placement(nil), s.places...), s.err
}

// await waits until n are settled, or the lane has ended.
func (s *session) await(t testing.TB, n int) ([]bridge.Placement, error) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		places, err := s.state()
		if len(places) >= n || err != nil {
			return places, err
		}
		select {
		case <-s.changed:
		case <-deadline:
			t.Fatalf("settled %d of %d", len(places), n)
		}
	}
}

// deliver sends messages and wants all of them settled.
func (s *session) deliver(t testing.TB, msgs []*bridge.Message) []bridge.Placement {
	t.Helper()
	before, _ := s.state()
	if n, err := s.Send(context.Background(), msgs); err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(msgs), err)
	}
	places, err := s.await(t, len(before)+len(msgs))
	if err != nil {
		t.Fatalf("settled %d of %d: %v", len(places)-len(before), len(msgs), err)
	}
	return places[len(before):]
}

// recall gives what a lane reads back, oldest first.
func (s *session) recall(t testing.TB, lane, n int) []string {
	t.Helper()
	var ids []string
	if err := s.sink.(bridge.Recaller).Recall(context.Background(), lane, n, func(p bridge.Placed) bool { ids = append(ids, p.ID.Value); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(ids)
	return ids
}

// numbered makes messages with IDs from..to-1 and as many keys.
func numbered(from, to, keys int) []*bridge.Message {
	msgs := make([]*bridge.Message, 0, to-from)
	for i := from; i < to; i++ {
		msgs = append(msgs, &bridge.Message{
			Key: fmt.Sprintf("key-%d", i%keys), ID: bridge.ID{Value: fmt.Sprintf("id-%d", i)}, Body: []byte(fmt.Sprintf("body %d", i)),
			Time: time.UnixMilli(1700000000000 + int64(i)), Address: bridge.Address{Name: "there"},
		})
	}
	return msgs
}

// read gives what a topic holds, per partition.
func readTopicOf(t testing.TB, s *system, name string) [][]string {
	t.Helper()
	ctx := context.Background()
	c := newCluster(s)
	defer c.close()
	l, err := c.look(ctx, name)
	if err != nil || l.topics[name] == nil {
		t.Fatalf("topic %s: %v", name, err)
	}
	r := &lookback{cluster: c, layout: l}
	var all [][]string
	for i := range l.topics[name].partitions {
		p := &partition{topic: &topic{name: name}, index: int32(i)}
		from, err1 := r.end(ctx, p, atEarliest)
		to, err2 := r.end(ctx, p, atLatest)
		var ids []string
		err := errors.Join(err1, err2, r.between(ctx, p, from, to, func(rec *record) {
			placed, _ := placedOf(rec, testIdentity.String())
			ids = append(ids, placed.ID.Value)
		}))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ids)
	}
	return all
}

func TestSinkPlaces(t *testing.T) {
	r := newSinkRig(t, 4)
	s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	msgs := numbered(0, 1000, 7)
	for i := 0; i < len(msgs); i += 100 {
		s.deliver(t, msgs[i:i+100])
	}
	got := 0
	for _, ids := range readTopicOf(t, r.system, "t") {
		got += len(ids)
	}
	if got != len(msgs) {
		t.Errorf("%d of %d messages", got, len(msgs))
	}
	s.end()
	next := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	if ids := next.recall(t, 0, 1000); len(ids) != len(msgs) {
		t.Errorf("recalled %d of %d", len(ids), len(msgs))
	}
}
