package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// onBoth runs a test on the fake cluster and on a real one. The topic is new there.
func onBoth(t *testing.T, partitions int, test func(t *testing.T, s *system, topic string)) {
	t.Run("fake", func(t *testing.T) {
		r := newSinkRig(t, 1)
		makeTopic(t, r.system, "both", partitions)
		test(t, r.system, "both")
	})
	t.Run("real", func(t *testing.T) {
		s := realSystem(t)
		name := fmt.Sprintf("sink-%x", time.Now().UnixNano())
		makeTopic(t, s, name, partitions)
		test(t, s, name)
	})
}

func realSystem(t testing.TB) *system {
	t.Helper()
	u, err := url.Parse(brokers.Kafka(t))
	if err != nil {
		t.Fatal(err)
	}
	return testSystem(t, []string{u.Host}, func(c *SystemConfig) { c.RequestTimeout = 20 * time.Second })
}

// makeTopic makes a topic by the sink's own means.
func makeTopic(t testing.TB, s *system, name string, partitions int, configs ...string) {
	t.Helper()
	o := openerOf(t, s, SinkConfig{Topic: name, Create: &CreateConfig{Partitions: partitions, Configs: configs}})
	c := newCluster(s)
	defer c.close()
	if err := o.create(t.Context(), c, name); err != nil {
		t.Fatal(err)
	}
}

// rawProduce writes one batch by its octets, and gives the broker's error code.
func rawProduce(t testing.TB, s *system, topic string, partition int32, batch []byte) kafkago.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := newCluster(s)
	defer c.close()
	l, err := c.look(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.leader(ctx, l, topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	version, err := k.version(protocol.Produce, 3, 8)
	if err != nil {
		t.Fatal(err)
	}
	req := produceRequest{timeout: 5000, partitions: []producePartition{{topic, partition, batch}}}
	body, err := k.exchange(ctx, &frame{key: protocol.Produce, version: version, body: func(dst []byte) []byte { return appendProduce(dst, version, &req) }}, nil)
	var res produceResponse
	if err = errors.Join(err, readProduce(body, version, &res)); err != nil {
		t.Fatal(err)
	}
	return kafkago.Error(res.partitions[0].errorCode)
}

// late is a batch that a session has had on its way for a long time.
func late(t testing.TB, p *partition) []byte {
	t.Helper()
	var w batchWriter
	w.begin(p.producer.id, p.producer.epoch, p.sequence, codecNone)
	w.add(time.Now().UnixMilli(), []byte("key"), []byte("late"), nil)
	batch, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func laneOf(s *session) *lane { return s.Lane.(*lane) }

// What an earlier session has on its way is refused from the moment on that the next
// one is open, whether or not that has sent anything. // I6
func TestFenceRefusesALateBatch(t *testing.T) {
	t.Parallel()
	onBoth(t, 2, func(t *testing.T, s *system, topic string) {
		zombie := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		msgs := numbered(0, 20, 5)
		zombie.deliver(t, msgs[:10])
		next := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		for _, p := range laneOf(zombie).parts {
			if e := rawProduce(t, s, topic, p.index, late(t, p)); e != kafkago.InvalidProducerEpoch {
				t.Errorf("partition %d: the late batch was answered %v (%d), want InvalidProducerEpoch", p.index, e, e)
			}
		}
		if n, err := zombie.Send(t.Context(), msgs[:3]); err == nil {
			_, err = zombie.await(t, 11)
			if !errors.Is(err, errSuperseded) {
				t.Errorf("the earlier session sent %d and ended with %v", n, err)
			}
		}
		next.deliver(t, msgs[10:])
		want := idsByPartition(msgs, 2)
		if got := readTopicOf(t, s, topic); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the topic holds\n%v\nwant\n%v", got, want)
		}
	})
}

// idsByPartition is what a topic of n partitions holds of messages.
func idsByPartition(msgs []*bridge.Message, n int32) [][]string {
	want := make([][]string, n)
	for _, m := range msgs {
		p := partitionOf([]byte(m.Key), n)
		want[p] = append(want[p], m.ID.Value)
	}
	return want
}

// A batch of the session before is found, whatever became of its answer.
func TestFenceKnowsTheEnd(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, s *system, topic string) {
		first := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		msgs := numbered(0, 30, 3)
		first.deliver(t, msgs[:20])
		if _, err := first.Send(t.Context(), msgs[20:]); err != nil {
			t.Fatal(err)
		}
		first.end()
		next := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		recalled := next.recall(t, 0, 100)
		if got := readTopicOf(t, s, topic)[0]; !slices.Equal(got, recalled) || len(got) < 20 {
			t.Errorf("the topic holds %v, and the next session recalls %v", got, recalled)
		}
		if got := next.recall(t, 0, 7); !slices.Equal(got, recalled[len(recalled)-7:]) {
			t.Errorf("the newest 7 are %v of %v", got, recalled)
		}
	})
}

// exhaust takes the epochs of a transactional ID up to the one before the last that is
// handed out.
func exhaust(t *testing.T, s *system, name string) {
	t.Helper()
	ctx := t.Context()
	f := &fencer{lookback: lookback{cluster: newCluster(s), layout: &layout{}}}
	defer f.cluster.close()
	p, err := f.initProducer(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	for p.epoch < lastEpoch-2 {
		k, err := f.cluster.coordinator(ctx, transactionCoordinator, name)
		if err != nil {
			t.Fatal(err)
		}
		for range min(1000, lastEpoch-2-int(p.epoch)) {
			m, err := k.ask(ctx, &initproducerid.Request{TransactionalID: name, TransactionTimeoutMs: 60000, ProducerID: noProducer, ProducerEpoch: noProducer})
			if err != nil {
				t.Fatal(err)
			}
			if res := m.(*initproducerid.Response); res.ErrorCode == 0 {
				p = producer{res.ProducerID, res.ProducerEpoch}
			} else if !unready(kafkago.Error(res.ErrorCode)) {
				t.Fatal(kafkago.Error(res.ErrorCode))
			}
		}
	}
}

// epochsOnKafka in the environment takes the test of the last epochs to a real broker
// too, which takes a minute.
const epochsOnKafka = "CROSSFADE_TEST_EPOCHS"

// When a producer's epochs are used up, the session before is kept out all the same,
// though its successor has another producer.
func TestFenceOutlastsTheEpochs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 32,765 requests")
	}
	onBoth(t, 1, func(t *testing.T, s *system, topic string) {
		if !strings.HasPrefix(topic, "both") && os.Getenv(epochsOnKafka) == "" {
			t.Skip(epochsOnKafka + " is not set")
		}
		exhaust(t, s, transactionalID(testIdentity, topic, 0))
		zombie := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		zombie.deliver(t, numbered(0, 3, 1))
		old := laneOf(zombie).parts[0].producer
		if old.epoch != lastEpoch-1 {
			t.Fatalf("the session has epoch %d, want %d", old.epoch, lastEpoch-1)
		}
		next := openSession(t, openerOf(t, s, SinkConfig{Topic: topic}), 0)
		now := laneOf(next).parts[0].producer
		if now.id == old.id || now.epoch > 1 {
			t.Fatalf("the next session has producer %+v behind %+v, want another", now, old)
		}
		marker, err := newestMarker(t, s, topic, old.id)
		if err != nil || marker < lastEpoch {
			t.Errorf("the newest marker of the old producer has epoch %d (%v), want more than %d", marker, err, old.epoch)
		}
		if !strings.HasPrefix(topic, "both") { // the fake forgets a producer that it has replaced
			if e := rawProduce(t, s, topic, 0, late(t, laneOf(zombie).parts[0])); e != kafkago.InvalidProducerEpoch {
				t.Errorf("the late batch was answered %v (%d), want InvalidProducerEpoch", e, e)
			}
		}
		next.deliver(t, numbered(3, 6, 1))
	})
}

// newestMarker is the epoch of the newest marker of a producer in partition 0.
func newestMarker(t *testing.T, s *system, topicName string, producerID int64) (epoch int16, err error) {
	t.Helper()
	ctx := t.Context()
	c := newCluster(s)
	defer c.close()
	l, err := c.look(ctx, topicName)
	if err != nil {
		return 0, err
	}
	r := &lookback{cluster: c, layout: l}
	got, err := r.from(ctx, &partition{topic: &topic{name: topicName}}, 0, time.Second)
	if err != nil {
		return 0, err
	}
	epoch = math.MinInt16
	_, err = r.each(got.records, 0, func(h *batchHeader) error {
		if h.control() && h.producerID == producerID {
			epoch = h.producerEpoch
		}
		return nil
	})
	return epoch, err
}

// A coordinator that is not ready is waited for; nobody goes on without a producer.
func TestFenceWaitsForTheCoordinator(t *testing.T) {
	r := newSinkRig(t, 1)
	h := r.Fault(
		kfake.Fault{Keys: keysOf(protocol.InitProducerId), Err: kerrOf(kafkago.GroupCoordinatorNotAvailable), TopLevel: true, Count: 3},
		kfake.Fault{Keys: keysOf(protocol.InitProducerId), Err: kerrOf(kafkago.GroupLoadInProgress), TopLevel: true, Count: 2},
		kfake.Fault{Keys: keysOf(protocol.AddPartitionsToTxn), Err: kerrOf(kafkago.ConcurrentTransactions), Count: 2},
		kfake.Fault{Keys: keysOf(protocol.EndTxn), Err: kerrOf(kafkago.NotCoordinatorForGroup), TopLevel: true, Count: 1},
	)
	s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	s.deliver(t, numbered(0, 3, 1))
	if h.Hits() != 8 {
		t.Errorf("%d of 8 faults were met", h.Hits())
	}
	r.Fault(kfake.Fault{Keys: keysOf(protocol.InitProducerId), Err: kerrOf(kafkago.TransactionalIDAuthorizationFailed), TopLevel: true})
	if _, err := tryOpen(r.sinkOf(t, SinkConfig{}), 0); bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("opened without permission: %v", err)
	}
}
