package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/crossfade-mq/crossfade/bridge"
)

func produceFault(e kafkago.Error, count int, partitions ...int32) kfake.Fault {
	return kfake.Fault{Keys: keysOf(protocol.Produce), Topic: "t", Partitions: partitions, Err: kerrOf(e), Count: count}
}

// wantTopic wants a topic to hold exactly these messages, each partition in order.
func wantTopic(t testing.TB, s *system, name string, msgs []*bridge.Message, partitions int32) {
	t.Helper()
	want := idsByPartition(msgs, partitions)
	if got := readTopicOf(t, s, name); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the topic holds\n%v\nwant\n%v", got, want)
	}
}

// What a leader cannot take now is sent again, whether or not it was stored, and is
// stored once. // I2
func TestLaneSendsAgain(t *testing.T) {
	for _, e := range []kafkago.Error{
		kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.UnknownTopicOrPartition, kafkago.RequestTimedOut,
		kafkago.NotEnoughReplicas, kafkago.NotEnoughReplicasAfterAppend, kafkago.KafkaStorageError, kafkago.NetworkException, kafkago.FencedLeaderEpoch,
	} {
		t.Run(e.Title(), func(t *testing.T) {
			r := newSinkRig(t, 3)
			s := openSession(t, r.sinkOf(t, SinkConfig{Batch: 2000}), 0)
			msgs := numbered(0, 200, 9)
			s.deliver(t, msgs[:50])
			h := r.Fault(produceFault(e, 3))
			s.deliver(t, msgs[50:])
			if h.Hits() != 3 {
				t.Errorf("%d of 3 faults were met", h.Hits())
			}
			wantTopic(t, r.system, "t", msgs, 3)
		})
	}
}

// A leader that moves is followed, and a connection that breaks with a batch on it is
// made anew.
func TestLaneFollowsTheLeader(t *testing.T) {
	r := newSinkRig(t, 2)
	s := openSession(t, r.sinkOf(t, SinkConfig{Batch: 2000}), 0)
	msgs := numbered(0, 600, 9)
	for i := 0; i < len(msgs); i += 20 {
		if _, err := s.Send(t.Context(), msgs[i:i+20]); err != nil {
			t.Fatal(err)
		}
		switch i / 20 % 3 {
		case 0:
			if err := r.MoveTopicPartition("t", int32(i/60%2), int32(i/60%3)); err != nil {
				t.Fatal(err)
			}
		case 1:
			r.cut()
		}
	}
	if places, err := s.await(t, len(msgs)); err != nil || len(places) != len(msgs) {
		t.Fatalf("settled %d of %d: %v", len(places), len(msgs), err)
	}
	wantTopic(t, r.system, "t", msgs, 2)
}

// cut breaks all connections of the process.
func (r *sinkRig) cut() {
	r.system.mu.Lock()
	all := make([]*conn, 0, len(r.system.alive))
	for c := range r.system.alive {
		all = append(all, c)
	}
	r.system.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// What ends a lane is said in words, once and last, and nothing goes on without a
// valid producer.
func TestLaneEnds(t *testing.T) {
	for _, c := range []struct {
		e     kafkago.Error
		class bridge.Class
		word  string
	}{
		{kafkago.InvalidProducerEpoch, bridge.Transient, "another session of this relay has begun"},
		{kafkago.ProducerFenced, bridge.Transient, "another session of this relay has begun"},
		{kafkago.OutOfOrderSequenceNumber, bridge.Transient, "has not all that this session sent"},
		{kafkago.UnknownProducerId, bridge.Transient, "has forgotten this session's producer"},
		{kafkago.InvalidProducerIDMapping, bridge.Transient, "has forgotten this session's producer"},
		{kafkago.TopicAuthorizationFailed, bridge.Stopping, "not authorized"},
		{kafkago.UnsupportedCompressionType, bridge.Stopping, "compression"},
		{kafkago.InvalidRequiredAcks, bridge.Transient, "topic t partition"},
	} {
		t.Run(c.e.Title(), func(t *testing.T) {
			r := newSinkRig(t, 1)
			s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
			msgs := numbered(0, 30, 3)
			s.deliver(t, msgs[:10])
			r.Fault(produceFault(c.e, 1))
			if _, err := s.Send(t.Context(), msgs[10:20]); err != nil {
				t.Fatal(err)
			}
			places, err := s.await(t, 20)
			if len(places) != 10 || bridge.ClassOf(err) != c.class || !strings.Contains(strings.ToLower(err.Error()), c.word) {
				t.Errorf("settled %d and %v; want 10, class %d and %q", len(places), err, c.class, c.word)
			}
			if _, err := s.Send(t.Context(), msgs[20:]); err == nil {
				t.Errorf("the lane took more")
			}
			wantTopic(t, r.system, "t", msgs[:10], 1)
		})
	}
}

// A duplicate that the broker tells by its code is there already: it is settled.
func TestLaneSettlesDuplicates(t *testing.T) {
	r := newSinkRig(t, 1)
	s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	r.Fault(produceFault(kafkago.DuplicateSequenceNumber, 1))
	places := s.deliver(t, numbered(0, 5, 1))
	for _, p := range places {
		if !p.Repeat || p.Position != 0 {
			t.Errorf("placement %+v; want a repeat at no position", p)
		}
	}
}

// refuseRecords has the broker refuse produce requests that hold a record with that
// text, naming its index if named.
func (r *sinkRig) refuseRecords(e kafkago.Error, with string, named bool) {
	r.ControlKey(int16(protocol.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		refused := false
		for _, rt := range req.Topics {
			st := kmsg.NewProduceResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewProduceResponseTopicPartition()
				sp.Partition = rp.Partition
				sp.ErrorCode = int16(kafkago.NotLeaderForPartition) // of those that are asked with it
				if at := indexOf(rp.Records, with); at >= 0 {
					refused = true
					sp.ErrorCode = int16(e)
					if named {
						sp.ErrorRecords = []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: int32(at)}}
					}
				}
				st.Partitions = append(st.Partitions, sp)
			}
			res.Topics = append(res.Topics, st)
		}
		return res, nil, refused
	})
}

// indexOf is the record of a batch whose value has the text; -1 if none has.
func indexOf(batch []byte, text string) int {
	var br batchReader
	br.reset(batch)
	if _, ok, err := br.nextBatch(); !ok || err != nil {
		return -1
	}
	var rec record
	for i := 0; ; i++ {
		if ok, err := br.next(&rec); !ok || err != nil {
			return -1
		}
		if strings.Contains(string(rec.value), text) {
			return i
		}
	}
}

// A message that a leader refuses is told by name; what is in front of it in the lane
// is settled, and nothing of its partition is sent behind it. // I2
func TestLaneRefusesOneMessage(t *testing.T) {
	for _, c := range []struct {
		e      kafkago.Error
		named  bool
		reason bridge.Reason
	}{
		{kafkago.InvalidTimestamp, true, bridge.ReasonPoison},
		{kafkago.InvalidRecord, true, bridge.ReasonPoison},
		{kafkago.InvalidRecord, false, bridge.ReasonPoison},
		{kafkago.MessageSizeTooLarge, false, bridge.ReasonOversized},
		{kafkago.RecordListTooLarge, false, bridge.ReasonOversized},
	} {
		for _, keys := range []int{1, 8} {
			t.Run(fmt.Sprintf("%s named %v keys %d", c.e.Title(), c.named, keys), func(t *testing.T) {
				r := newSinkRig(t, 2)
				r.refuseRecords(c.e, "body 25.", c.named)
				s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
				msgs := numbered(0, 60, keys)
				msgs[25].Body = []byte("body 25.")
				_, sendErr := s.Send(t.Context(), msgs)
				if sendErr != nil && bridge.ClassOf(sendErr) == bridge.Rejected {
					t.Fatalf("Send gave the Reject of another message: %v", sendErr)
				}
				places, err := s.await(t, 61)
				if len(places) != 25 || bridge.ReasonOf(err) != c.reason {
					t.Fatalf("settled %d and %v; want 25 and %s", len(places), err, c.reason)
				}
				s.end()
				of := idsByPartition(msgs, 2)
				for p, ids := range readTopicOf(t, r.system, "t") {
					if !slices.Equal(ids, of[p][:min(len(ids), len(of[p]))]) {
						t.Errorf("partition %d holds %v, which is no prefix of %v", p, ids, of[p])
					}
					if slices.Contains(ids, "id-25") {
						t.Errorf("partition %d holds what was refused", p)
					}
				}
			})
		}
	}
}

// A message that is known to be too large is refused before the wire, and the lane
// goes on.
func TestLaneRefusesOversized(t *testing.T) {
	r := newSinkRig(t, 1)
	makeTopic(t, r.system, "small", 1, "max.message.bytes=4000")
	for _, compression := range []string{"none", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			s := openSession(t, r.sinkOf(t, SinkConfig{Topic: "small", Compression: compression}), 0)
			msgs := numbered(0, 100, 2)
			before := len(readTopicOf(t, r.system, "small")[0])
			msgs[40].Body = incompressible(4000)
			msgs[60].Body = make([]byte, 4000)
			n, err := s.Send(t.Context(), msgs)
			if n != 40 || bridge.ReasonOf(err) != bridge.ReasonOversized {
				t.Fatalf("sent %d: %v; want 40 and a Reject", n, err)
			}
			rest, skipped := msgs[41:], 1
			n, err = s.Send(t.Context(), rest)
			if compression == "none" {
				if n != 19 || bridge.ReasonOf(err) != bridge.ReasonOversized {
					t.Fatalf("sent %d: %v; want 19 and a Reject", n, err)
				}
				_, err = s.Send(t.Context(), rest[20:])
				skipped++
			}
			if err != nil {
				t.Fatal(err)
			}
			if places, err := s.await(t, len(msgs)-skipped); err != nil || len(places) != len(msgs)-skipped {
				t.Fatalf("settled %d and %v", len(places), err)
			}
			if got := len(readTopicOf(t, r.system, "small")[0]) - before; got != len(msgs)-skipped {
				t.Errorf("the topic took %d", got)
			}
		})
	}
}

func incompressible(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// Where this user may not see the topic's settings, batches become as small as the
// topic wants them, and times travel in a header.
func TestLaneLearnsTheLimit(t *testing.T) {
	r := newSinkRig(t, 1)
	makeTopic(t, r.system, "small", 1, "max.message.bytes=3000")
	r.Fault(kfake.Fault{Keys: keysOf(protocol.DescribeConfigs), Err: kerrOf(kafkago.TopicAuthorizationFailed), Count: -1})
	s := openSession(t, r.sinkOf(t, SinkConfig{Topic: "small"}), 0)
	msgs := numbered(0, 1000, 3)
	for i := 0; i < len(msgs); i += 100 {
		s.deliver(t, msgs[i:i+100])
	}
	if p := laneOf(s).parts[0]; p.keepTime || p.limit > 3000 {
		t.Errorf("times are kept: %v; batches of %d octets", p.keepTime, p.limit)
	}
	wantTopic(t, r.system, "small", msgs, 1)
}

// A partition without a leader stalls the messages of its own lane only. // I7
func TestLaneStallsAlone(t *testing.T) {
	r := newSinkRig(t, 4)
	o := r.sinkOf(t, SinkConfig{})
	o.lanes = 2
	even, odd := openSession(t, o, 0), openSession(t, o, 1)
	h := r.Fault(produceFault(kafkago.NotLeaderForPartition, -1, 2))
	var ofEven, ofOdd []*bridge.Message
	for _, m := range numbered(0, 400, 40) {
		if even.sink.(bridge.Router).Route(m, 2) == 0 {
			ofEven = append(ofEven, m)
		} else {
			ofOdd = append(ofOdd, m)
		}
	}
	if _, err := even.Send(t.Context(), ofEven); err != nil {
		t.Fatal(err)
	}
	odd.deliver(t, ofOdd)
	if err := h.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if places, err := even.state(); err != nil || len(places) == len(ofEven) {
		t.Errorf("the lane of partition 2 settled %d of %d, %v", len(places), len(ofEven), err)
	}
	h.Remove()
	if places, err := even.await(t, len(ofEven)); err != nil || len(places) != len(ofEven) {
		t.Errorf("with a leader again: settled %d of %d, %v", len(places), len(ofEven), err)
	}
}

// Without progress for twice request_timeout a lane ends.
func TestLaneLosesPatience(t *testing.T) {
	r := newSinkRig(t, 1)
	r.system.config.RequestTimeout = 200 * time.Millisecond
	s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	r.Fault(produceFault(kafkago.NotLeaderForPartition, -1))
	begun := time.Now()
	if _, err := s.Send(t.Context(), numbered(0, 3, 1)); err != nil {
		t.Fatal(err)
	}
	_, err := s.await(t, 1)
	if !errors.Is(err, kafkago.NotLeaderForPartition) || time.Since(begun) < 400*time.Millisecond {
		t.Errorf("the lane ended after %v with %v", time.Since(begun), err)
	}
}

// A window that is full lets Send wait until ctx or the lane ends.
func TestLaneWindow(t *testing.T) {
	r := newSinkRig(t, 1)
	h := r.Fault(produceFault(kafkago.NotLeaderForPartition, -1))
	s := openSession(t, r.sinkOf(t, SinkConfig{Window: 10}), 0)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_ = h.Wait(t.Context(), 1)
		cancel(cause)
	}()
	n, err := s.Send(ctx, numbered(0, 30, 1))
	if n != 10 || !errors.Is(err, cause) {
		t.Errorf("sent %d: %v", n, err)
	}
	if n, err := s.Send(t.Context(), numbered(30, 31, 1)); n != 0 || !errors.Is(err, cause) {
		t.Errorf("behind it sent %d: %v", n, err)
	}
}

// Close cuts what is under way; nothing is reported and nothing runs behind it.
func TestLaneCloses(t *testing.T) {
	r := newSinkRig(t, 3)
	before := goleak.IgnoreCurrent()
	for i := range 20 {
		s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
		if _, err := s.Send(t.Context(), numbered(0, 100*i, 10)); err != nil {
			t.Fatal(err)
		}
		s.end()
		was, _ := s.state()
		s.end()
		if is, err := s.state(); len(is) != len(was) || err != nil {
			t.Errorf("behind Close: settled %d, then %d, %v", len(was), len(is), err)
		}
	}
	r.cut()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"), goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"))
}

// A lane that watches ends when partitions are added, and when its topic is made anew.
func TestLaneWatches(t *testing.T) {
	t.Parallel()
	r := newSinkRig(t, 2)
	adm := kadm.NewClient((&testCluster{Cluster: r.Cluster, addrs: r.ListenAddrs()}).client(t))
	s := openSession(t, r.sinkOf(t, SinkConfig{}), 0)
	s.deliver(t, numbered(0, 5, 5))
	if _, err := adm.CreatePartitions(t.Context(), 2, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.await(t, 6); !errors.Is(err, bridge.ErrRerouted) || bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("partitions were added, and the lane ended with %v", err)
	}
	o := r.sinkOf(t, SinkConfig{})
	s = openSession(t, o, 0)
	s.deliver(t, numbered(5, 10, 5))
	if _, err := adm.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	makeTopic(t, r.system, "t", 4)
	if _, err := s.await(t, 6); err == nil {
		t.Error("the topic was made anew, and the lane went on")
	}
	if _, err := tryOpen(o, 0); bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), "recreated") {
		t.Errorf("the topic was made anew, and was opened: %v", err)
	}
	o.config.Accept = bridge.Accepts{acceptRecreated}
	openSession(t, o, 0).deliver(t, numbered(10, 15, 5))
}
