package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

func numbered(n int) []bridge.Message {
	ms := make([]bridge.Message, n)
	for i := range ms {
		ms[i] = bridge.Message{
			Key: fmt.Sprint("key-", i), ID: bridge.ID{Value: fmt.Sprint("id-", i)},
			Address: bridge.Address{Name: "k"}, Body: fmt.Append(nil, "body ", i),
		}
	}
	return ms
}

// What nothing is bound for is refused, one by one, and all others are placed:
// also where the same routing key, body or ID is in flight more than once.
func TestUnroutableMessagesAreRefused(t *testing.T) {
	n := sharedNode(t)
	x := n.exchange(t, unique(t), "topic")
	q := n.queue(t, unique(t), typeQuorum)
	if err := n.channel(t).QueueBind(q, "bound.#", x, false, nil); err != nil {
		t.Fatal(err)
	}
	var log settleLog
	lane := openLane(t, n.sink(t, n.open(t), n.identity(t), "exchange: "+x), &log)
	ms := numbered(300)
	want := map[int]bool{}
	for i := range ms {
		ms[i].Address.Name = "bound.a"
		if i%3 == 1 || i > 290 {
			ms[i].Address.Name = "free"
			want[i] = true
		}
		ms[i].Body = []byte("the same")
		if i%2 == 0 {
			ms[i].ID, ms[i].Key = bridge.ID{}, ""
		}
	}
	if k, err := lane.Send(t.Context(), pointers(ms)); k != len(ms) || err != nil {
		t.Fatalf("sent %d: %v", k, err)
	}
	log.await(t, len(ms))
	for i := range ms {
		err := log.refused[i]
		if want[i] != (err != nil) {
			t.Fatalf("message %d to %s: refused with %v", i, ms[i].Address.Name, err)
		}
		if err != nil && bridge.ReasonOf(err) != bridge.ReasonUnroutable {
			t.Fatalf("message %d: reason %s", i, bridge.ReasonOf(err))
		}
	}
	if state, err := n.channel(t).QueueDeclarePassive(q, true, false, false, false, nil); err != nil || state.Messages > len(ms)-len(want) {
		t.Fatalf("%d messages in the queue: %v", state.Messages, err)
	}
}

// A queue that is deleted ends the lane, parks nothing, and is Fatal at the next
// opening.
func TestADeletedQueueEndsTheLane(t *testing.T) {
	n := sharedNode(t)
	for _, kind := range []string{typeQuorum, typeStream} {
		q := n.queue(t, unique(t), kind)
		block := "queue: " + q
		if kind == typeStream {
			block = "stream: " + q
		}
		o := n.sink(t, n.open(t), n.identity(t), block)
		var log settleLog
		lane := openLane(t, o, &log)
		if _, err := n.channel(t).QueueDelete(q, false, false, false); err != nil {
			t.Fatal(err)
		}
		ms := numbered(1)
		if _, err := lane.Send(t.Context(), pointers(ms)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the lane ends", func() bool { _, err := log.state(); return err != nil })
		if settled, err := log.state(); settled != 0 || bridge.ClassOf(err) != bridge.Transient {
			t.Fatalf("%s: settled %d, %v", kind, settled, err)
		}
		if _, err := o.Open(t.Context()); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
			t.Fatalf("%s: open again: %v", kind, err)
		}
	}
}

// A queue that refuses messages ends the lane behind the last that it took.
func TestARefusalEndsTheLane(t *testing.T) {
	n := sharedNode(t)
	q := unique(t)
	if _, err := n.channel(t).QueueDeclare(q, true, false, false, false, amqp.Table{
		"x-queue-type": typeClassic, "x-max-length": int64(5), "x-overflow": "reject-publish",
	}); err != nil {
		t.Fatal(err)
	}
	n.deleteLater(t, q)
	var log settleLog
	lane := openLane(t, n.sink(t, n.open(t), n.identity(t), "queue: "+q+"\ntype: classic"), &log)
	ms := numbered(50)
	for i := range ms { // one at a time, so that the queue counts
		if _, err := lane.Send(t.Context(), pointers(ms[i:i+1])); err != nil {
			break
		}
		eventually(t, "an answer", func() bool { k, err := log.state(); return k == i+1 || err != nil })
	}
	settled, err := log.state()
	if !errors.Is(err, errNacked) || bridge.ClassOf(err) != bridge.Transient || log.ends != 1 {
		t.Fatalf("settled %d, ended %d times: %v", settled, log.ends, err)
	}
	state, err := n.channel(t).QueueDeclarePassive(q, true, false, false, false, nil)
	if err != nil || state.Messages != settled || settled < 5 {
		t.Fatalf("settled %d, in the queue %d, %v", settled, state.Messages, err)
	}
}

// A second owner is kept out until the first is gone, and told why.
func TestALaneHasOneOwner(t *testing.T) {
	n := sharedNode(t)
	q := n.queue(t, unique(t), typeQuorum)
	id := n.identity(t)
	o := n.sink(t, n.open(t), id, "queue: "+q)
	var log settleLog
	first := openLane(t, o, &log)
	other, err := n.sink(t, n.open(t), id, "queue: "+q).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Open(t.Context(), 0, log.settled)
	if bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("a second owner: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	var second bridge.Lane
	eventually(t, "the second owner gets in", func() bool { second, err = other.Open(t.Context(), 0, log.settled); return err == nil })
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// A lock that somebody deletes ends the lane: another owner could be in.
func TestALostLockEndsTheLane(t *testing.T) {
	n := sharedNode(t)
	q := n.queue(t, unique(t), typeQuorum)
	id := n.identity(t)
	sessions := make(chan *session, 10)
	s := n.open(t)
	s.connected = func(n *session) { sessions <- n }
	var log settleLog
	openLane(t, n.sink(t, s, id, "queue: "+q), &log)
	<-sessions // looked at the target
	own := <-sessions
	_ = own.do(func(ch *amqp.Channel) error { // ends with the connection that it is said on
		_, err := ch.QueueDelete(laneLock(id, 0), false, false, false)
		return err
	})
	eventually(t, "the lane ends", func() bool { _, err := log.state(); return err != nil })
	if _, err := log.state(); bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "is lost") {
		t.Fatal(err)
	}
}

// A message larger than the broker takes is parked after it was refused once:
// the refusal says the limit.
func TestTheSizeLimitIsLearnt(t *testing.T) {
	for text, want := range map[string]int{
		"PRECONDITION_FAILED - message size 134217729 is larger than max size 134217728": 134217728,
		"PRECONDITION_FAILED - message size 20 is larger than configured max size 10":    10,
		"PRECONDITION_FAILED - unknown delivery tag 10":                                  1 << 20,
	} {
		l := newSizeLimit(1 << 20)
		l.learn(runError("lane", &amqp.Error{Code: codePrecondition, Reason: text, Server: true}))
		if l.octets() != want {
			t.Errorf("%s: %d", text, l.octets())
		}
	}
}

// The tap's consumers and the target's see every type of header as it was, and
// the client library agrees.
func TestHeadersAsTheLibraryHasThem(t *testing.T) {
	n := sharedNode(t)
	q := n.queue(t, unique(t), typeQuorum)
	headers := amqp.Table{
		"bool": true, "int8": int8(-3), "uint8": byte(200), "int16": int16(-300), "uint16": uint16(60000), "int32": int32(-7),
		"uint32": uint32(4e9), "int64": int64(-1 << 60), "float32": float32(1.5), "float64": 2.25, "decimal": amqp.Decimal{Scale: 2, Value: 12345},
		"string": "text", "bytes": []byte{0, 255}, "null": nil, "table": amqp.Table{"a": int32(1), "b": amqp.Table{"c": "d"}}, "array": []any{int32(1), "x", nil},
	}
	n.publish(t, "", publishing{q, amqp.Publishing{Headers: headers, Priority: 3, ContentType: "text/plain", MessageId: "id", Body: []byte("b")}})
	src, err := n.source(t, n.open(t), n.identity(t), "queue: "+q+"\ncompetes: true").Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	d := receive(t, src, 1)[0]
	if len(d.Headers) != len(headers) {
		t.Fatalf("headers %v", d.Headers)
	}
	target := n.queue(t, unique(t), typeClassic)
	var log settleLog
	lane := openLane(t, n.sink(t, n.open(t), n.identity(t), "queue: "+target+"\ntype: classic"), &log)
	if _, err := lane.Send(t.Context(), []*bridge.Message{&d.Message}); err != nil {
		t.Fatal(err)
	}
	log.await(t, 1)
	got, ok, err := n.channel(t).Get(target, true)
	if err != nil || !ok {
		t.Fatalf("get: %v, %v", ok, err)
	}
	for name, want := range headers {
		if fmt.Sprintf("%T %v", got.Headers[name], got.Headers[name]) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%s is %T %v, want %T %v", name, got.Headers[name], got.Headers[name], want, want)
		}
	}
	if got.Priority != 3 || got.ContentType != "text/plain" || got.MessageId != "id" || got.DeliveryMode != amqp.Persistent {
		t.Errorf("properties %+v", got)
	}
	own := slices.DeleteFunc(slices.Collect(func(yield func(string) bool) {
		for name := range got.Headers {
			if !yield(name) {
				return
			}
		}
	}), func(name string) bool { return !bridge.IsHop(name) })
	slices.Sort(own)
	if want := []string{bridge.HopAddress, bridge.HopOrigin, bridge.HopRelay}; !slices.Equal(own, want) {
		t.Errorf("hop headers %v, want %v", own, want)
	}
}
